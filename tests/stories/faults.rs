//! The fault suite: what a database, a network or a platform may do to a turn. For each fault: the
//! outcome for the reader, what is stored afterwards, and that the next request works.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::model::{Script, held_halfway};
use crate::harness::{Fault, Reply, Running, World, eventually, signal};

#[tokio::test]
async fn a_database_that_has_to_wake_up_is_waited_for() {
    let (world, proxy) = World::behind_proxy().await;
    proxy.fault(Fault::Asleep(Duration::from_secs(1)));
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn a_statement_that_is_still_at_work_when_it_runs_again_begins_one_turn() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with("RATE_LIMIT_NETWORK_PER_DAY", 500);
    let chat = world.chat().await;
    chat.ask("warm up").await;
    let state = "select (select sum(asked) from networks), (select count(*) from reservations),
        (select count(*) from messages), (select sum(nanos) from spending)";
    let before = world.database.rows(state).await;
    let cost: u64 = before[0][3].parse().unwrap();
    for (turns, key) in [(2, None), (3, Some("k1"))] {
        let mut request = chat
            .request(Method::POST, "/chat")
            .json(&json!({ "message": "hi" }));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let lock = world.database.lock("select from networks for update").await;
        let twice = async {
            world.database.is_waited_for().await;
            // The server does not notice while the statement waits.
            proxy.cut_all();
            world.database.are_waiting(2).await;
            lock.release().await;
        };
        let (reply, ()) = tokio::join!(Reply::of(request), twice);
        assert_eq!(reply.status, 200, "{key:?}: {reply:?}");
        let after = [turns, 0, 2 * turns, turns * cost].map(|number| number.to_string());
        assert_eq!(world.database.rows(state).await, [after], "{key:?}");
        assert_eq!(world.model.asked().len() as u64, turns);
    }
}

#[tokio::test]
async fn a_slow_network_only_slows() {
    let (world, proxy) = World::behind_proxy().await;
    proxy.fault(Fault::Delay(Duration::from_millis(200)));
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.status, 200);
}

async fn before_the_question_is_stored(fault: Fault) {
    for warm in [false, true] {
        let (world, proxy) = World::behind_proxy().await;
        let world = world.hurried();
        let chat = world.chat().await;
        if warm {
            assert_eq!(chat.ask("before").await.status, 200);
        }
        let asked = world.model.asked().len();
        proxy.break_off(fault);
        let started = Instant::now();
        let reply = chat.ask("hi").await;
        assert_eq!(reply.error(), (500, "database_error".into()), "{fault:?}");
        // Connecting and one statement, with room for a busy machine.
        assert!(started.elapsed() < Duration::from_secs(4), "{fault:?}");
        assert_eq!(world.model.asked().len(), asked, "{fault:?}");
        proxy.bring_back();
        assert_eq!(chat.ask("after").await.status, 200, "{fault:?}");
    }
}

#[tokio::test]
async fn before_the_question_is_stored_every_fault_is_an_error_in_time_and_nothing_is_asked() {
    join_all(Fault::GONE.map(before_the_question_is_stored)).await;
}

async fn after_the_answer_is_written(fault: Fault) {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    world.model.next(held_halfway());
    let mut stream = chat.stream(&json!({ "message": "hi" })).await;
    proxy.break_off(fault);
    world.model.release();
    stream.text("At last.").await;
    let mut last = None;
    while let Some(part) = stream.part().await {
        last = Some(part);
    }
    let last = last.unwrap();
    assert_eq!(last["type"], "error", "{fault:?}");
    let text = last["errorText"].as_str().unwrap();
    let told = ["is not kept", "may be missing later"];
    assert!(told.iter().any(|told| text.contains(told)), "{text}");
    assert_eq!(world.database.messages().await, ["user: hi"], "{fault:?}");
    proxy.bring_back();
    assert_eq!(chat.ask("after").await.status, 200, "{fault:?}");
}

#[tokio::test]
async fn after_the_answer_is_written_every_fault_is_an_error_part_and_the_question_stays() {
    join_all(Fault::GONE.map(after_the_answer_is_written)).await;
}

#[tokio::test]
async fn a_connection_that_breaks_after_any_number_of_bytes_loses_and_doubles_nothing() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let mut turns = 0;
    // From the middle of the greeting to the middle of the statements' replies.
    for bytes in (0..700).step_by(37) {
        // This hits the connection that is made at boot.
        proxy.fault(Fault::ResetAfter(bytes));
        let chat = world.chat().await;
        let question = format!("after {bytes} bytes");
        assert_eq!(chat.ask(&question).await.status, 200, "{question}");
        turns += 1;
        assert_eq!(world.model.asked().len(), turns, "{question}");
        assert_eq!(
            world.database.counts().await,
            (turns, 2 * turns),
            "{question}"
        );
    }
}

fn ask_at_once(chat: &Running, questions: usize) -> JoinSet<Reply> {
    let question = |i| {
        let request = chat.request(Method::POST, "/chat");
        Reply::of(request.json(&json!({ "message": format!("question {i}") })))
    };
    (0..questions).map(question).collect()
}

