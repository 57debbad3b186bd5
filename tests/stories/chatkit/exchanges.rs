//! The events of a turn, in the shape and order of the protocol's own server. Ids and times are
//! written as names, and the pieces of an answer as one.

use reqwest::Method;
use serde_json::{Value, json};

use super::failure;
use super::shapes::{
    answer, begins, delta, done, no_items, options, part_added, question, spoken, thread, updated,
};
use crate::harness::chatkit::{Names, input, kinds};
use crate::harness::model::Script;
use crate::harness::{Reply, World};

const ANSWER: &str = "You asked: What is inertia?\nLine two — ünïcode ✓";

#[tokio::test]
async fn a_question_begins_a_thread_and_the_first_piece_of_its_answer_brings_the_title() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(Script::answer(ANSWER));
    let events = chatkit.reader().create("What is inertia?").await;
    let expected = json!([
        {
            "type": "thread.created",
            "thread": {
                "id": "{THREAD_1}",
                "created_at": "{TS}",
                "status": { "type": "active" },
                "metadata": {},
                "items": { "data": [], "has_more": false },
            },
        },
        {
            "type": "thread.item.done",
            "item": {
                "id": "{ITEM_1}",
                "thread_id": "{THREAD_1}",
                "created_at": "{TS}",
                "type": "user_message",
                "content": [{ "type": "input_text", "text": "What is inertia?" }],
                "attachments": [],
                "inference_options": {},
            },
        },
        { "type": "stream_options", "stream_options": { "allow_cancel": true } },
        {
            "type": "thread.item.added",
            "item": {
                "id": "{ITEM_2}",
                "thread_id": "{THREAD_1}",
                "created_at": "{TS}",
                "type": "assistant_message",
                "content": [],
            },
        },
        {
            "type": "thread.updated",
            "thread": {
                "title": "What is inertia?",
                "id": "{THREAD_1}",
                "created_at": "{TS}",
                "status": { "type": "active" },
                "metadata": {},
                "items": { "data": [], "has_more": false },
            },
        },
        {
            "type": "thread.item.updated",
            "item_id": "{ITEM_2}",
            "update": {
                "type": "assistant_message.content_part.added",
                "content_index": 0,
                "content": { "annotations": [], "text": "", "type": "output_text" },
            },
        },
        {
            "type": "thread.item.updated",
            "item_id": "{ITEM_2}",
            "update": {
                "type": "assistant_message.content_part.text_delta",
                "content_index": 0,
                "delta": ANSWER,
            },
        },
        {
            "type": "thread.item.updated",
            "item_id": "{ITEM_2}",
            "update": {
                "type": "assistant_message.content_part.done",
                "content_index": 0,
                "content": { "annotations": [], "text": ANSWER, "type": "output_text" },
            },
        },
        {
            "type": "thread.item.done",
            "item": {
                "id": "{ITEM_2}",
                "thread_id": "{THREAD_1}",
                "created_at": "{TS}",
                "type": "assistant_message",
                "content": [{ "annotations": [], "text": ANSWER, "type": "output_text" }],
            },
        },
    ]);
    assert_eq!(Names::default().told(&events), expected);
}

#[tokio::test]
async fn a_stream_has_the_headers_of_one_and_an_address_under_api_too() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let body = json!({ "type": "threads.create", "params": { "input": input("hi") } });
    for path in ["/chatkit", "/api/chatkit", "/some/prefix/chatkit"] {
        // Only the type decides, whatever a client accepts.
        let request = chatkit.request(Method::POST, path).json(&body);
        let reply = Reply::of(request.header("accept", "application/json")).await;
        assert_eq!(reply.status, 200, "{path} {reply:?}");
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name}");
        }
        assert!(reply.header("cache-control").unwrap().contains("no-cache"));
        assert!(reply.header("x-request-id").is_some());
        let frames: Vec<_> = reply.text.split_terminator("\n\n").collect();
        assert_eq!(frames.len(), kinds(&events_of(&reply)).len());
        assert!(reply.text.ends_with("}\n\n"), "{}", reply.text);
        assert!(!reply.text.contains('\r'), "{}", reply.text);
    }
}

fn events_of(reply: &Reply) -> Vec<Value> {
    let frames = reply.text.split_terminator("\n\n");
    let events = frames.map(|frame| frame.strip_prefix("data: ").unwrap());
    events
        .map(|event| serde_json::from_str(event).unwrap())
        .collect()
}

#[tokio::test]
async fn a_question_about_a_passage_comes_back_with_it_and_with_its_options() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(Script::answer("A law of motion."));
    let mut input = input("Explain this line");
    input["quoted_text"] = "F = m·a\nis Newton's second law".into();
    input["inference_options"] = json!({ "tool_choice": { "id": "search" }, "model": "gpt-x" });
    let events = reader
        .events("threads.create", &json!({ "input": input }))
        .await;
    let mut asked = question("{ITEM_1}", "Explain this line");
    asked["quoted_text"] = "F = m·a\nis Newton's second law".into();
    asked["inference_options"] = json!({ "tool_choice": { "id": "search" }, "model": "gpt-x" });
    let start = json!({ "type": "thread.created", "thread": thread(None, &no_items()) });
    let title = updated("Explain this line");
    let start = [start, done(&asked), options(), begins("{ITEM_2}"), title];
    let rest = spoken("{ITEM_2}", "A law of motion.");
    let mut names = Names::default();
    assert_eq!(names.told(&events), json!([&start[..], &rest[..]].concat()));

    let stored = reader
        .get(events[0]["thread"]["id"].as_str().unwrap())
        .await;
    let items = [asked, answer("{ITEM_2}", "A law of motion.")];
    let items = json!({ "data": items, "has_more": false });
    let expected = thread(Some("Explain this line"), &items);
    assert_eq!(names.of(&stored), expected);

    let asked = world.model.asked_once();
    let question = &asked.messages()[1];
    assert!(
        question.contains("F = m·a\nis Newton's second law"),
        "{question}"
    );
    assert!(
        !asked.system().contains("Newton"),
        "never in the system role"
    );
    assert_ne!(
        asked.body["model"], "gpt-x",
        "a page does not choose the model"
    );
}

