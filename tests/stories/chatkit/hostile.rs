//! Ids and bodies that nobody sends by accident: each is answered, none with a 500.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::chatkit::{Reader, input};
use crate::harness::{Reply, World};

/// The status of a request that may be answered with anything but a 500.
async fn survives(reader: &Reader<'_>, kind: &str, params: &Value) -> u16 {
    let reply = reader.call(kind, params).await;
    let start: String = params.to_string().chars().take(200).collect();
    assert!(reply.status < 500, "{kind} {start} {reply:?}");
    let failed = reply.text.contains(r#""type":"error""#);
    assert!(!failed, "{kind} {start} {reply:?}");
    reply.status
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_not_found() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("hi").await.thread;
    let ids = [
        json!("not-a-uuid"),
        json!(""),
        json!("\u{0}"),
        json!(format!("{thread}\u{0}")),
        json!("'; drop table messages; --"),
        json!("x".repeat(100_000)),
        json!("00000000-0000-0000-0000-000000000000"),
        json!("ffffffff-ffff-ffff-ffff-ffffffffffff"),
        json!("\u{202e}\u{feff}"),
        json!("../../etc/passwd"),
    ];
    for id in &ids {
        for (kind, params) in [
            ("threads.get_by_id", json!({ "thread_id": id })),
            ("items.list", json!({ "thread_id": id })),
            ("threads.update", json!({ "thread_id": id, "title": "x" })),
            (
                "items.feedback",
                json!({ "thread_id": id, "item_ids": ["x"], "kind": "positive" }),
            ),
            (
                "threads.add_user_message",
                json!({ "thread_id": id, "input": input("x") }),
            ),
            (
                "threads.retry_after_item",
                json!({ "thread_id": id, "item_id": id }),
            ),
            (
                "threads.retry_after_item",
                json!({ "thread_id": thread, "item_id": id }),
            ),
        ] {
            assert_eq!(survives(&reader, kind, &params).await, 404, "{kind} {id}");
        }
        let params = json!({ "thread_id": id });
        assert_eq!(survives(&reader, "threads.delete", &params).await, 200);
        for (kind, params) in [
            ("items.list", json!({ "thread_id": thread, "after": id })),
            ("threads.list", json!({ "after": id })),
        ] {
            assert_eq!(survives(&reader, kind, &params).await, 400, "{kind} {id}");
        }
    }
    for id in [
        json!(7),
        json!(null),
        json!([thread]),
        json!({ "id": thread }),
        json!(true),
    ] {
        for kind in ["threads.get_by_id", "items.list", "threads.delete"] {
            let status = survives(&reader, kind, &json!({ "thread_id": id })).await;
            assert_eq!(status, 400, "{kind} {id}");
        }
    }
    assert_eq!(world.database.counts().await, (1, 2));
    assert!(!chatkit.raw_log().contains("panicked"));
}

#[tokio::test]
async fn a_body_that_is_no_request_is_invalid() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let deep = |open: &str, close: &str| open.repeat(50_000) + &close.repeat(50_000);
    let create =
        |input: &str| format!(r#"{{"type":"threads.create","params":{{"input":{input}}}}}"#);
    let content = |part: &str| create(&format!(r#"{{"content":[{part}],"attachments":[]}}"#));
    let bodies = [
        String::new(),
        "7".into(),
        "-1e400".into(),
        "\"threads.list\"".into(),
        "null".into(),
        "true".into(),
        "[]".into(),
        "{}".into(),
        "{}{}".into(),
        "\u{0}".into(),
        "{\"type\":\"threads.list\",\"params\":{}".into(),
        r#"{"type":"\ud800","params":{}}"#.into(),
        r#"{"type":7,"params":{}}"#.into(),
        r#"{"type":null,"params":{}}"#.into(),
        r#"{"type":["threads.list"],"params":{}}"#.into(),
        r#"{"type":"threads.list","params":[]}"#.into(),
        r#"{"type":"threads.list","params":null}"#.into(),
        r#"{"type":"threads.list\u0000","params":{}}"#.into(),
        r#"{"type":"THREADS.LIST","params":{}}"#.into(),
        deep("[", "]"),
        deep("{\"a\":", "}"),
        format!(r#"{{"type":"threads.list","params":{}}}"#, deep("[", "]")),
        create("null"),
        create("7"),
        create("[]"),
        create(r#"{"content":null}"#),
        create(r#"{"content":"hi"}"#),
        create(r#"{"content":[]}"#),
        create(r#"{"attachments":[]}"#),
        create(r#"{"content":[{"type":"input_text","text":"hi"}],"attachments":7}"#),
        create(r#"{"content":[{"type":"input_text","text":"hi"}],"attachments":["x"]}"#),
        create(r#"{"content":[{"type":"input_text","text":"hi"}],"quoted_text":7}"#),
        create(r#"{"content":[{"type":"input_text","text":"hi"}],"quoted_text":"\u0000"}"#),
        create(r#"{"content":[{"type":"input_text","text":"hi"}],"inference_options":7}"#),
        content("7"),
        content("{}"),
        content(r#"{"type":"input_image","text":"hi"}"#),
        content(r#"{"type":"input_text"}"#),
        content(r#"{"type":"input_text","text":7}"#),
        content(r#"{"type":"input_text","text":" \n"}"#),
        content(r#"{"type":"input_text","text":"a\u0000b"}"#),
        content(r#"{"type":"input_text","text":"\udead"}"#),
        content(r#"{"type":"input_tag","text":"Chapter"}"#),
        content(&format!(
            r#"{{"type":"input_tag","id":"x","text":"x","data":{}}}"#,
            deep("{\"a\":", "}")
        )),
    ];
    for body in bodies {
        let start: String = body.chars().take(120).collect();
        let request = chatkit.request(Method::POST, "/chatkit");
        let request = request
            .header("content-type", "application/json")
            .body(body);
        let reply = Reply::of(request.bearer_auth("A".repeat(43))).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{start}");
    }
    assert_eq!(world.database.counts().await, (0, 0));
    assert_eq!(world.model.asked().len(), 0);
    assert!(!chatkit.raw_log().contains("panicked"));
}

#[tokio::test]
async fn texts_have_limits_and_what_they_hold_comes_back_exactly() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let passage = |text: String| {
        let mut input = input("hi");
        input["quoted_text"] = text.into();
        json!({ "input": input })
    };
    for params in [
        json!({ "input": input(&"é".repeat(4_001)) }),
        passage("é".repeat(20_001)),
    ] {
        assert_eq!(survives(&reader, "threads.create", &params).await, 400);
    }
    let halves: Vec<_> = (0..2)
        .map(|_| json!({ "type": "input_text", "text": "é".repeat(2_001) }))
        .collect();
    let params =
        json!({ "input": { "content": halves, "attachments": [], "inference_options": {} } });
    assert_eq!(survives(&reader, "threads.create", &params).await, 400);
    assert_eq!(
        survives(&reader, "threads.create", &passage("é".repeat(20_000))).await,
        200
    );
    for text in [
        "🤖".repeat(4_000),
        "'); drop table messages; -- \\ \" $1 {book_title} %s".into(),
        "\u{202e}RTL\u{202c} e\u{301} 👩‍👩‍👧‍👦 \u{feff} \u{2028}\u{7}\u{1b}[31m".into(),
        "  leading and trailing  \n\n".into(),
        r"What does \u0000 mean in JSON, and \\u0000?".into(),
        "data: {\"type\":\"error\"}\n\ndata: x".into(),
    ] {
        let events = reader.create(&text).await;
        assert_eq!(events[1]["item"]["content"][0]["text"], text);
        let thread = events[0]["thread"]["id"].as_str().unwrap();
        assert_eq!(reader.texts(thread).await[0], format!("user: {text}"));
    }
}

#[tokio::test]
async fn tags_and_options_of_any_kind_do_no_harm() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let ask = |content: Value, options: Value| json!({ "input": { "content": content, "attachments": [], "inference_options": options } });
    let text = json!({ "type": "input_text", "text": "hi" });
    let tag = |id: &str, name: &str, data: Value| json!([text, { "type": "input_tag", "id": id, "text": name, "data": data }]);
    let nested = (0..60).fold(json!(1), |inner, _| json!({ "a": [inner] }));
    let wide: serde_json::Map<_, _> = (0..20_000).map(|i| (i.to_string(), json!(i))).collect();
    for params in [
        // Texts that PostgreSQL's jsonb cannot hold.
        ask(tag("a\u{0}", "Chapter", json!({})), json!({})),
        ask(tag("a", "Chap\u{0}ter", json!({})), json!({})),
        ask(tag("a", "Chapter", json!({ "k": "\u{0}" })), json!({})),
        ask(tag("a", "Chapter", json!({ "\u{0}": 1 })), json!({})),
        ask(
            tag("a", "Chapter", json!({ "k": [{ "l": "a\u{0}" }] })),
            json!({}),
        ),
        ask(json!([text]), json!({ "model": "\u{0}" })),
        ask(json!([text]), json!({ "tool_choice": { "id": "\u{0}" } })),
        ask(json!([text]), json!({ "unknown": "\u{0}" })),
        ask(
            json!([{ "type": "input_tag", "id": "a", "text": "b", "group": "\u{0}" }, text]),
            json!({}),
        ),
        // Large, deep and odd values.
        ask(tag("a", "Chapter", nested), json!({})),
        ask(tag("a", "Chapter", json!(wide)), json!({})),
        ask(
            tag(
                "a",
                "Chapter",
                json!({ "k": 1e308, "l": -0.0, "m": u64::MAX }),
            ),
            json!({}),
        ),
        ask(tag(&"x".repeat(100_000), "Chapter", json!({})), json!({})),
        ask(tag("a", &"x".repeat(100_000), json!({})), json!({})),
        ask(tag("", "", json!({})), json!({})),
        ask(
            json!([{ "type": "input_tag", "id": "a", "text": "", "data": {} }]),
            json!({}),
        ),
        ask(json!(vec![text.clone(); 5_000]), json!({})),
        ask(
            json!(vec![
                json!({ "type": "input_tag", "id": "a", "text": "b", "data": {} });
                5_000
            ]),
            json!({}),
        ),
        ask(json!([text]), json!({ "model": "x".repeat(100_000) })),
        ask(json!([text]), json!({ "model": 7 })),
        ask(json!([text]), json!({ "tool_choice": "x" })),
        ask(json!([text]), json!({ "tool_choice": { "id": 7 } })),
        ask(tag("a", "Chapter", json!("no object")), json!({})),
        ask(tag("a", "Chapter", json!(null)), json!({})),
    ] {
        let status = survives(&reader, "threads.create", &params).await;
        assert!(matches!(status, 200 | 400), "{status}");
    }
    // What was accepted can be read again.
    let page = reader.json("threads.list", &json!({ "limit": 100 })).await;
    for thread in page["data"].as_array().unwrap() {
        reader.get(thread["id"].as_str().unwrap()).await;
    }
    assert!(!chatkit.raw_log().contains("panicked"));
    assert!(
        !chatkit.raw_log().contains("request failed"),
        "{}",
        chatkit.raw_log()
    );
}

#[tokio::test]
async fn headers_and_metadata_of_any_kind_do_no_harm() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    for metadata in [
        json!({}),
        json!({ "user_id": "somebody else" }),
        json!({ "a": ["\u{0}"] }),
    ] {
        let body = json!({ "type": "threads.list", "params": {}, "metadata": metadata });
        assert_eq!(
            Reply::of(reader.send(&body)).await.status,
            200,
            "{metadata}"
        );
    }
    for (name, value) in [
        ("cookie", &b"__Host-reader=\xff\xfe; a=\x80"[..]),
        ("cookie", b"=;;;=;__Host-reader"),
        ("authorization", b"Bearer"),
        ("authorization", b"Bearer \xff"),
        ("authorization", b"\xff"),
        ("accept-language", b"\xff"),
        ("chatkit-frame-instance-id", b"'; --"),
        ("last-event-id", b"7"),
        ("idempotency-key", b"k1"),
    ] {
        let request = chatkit.stranger().request("threads.list", &json!({}));
        let reply = Reply::of(request.header(name, value)).await;
        assert_eq!(reply.status, 200, "{name} {reply:?}");
    }
    let many = (0..50)
        .map(|i| format!("c{i}={}", "x".repeat(50)))
        .collect::<Vec<_>>()
        .join("; ");
    let cookie = format!("{many}; __Host-reader={}", reader.token());
    let request = chatkit
        .stranger()
        .request("threads.create", &json!({ "input": input("hi") }));
    assert_eq!(
        Reply::of(request.header("cookie", cookie)).await.status,
        200
    );
    assert_eq!(reader.titles().await, ["hi"]);
}