#[tokio::test]
async fn turns_share_a_connection_to_a_database_that_is_far_away() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with("DATABASE_POOL_SIZE", 1);
    let chat = world.chat().await;
    assert_eq!(chat.ask("before").await.status, 200);
    proxy.fault(Fault::Delay(Duration::from_millis(100)));
    let started = Instant::now();
    for reply in ask_at_once(&chat, 8).join_all().await {
        assert_eq!(reply.status, 200);
    }
    // One after the other, this would take sixteen round trips.
    assert!(
        started.elapsed() < Duration::from_millis(1_600),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test]
async fn a_connection_that_dies_under_several_turns_costs_none_of_them() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with("DATABASE_POOL_SIZE", 1);
    let chat = world.chat().await;
    assert_eq!(chat.ask("before").await.status, 200);
    proxy.fault(Fault::Delay(Duration::from_millis(200)));
    let trips = proxy.round_trips();
    let turns = ask_at_once(&chat, 6);
    eventually(async || (proxy.round_trips() > trips).then_some(()))
        .await
        .unwrap();
    proxy.cut_all();
    for reply in turns.join_all().await {
        assert_eq!(reply.status, 200);
    }
    assert_eq!(world.database.counts().await, (7, 14));
    assert_eq!(world.model.asked().len(), 7);
}

#[tokio::test]
async fn a_full_pool_is_an_error_in_its_time_and_recovers_by_itself() {
    let (world, _proxy) = World::behind_proxy().await;
    let world = world
        .with("DATABASE_POOL_SIZE", 1)
        .with("DATABASE_WAIT_TIMEOUT_MS", 500);
    let chat = world.chat().await;
    assert_eq!(chat.ask("before").await.status, 200);
    let lock = world.database.lock_messages().await;
    // Eight statements may wait on a connection, and no more.
    let started = Instant::now();
    let mut turns = ask_at_once(&chat, 12);
    for _ in 0..4 {
        let refused = turns.join_next().await.unwrap().unwrap();
        assert_eq!(refused.error(), (500, "database_error".into()));
    }
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    lock.release().await;
    while let Some(waited) = turns.join_next().await {
        assert_eq!(waited.unwrap().status, 200);
    }
    assert_eq!(chat.ask("after").await.status, 200);
}

#[tokio::test]
async fn an_instance_that_was_frozen_finds_its_connections_closed_and_answers_all_the_same() {
    let world = World::new().await;
    let chat = world.chat().await;
    for _ in 0..2 {
        assert_eq!(chat.ask("before").await.status, 200);
        signal(chat.function.pid(), "STOP");
        world.database.close_connections().await;
        signal(chat.function.pid(), "CONT");
        assert_eq!(chat.ask("after").await.status, 200);
    }
    assert_eq!(world.database.counts().await, (4, 8));
}

#[tokio::test]
async fn an_instance_that_is_killed_at_any_moment_loses_no_question_and_stores_no_half_answer() {
    let world = World::new().await;
    let words: Vec<_> = (0..20).map(|i| format!("word{i} ")).collect();
    let whole = words.concat();
    let script = words.iter().fold(Script::begin(), |script, word| {
        script.words(word).wait(Duration::from_millis(1))
    });
    let script = script.finish("stop").done();
    world.model.always(script.clone());
    let mut random = 7_u64;
    for round in 0..50 {
        let chat = world.chat().await;
        let request = chat.request(reqwest::Method::POST, "/chat");
        let request = request
            .json(&json!({ "message": format!("question {round}") }))
            .header("accept", "text/event-stream");
        let reading = tokio::spawn(async move {
            match request.send().await {
                Ok(response) => response.text().await.unwrap_or_default(),
                Err(_) => String::new(),
            }
        });
        // Moments from the first byte of the model's answer to 20 ms after its last, the same ones
        // in each run.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let percent = usize::try_from((random >> 33) % 120).unwrap();
        let written = world.model.written() + script.length() * percent.min(100) / 100;
        eventually(async || (world.model.written() >= written).then_some(()))
            .await
            .unwrap();
        let late = u64::try_from(percent.saturating_sub(100)).unwrap();
        tokio::time::sleep(Duration::from_millis(late)).await;
        signal(chat.function.pid(), "KILL");
        let text = reading.await.unwrap();
        let complete =
            "select distinct content from messages where role = 'assistant' and state = 'complete'";
        for answer in world.database.rows(complete).await.concat() {
            assert_eq!(answer, whole, "half an answer is stored as a whole one");
        }
        if text.contains("[DONE]") {
            let stored = format!(
                "select count(*) from messages where reply_to =
                 (select id from messages where content = 'question {round}')"
            );
            assert_eq!(world.database.rows(&stored).await, [["1"]]);
        }
    }
    let asked = world.model.asked();
    assert!(asked.len() > 10, "it was killed too early to show anything");
    let stored = world.database.messages().await;
    for question in asked.iter().map(|asked| asked.messages()[1].clone()) {
        assert!(
            stored.contains(&question),
            "{question} was asked and is lost"
        );
    }
    let answers = stored
        .iter()
        .filter(|message| message.starts_with("assistant"))
        .count();
    assert!(
        answers > 0 && answers < 50,
        "{answers} of 50 were answered before the end"
    );
}
