//! The route `/chatkit`, for a page with the ChatKit widget.

use serde_json::{Value, json};

use crate::harness::UNKNOWN;
use crate::harness::chatkit::{Reader, Turn, input};
use crate::harness::stream::Stream;

mod exchanges;
mod faults;
mod feedback;
mod guards;
mod hostile;
mod listing;
mod model_failures;
mod overlapping;
mod owners;
mod paging;
mod requests;
mod retrying;
mod shapes;
mod titles;
mod tokens;
mod turns;
mod with_chat;

/// Asks in a new thread, to be read event by event.
async fn create(reader: &Reader<'_>, text: &str) -> Stream {
    let params = json!({ "input": input(text) });
    reader.stream("threads.create", &params).await
}

/// Asks in this thread, to be read event by event.
async fn add(reader: &Reader<'_>, thread: &str, text: &str) -> Stream {
    let params = json!({ "thread_id": thread, "input": input(text) });
    reader.stream("threads.add_user_message", &params).await
}

/// Asks this question once more, to be read event by event.
async fn retry(reader: &Reader<'_>, thread: &str, question: &str) -> Stream {
    let params = json!({ "thread_id": thread, "item_id": question });
    reader.stream("threads.retry_after_item", &params).await
}

/// The ids of the thread and of the question, once a turn in a new thread has begun.
fn ids(events: &[Value]) -> [&str; 2] {
    ["thread_id", "id"].map(|key| events[1]["item"][key].as_str().unwrap())
}

/// All that asks the model.
fn questions(turn: &Turn) -> [(&'static str, Value); 3] {
    let Turn {
        thread, question, ..
    } = turn;
    [
        ("threads.create", json!({ "input": input("hi") })),
        (
            "threads.add_user_message",
            json!({ "thread_id": thread, "input": input("hi") }),
        ),
        (
            "threads.retry_after_item",
            json!({ "thread_id": thread, "item_id": question }),
        ),
    ]
}

/// Reads until this much of the answer has arrived; returns the events so far.
async fn read_until(stream: &mut Stream, wanted: &str) -> Vec<Value> {
    let mut text = String::new();
    let mut events = Vec::new();
    while text != wanted {
        let event = stream.event().await.unwrap();
        text.push_str(event["update"]["delta"].as_str().unwrap_or_default());
        assert!(wanted.starts_with(&text), "{text:?}");
        events.push(event);
    }
    events
}

/// Reads this many events.
async fn read(stream: &mut Stream, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(stream.event().await.unwrap());
    }
    events
}

/// The error that ends these events: a sentence for people, and whether to offer another try.
fn failure(events: &[Value]) -> (String, bool) {
    let error = events.iter().find(|event| event["type"] == "error");
    let error = error.unwrap_or_else(|| panic!("nothing failed: {events:#?}"));
    assert_eq!(error["code"], "custom", "{error}");
    let fields = error.as_object().unwrap().len();
    assert_eq!(fields, 4, "{error}");
    let message = error["message"].as_str().unwrap();
    // A wait may follow in brackets.
    let whole = message.ends_with('.') || message.ends_with(')');
    assert!(message.len() > 10 && whole, "{message:?}");
    (message.to_owned(), error["allow_retry"].as_bool().unwrap())
}
