//! The offline model: an OpenAI-compatible server for machines without an API key.
//!
//! Owns the wire format of `POST /v1/chat/completions`, plain and streamed, and of
//! `GET /v1/models`; the module `answer` chooses the words. Never uses the network, and gives the
//! same request the same answer every time.

mod answer;
mod choose;
mod notice;
mod prompt;
mod sections;
mod text;
mod wire;

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, rejection::JsonRejection},
    http::{Method, StatusCode, Uri},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
    routing::{get, post},
};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};
use uuid::Uuid;

use wire::{Request, Usage};

/// The name under which it is listed and signs its answers.
const NAME: &str = "offline";
/// Slow enough for streaming to be seen, fast enough not to be tedious.
const PAUSE: Duration = Duration::from_millis(15);

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Model {
    port: u16,
    server: JoinHandle<()>,
}

/// Starts the offline model on a free port of loopback, within the current Tokio runtime.
///
/// # Errors
///
/// If loopback has no free port.
pub async fn start() -> Result<Model> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .route("/v1/models/{name}", get(model))
        .layer(DefaultBodyLimit::disable())
        .method_not_allowed_fallback(unknown)
        .fallback(unknown);
    let server = tokio::spawn(async move {
        // Without a shutdown signal this ends only when the task is aborted.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Model { port, server })
}

impl Model {
    /// What `OPENAI_BASE_URL` has to be for this server to be asked.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn complete(request: Result<Json<Request>, JsonRejection>) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(rejection) => {
            return wire::error(StatusCode::BAD_REQUEST, &rejection.body_text(), None);
        }
    };
    let Some(asked) = prompt::read(&request.messages) else {
        let words = "Invalid 'messages': the last one must be the user's.";
        return wire::error(StatusCode::BAD_REQUEST, words, Some("invalid_value"));
    };
    let answer = notice::once(answer::answer(&asked), &request.messages);
    let usage = Usage::count(&request.messages, &answer);
    let created = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let id = format!("chatcmpl-{}", Uuid::new_v4().simple());
    if request.stream {
        return stream(
            &id,
            created,
            &answer,
            request.stream_options.include_usage.then_some(usage),
        );
    }
    Json(json!({
        "id": id, "object": "chat.completion", "created": created, "model": NAME,
        "choices": [{
            "index": 0,
            "message": { "role": "assistant", "content": answer, "refusal": null },
            "logprobs": null,
            "finish_reason": "stop",
        }],
        "usage": usage,
    }))
    .into_response()
}

/// The answer, one word in each chunk, with the chunks in OpenAI's order.
fn stream(id: &str, created: u64, answer: &str, usage: Option<Usage>) -> Response {
    let chunk = |choices: Value, usage: Option<Usage>| {
        let chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": NAME,
            "choices": choices, "usage": usage,
        });
        chunk.to_string()
    };
    let choice = |delta: Value, finish_reason: Option<&str>| json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
    let mut events = vec![chunk(
        choice(json!({ "role": "assistant", "content": "" }), None),
        None,
    )];
    events.extend(
        answer
            .split_inclusive(' ')
            .map(|word| chunk(choice(json!({ "content": word }), None), None)),
    );
    events.push(chunk(choice(json!({}), Some("stop")), None));
    events.extend(usage.map(|usage| chunk(json!([]), Some(usage))));
    events.push("[DONE]".to_owned());

    let events = stream::iter(events).then(async |data| {
        sleep(PAUSE).await;
        Ok::<_, Infallible>(Event::default().data(data))
    });
    Sse::new(events).into_response()
}

async fn models() -> Json<Value> {
    Json(json!({
        "object": "list",
        "data": [{ "id": NAME, "object": "model", "created": 0, "owned_by": "textbook-chat" }],
    }))
}

/// Whatever model is asked for, this one answers.
async fn model(Path(name): Path<String>) -> Json<Value> {
    Json(json!({ "id": name, "object": "model", "created": 0, "owned_by": "textbook-chat" }))
}

async fn unknown(method: Method, uri: Uri) -> Response {
    wire::error(
        StatusCode::NOT_FOUND,
        &format!("Unknown request URL: {method} {}", uri.path()),
        Some("unknown_url"),
    )
}
