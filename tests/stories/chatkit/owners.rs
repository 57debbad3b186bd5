//! The owner of a thread: nobody else can see it, use it or find out that it exists.

use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::UNKNOWN;
use crate::harness::chatkit::{Reader, Turn, input};
use crate::harness::{Reply, World};

/// Everything that can be done with a thread and an item in it, except deleting it.
fn requests(thread: &str, item: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("threads.get_by_id", json!({ "thread_id": thread })),
        ("items.list", json!({ "thread_id": thread })),
        (
            "items.list",
            json!({ "thread_id": thread, "after": item, "order": "asc" }),
        ),
        (
            "threads.update",
            json!({ "thread_id": thread, "title": "Mine now" }),
        ),
        (
            "items.feedback",
            json!({ "thread_id": thread, "item_ids": [item], "kind": "negative" }),
        ),
        (
            "threads.add_user_message",
            json!({ "thread_id": thread, "input": input("Me, too") }),
        ),
        (
            "threads.retry_after_item",
            json!({ "thread_id": thread, "item_id": item }),
        ),
        ("threads.delete", json!({ "thread_id": thread })),
        ("threads.list", json!({ "after": thread })),
    ]
}

/// All of an answer except what differs between any two.
fn told(reply: &Reply) -> (u16, String, HeaderMap) {
    let id = reply.header("x-request-id").unwrap();
    let text = reply.text.replace(id, "…");
    let mut headers = reply.headers.clone();
    for name in ["x-request-id", "date"] {
        headers.remove(name);
    }
    (reply.status, text, headers)
}

/// Checks that somebody else's thread looks just like one that does not exist.
async fn is_hidden_from(reader: &Reader<'_>, thread: &str, item: &str) {
    let unknown = requests(UNKNOWN, UNKNOWN);
    for ((kind, params), (_, other)) in requests(thread, item).iter().zip(&unknown) {
        let foreign = reader.call(kind, params).await;
        // With an item that exists, too.
        let mut mixed = other.clone();
        for key in ["item_id", "after"] {
            if *kind != "threads.list" && params.get(key).is_some() {
                mixed[key] = item.into();
            }
        }
        for other in [other, &mixed] {
            let unknown = reader.call(kind, other).await;
            assert_eq!(told(&foreign), told(&unknown), "{kind} {params}");
        }
        let expected = match *kind {
            "threads.delete" => 200,
            "threads.list" => 400,
            _ => 404,
        };
        assert_eq!(foreign.status, expected, "{kind} {foreign:?}");
    }
    let list = reader.json("threads.list", &json!({})).await;
    assert!(!list.to_string().contains(thread));
}

#[tokio::test]
async fn a_thread_is_its_owners_alone_and_for_others_like_one_that_is_not_there() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let (owner, other) = (chatkit.reader(), chatkit.reader());
    let Turn {
        thread, question, ..
    } = owner.begin("A secret").await;
    let own = other.begin("Something else").await;
    let everything = "select (select string_agg(s::text, ';' order by id) from chat_sessions s),
        (select string_agg(m::text, ';' order by seq) from messages m),
        (select count(*) from message_feedback)";
    let before = world.database.rows(everything).await;
    let calls = world.model.asked().len();

    is_hidden_from(&other, &thread, &question).await;
    is_hidden_from(&chatkit.stranger(), &thread, &question).await;
    is_hidden_from(&chatkit.known_as(&"A".repeat(43)), &thread, &question).await;

    assert_eq!(world.database.rows(everything).await, before);
    assert_eq!(world.model.asked().len(), calls);
    assert_eq!(owner.titles().await, ["A secret"]);
    assert_eq!(other.titles().await, ["Something else"]);
    // Another reader's item in one's own thread.
    for (kind, params) in [
        (
            "items.list",
            json!({ "thread_id": own.thread, "after": question }),
        ),
        (
            "threads.retry_after_item",
            json!({ "thread_id": own.thread, "item_id": question }),
        ),
    ] {
        let mut unknown = params.clone();
        for key in ["after", "item_id"] {
            if params.get(key).is_some() {
                unknown[key] = UNKNOWN.into();
            }
        }
        let foreign = other.call(kind, &params).await;
        let unknown = other.call(kind, &unknown).await;
        assert!(foreign.status >= 400, "{foreign:?}");
        assert_eq!(told(&foreign), told(&unknown), "{kind}");
    }
    owner.ask(&thread, "It is still mine").await;
}

#[tokio::test]
async fn a_refused_conversation_tells_nobody_else_that_it_is_there() {
    let world = World::new().await.guarded();
    let chatkit = world.chatkit().await;
    let owner = chatkit.reader();
    let thread = owner.begin("0").await.thread;
    for i in 1..5 {
        owner.ask(&thread, &i.to_string()).await;
    }
    let events = owner.add(&thread, "too fast").await;
    assert_eq!(events.len(), 1, "the instance remembers it now: {events:?}");
    for reader in [chatkit.reader(), chatkit.stranger()] {
        let ask = |thread: &str| json!({ "thread_id": thread, "input": input("hi") });
        let foreign = reader.call("threads.add_user_message", &ask(&thread)).await;
        let unknown = reader.call("threads.add_user_message", &ask(UNKNOWN)).await;
        assert_eq!(told(&foreign), told(&unknown));
        assert_eq!(foreign.status, 404);
    }
}
