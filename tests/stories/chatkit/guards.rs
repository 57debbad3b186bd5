//! Limits, told to readers in words; and questions that the moderation refuses.

use serde_json::{Value, json};

use super::{create, failure, questions, read_until};
use crate::harness::World;
use crate::harness::chatkit::{Reader, kinds};
use crate::harness::model::{Script, held, held_halfway};

/// Whether the message names a wait in words.
fn names_a_wait(message: &str) -> bool {
    let number = message.chars().any(|c| c.is_ascii_digit());
    let units = ["second", "minute", "hour"];
    number && units.iter().any(|unit| message.contains(unit))
}

/// Everything that is stored.
async fn stored(world: &World) -> Vec<Vec<String>> {
    let sql = "select (select string_agg(s::text, ';' order by id) from chat_sessions s),
        (select string_agg(m::text, ';' order by seq) from messages m),
        (select sum(nanos) from spending), (select string_agg(n::text, ';') from networks n)";
    world.database.rows(sql).await
}

/// Checks that every way of asking is refused, with nothing stored and the model not asked.
async fn refused(world: &World, reader: &Reader<'_>, requests: &[(&str, Value)]) -> Vec<String> {
    let (before, calls) = (stored(world).await, world.model.asked().len());
    let mut messages = Vec::new();
    for (kind, params) in requests {
        let reply = reader.call(kind, params).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let events = reader.events(kind, params).await;
        assert_eq!(kinds(&events), ["error"], "{kind}");
        let (message, retry) = failure(&events);
        // Only a retry's question is stored already.
        assert_eq!(retry, *kind == "threads.retry_after_item", "{kind}");
        messages.push(message);
    }
    assert_eq!(stored(world).await, before);
    assert_eq!(world.model.asked().len(), calls);
    messages
}

#[tokio::test]
async fn a_reader_who_asks_too_fast_is_told_how_long_to_wait_and_may_read_meanwhile() {
    let world = World::new().await.guarded();
    let world = world
        .with("RATE_LIMIT_NETWORK_BURST", 1)
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    let (chatkit, other) = (world.chatkit().await, world.chatkit().await);
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    // The other instance remembers nothing and asks the database.
    for reader in [&reader, &other.known_as(reader.token())] {
        for message in refused(&world, reader, &questions(&turn)).await {
            assert!(names_a_wait(&message), "{message}");
        }
        assert_eq!(reader.texts(&turn.thread).await.len(), 2);
        let params = json!({ "thread_id": turn.thread, "title": "New" });
        reader.json("threads.update", &params).await;
    }
}

