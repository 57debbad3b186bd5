//! The same request twice is answered once.

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::model::{Script, held, talkative};
use crate::harness::stream::told;
use crate::harness::{Reply, Running, World, eventually, question};

async fn ask(chat: &Running, key: &str) -> Reply {
    chat.post_with(&question(), ("idempotency-key", key)).await
}

#[tokio::test]
async fn the_stored_answer_is_replayed_as_json_and_as_a_stream_also_by_another_instance() {
    let world = World::new().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    let first = ask(&chat, "k1").await;
    assert_eq!(first.status, 200);
    for instance in [&chat, &other] {
        assert_eq!(ask(instance, "k1").await.json(), first.json());
        let stream = instance
            .stream_with(&question(), &[("idempotency-key", "k1")])
            .await;
        let replayed = told(&stream.rest().await);
        assert_eq!(replayed.text, first.field("response"));
        assert_eq!(replayed.session_id, first.field("session_id"));
    }
    assert_eq!(world.model.asked().len(), 1);
    assert_eq!(world.database.counts().await, (1, 2));
    assert_ne!(
        ask(&chat, "k2").await.field("session_id"),
        first.field("session_id")
    );
}

#[tokio::test]
async fn while_the_first_is_running_the_second_is_told_to_wait() {
    let world = World::new().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    world.model.next(held());
    let first = ask(&chat, "k1");
    let second = async {
        world.model.was_asked(1).await;
        let replies = (ask(&chat, "k1").await, ask(&other, "k1").await);
        world.model.release();
        replies
    };
    let (first, (second, third)) = tokio::join!(first, second);
    assert_eq!(first.field("response"), "At last.");
    for reply in [second, third] {
        assert_eq!(reply.error(), (409, "in_progress".into()));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert_eq!(ask(&other, "k1").await.json(), first.json());
    assert_eq!(world.model.asked().len(), 1);
}

#[tokio::test]
async fn many_at_once_are_answered_once() {
    let world = World::new().await;
    let chat = world.chat().await;
    let body = question();
    let asks = (0..20).map(|_| {
        let request = chat.request(reqwest::Method::POST, "/chat").json(&body);
        tokio::spawn(Reply::of(request.header("idempotency-key", "k1")))
    });
    let asks: Vec<_> = asks.collect();
    for ask in asks {
        let reply = ask.await.unwrap();
        assert!(matches!(reply.status, 200 | 409), "{reply:?}");
    }
    assert_eq!(world.model.asked().len(), 1);
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn of_two_that_looked_at_once_one_claims_the_key() {
    let world = World::new().await.with("RATE_LIMIT_NETWORK_PER_DAY", 500);
    let chats = [world.chat().await, world.chat().await];
    assert_eq!(ask(&chats[0], "warm up").await.status, 200);
    world.model.next(held());
    // Both see that nobody has the key, and wait for another row.
    let lock = world.database.lock("select from networks for update").await;
    let mut asks: JoinSet<_> = chats
        .into_iter()
        .map(|chat| async move { ask(&chat, "k1").await })
        .collect();
    world.database.are_waiting(2).await;
    lock.release().await;
    let first = asks.join_next().await.unwrap().unwrap();
    assert_eq!(first.error(), (409, "in_progress".into()));
    world.model.release();
    let second = asks.join_next().await.unwrap().unwrap();
    assert_eq!(second.field("response"), "At last.");
    assert_eq!(world.model.asked().len(), 2);
    assert_eq!(world.database.counts().await, (2, 4));
}

#[tokio::test]
async fn a_turn_that_outlives_its_lease_does_not_release_the_key_of_the_next() {
    let world = World::new().await;
    // Each on an instance of its own, for an instance remembers what it is answering.
    let chat = &world.chat().await;
    let (next, last) = (&world.chat().await, &world.chat().await);
    let refusal = "HTTP/1.1 401 Scripted\r\ncontent-length: 0\r\n\r\n";
    world.model.next(Script::silence().write(refusal));
    let first = ask(chat, "k1");
    let rest = async {
        world.model.was_asked(1).await;
        let lease = "update idempotency_keys set running_until = now() - interval '1 second'";
        world.database.rows(lease).await;
        world.model.next(held());
        let second = ask(next, "k1");
        let rest = async {
            world.model.was_asked(2).await;
            world.model.release();
            // The first turn releases nothing: the second one is still running.
            chat.logged("request failed").await;
            let failed = "select count(*) from reservations";
            let ended = async || (world.database.rows(failed).await == [["1"]]).then_some(());
            eventually(ended).await.expect("the first one never ends");
            let third = ask(last, "k1").await;
            assert_eq!(third.error(), (409, "in_progress".into()));
            world.model.release();
        };
        tokio::join!(second, rest).0
    };
    let (first, second) = tokio::join!(first, rest);
    assert_eq!(first.status, 500);
    assert_eq!(second.field("response"), "At last.");
    assert_eq!(world.model.asked().len(), 2);
}

#[tokio::test]
async fn a_key_holds_for_a_day_from_its_first_use() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::refused());
    assert_eq!(ask(&chat, "k1").await.status, 500);
    let age = async |hours| {
        let age = "update idempotency_keys set created_at = created_at - interval";
        world.database.rows(&format!("{age} '{hours} hours'")).await;
    };
    age(20).await;
    let answered = ask(&chat, "k1").await;
    assert_eq!(ask(&chat, "k1").await.json(), answered.json());
    age(5).await;
    let anew = ask(&chat, "k1").await;
    assert_ne!(anew.field("session_id"), answered.field("session_id"));
}