#[tokio::test]
async fn a_blank_passage_is_ignored() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    for blank in [json!(null), json!(""), json!(" \n\u{3000}")] {
        let mut input = input("hi");
        input["quoted_text"] = blank;
        let events = reader
            .events("threads.create", &json!({ "input": input }))
            .await;
        assert!(
            events[1]["item"].get("quoted_text").is_none(),
            "{}",
            events[1]
        );
    }
    let stored = "select count(*) from messages where selected_text is not null";
    assert_eq!(world.database.rows(stored).await, [["0"]]);
}

#[tokio::test]
async fn a_second_question_begins_with_itself_and_comes_with_what_was_said_before() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(Script::answer("It resists."));
    let first = reader.create("What is inertia?").await;
    let thread = first[0]["thread"]["id"].as_str().unwrap();
    let mut names = Names::default();
    names.told(&first);
    let text = "And momentum? 😀 \"q\" \u{2028} end";
    world.model.next(Script::answer("It goes on."));
    let events = reader.add(thread, text).await;
    let start = [
        done(&question("{ITEM_3}", text)),
        options(),
        begins("{ITEM_4}"),
    ];
    let rest = spoken("{ITEM_4}", "It goes on.");
    assert_eq!(names.told(&events), json!([&start[..], &rest[..]].concat()));
    let asked = world.model.asked()[1].messages();
    let before = ["system", "user: What is inertia?", "assistant: It resists."];
    assert_eq!(asked[..3], before);
    assert_eq!(asked[3], format!("user: {text}"));
}

#[tokio::test]
async fn a_question_with_a_tag_comes_back_with_it_and_the_model_reads_its_text() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let mut input = input("");
    input["content"] = json!([
        { "type": "input_text", "text": "See " },
        { "type": "input_tag", "id": "ch3", "text": "Chapter 3", "data": { "href": "/ch3" } },
        { "type": "input_tag", "id": "ch4", "text": "Chapter 4", "group": "Chapters", "interactive": true },
    ]);
    let events = reader
        .events("threads.create", &json!({ "input": input }))
        .await;
    // What a page may leave out is filled in, except for the group.
    let content = json!([
        { "type": "input_text", "text": "See " },
        { "type": "input_tag", "id": "ch3", "text": "Chapter 3", "data": { "href": "/ch3" }, "interactive": false },
        { "type": "input_tag", "id": "ch4", "text": "Chapter 4", "data": {}, "group": "Chapters", "interactive": true },
    ]);
    assert_eq!(events[1]["item"]["content"], content);
    let thread = events[0]["thread"]["id"].as_str().unwrap();
    let stored = reader.get(thread).await;
    assert_eq!(stored["items"]["data"][0]["content"], content);
    let asked = world.model.asked_once().messages();
    assert!(asked[1].contains("Chapter 3"), "{asked:?}");
    assert!(asked[1].contains("Chapter 4"), "{asked:?}");
    assert!(!asked[1].contains("/ch3"), "{asked:?}");
}

#[tokio::test]
async fn what_the_widget_may_leave_out_may_be_left_out() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let content = json!([{ "type": "input_text", "text": "hi" }]);
    for input in [
        json!({ "content": content }),
        json!({ "content": content, "attachments": [], "inference_options": { "model": null, "tool_choice": null }, "unknown": 1 }),
    ] {
        let body = json!({ "type": "threads.create", "params": { "input": input, "unknown": [] }, "metadata": { "page": "/ch3" }, "unknown": {} });
        let events = events_of(&Reply::of(reader.send(&body)).await);
        let asked = Names::default().of(&events[1]["item"]);
        assert_eq!(asked, question("{ITEM_1}", "hi"));
    }
}

/// The protocol's own server gives no reason, only the code `stream.error`.
#[tokio::test]
async fn an_answer_that_fails_is_an_error_for_people_and_the_question_stays() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("What is inertia?").await.thread;

    world
        .model
        .next(Script::begin().words("You asked: ").vanish());
    let events = reader.add(&thread, "mid").await;
    let kept = [
        done(&question("{ITEM_1}", "mid")),
        options(),
        begins("{ITEM_2}"),
        part_added("{ITEM_2}"),
    ];
    let mut told = Names::default().told(&events);
    let error = told.as_array_mut().unwrap().pop().unwrap();
    let spoken = [&kept[..], &[delta("{ITEM_2}", "You asked: ")]].concat();
    assert_eq!(told, json!(spoken));
    assert_eq!(error["type"], "error");
    assert!(failure(&events).1);

    world.model.next(Script::refused());
    let events = reader.add(&thread, "early").await;
    let mut told = Names::default().told(&events);
    let error = told.as_array_mut().unwrap().pop().unwrap();
    assert_eq!(
        told,
        json!([done(&question("{ITEM_1}", "early")), options()])
    );
    assert_eq!(error["type"], "error");
    assert!(failure(&events).1);
    let kept = reader.texts(&thread).await;
    assert_eq!(kept[2..], ["user: mid", "user: early"]);

    world.model.next(Script::refused());
    let events = reader.create("A title all the same").await;
    let expected = [
        "thread.created",
        "thread.item.done",
        "stream_options",
        "error",
        "thread.updated",
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(
        Names::default().of(&events[4]),
        updated("A title all the same")
    );
    assert_eq!(reader.titles().await[0], "A title all the same");
}
