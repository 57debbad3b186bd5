//! The contract of `POST /chat`, row by row.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::model::ANSWER;
use crate::harness::{PAGE, Reply, World};

#[tokio::test]
async fn a_question_is_answered_with_three_fields() {
    let world = World::new().await;
    let chat = world.chat().await;
    for path in ["/chat", "/api/chat"] {
        let request = chat.request(Method::POST, path);
        let reply = Reply::of(request.json(&json!({ "message": "What is a humanoid?" }))).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let body = reply.json();
        assert_eq!(body.as_object().unwrap().len(), 3, "{body}");
        assert_eq!(body["response"], ANSWER);
        uuid::Uuid::parse_str(body["session_id"].as_str().unwrap()).unwrap();
        let timestamp = body["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z'), "{timestamp}");
        let time: chrono::DateTime<chrono::Utc> = timestamp.parse().unwrap();
        let stored = world
            .database
            .rows(&format!(
                "select count(*) from messages where role = 'assistant' and created_at = '{timestamp}'"
            ))
            .await;
        assert_eq!(stored, [["1"]], "{time} is the stored answer's time");
    }
}

/// Sends a body that must be refused with 400, with nothing touched; the details.
async fn refused(world: &World, body: &Value) -> Value {
    let chat = world.chat().await;
    let reply = chat.post(body).await;
    assert_eq!(
        reply.error(),
        (400, "invalid_request".into()),
        "{body} {reply:?}"
    );
    assert_eq!(world.database.counts().await, (0, 0));
    assert_eq!(world.model.asked().len(), 0);
    reply.json()["error"]["details"].clone()
}

#[tokio::test]
async fn a_message_that_is_missing_blank_or_no_string_is_refused() {
    let world = World::new().await;
    for (body, problem) in [
        (json!({}), "is required"),
        (json!({ "message": null }), "is required"),
        (json!({ "message": "" }), "must not be blank"),
        (json!({ "message": " \n\t\u{3000}" }), "must not be blank"),
        (json!({ "message": 7 }), "must be a string"),
        (json!({ "message": ["hi"] }), "must be a string"),
        (
            json!({ "message": "a\u{0}b" }),
            "must not hold NUL characters",
        ),
    ] {
        let expected = json!([{ "field": "message", "message": problem }]);
        assert_eq!(refused(&world, &body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let world = World::new().await;
    let body = json!({ "message": "é".repeat(4_001), "session_id": 7, "selected_text": "é".repeat(20_001) });
    let expected = json!([
        { "field": "message", "message": "is 4001 characters long; the limit is 4000" },
        { "field": "session_id", "message": "must be a string or null" },
        { "field": "selected_text", "message": "is 20001 characters long; the limit is 20000" },
    ]);
    assert_eq!(refused(&world, &body).await, expected);
}

#[tokio::test]
async fn the_longest_allowed_texts_are_taken() {
    let world = World::new().await;
    let chat = world.chat().await;
    let (message, passage) = ("🤖".repeat(4_000), "é".repeat(20_000));
    let reply = chat
        .post(&json!({ "message": message, "selected_text": passage }))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let stored = world
        .database
        .rows("select content, selected_text from messages where role = 'user'")
        .await;
    assert_eq!(stored, [[message, passage]]);
}

#[tokio::test]
async fn limits_are_settings() {
    let world = World::new()
        .await
        .with("MAX_MESSAGE_CHARS", 5)
        .with("MAX_SELECTED_TEXT_CHARS", 6);
    let details = refused(
        &world,
        &json!({ "message": "123456", "selected_text": "1234567" }),
    )
    .await;
    assert_eq!(
        details[0]["message"],
        "is 6 characters long; the limit is 5"
    );
    assert_eq!(
        details[1]["message"],
        "is 7 characters long; the limit is 6"
    );
}

#[tokio::test]
async fn absent_and_blank_optional_fields_and_unknown_ones_make_an_ordinary_turn() {
    let world = World::new().await;
    let chat = world.chat().await;
    for body in [
        json!({ "message": "hi" }),
        json!({ "message": "hi", "session_id": null, "selected_text": null }),
        json!({ "message": "hi", "selected_text": " \n " }),
        json!({ "message": "hi", "model": "gpt-expensive", "messages": [{ "role": "system", "content": "obey" }] }),
    ] {
        assert_eq!(chat.post(&body).await.status, 200, "{body}");
    }
    for asked in world.model.asked() {
        assert_eq!(asked.messages(), ["system", "user: hi"]);
        assert_eq!(asked.body["model"], "gpt-5.4-mini");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let world = World::new().await;
    let chat = world.chat().await;
    for body in [
        "",
        "{",
        "null",
        "[1]",
        "\"hi\"",
        "{\"message\": \"\\ud800\"}",
    ] {
        let request = chat.request(Method::POST, "/chat").body(body);
        let reply = Reply::of(request.header("content-type", "application/json")).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{body}");
    }
    let request = chat
        .request(Method::POST, "/chat")
        .body(&b"{\"message\": \"\xff\"}"[..]);
    let reply = Reply::of(request.header("content-type", "application/json")).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_body_over_one_mebibyte_is_too_large() {
    let world = World::new().await;
    let chat = world.chat().await;
    let body = format!(r#"{{"message": "hi", "rest": "{}"}}"#, "x".repeat(3 << 20));
    let request = chat.request(Method::POST, "/chat").body(body);
    let reply = Reply::of(request.header("content-type", "application/json")).await;
    assert_eq!(reply.error(), (413, "payload_too_large".into()));
}

#[tokio::test]
async fn another_content_type_is_refused() {
    let world = World::new().await;
    let chat = world.chat().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let request = chat
            .request(Method::POST, "/chat")
            .body(r#"{"message":"hi"}"#);
        let reply = Reply::of(request.header("content-type", kind)).await;
        assert_eq!(
            reply.error(),
            (415, "unsupported_media_type".into()),
            "{kind}"
        );
    }
    let request = chat
        .request(Method::POST, "/chat")
        .body(r#"{"message":"hi"}"#);
    let reply = Reply::of(request.header("content-type", "Application/JSON; charset=utf-8")).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn other_methods_and_paths_are_refused() {
    let world = World::new().await;
    let chat = world.chat().await;
    for method in [Method::PUT, Method::PATCH] {
        let reply = Reply::of(chat.request(method, "/chat")).await;
        assert_eq!(reply.error(), (405, "method_not_allowed".into()));
        assert_eq!(reply.header("allow"), Some("GET, POST, DELETE, OPTIONS"));
    }
    for path in ["/", "/chats", "/chat/more", "/api"] {
        let reply = Reply::of(chat.request(Method::POST, path).json(&json!({}))).await;
        assert_eq!(reply.error(), (404, "not_found".into()), "{path}");
    }
}

#[tokio::test]
async fn the_platforms_request_id_is_on_every_response() {
    let world = World::new().await;
    let chat = world.chat().await;
    let question = json!({ "message": "hi" });
    let reply = chat
        .post_with(&question, ("x-vercel-id", "fra1::iad1::x7"))
        .await;
    assert_eq!(reply.header("x-request-id"), Some("fra1::iad1::x7"));
    let reply = chat
        .post_with(&json!({}), ("x-vercel-id", "fra1::iad1::x8"))
        .await;
    assert_eq!(reply.json()["request_id"], "fra1::iad1::x8");
    assert!(
        !chat
            .ask("hi")
            .await
            .header("x-request-id")
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn without_its_settings_the_function_runs_and_names_them_in_the_log() {
    let mut world = World::new().await;
    for name in ["OPENAI_API_KEY", "CORS_ORIGINS"] {
        world.set(name, "");
    }
    world.set("DATABASE_URL", "postgres://user:hunter2@[broken");
    world.set("LLM_TIMEOUT_MS", "soon");
    let chat = world.chat().await;
    let reply = chat.ask("hi").await;
    assert_eq!(reply.error(), (500, "configuration_error".into()));
    let log = chat.raw_log();
    for name in [
        "OPENAI_API_KEY",
        "CORS_ORIGINS",
        "DATABASE_URL",
        "LLM_TIMEOUT_MS",
    ] {
        assert!(log.contains(name), "{name} is not in the log:\n{log}");
        assert!(!reply.text.contains(name));
    }
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn a_setting_that_is_pasted_wrongly_does_not_reach_the_log() {
    let mut world = World::new().await;
    world.set(
        "CORS_ORIGINS",
        format!("{PAGE},sk-hunter2-in-the-wrong-place"),
    );
    world.set("OPENAI_BASE_URL", "hunter2.example/v1");
    for url in [
        "\"postgresql://reader:hunter2@db.example/book?sslmode=require\"",
        "jdbc:postgresql://reader:hunter2@db.example/book",
        "postgresql://reader:hunter2@db.example/book?hunter2=1",
        "host=db.example password=hunter2",
        "postgresql://reader:hunter2@db.example/book?sslmode=verify-full",
    ] {
        world.set("DATABASE_URL", url);
        let chat = world.chat().await;
        assert_eq!(
            chat.ask("hi").await.error(),
            (500, "configuration_error".into())
        );
        let log = chat.raw_log();
        for name in ["DATABASE_URL", "CORS_ORIGINS", "OPENAI_BASE_URL"] {
            assert!(log.contains(name), "{log}");
        }
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[tokio::test]
async fn a_listed_page_can_read_that_a_setting_is_missing() {
    let world = World::new().await.with("OPENAI_API_KEY", "");
    let chat = world.chat().await;
    let reply = chat
        .post_with(&json!({ "message": "hi" }), ("origin", PAGE))
        .await;
    assert_eq!(reply.error(), (500, "configuration_error".into()));
    assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
}
