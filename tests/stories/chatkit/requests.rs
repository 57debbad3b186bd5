//! Requests that are refused, each with its status, and what pages of other sites may send.

use reqwest::Method;
use serde_json::json;

use super::UNKNOWN;
use crate::harness::chatkit::input;
use crate::harness::{PAGE, Reply, World};

#[tokio::test]
async fn what_a_text_chat_does_not_do_is_not_supported() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("hi").await.thread;
    let before = world.database.counts().await;
    for (kind, params) in [
        (
            "attachments.create",
            json!({ "name": "a.pdf", "size": 1, "mime_type": "application/pdf" }),
        ),
        ("attachments.delete", json!({ "attachment_id": "atc_1" })),
        (
            "input.transcribe",
            json!({ "audio_base64": "", "mime_type": "audio/webm" }),
        ),
        (
            "threads.custom_action",
            json!({ "thread_id": thread, "action": { "type": "x" } }),
        ),
        (
            "threads.sync_custom_action",
            json!({ "thread_id": thread, "action": { "type": "x" } }),
        ),
        (
            "threads.add_client_tool_output",
            json!({ "thread_id": thread, "result": {} }),
        ),
        (
            "threads.add_structured_input",
            json!({ "thread_id": thread, "item_id": "x", "input": {} }),
        ),
    ] {
        let reply = reader.call(kind, &params).await;
        assert_eq!(reply.error(), (501, "not_supported".into()), "{kind}");
    }
    assert_eq!(world.database.counts().await, before);
}

/// The protocol's own server begins the thread and then drops the stream.
#[tokio::test]
async fn an_attachment_is_refused_before_anything_is_stored() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let mut input = input("hi");
    input["attachments"] = json!(["atc_00000000"]);
    let reply = chatkit
        .reader()
        .call("threads.create", &json!({ "input": input }))
        .await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
    assert_eq!(world.database.counts().await, (0, 0));
}

/// The protocol's own server answers 500, or begins a stream and drops it.
#[tokio::test]
async fn what_is_no_request_is_refused_with_its_status() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    for body in [
        json!({ "type": "threads.explode", "params": {} }),
        json!({ "type": "threads.create", "params": {} }),
        json!({ "type": "threads.create" }),
        json!({ "type": "threads.list" }),
        json!({ "params": {} }),
        json!({ "type": "items.list", "params": { "thread_id": UNKNOWN, "order": "sideways" } }),
        json!({ "type": "threads.list", "params": { "limit": "20" } }),
        json!({ "type": "threads.get_by_id", "params": {} }),
    ] {
        let reply = Reply::of(reader.send(&body)).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{body}");
    }
    let request = chatkit.request(Method::POST, "/chatkit");
    let json = |body: &'static str| request.try_clone().unwrap().body(body);
    let reply = Reply::of(json("{broken").header("content-type", "application/json")).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
    let reply = Reply::of(json("{}").header("content-type", "text/plain")).await;
    assert_eq!(reply.error(), (415, "unsupported_media_type".into()));
    let large = json!({ "input": input(&"x".repeat(1024 * 1024)) });
    let reply = reader.call("threads.create", &large).await;
    assert_eq!(reply.error(), (413, "payload_too_large".into()));
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let reply = Reply::of(chatkit.request(method, "/chatkit")).await;
        assert_eq!(reply.error(), (405, "method_not_allowed".into()));
        assert_eq!(reply.header("allow"), Some("POST, OPTIONS"));
    }
    assert_eq!(chatkit.get("/chatkit/threads").await.status, 404);
    assert_eq!(world.database.counts().await, (0, 0));
}

