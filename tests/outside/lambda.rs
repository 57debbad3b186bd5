//! The functions on AWS Lambda, under the emulator of cargo-lambda: a real runtime API and its
//! function URLs.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use local::function::{Environment, Function};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::ROOT;
use crate::harness::chatkit::{input, kinds};
use crate::harness::model::{ANSWER, Script, held, held_halfway};
use crate::harness::site::{Server, fixture};
use crate::harness::stream::told;
use crate::harness::{Log, PAGE, Reply, Running, World, question};

/// A function that asks an emulator of its own for requests. It ends with its emulator, however the
/// test ends: the harness sees to it that no emulator is left.
struct Instance {
    emulator: Function,
    /// What the emulator says.
    said: Log,
    process: Child,
}

/// Starts this binary on Lambda; its URL is the one that Lambda gives to functions.
async fn lambda(world: &World, name: &str, binary: &str) -> Running<Instance> {
    let said = Log::default();
    let lines = Arc::clone(&said);
    let settings = [
        ("CARGO_NET_OFFLINE", "true"),
        ("RUST_LOG", "cargo_lambda_watch=debug"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let emulator = Function::spawn(
        &Path::new(ROOT).join("tests/outside/lambda/emulator.sh"),
        &Environment::Inherited(settings.into()),
        Path::new(ROOT),
        Arc::new(move |line| lines.lock().unwrap().push(line.to_owned())),
    )
    .await
    .expect("cargo-lambda must be installed: pip install cargo-lambda");
    let mut process = Command::new(binary)
        .env_clear()
        .envs(world.settings().iter().cloned())
        .env(
            "AWS_LAMBDA_RUNTIME_API",
            format!("{}/.rt/{name}", emulator.url()),
        )
        .env("AWS_LAMBDA_FUNCTION_NAME", name)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .current_dir(std::env::temp_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let log = Log::default();
    let written = Arc::clone(&log);
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            written.lock().unwrap().push(line);
        }
    });
    let url = format!("{}/lambda-url/{name}", emulator.url());
    let instance = Instance {
        emulator,
        said,
        process,
    };
    Running::new(url, instance, log)
}

async fn chat(world: &World) -> Running<Instance> {
    lambda(world, "chat", env!("CARGO_BIN_EXE_chat")).await
}

async fn chatkit(world: &World) -> Running<Instance> {
    lambda(world, "chatkit", env!("CARGO_BIN_EXE_chatkit")).await
}

#[tokio::test]
async fn a_conversation_goes_on_is_read_and_is_forgotten() {
    let world = World::new().await;
    let chat = chat(&world).await;
    let first = chat.ask("What is a humanoid robot?").await;
    assert_eq!(first.field("response"), ANSWER);
    assert_eq!(first.header("content-type"), Some("application/json"));
    let session_id = first.field("session_id");
    let again = chat.ask_in(&session_id, "And?").await;
    assert_eq!(again.field("session_id"), session_id);
    assert_eq!(world.database.counts().await, (1, 4));

    let path = format!("/chat?session_id={session_id}");
    let read = chat.get(&path).await;
    assert_eq!(read.json()["messages"].as_array().unwrap().len(), 4);
    let forgotten = Reply::of(chat.request(Method::DELETE, &path)).await;
    assert_eq!((forgotten.status, forgotten.text.as_str()), (204, ""));
    assert_eq!(chat.get(&path).await.error(), (404, "not_found".into()));
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn the_first_words_come_while_the_model_still_speaks() {
    let world = World::new().await;
    let chat = chat(&world).await;
    world.model.next(held_halfway());
    let question = question();
    let mut stream = chat.stream(&question).await;
    for (name, value) in [
        ("content-type", Some("text/event-stream")),
        ("cache-control", Some("no-cache")),
        ("x-vercel-ai-ui-message-stream", Some("v1")),
        ("connection", None),
    ] {
        assert_eq!(stream.header(name), value, "{name}");
    }
    stream.text("At ").await;
    assert_eq!(
        world.database.messages().await.len(),
        1,
        "only the question is stored"
    );
    world.model.release();
    let parts = stream.rest().await;
    assert_eq!(parts.last().unwrap(), "[DONE]");
    assert_eq!(
        world.database.messages().await,
        ["user: What is a humanoid robot?", "assistant: At last."]
    );
    let whole = told(&chat.stream(&question).await.rest().await);
    assert_eq!(whole.text, ANSWER);
}

#[tokio::test]
async fn an_instance_asks_for_a_request_only_when_the_work_of_the_last_one_is_done() {
    let world = World::new().await;
    let chat = chat(&world).await;
    world
        .model
        .next(Script::begin().words("First words, ").hold());
    let question = question();
    let mut stream = chat.stream(&question).await;
    stream.text("First words, ").await;
    // For the emulator, the response is over: only the turn is being waited for.
    let mut next = Box::pin(chat.ask("And?"));
    let early = timeout(Duration::from_millis(500), &mut next).await;
    assert!(early.is_err(), "{early:?}");
    drop(stream);
    assert_eq!(next.await.field("response"), ANSWER);
    let stored = world
        .database
        .rows("select content, state from messages where role = 'assistant' order by seq")
        .await;
    assert_eq!(
        stored,
        [["First words, ", "cancelled"], [ANSWER, "complete"]],
        "what the reader left behind was stored before the next question"
    );
}

#[tokio::test]
async fn errors_and_preflights_are_what_they_are_elsewhere() {
    let world = World::new().await;
    let chat = chat(&world).await;
    let wrong = chat.post(&json!({})).await;
    assert_eq!(wrong.error(), (400, "invalid_request".into()));
    let stranger = chat
        .post_with(&json!({}), ("origin", "https://evil.example"))
        .await;
    assert_eq!(stranger.error(), (403, "origin_not_allowed".into()));
    assert_eq!(chat.get("/else").await.error(), (404, "not_found".into()));

    let preflight = chat
        .request(Method::OPTIONS, "/chat")
        .header("origin", PAGE)
        .header("access-control-request-method", "POST");
    let preflight = Reply::of(preflight).await;
    assert_eq!((preflight.status, preflight.text.as_str()), (204, ""));
    assert_eq!(preflight.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("GET, POST, DELETE, OPTIONS")
    );
}

#[tokio::test]
async fn a_request_has_the_id_that_lambda_gave_it() {
    let world = World::new().await;
    let chat = chat(&world).await;
    let reply = chat.get("/else").await;
    let id = reply.header("x-request-id").unwrap();
    assert_eq!(chat.logged("request").await["request_id"], id);
    let said = chat.function.said.lock().unwrap().join("\n");
    assert!(said.contains(&format!("req_id=\"{id}\"")), "{said}");
}

#[tokio::test]
async fn the_path_of_an_event_may_have_a_prefix_and_its_body_may_be_base64() {
    let world = World::new().await;
    let chat = chat(&world).await;
    let event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/prod/chat",
        "rawQueryString": "",
        "headers": { "content-type": "application/json", "host": "api.example" },
        "requestContext": {
            "stage": "prod",
            "http": { "method": "POST", "path": "/prod/chat", "sourceIp": "203.0.113.7" },
        },
        // {"message":"And?"}
        "body": "eyJtZXNzYWdlIjoiQW5kPyJ9",
        "isBase64Encoded": true,
    });
    let invocations = format!(
        "{}/2015-03-31/functions/chat/invocations",
        chat.function.emulator.url()
    );
    let request = reqwest::Client::new().post(invocations).json(&event);
    assert_eq!(Reply::of(request).await.field("response"), ANSWER);
    assert_eq!(chat.logged("request").await["path"], "/prod/chat");
}

