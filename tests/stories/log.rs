//! What the log tells an owner, and what it never tells anybody.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::harness::model::{Script, held};
use crate::harness::{API_KEY, Reply, Running, World, eventually, question, signal};

const QUESTION: &str = "my-private-question";
const PASSAGE: &str = "my-selected-passage";
const ANSWER: &str = "the-models-answer";

fn assert_secret(log: &str) {
    for secret in [
        QUESTION,
        PASSAGE,
        ANSWER,
        API_KEY,
        "hunter2",
        "postgresql://",
        "chocolate",
    ] {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_turn_can_be_followed_from_its_request_to_its_answer() {
    let world = World::new().await;
    world.model.next(Script::answer(ANSWER));
    let chat = world.chat().await;
    let body = json!({ "message": QUESTION, "selected_text": PASSAGE });
    let reply = chat.post_with(&body, ("cookie", "taste=chocolate")).await;

    let request = chat.logged("request").await;
    assert_eq!(request["request_id"].as_str(), reply.header("x-request-id"));
    assert_eq!(request["method"], "POST");
    assert_eq!(request["path"], "/chat");
    assert_eq!(request["status"], 200);
    assert_eq!(request["level"], "info");
    assert_eq!(
        request["session_id"].as_str(),
        Some(reply.field("session_id").as_str())
    );
    assert_eq!(request["body_bytes"], body.to_string().len());
    assert!(request["headers"].as_str().unwrap().contains("cookie"));
    assert!(request["duration_ms"].is_u64() && request["timestamp"].is_string());

    let call = chat.logged("model call").await;
    assert_eq!(call["request_id"], request["request_id"]);
    assert_eq!(
        [
            &call["model"],
            &call["messages"],
            &call["attempt"],
            &call["status"],
            &call["outcome"]
        ],
        [
            &json!("gpt-5.4-mini"),
            &json!(2),
            &json!(1),
            &json!(200),
            &json!("ok")
        ]
    );
    assert_eq!(call["characters"], ANSWER.len());
    assert_eq!(
        [&call["prompt_tokens"], &call["completion_tokens"]],
        [&json!(42), &json!(7)]
    );
    assert!(call["prompt_characters"].as_u64().unwrap() > 100);

    let database = chat.logged("database").await;
    assert_eq!(database["statement"], "begin");
    assert_eq!(
        [&database["rows"], &database["outcome"]],
        [&json!(1), &json!("ok")]
    );
    assert_secret(&chat.raw_log());
}

#[tokio::test]
async fn no_secret_and_no_text_of_the_readers_is_in_the_log_of_a_turn_that_fails() {
    let (mut world, proxy) = World::behind_proxy().await;
    let url = world
        .database
        .url_at(proxy.port)
        .replace("postgres@", "postgres:hunter2@");
    world.set("DATABASE_URL", url);
    let chat = world.chat().await;
    let body = json!({ "message": QUESTION, "selected_text": PASSAGE });
    let ask = || chat.post_with(&body, ("cookie", "taste=chocolate"));

    world.model.next(Script::refused());
    ask().await;
    let failed = chat.logged("request failed").await;
    assert_eq!(failed["code"], "configuration_error");
    assert_eq!(failed["level"], "error");
    let cause = failed["cause"].as_str().unwrap();
    assert!(
        cause.contains("401") && cause.contains("invalid_api_key"),
        "{cause}"
    );

    world.model.next(
        Script::begin()
            .words(ANSWER)
            .event(&format!("{{{ANSWER}"))
            .done(),
    );
    ask().await;
    // The table refuses the question, and PostgreSQL quotes the whole row in its answer.
    let refuse = format!("alter table messages add check (content <> '{QUESTION}') not valid");
    world.database.rows(&refuse).await;
    assert_eq!(ask().await.error(), (500, "database_error".into()));
    proxy.take_away();
    assert_eq!(ask().await.error(), (500, "database_error".into()));
    chat.post(&json!({ "message": [QUESTION] })).await;
    assert_eq!(chat.logged("request refused").await["fields"], "message");
    let log = chat.raw_log();
    assert!(log.contains("SQLSTATE 23514"), "{log}");
    assert_secret(&log);
}

#[tokio::test]
async fn neither_an_address_nor_a_header_of_a_request_is_in_the_log() {
    const SECRETS: [&str; 3] = ["my-query", "my-page", "my-header"];
    let world = World::new().await;
    let chat = world.chat().await;
    let body = json!({ "message": "hi", "page": "/my-page?q=my-query#my-query" });
    let ask = |path: &str| {
        let request = chat.request(Method::POST, path).json(&body);
        Reply::of(request.header("idempotency-key", "my-header"))
    };
    assert_eq!(ask("/chat?token=my-query").await.status, 200);
    world.model.next(Script::refused());
    assert_eq!(
        ask("/chat?token=my-query&again").await.status,
        200,
        "replayed"
    );
    assert_eq!(chat.ask("fails").await.status, 500);
    assert_eq!(ask("/nowhere?token=my-query").await.status, 404);
    let read = chat.request(Method::GET, "/chat?session_id=my-query");
    assert_eq!(
        Reply::of(read.header("x-session-id", "my-header"))
            .await
            .status,
        404
    );
    chat.logged("request refused").await;
    let log = chat.raw_log();
    for secret in SECRETS {
        assert!(!log.contains(secret), "{secret} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_request_that_is_refused_is_one_short_line_and_no_error() {
    let world = World::new().await.with("LOG_LEVEL", "info");
    let chat = world.chat_with("MAX_TURNS_IN_FLIGHT", 1).await;
    let chatkit = world.chatkit().await;
    let lines = async |running: &Running, requests: &[RequestBuilder]| {
        let known = running.raw_log().lines().count();
        for request in requests {
            Reply::of(request.try_clone().unwrap()).await;
        }
        let lines = eventually(async || {
            let log = running.raw_log();
            let lines: Vec<_> = log.lines().skip(known).map(str::to_owned).collect();
            (lines.len() >= requests.len()).then_some(lines)
        });
        lines.await.expect("not even one line for each")
    };
    let refused = [
        chat.request(Method::POST, "/chat")
            .json(&json!({ "message": "" })),
        chat.request(Method::GET, "/nowhere"),
        chat.request(Method::PUT, "/chat"),
        chat.request(Method::POST, "/chat")
            .json(&json!({ "message": "hi" })),
    ];
    world.model.next(held());
    let waiting = chat.request(Method::POST, "/chat").json(&question());
    let waiting = tokio::spawn(Reply::of(waiting));
    world.model.was_asked(1).await;
    // Its line is on its way, and must not be counted below.
    chat.logged("database").await;
    let mut all = lines(&chat, &refused).await;
    assert!(all.last().unwrap().contains("overloaded"), "{all:#?}");
    world.model.release();
    waiting.await.unwrap();
    let transcribe = json!({ "type": "input.transcribe", "params": {} });
    let refused = [chatkit.request(Method::POST, "/chatkit").json(&transcribe)];
    all.extend(lines(&chatkit, &refused).await);
    assert_eq!(all.len(), 5, "{all:#?}");
    for line in all {
        assert!(line.len() < 230, "{} bytes: {line}", line.len());
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["message"], "request refused", "{line}");
        let full = line["code"] == "overloaded";
        assert_eq!(line["level"], if full { "warn" } else { "info" }, "{line}");
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_turn_and_says_later_what_it_lacks() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("log");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Open at both ends, so that neither waits for the other.
    let command = format!("exec 1<>'{}'", pipe.display());
    let chat = world.chat_after(&command).await;
    let go_on = async {
        for _ in 0..1_000 {
            chat.get("/chat").await;
        }
        for _ in 0..20 {
            chat.ask("hi").await.field("response");
        }
    };
    let go_on = tokio::time::timeout(Duration::from_secs(30), go_on).await;
    go_on.expect("a request waits for the log's reader");
    let reader = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&pipe);
    let mut lines = BufReader::new(reader.unwrap()).lines();
    let dropped = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("lines of the log were dropped") {
                let line: Value = serde_json::from_str(&line).unwrap();
                return line["dropped"].as_u64().unwrap();
            }
        }
        0
    };
    let dropped = tokio::time::timeout(Duration::from_secs(10), dropped).await;
    assert!(dropped.expect("no line says so") > 100);
}

#[tokio::test]
async fn the_last_lines_of_an_instance_that_is_stopped_are_written() {
    let world = World::new().await;
    world.model.next(held());
    let mut chat = world.chat().await;
    let request = chat.request(Method::POST, "/chat").json(&question());
    let turn = tokio::spawn(Reply::of(request));
    world.model.was_asked(1).await;
    signal(chat.function.pid(), "TERM");
    turn.await.unwrap();
    assert!(chat.function.ends_within(Duration::from_secs(10)).await);
    assert_eq!(chat.logged("request").await["status"], 500);
}

#[tokio::test]
async fn how_much_is_written_is_a_setting() {
    let world = World::new().await.with("LOG_LEVEL", "error");
    let chat = world.chat().await;
    chat.ask("hi").await;
    world.model.next(Script::refused());
    chat.ask("hi").await;
    let failed = chat.logged("request failed").await;
    assert!(
        failed["request_id"].is_string() && failed["session_id"].is_string(),
        "{failed}"
    );
    assert!(!chat.raw_log().contains("\"info\""), "{}", chat.raw_log());
}

/// Line by line, for a JSON parser would keep the last of two in silence.
#[tokio::test]
async fn no_line_names_a_field_twice() {
    let world = World::new().await;
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    world.model.next(Script::status(503, "", "{}"));
    world.model.next(Script::status(503, "", "{}"));
    world.model.next(Script::status(503, "", "{}"));
    chat.ask("hi").await;
    chat.post(&json!({})).await;
    chat.logged("request refused").await;
    let log = chat.raw_log();
    // The runtime writes a line of its own that is not JSON.
    for line in log.lines().filter(|line| line.starts_with('{')) {
        let fields: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
        for name in fields.keys() {
            let quoted = format!("\"{name}\":");
            let times =
                line.matches(&quoted).count() - line.matches(&format!("\\{quoted}")).count();
            assert_eq!(times, 1, "{name} in {line}");
        }
    }
}
