//! Turns as they happen: the question at once, the words as they are written, and what becomes of a
//! turn whose reader leaves.

use std::time::Duration;

use serde_json::{Value, json};

use super::{add, create, failure, read, read_until, retry};
use crate::harness::chatkit::{Turn, input, kinds, turn};
use crate::harness::model::{ANSWER, Script, held, held_halfway, talkative};
use crate::harness::stream::Stream;
use crate::harness::{World, eventually};

const ECHO: [&str; 3] = ["thread.created", "thread.item.done", "stream_options"];

#[tokio::test]
async fn the_question_comes_back_before_the_model_says_anything_and_words_as_they_are_spoken() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let script = Script::begin().hold().words("First words, ").hold();
    world
        .model
        .next(script.words("then more.").finish("stop").done());
    let mut stream = create(&reader, "What is it?").await;
    let echo = read(&mut stream, 3).await;
    assert_eq!(kinds(&echo), ECHO);
    assert_eq!(world.database.messages().await, ["user: What is it?"]);
    let thread = echo[0]["thread"]["id"].as_str().unwrap().to_owned();
    assert_eq!(reader.texts(&thread).await, ["user: What is it?"]);

    world.model.was_asked(1).await;
    world.model.release();
    read_until(&mut stream, "First words, ").await;
    assert_eq!(
        world.database.messages().await.len(),
        1,
        "only the question is stored"
    );
    world.model.release();
    read_until(&mut stream, "then more.").await;
    assert_eq!(stream.events().await.len(), 2);
    let texts = ["user: What is it?", "assistant: First words, then more."];
    assert_eq!(reader.texts(&thread).await, texts);

    world.model.next(held());
    let mut stream = add(&reader, &thread, "And?").await;
    let echo = read(&mut stream, 2).await;
    assert_eq!(kinds(&echo), ECHO[1..]);
    world.model.release();
    stream.events().await;
    let question = echo[0]["item"]["id"].as_str().unwrap();
    world.model.next(held());
    let mut stream = retry(&reader, &thread, question).await;
    assert_eq!(kinds(&read(&mut stream, 1).await), ECHO[2..]);
    world.model.release();
    stream.events().await;
}