#[tokio::test]
async fn a_network_that_has_asked_enough_today_is_told_for_how_long() {
    let world = World::new()
        .await
        .guarded()
        .with("RATE_LIMIT_NETWORK_PER_DAY", 1);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    for message in refused(&world, &reader, &questions(&turn)).await {
        assert!(
            names_a_wait(&message) || message.contains("tomorrow"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn a_thread_has_a_pace_of_its_own_that_retries_count_against() {
    let world = World::new().await.guarded();
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("0").await;
    for _ in 1..5 {
        reader.retry(&turn.thread, &turn.question).await;
    }
    for message in refused(&world, &reader, &questions(&turn)[1..]).await {
        assert!(names_a_wait(&message), "{message}");
    }
    reader.begin("another thread").await;
}

#[tokio::test]
async fn when_the_days_budget_is_spent_readers_are_told() {
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.007");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    world.model.next(held_halfway());
    let mut stream = create(&reader, "dear").await;
    read_until(&mut stream, "At ").await;
    for message in refused(&world, &reader, &questions(&turn)).await {
        assert!(
            names_a_wait(&message) || message.contains("tomorrow"),
            "{message}"
        );
    }
    world.model.release();
    stream.events().await;
}

#[tokio::test]
async fn an_instance_that_is_full_says_so_at_once() {
    let world = World::new().await.with("MAX_TURNS_IN_FLIGHT", 1);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    world.model.next(held());
    let stream = create(&reader, "slow").await;
    world.model.was_asked(2).await;
    for message in refused(&world, &reader, &questions(&turn)).await {
        assert!(
            names_a_wait(&message) || message.contains("seconds"),
            "{message}"
        );
    }
    assert_eq!(
        reader.texts(&turn.thread).await.len(),
        2,
        "reading takes no place"
    );
    world.model.release();
    stream.events().await;
}

#[tokio::test]
async fn a_refusal_that_is_remembered_costs_no_round_trip() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.guarded().with("RATE_LIMIT_NETWORK_PER_DAY", 1);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    reader.begin("hi").await;
    assert_eq!(reader.create("hi").await.len(), 1);
    let before = proxy.round_trips();
    assert_eq!(reader.create("hi").await.len(), 1);
    assert_eq!(proxy.round_trips(), before);
}

const TAKEN_BACK: [&str; 5] = [
    "thread.created",
    "thread.item.done",
    "stream_options",
    "thread.item.removed",
    "error",
];

#[tokio::test]
async fn a_flagged_question_is_taken_back_before_a_word_is_passed_on_and_not_kept() {
    let world = World::new().await.with("MODERATION", "input");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("harmless").await;
    world.model.flag(true);
    let events = reader.create("harmful").await;
    assert_eq!(kinds(&events), TAKEN_BACK);
    assert_eq!(events[3]["item_id"], events[1]["item"]["id"]);
    assert!(!failure(&events).1);
    let more = reader.add(&turn.thread, "harmful").await;
    assert_eq!(kinds(&more), TAKEN_BACK[1..]);
    assert_eq!(more[2]["item_id"], more[0]["item"]["id"]);
    assert!(!failure(&more).1);
    assert_eq!(reader.texts(&turn.thread).await.len(), 2);
    assert_eq!(world.database.messages().await.len(), 2);
    assert!(!chatkit.raw_log().contains("harmful"));

    // The widget is now in the new thread, which is empty and has no title made from the question.
    assert_eq!(reader.titles().await, ["-", "harmless"]);
    let thread = events[0]["thread"]["id"].as_str().unwrap();
    world.model.flag(false);
    reader.ask(thread, "Better").await;
    assert_eq!(reader.titles().await, ["Better", "harmless"]);
    assert_eq!(reader.texts(thread).await[0], "user: Better");
}

#[tokio::test]
async fn a_title_that_its_reader_has_given_stays_when_a_question_is_taken_back() {
    let world = World::new().await.with("MODERATION", "input");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.flag(true);
    let events = reader.create("harmful").await;
    let thread = events[0]["thread"]["id"].as_str().unwrap();
    let params = json!({ "thread_id": thread, "title": "Mine" });
    reader.json("threads.update", &params).await;
    reader.add(thread, "harmful again").await;
    assert_eq!(reader.titles().await, ["Mine"]);
}

#[tokio::test]
async fn a_question_without_a_verdict_is_neither_answered_nor_kept() {
    let world = World::new().await.with("MODERATION", "input");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.fail_moderation();
    for _ in 0..2 {
        let events = reader.create("who knows").await;
        assert_eq!(kinds(&events), TAKEN_BACK);
        let (message, retry) = failure(&events);
        assert!(!retry, "{message}");
        assert!(!message.contains("saved"), "{message}");
        world.model.next(Script::refused());
    }
    assert_eq!(world.database.messages().await.len(), 0);
    assert_eq!(reader.titles().await, ["-", "-"]);
}

/// An earlier answer is not lost because a verdict never came.
#[tokio::test]
async fn a_retry_without_a_verdict_changes_nothing() {
    let world = World::new().await.with("MODERATION", "input");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    reader.ask(&turn.thread, "more").await;
    let before = reader.get(&turn.thread).await;
    world.model.fail_moderation();
    let events = reader.retry(&turn.thread, &turn.question).await;
    assert_eq!(kinds(&events), ["stream_options", "error"]);
    assert!(failure(&events).1, "the question is stored");
    assert_eq!(reader.get(&turn.thread).await, before);
}

#[tokio::test]
async fn a_retry_that_the_moderation_flags_is_told_so_and_what_is_told_is_so() {
    let world = World::new().await.with("MODERATION", "input");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    reader.ask(&turn.thread, "more").await;
    world.model.flag(true);
    let events = reader.retry(&turn.thread, &turn.question).await;
    let texts = reader.texts(&turn.thread).await;
    let stored = texts.contains(&"user: hi".to_owned());
    let removed = kinds(&events).contains(&"thread.item.removed");
    assert_eq!(removed, !stored, "{texts:?}");
    assert_eq!(failure(&events).1, stored, "{texts:?}");
    assert!(texts.contains(&"user: more".to_owned()), "{texts:?}");
}

#[tokio::test]
async fn who_lists_and_reads_too_fast_is_told_to_wait_and_may_still_ask() {
    let world = World::new().await.with("RATE_LIMIT_READS_PER_MINUTE", 4);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("What?").await;
    let thread = json!({ "thread_id": turn.thread });
    for _ in 0..4 {
        assert_eq!(reader.call("threads.get_by_id", &thread).await.status, 200);
    }
    let judged = json!({ "thread_id": turn.thread, "item_ids": [turn.answer], "kind": "positive" });
    for (kind, params) in [
        ("threads.get_by_id", &thread),
        ("threads.list", &json!({})),
        ("items.feedback", &judged),
        ("threads.delete", &thread),
    ] {
        let refused = reader.call(kind, params).await;
        assert_eq!(refused.error(), (429, "rate_limited".into()), "{kind}");
    }
    reader.ask(&turn.thread, "And?").await;
}
