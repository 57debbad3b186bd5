//! What a database or a network may do to a turn of this route. For each fault: the outcome for the
//! reader, what is stored afterwards, and that the next request works.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{UNKNOWN, create, failure, ids, questions, read, read_until, retry};
use crate::harness::chatkit::{Turn, input, kinds};
use crate::harness::model::{ANSWER, Script, held, held_halfway};
use crate::harness::{Fault, World};

async fn before_the_question_is_stored(fault: Fault) {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("before").await;
    let thread = &turn.thread;
    proxy.break_off(fault);
    let thread_id = json!({ "thread_id": thread });
    let plain = [
        ("threads.get_by_id", thread_id.clone()),
        ("threads.list", json!({})),
        ("items.list", thread_id.clone()),
        (
            "threads.update",
            json!({ "thread_id": thread, "title": "x" }),
        ),
        (
            "items.feedback",
            json!({ "thread_id": thread, "item_ids": ["x"], "kind": "positive" }),
        ),
        ("threads.delete", thread_id),
    ];
    let started = Instant::now();
    let asks = questions(&turn);
    let streams = asks.iter().map(async |(kind, params)| {
        let events = reader.events(kind, params).await;
        assert_eq!(kinds(&events), ["error"], "{fault:?} {kind}");
        // Only a retry's question is stored already.
        let retry = failure(&events).1;
        assert_eq!(
            retry,
            *kind == "threads.retry_after_item",
            "{fault:?} {kind}"
        );
    });
    let others = plain.iter().map(async |(kind, params)| {
        let reply = reader.call(kind, params).await;
        assert_eq!(
            reply.error(),
            (500, "database_error".into()),
            "{fault:?} {kind}"
        );
    });
    let streams = futures_util::future::join_all(streams);
    tokio::join!(streams, futures_util::future::join_all(others));
    // Connecting and one statement, with room for a busy machine.
    assert!(started.elapsed() < Duration::from_secs(5), "{fault:?}");
    assert_eq!(world.model.asked().len(), 1, "{fault:?}");
    proxy.bring_back();
    reader.ask(thread, "after").await;
    assert_eq!(reader.texts(thread).await.len(), 4);
    assert_eq!(world.database.counts().await, (1, 4));
}

#[tokio::test]
async fn before_the_question_is_stored_every_fault_is_told_in_time_and_nothing_is_asked() {
    futures_util::future::join_all(Fault::GONE.map(before_the_question_is_stored)).await;
}

async fn after_the_answer_is_written(fault: Fault) {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(held_halfway());
    let mut stream = create(&reader, "hi").await;
    let begun = read_until(&mut stream, "At ").await;
    proxy.break_off(fault);
    world.model.release();
    let events = stream.events().await;
    assert_eq!(
        *kinds(&events).last().unwrap(),
        "error",
        "{fault:?} {events:#?}"
    );
    assert!(failure(&events).1, "the question is stored");
    assert!(!kinds(&events).contains(&"thread.item.done"), "{events:#?}");
    assert_eq!(world.database.messages().await, ["user: hi"], "{fault:?}");
    proxy.bring_back();
    let [thread, question] = ids(&begun);
    reader.retry(thread, question).await;
    let texts = ["user: hi".to_owned(), format!("assistant: {ANSWER}")];
    assert_eq!(reader.texts(thread).await, texts, "{fault:?}");
}

#[tokio::test]
async fn after_the_answer_is_written_every_fault_is_an_error_and_the_question_can_be_retried() {
    futures_util::future::join_all(Fault::GONE.map(after_the_answer_is_written)).await;
}

#[tokio::test]
async fn a_connection_that_the_server_has_closed_is_replaced_unnoticed() {
    let (world, proxy) = World::behind_proxy().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("one").await;
    proxy.cut_all();
    reader.begin("two").await;
    proxy.cut_all();
    reader.ask(&thread, "three").await;
    proxy.cut_all();
    assert_eq!(reader.texts(&thread).await.len(), 4);
    proxy.cut_all();
    reader.retry(&thread, &question).await;
    proxy.cut_all();
    let params = json!({ "thread_id": thread, "title": "x" });
    reader.json("threads.update", &params).await;
    assert_eq!(world.database.counts().await, (2, 4));
}