/// The protocol's own server answers a thread that it does not know with 500, or with a stream
/// that breaks off at once.
#[tokio::test]
async fn a_thread_that_is_not_there_is_not_found_and_deleting_it_is_fine() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    for (kind, params) in [
        ("threads.get_by_id", json!({ "thread_id": UNKNOWN })),
        ("items.list", json!({ "thread_id": UNKNOWN })),
        (
            "threads.update",
            json!({ "thread_id": UNKNOWN, "title": "New" }),
        ),
        (
            "items.feedback",
            json!({ "thread_id": UNKNOWN, "item_ids": ["x"], "kind": "positive" }),
        ),
        (
            "threads.add_user_message",
            json!({ "thread_id": UNKNOWN, "input": input("hi") }),
        ),
        (
            "threads.retry_after_item",
            json!({ "thread_id": UNKNOWN, "item_id": UNKNOWN }),
        ),
    ] {
        let reply = reader.call(kind, &params).await;
        assert_eq!(reply.error(), (404, "not_found".into()), "{kind}");
    }
    let gone = reader
        .json("threads.delete", &json!({ "thread_id": UNKNOWN }))
        .await;
    assert_eq!(gone, json!({}));
    assert_eq!(world.model.asked().len(), 0);
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn a_preflight_tells_a_page_elsewhere_what_the_widget_may_send() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let preflight = |origin: &'static str| {
        let request = chatkit.request(Method::OPTIONS, "/chatkit");
        let request = request.header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        Reply::of(request.header("access-control-request-headers", "authorization"))
    };
    let reply = preflight(PAGE).await;
    assert_eq!(reply.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", Some(PAGE)),
        ("access-control-allow-methods", Some("POST, OPTIONS")),
        ("access-control-allow-credentials", None),
        ("access-control-max-age", Some("7200")),
    ] {
        assert_eq!(reply.header(name), value, "{name}");
    }
    let words = |name: &str, reply: &Reply| {
        let list = reply.header(name).unwrap().split(',');
        let mut list: Vec<_> = list.map(|word| word.trim().to_owned()).collect();
        list.sort();
        list
    };
    let expected = [
        "accept-language",
        "authorization",
        "chatkit-device-id",
        "chatkit-frame-instance-id",
        "content-type",
        "idempotency-key",
        "x-page",
        "x-session-id",
        "x-when-left",
    ];
    assert_eq!(words("access-control-allow-headers", &reply), expected);
    let reply = preflight("https://evil.example").await;
    assert_eq!(reply.error(), (403, "origin_not_allowed".into()));

    let reader = chatkit.reader();
    for params in [json!({ "input": input("hi") }), json!({})] {
        let request = reader.request("threads.create", &params);
        let reply = Reply::of(request.header("origin", PAGE)).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
        let exposed = words("access-control-expose-headers", &reply);
        assert_eq!(exposed, ["retry-after", "x-reader-token", "x-request-id"]);
        assert!(reply.header("vary").unwrap().contains("origin"));
    }
    let request = reader.request("threads.list", &json!({}));
    let reply = Reply::of(request.header("origin", "https://evil.example")).await;
    assert_eq!(reply.error(), (403, "origin_not_allowed".into()));
}

#[tokio::test]
async fn the_page_that_a_reader_is_on_comes_in_a_header() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let create = json!({ "input": input("hi") });
    let from = async |page: &str, kind: &str, params| {
        let request = reader.request(kind, params).header("origin", PAGE);
        Reply::of(request.header("x-page", page)).await
    };
    let page = format!("{PAGE}/docs/zmp?user=ada#stability");
    assert_eq!(from(&page, "threads.create", &create).await.status, 200);
    let sql = "select session_id, id, page from messages where role = 'user'";
    let [stored] = &world.database.rows(sql).await[..] else {
        panic!("one question is stored");
    };
    assert_eq!(stored[2], "/docs/zmp");

    let thread = &stored[0];
    let add = json!({ "thread_id": thread, "input": input("hi") });
    let retry = json!({ "thread_id": thread, "item_id": stored[1] });
    let long = "x".repeat(2_001);
    for (kind, params) in [
        ("threads.create", &create),
        ("threads.add_user_message", &add),
        ("threads.retry_after_item", &retry),
        ("threads.list", &json!({})),
    ] {
        let reply = from(&long, kind, params).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{kind}");
        let details = reply.json()["error"]["details"].take();
        assert_eq!(details[0]["field"], "x-page", "{kind}: {details}");
    }
    assert_eq!(world.database.counts().await, (1, 2));
}
