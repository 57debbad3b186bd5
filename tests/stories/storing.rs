//! What the model was paid for is stored: whatever crowds, locks, forgotten connections and full
//! databases do to the statement that stores it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::model::held;
use crate::harness::{Fault, Reply, Running, UNKNOWN, World, eventually};

/// Begins so many turns whose answers the model holds back.
async fn begin(world: &World, chat: &Running, turns: usize) -> JoinSet<Reply> {
    let asked = world.model.asked().len();
    let question = |i| {
        world.model.next(held());
        let body = json!({ "message": format!("question {i}") });
        Reply::of(chat.request(Method::POST, "/chat").json(&body))
    };
    let begun = (0..turns).map(question).collect();
    world.model.was_asked(asked + turns).await;
    begun
}

async fn all_are_answered(turns: JoinSet<Reply>) {
    for reply in turns.join_all().await {
        assert_eq!(reply.field("response"), "At last.");
    }
}

/// A database with room for so many connections of the role that is returned, which functions use.
async fn with_room_for(connections: usize) -> (World, String) {
    let world = World::new().await;
    let role = format!("limited_{}", world.database.name);
    let limit = format!(
        "create role {role} login connection limit {connections};
         grant all on all tables in schema public to {role};
         grant all on all sequences in schema public to {role}"
    );
    world.database.rows(&limit).await;
    let url = world.database.url.replace("postgres@", &format!("{role}@"));
    (world.with("DATABASE_URL", url), role)
}

fn release(world: &World, turns: usize) {
    for _ in 0..turns {
        world.model.release();
    }
}

#[tokio::test]
async fn a_crowd_of_reads_holds_up_no_answer_and_no_question() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world
        .with("DATABASE_POOL_SIZE", 1)
        .with("DATABASE_WAIT_TIMEOUT_MS", 1_000);
    let chat = world.chat().await;
    let turns = begin(&world, &chat, 20).await;
    proxy.fault(Fault::Delay(Duration::from_millis(20)));
    // More than so few places can serve in the time that one waits for a place.
    let mut crowd = JoinSet::new();
    for _ in 0..200 {
        let path = format!("/chat?session_id={UNKNOWN}");
        let read = chat.request(Method::GET, &path);
        crowd.spawn(async move {
            loop {
                Reply::of(read.try_clone().unwrap()).await;
            }
        });
    }
    sleep(Duration::from_millis(500)).await;
    release(&world, 20);
    let began = Instant::now();
    all_are_answered(turns).await;
    for i in 0..5 {
        assert_eq!(chat.ask("and meanwhile?").await.status, 200, "question {i}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    crowd.shutdown().await;
    assert_eq!(world.database.counts().await, (25, 50));
}

#[tokio::test]
async fn reads_that_wait_leave_room_for_questions() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat_after("ulimit -n 256").await;
    chat.ask("before").await.field("response");
    proxy.fault(Fault::Delay(Duration::from_millis(400)));
    // Nearly as many as the instance serves at all, and it takes seconds to answer them.
    let path = format!("/chat?session_id={UNKNOWN}");
    let mut reads: JoinSet<_> = (0..190)
        .map(|_| Reply::of(chat.request(Method::GET, &path)))
        .collect();
    let refused = reads.join_next().await.unwrap().unwrap();
    assert_eq!(refused.error(), (503, "overloaded".into()));
    let question = |i| {
        let body = json!({ "message": format!("question {i}") });
        Reply::of(chat.request(Method::POST, "/chat").json(&body))
    };
    let turns: JoinSet<_> = (0..8).map(question).collect();
    for reply in turns.join_all().await {
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    reads.shutdown().await;
}

#[tokio::test]
async fn on_connections_that_something_on_the_way_has_forgotten_nothing_is_lost() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    // Several connections.
    all_are_answered({
        let turns = begin(&world, &chat, 20).await;
        release(&world, 20);
        turns
    })
    .await;
    // While answers are written.
    let turns = begin(&world, &chat, 8).await;
    proxy.forget_all();
    release(&world, 8);
    all_are_answered(turns).await;
    // Before questions are stored.
    proxy.forget_all();
    let began = Instant::now();
    world.model.always(held());
    release(&world, 40);
    let mut turns = JoinSet::new();
    for i in 0..40 {
        let body = json!({ "message": format!("question {i}") });
        turns.spawn(Reply::of(chat.request(Method::POST, "/chat").json(&body)));
        sleep(Duration::from_millis(25)).await;
    }
    all_are_answered(turns).await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(world.database.counts().await, (68, 136));
}

#[tokio::test]
async fn a_row_that_is_locked_for_long_holds_up_its_own_turn_alone() {
    let (world, _proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let session = chat.ask("before").await.field("session_id");
    let turns = begin(&world, &chat, 3).await;
    let lock = world.database.lock_conversation(&session).await;
    let began = Instant::now();
    let locked = chat.ask_in(&session, "in the locked one");
    let rest = async {
        // They follow the statement that waits, on the same connection.
        for wait in [3, 7, 20] {
            sleep(Duration::from_millis(wait)).await;
            world.model.release();
        }
        all_are_answered(turns).await;
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}");
        sleep(Duration::from_secs(6).saturating_sub(took)).await;
        lock.release().await;
    };
    let (reply, ()) = tokio::join!(locked, rest);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.database.counts().await, (4, 10));
}

