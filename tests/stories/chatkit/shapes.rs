//! The objects and events of the protocol, with names in place of ids and times.

use serde_json::{Value, json};

pub fn thread(title: Option<&str>, items: &Value) -> Value {
    let mut thread = json!({
        "id": "{THREAD_1}",
        "created_at": "{TS}",
        "status": { "type": "active" },
        "metadata": {},
        "items": items,
    });
    if let Some(title) = title {
        thread["title"] = title.into();
    }
    thread
}

pub fn no_items() -> Value {
    json!({ "data": [], "has_more": false })
}

/// Without `quoted_text`: the widget sends an empty one, which we leave out.
pub fn question(item: &str, text: &str) -> Value {
    json!({
        "id": item,
        "thread_id": "{THREAD_1}",
        "created_at": "{TS}",
        "type": "user_message",
        "content": [{ "type": "input_text", "text": text }],
        "attachments": [],
        "inference_options": {},
    })
}

pub fn answer(item: &str, text: &str) -> Value {
    json!({
        "id": item,
        "thread_id": "{THREAD_1}",
        "created_at": "{TS}",
        "type": "assistant_message",
        "content": [part(text)],
    })
}

pub fn part(text: &str) -> Value {
    json!({ "annotations": [], "text": text, "type": "output_text" })
}

pub fn options() -> Value {
    json!({ "type": "stream_options", "stream_options": { "allow_cancel": true } })
}

pub fn begins(item: &str) -> Value {
    let mut item = answer(item, "");
    item["content"] = json!([]);
    json!({ "type": "thread.item.added", "item": item })
}

pub fn done(item: &Value) -> Value {
    json!({ "type": "thread.item.done", "item": item })
}

pub fn updated(title: &str) -> Value {
    json!({ "type": "thread.updated", "thread": thread(Some(title), &no_items()) })
}

pub fn update(item: &str, update: &Value) -> Value {
    json!({ "type": "thread.item.updated", "item_id": item, "update": update })
}

pub fn part_added(item: &str) -> Value {
    let kind = "assistant_message.content_part.added";
    update(
        item,
        &json!({ "type": kind, "content_index": 0, "content": part("") }),
    )
}

pub fn delta(item: &str, text: &str) -> Value {
    let kind = "assistant_message.content_part.text_delta";
    update(
        item,
        &json!({ "type": kind, "content_index": 0, "delta": text }),
    )
}

pub fn part_done(item: &str, text: &str) -> Value {
    let kind = "assistant_message.content_part.done";
    update(
        item,
        &json!({ "type": kind, "content_index": 0, "content": part(text) }),
    )
}

/// The events of an answer from its first piece to its end.
pub fn spoken(item: &str, text: &str) -> Vec<Value> {
    let part = [part_added(item), delta(item, text), part_done(item, text)];
    let end = done(&answer(item, text));
    [&part[..], &[end]].concat()
}