#[tokio::test]
async fn an_answer_is_stored_before_its_last_event() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(held_halfway());
    let mut stream = create(&chatkit.reader(), "hi").await;
    read_until(&mut stream, "At ").await;
    world.model.release();
    while let Some(event) = stream.event().await {
        if event["type"] == "thread.item.done" {
            assert_eq!(
                world.database.messages().await,
                ["user: hi", "assistant: At last."]
            );
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn ids_and_times_of_a_stream_are_those_that_are_read_later() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let mut asked = input("What is it?");
    asked["content"].as_array_mut().unwrap().push(json!({
        "type": "input_tag", "id": "ch3", "text": "Chapter 3",
        "data": { "z": 1, "a": [1.5, -0.25, 1e21, 12_345_678_901_234_567_890_u64], "é": null, "": {} },
    }));
    asked["quoted_text"] = "A \u{2028} passage.".into();
    asked["inference_options"] = json!({ "model": "x", "tool_choice": { "id": "y" } });
    let first = reader
        .events("threads.create", &json!({ "input": asked }))
        .await;
    let thread = turn(&first).thread;
    let second = reader.add(&thread, "And?").await;
    let retried = reader.retry(&thread, &turn(&second).question).await;
    let stored = reader.get(&thread).await;
    let items = stored["items"]["data"].as_array().unwrap();
    let done = |events: &[Value]| -> Vec<Value> {
        let done = events
            .iter()
            .filter(|event| event["type"] == "thread.item.done");
        done.map(|event| event["item"].clone()).collect()
    };
    let streamed = [done(&first), vec![done(&second)[0].clone()], done(&retried)].concat();
    assert_eq!(*items, streamed);
    for events in [&first, &retried] {
        let added = events
            .iter()
            .find(|event| event["type"] == "thread.item.added");
        let added = &added.unwrap()["item"];
        let stored = items.iter().find(|item| item["id"] == added["id"]).unwrap();
        assert_eq!(stored["created_at"], added["created_at"]);
    }
    for event in first.iter().filter(|event| event.get("thread").is_some()) {
        assert_eq!(event["thread"]["created_at"], stored["created_at"]);
    }
    assert_eq!(world.database.counts().await, (1, items.len()));
    for item in items {
        let row = format!(
            "select count(*) from messages where id = '{}' and session_id = '{}' and created_at = '{}'",
            item["id"].as_str().unwrap(),
            item["thread_id"].as_str().unwrap(),
            item["created_at"].as_str().unwrap()
        );
        assert_eq!(world.database.rows(&row).await, [["1"]], "{item}");
    }
}

#[tokio::test]
async fn a_reader_who_stops_the_answer_finds_what_was_written_and_goes_on() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(talkative());
    let mut stream = create(&reader, "Go on").await;
    let events = read_until(&mut stream, "word0 word1 ").await;
    drop(stream);
    let stored = "select content, state from messages where role = 'assistant'";
    let stored = eventually(async || world.database.rows(stored).await.pop());
    let stored = stored.await.unwrap();
    assert_eq!(stored[1], "cancelled");
    assert!(stored[0].starts_with("word0 word1 ") && stored[0].ends_with(' '));
    world.model.was_hung_up().await;
    let thread = events[0]["thread"]["id"].as_str().unwrap();
    let texts = [
        "user: Go on".to_owned(),
        format!("assistant: {}", stored[0]),
    ];
    assert_eq!(reader.texts(thread).await, texts);
    let stored = reader.get(thread).await["items"]["data"][1].clone();
    assert_eq!(stored["id"], events[3]["item"]["id"]);
    assert_eq!(stored["created_at"], events[3]["item"]["created_at"]);
    assert_eq!(reader.titles().await, ["Go on"]);

    reader.ask(thread, "Continue.").await;
    let seen = world.model.asked()[1].messages();
    assert!(seen[2].starts_with("assistant: word0 word1 "), "{seen:?}");
}

/// Reads the rest, which must hold this many signs of life and no comment.
async fn signs_of_life(mut stream: Stream, count: usize, world: &World) {
    let mut signs = 0;
    while signs < count {
        let event = stream.event().await.unwrap();
        if event["type"] == "progress_update" {
            assert_eq!(
                event,
                json!({ "type": "progress_update", "text": "Thinking…" })
            );
            signs += 1;
        }
    }
    world.model.release();
    assert_eq!(
        stream.events().await.last().unwrap()["type"],
        "thread.item.done"
    );
}

#[tokio::test]
async fn a_silence_is_filled_with_progress_and_a_reader_who_leaves_in_it_keeps_the_question() {
    let worlds = [World::new().await, World::new().await, World::new().await];
    let mut functions = Vec::new();
    for (world, script) in worlds.iter().zip([held(), held_halfway(), held()]) {
        world.model.next(script);
        functions.push(world.chatkit().await);
    }
    let readers: Vec<_> = functions.iter().map(|function| function.reader()).collect();
    let before_it_speaks = async {
        signs_of_life(create(&readers[0], "hi").await, 1, &worlds[0]).await;
    };
    let while_it_speaks = async {
        signs_of_life(create(&readers[1], "hi").await, 1, &worlds[1]).await;
    };
    let left = async {
        let mut stream = create(&readers[2], "hi").await;
        let echo = read(&mut stream, 3).await;
        worlds[2].model.was_asked(1).await;
        drop(stream);
        worlds[2].model.was_hung_up().await;
        let thread = echo[0]["thread"]["id"].as_str().unwrap();
        assert_eq!(readers[2].texts(thread).await, ["user: hi"]);
        let question = echo[1]["item"]["id"].as_str().unwrap();
        readers[2].retry(thread, question).await;
        let texts = ["user: hi".to_owned(), format!("assistant: {ANSWER}")];
        assert_eq!(readers[2].texts(thread).await, texts);
    };
    tokio::join!(before_it_speaks, while_it_speaks, left);
}