#[tokio::test]
async fn a_statement_whose_reply_is_lost_runs_once_more_and_changes_nothing_twice() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world
        .guarded()
        .with("RATE_LIMIT_CONVERSATION_PER_MINUTE", 0);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let charged = "select sum(asked) from networks";
    // The statement before the model, then the one after it.
    let Turn {
        thread, question, ..
    } = reader.begin("warm up").await;
    proxy.lose_next_reply();
    reader.begin("new").await;
    chatkit.logged("connection was dead").await;
    proxy.lose_next_reply();
    reader.ask(&thread, "more").await;
    assert_eq!(
        world.model.asked()[2].messages().len(),
        4,
        "its own question is not its past"
    );
    world.model.next(held());
    let mut stream = super::add(&reader, &thread, "late").await;
    read(&mut stream, 2).await;
    world.model.was_asked(4).await;
    proxy.lose_next_reply();
    world.model.release();
    let events = stream.events().await;
    let answer = &events.last().unwrap()["item"];
    let stored = reader.get(&thread).await["items"]["data"].clone();
    assert_eq!(stored.as_array().unwrap().len(), 6);
    assert_eq!(stored[5], *answer);
    assert_eq!(world.database.counts().await, (2, 8));
    assert_eq!(world.database.rows(charged).await, [["4"]]);

    // Those of a retry, before and after.
    proxy.lose_next_reply();
    reader.retry(&thread, &question).await;
    assert_eq!(world.database.counts().await, (2, 4));
    assert_eq!(world.database.rows(charged).await, [["5"]]);
    world.model.next(held());
    let mut stream = retry(&reader, &thread, &question).await;
    read(&mut stream, 1).await;
    world.model.was_asked(6).await;
    proxy.lose_next_reply();
    world.model.release();
    let events = stream.events().await;
    assert_eq!(events.last().unwrap()["type"], "thread.item.done");
    assert_eq!(
        reader.texts(&thread).await,
        ["user: warm up", "assistant: At last."]
    );

    // Requests other than turns.
    proxy.lose_next_reply();
    let params = json!({ "thread_id": thread, "item_ids": ["x"], "kind": "positive" });
    reader.json("items.feedback", &params).await;
    proxy.lose_next_reply();
    reader
        .json("threads.delete", &json!({ "thread_id": thread }))
        .await;
    assert_eq!(world.database.counts().await, (1, 2));
}

/// The reply that is lost is that of `begin`: a retry reads its question before.
#[tokio::test]
async fn a_retry_that_is_still_at_work_when_it_runs_again_is_one_turn() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with("RATE_LIMIT_NETWORK_PER_DAY", 500);
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    let charged = "select (select sum(asked) from networks), (select sum(nanos) from spending),
        (select count(*) from reservations)";
    let cost: i64 = world.database.rows(charged).await[0][1].parse().unwrap();
    let lock = world.database.lock("select from networks for update").await;
    let twice = async {
        world.database.is_waited_for().await;
        proxy.cut_all();
        world.database.are_waiting(2).await;
        lock.release().await;
    };
    world.model.next(Script::answer("Newer."));
    let (events, ()) = tokio::join!(reader.retry(&turn.thread, &turn.question), twice);
    assert_eq!(*kinds(&events).last().unwrap(), "thread.item.done");
    let texts = ["user: hi", "assistant: Newer."];
    assert_eq!(reader.texts(&turn.thread).await, texts);
    let expected = [2, 2 * cost, 0].map(|number| number.to_string());
    assert_eq!(world.database.rows(charged).await, [expected]);
    assert_eq!(world.model.asked().len(), 2);
}

#[tokio::test]
async fn without_a_database_from_the_start_readers_are_told_and_found_again_later() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    proxy.take_away();
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let events = reader.create("hi").await;
    assert_eq!(kinds(&events), ["error"]);
    let message = failure(&events).0;
    assert!(!message.contains("saved"), "{message}");
    let reply = reader
        .call("threads.get_by_id", &json!({ "thread_id": UNKNOWN }))
        .await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    assert_eq!(
        world.model.asked().len(),
        0,
        "nothing is asked, and so nothing paid"
    );
    proxy.bring_back();
    reader.begin("hi").await;
}

#[tokio::test]
async fn without_its_settings_the_function_says_so() {
    let world = World::new().await.with("OPENAI_API_KEY", "");
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let reply = reader.call("threads.list", &json!({})).await;
    assert_eq!(reply.error(), (500, "configuration_error".into()));
    let reply = reader
        .call("threads.create", &json!({ "input": input("hi") }))
        .await;
    assert!(reply.status == 500 || reply.status == 200, "{reply:?}");
    assert!(reply.text.contains("error"), "{reply:?}");
}