#[tokio::test]
async fn a_thread_is_begun_and_read_again() {
    let world = World::new().await;
    let chatkit = chatkit(&world).await;
    let reader = chatkit.reader();
    let thread = reader.begin("What is a humanoid robot?").await.thread;
    reader.ask(&thread, "And?").await;
    let answer = format!("assistant: {ANSWER}");
    let texts = [
        "user: What is a humanoid robot?",
        &answer,
        "user: And?",
        &answer,
    ];
    assert_eq!(reader.texts(&thread).await, texts);
    assert_eq!(world.database.messages().await, texts);
    assert_eq!(reader.titles().await, ["What is a humanoid robot?"]);
    let params = json!({ "thread_id": thread });
    let stranger = chatkit.reader().call("threads.get_by_id", &params).await;
    assert_eq!(stranger.error(), (404, "not_found".into()));
    assert_eq!(reader.json("threads.delete", &params).await, json!({}));
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn a_threads_question_comes_back_before_the_model_speaks_with_the_cookie_of_its_reader() {
    let world = World::new().await;
    let chatkit = chatkit(&world).await;
    world.model.next(held());
    let params = json!({ "input": input("What is a humanoid robot?") });
    let mut stream = chatkit.stranger().stream("threads.create", &params).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    let cookie = stream.header("set-cookie").unwrap().to_owned();
    let mut echo = Vec::new();
    for _ in 0..3 {
        echo.push(stream.event().await.unwrap());
    }
    let expected = ["thread.created", "thread.item.done", "stream_options"];
    assert_eq!(kinds(&echo), expected);
    world.model.was_asked(1).await;
    world.model.release();
    let rest = stream.events().await;
    assert_eq!(rest.last().unwrap()["type"], "thread.item.done");

    let (cookie, _) = cookie.split_once(';').unwrap();
    let list = chatkit.stranger().request("threads.list", &json!({}));
    let list = Reply::of(list.header("cookie", cookie)).await.json();
    assert_eq!(list["data"][0]["id"], echo[0]["thread"]["id"]);
}

#[tokio::test]
async fn the_book_is_indexed_in_the_time_that_a_function_has() {
    let site = Server::of(fixture("mdbook")).await;
    let world = World::new().await.with("BOOK_URL", site.book());
    let world = world.with("CRON_SECRET", "open sesame");
    let refresh = async |world: &World, secret: &str| {
        let function = lambda(world, "refresh", env!("CARGO_BIN_EXE_refresh")).await;
        let request = function
            .request(Method::GET, "/refresh")
            .bearer_auth(secret);
        Reply::of(request).await
    };
    assert_eq!(refresh(&world, "guess").await.status, 401);
    // No time at all, but for what must be stored; then enough.
    let hurried = world.with("BOOK_REFRESH_SECONDS", "10");
    let reply = refresh(&hurried, "open sesame").await;
    assert_eq!(reply.json()["done"], false, "{reply:?}");
    let world = hurried.with("BOOK_REFRESH_SECONDS", "300");
    let reply = refresh(&world, "open sesame").await;
    assert_eq!(reply.json()["done"], true, "{reply:?}");
    assert!(reply.json()["pages"].as_u64().unwrap() > 5, "{reply:?}");
}

#[tokio::test]
async fn health_is_a_function_of_its_own() {
    let world = World::new().await;
    let health = lambda(&world, "health", env!("CARGO_BIN_EXE_health")).await;
    assert_eq!(health.get("/health").await.text, r#"{"status":"healthy"}"#);
    let ready = health.get("/health?check=ready").await;
    assert_eq!(ready.json()["checks"]["database"], "ok", "{ready:?}");
}