#[tokio::test]
async fn an_instance_that_must_stop_keeps_what_was_written_and_tells_its_reader() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(Script::begin().words("Half an ").hold());
    let mut stream = create(&reader, "hi").await;
    read_until(&mut stream, "Half an ").await;
    let stopping = chatkit.function.terminate(Duration::from_secs(10));
    let (status, events) = tokio::join!(stopping, stream.events());
    assert!(status.unwrap().success());
    let (message, retry) = failure(&events);
    assert!(message.contains("interrupted"), "{message}");
    assert!(retry);
    let stored = "select role, content, state from messages order by seq";
    let stored = world.database.rows(stored).await;
    assert_eq!(stored[1], ["assistant", "Half an ", "cancelled"]);
}

#[tokio::test]
async fn a_thread_that_is_deleted_while_it_is_answered_stays_deleted() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(held_halfway());
    let mut stream = create(&reader, "hi").await;
    let events = read_until(&mut stream, "At ").await;
    let params = json!({ "thread_id": events[0]["thread"]["id"] });
    assert_eq!(reader.json("threads.delete", &params).await, json!({}));
    world.model.release();
    let (message, retry) = failure(&stream.events().await);
    assert!(message.contains("deleted"), "{message}");
    assert!(!retry, "there is nothing to try again");
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn two_tabs_that_ask_in_one_thread_get_each_their_own_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("0").await.thread;
    world.model.next(held());
    let mut first = add(&reader, &thread, "1").await;
    let asked = read(&mut first, 2).await[0]["item"]["id"].clone();
    world.model.was_asked(2).await;
    let second = reader.ask(&thread, "2").await;
    world.model.release();
    let events = first.events().await;
    let answer = &events.last().unwrap()["item"];
    assert_eq!(answer["content"][0]["text"], "At last.");
    assert_eq!(reader.texts(&thread).await.len(), 6);
    let pairs =
        "select reply_to, id from messages where reply_to is not null order by seq offset 1";
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    let expected = [
        [second.question, second.answer],
        [id(&asked), id(&answer["id"])],
    ];
    assert_eq!(world.database.rows(pairs).await, expected);
}

#[tokio::test]
async fn a_turn_costs_one_round_trip_before_the_model_and_one_after() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.guarded();
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("warm up").await;
    let ask = json!({ "thread_id": thread, "input": input("add") });
    let again = json!({ "thread_id": thread, "item_id": question });
    for (i, (kind, params, first)) in [
        ("threads.create", json!({ "input": input("create") }), 1),
        ("threads.add_user_message", ask, 1),
        // A retry looks up what was asked.
        ("threads.retry_after_item", again, 2),
    ]
    .iter()
    .enumerate()
    {
        world.model.next(held());
        let before = proxy.round_trips();
        let mut stream = reader.stream(kind, params).await;
        while stream.event().await.unwrap()["type"] != "stream_options" {}
        world.model.was_asked(i + 2).await;
        assert_eq!(proxy.round_trips() - before, *first, "{kind}");
        world.model.release();
        stream.events().await;
        assert_eq!(proxy.round_trips() - before, first + 1, "{kind}");
    }
    let item = &reader.get(&thread).await["items"]["data"][0]["id"];
    for (kind, params) in [
        ("threads.get_by_id", json!({ "thread_id": thread })),
        ("threads.list", json!({})),
        ("items.list", json!({ "thread_id": thread, "after": item })),
        (
            "threads.update",
            json!({ "thread_id": thread, "title": "New" }),
        ),
        (
            "items.feedback",
            json!({ "thread_id": thread, "item_ids": [item], "kind": "negative" }),
        ),
        ("threads.delete", json!({ "thread_id": thread })),
    ] {
        let before = proxy.round_trips();
        reader.json(kind, &params).await;
        assert_eq!(proxy.round_trips() - before, 1, "{kind}");
    }
}