#[tokio::test]
async fn the_same_key_with_another_question_is_refused() {
    let world = World::new().await;
    let chat = world.chat().await;
    assert_eq!(ask(&chat, "k1").await.status, 200);
    for other in [
        json!({ "message": "Something else?" }),
        json!({ "message": "What is a humanoid robot?", "selected_text": "A passage." }),
    ] {
        let reply = chat.post_with(&other, ("idempotency-key", "k1")).await;
        assert_eq!(reply.error(), (422, "idempotency_key_reused".into()));
    }
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn after_a_failure_the_same_request_may_try_again_with_the_question_that_is_stored() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::refused());
    let failed = ask(&chat, "k1").await;
    assert_eq!(failed.status, 500);
    let again = ask(&chat, "k1").await;
    assert_eq!(again.field("session_id"), failed.json()["session_id"]);
    assert_eq!(world.database.counts().await, (1, 2));
    assert_eq!(
        world.model.asked()[1].messages(),
        world.model.asked()[0].messages()
    );
    assert_eq!(ask(&chat, "k1").await.json(), again.json());
}

#[tokio::test]
async fn after_a_reader_has_stopped_an_answer_the_same_request_is_answered_anew() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(talkative());
    let mut stream = chat
        .stream_with(&question(), &[("idempotency-key", "k1")])
        .await;
    stream.text("word0 ").await;
    drop(stream);
    world.model.was_hung_up().await;
    let free = "select count(*) from idempotency_keys where running_until < now()";
    eventually(async || (world.database.rows(free).await == [["1"]]).then_some(()))
        .await
        .unwrap();
    let again = ask(&chat, "k1").await;
    let states = world
        .database
        .rows("select role, state from messages order by seq")
        .await;
    assert_eq!(
        states,
        [
            ["user", "complete"],
            ["assistant", "cancelled"],
            ["assistant", "complete"]
        ]
    );
    assert_eq!(ask(&chat, "k1").await.json(), again.json());
}

#[tokio::test]
async fn a_key_of_a_turn_that_died_is_free_when_its_lease_ends_and_every_key_after_a_day() {
    let world = World::new().await;
    let chat = world.chat().await;
    let first = ask(&chat, "k1").await;
    let kill = "delete from messages where role = 'assistant'";
    world.database.rows(kill).await;
    assert_eq!(ask(&chat, "k1").await.error(), (409, "in_progress".into()));
    let lease = "update idempotency_keys set running_until = now() - interval '1 second'";
    world.database.rows(lease).await;
    let second = ask(&chat, "k1").await;
    assert_eq!(second.field("session_id"), first.field("session_id"));
    assert_eq!(world.database.counts().await, (1, 2));

    let age = "update idempotency_keys set created_at = now() - interval '25 hours'";
    world.database.rows(age).await;
    let third = ask(&chat, "k1").await;
    assert_ne!(third.field("session_id"), first.field("session_id"));
    assert_eq!(ask(&chat, "k1").await.json(), third.json());
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_refused() {
    let world = World::new().await;
    let chat = world.chat().await;
    for key in [String::new(), "k".repeat(256)] {
        let reply = ask(&chat, &key).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()));
        assert_eq!(
            reply.json()["error"]["details"][0]["field"],
            "Idempotency-Key"
        );
    }
    assert_eq!(ask(&chat, &"k".repeat(255)).await.status, 200);
}

#[tokio::test]
async fn a_key_costs_no_round_trip_and_its_statement_may_run_twice() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    chat.ask("warm up").await;
    for (key, round_trips) in [("k1", 2), ("k1", 1), ("k2", 2)] {
        let before = proxy.round_trips();
        assert_eq!(ask(&chat, key).await.status, 200);
        assert_eq!(proxy.round_trips() - before, round_trips, "{key}");
    }
    proxy.lose_next_reply();
    assert_eq!(ask(&chat, "k3").await.status, 200);
    chat.logged("connection was dead").await;
    assert_eq!(world.database.counts().await, (4, 8));
}