#[tokio::test]
async fn statements_that_nobody_waits_for_any_more_do_not_pile_up_behind_a_lock() {
    let world = World::new().await.hurried();
    let chat = world.chat().await;
    let session = chat.ask("before").await.field("session_id");
    let lock = world.database.lock_conversation(&session).await;
    let reply = chat.ask_in(&session, "in vain").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    let waiting = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let gone = eventually(async || (world.database.rows(waiting).await == [["0"]]).then_some(()));
    gone.await.expect("its statement still waits");
    lock.release().await;
    assert_eq!(chat.ask_in(&session, "after").await.status, 200);
}

#[tokio::test]
async fn a_question_that_was_stored_without_a_word_is_given_up_as_a_whole() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    assert_eq!(chat.ask("before").await.status, 200);
    let spent = "select sum(nanos) from spending";
    let before = world.database.rows(spent).await;
    let body = json!({ "message": "hi" });
    let ask = async || chat.post_with(&body, ("idempotency-key", "k1")).await;
    proxy.fault(Fault::Mute);
    let reply = ask().await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    let reply = reply.json();
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.contains("may have been saved"), "{message}");
    let session = reply["session_id"].as_str().unwrap().to_owned();
    assert_eq!(world.model.asked().len(), 1);
    assert_eq!(world.database.counts().await, (2, 3));
    proxy.bring_back();
    // Long before the lease of the turn that was given up would end.
    let given_back =
        eventually(async || (world.database.rows(spent).await == before).then_some(()));
    given_back.await.expect("the turn stays charged");
    let again = eventually(async || Some(ask().await).filter(|reply| reply.status != 409));
    let again = again.await.expect("the key stays taken");
    assert_eq!(again.field("session_id"), session);
    assert_eq!(world.database.counts().await, (2, 4));
}

#[tokio::test]
async fn a_question_that_may_be_stored_is_told_with_the_conversation_that_it_was_asked_in() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    let session = chat.ask("before").await.field("session_id");
    proxy.fault(Fault::Mute);
    let reply = chat.ask_in(&session, "hi").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    assert_eq!(reply.json()["session_id"], session);
    // The turn is still being given up, and must not hold the instance.
    let began = Instant::now();
    let ended = chat.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn an_answer_that_is_stored_without_a_word_is_not_said_to_be_lost() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    let mut turns = begin(&world, &chat, 1).await;
    proxy.fault(Fault::Mute);
    world.model.release();
    let reply = turns.join_next().await.unwrap().unwrap();
    assert_eq!(reply.error(), (500, "database_error".into()));
    let message = reply.json()["error"]["message"].to_string();
    assert!(message.contains("may be missing later"), "{message}");
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn a_database_with_room_for_fewer_connections_than_the_pool_makes_turns_wait_and_not_fail() {
    let (world, _) = with_room_for(2).await;
    let chat = world.chat().await;
    let question = |i| {
        let body = json!({ "message": format!("question {i}") });
        Reply::of(chat.request(Method::POST, "/chat").json(&body))
    };
    for round in 0..4 {
        let turns: JoinSet<_> = (0..64).map(question).collect();
        for reply in turns.join_all().await {
            assert_eq!(reply.status, 200, "round {round}: {reply:?}");
        }
    }
    assert_eq!(world.database.counts().await, (256, 512));
}

#[tokio::test]
async fn a_database_that_has_no_room_at_all_for_a_moment_makes_a_question_wait() {
    let (world, role) = with_room_for(0).await;
    let chat = world.chat().await;
    let room = async {
        chat.logged("no connection can be made").await;
        let room = format!("alter role {role} connection limit 4");
        world.database.rows(&room).await;
    };
    let (reply, ()) = tokio::join!(chat.ask("hi"), room);
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test]
async fn an_instance_that_must_stop_while_its_database_is_silent_tells_its_readers_in_time() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let mut turns = begin(&world, &chat, 1).await;
    proxy.fault(Fault::BlackHole);
    world.model.release();
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let stopping = chat.function.terminate(Duration::from_secs(10));
    let told = async {
        let reply = turns.join_next().await.unwrap().unwrap();
        (reply, began.elapsed())
    };
    let (status, (reply, took)) = tokio::join!(stopping, told);
    assert!(status.unwrap().success());
    assert_eq!(reply.error(), (500, "internal_error".into()));
    // Its question is stored, and can be asked again there.
    assert!(reply.json()["session_id"].is_string(), "{reply:?}");
    // The platform kills the process after about half a second; this machine may be busy.
    assert!(took < Duration::from_millis(800), "{took:?}");
    let ended = began.elapsed();
    assert!(ended < Duration::from_secs(1), "{ended:?}");
}
