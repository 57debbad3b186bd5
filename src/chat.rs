//! The route `/chat`: ask, read a conversation again, forget it.
//!
//! What a turn is stands in [`crate::turn`]; here its events become a response, whole as JSON or
//! piece by piece ([`crate::ui_message_stream`]).

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Response, StatusCode, header};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use crate::app::App;
use crate::error::Failure;
use crate::http::{Call, Reply, Route, empty, json};
use crate::idempotency::Key;
use crate::question::Question;
use crate::reader::Owner;
use crate::session;
use crate::turn::{self, Ask, Event};
use crate::ui_message_stream;

/// `POST`, `GET` and `DELETE /chat`
pub const ROUTE: Route = Route {
    name: "chat",
    methods: &[Method::GET, Method::POST, Method::DELETE],
    warms: true,
    handler,
};

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        match call.method {
            Method::GET => read(&app, &call).await,
            Method::DELETE => forget(&app, &call).await,
            _ => ask(app, call).await,
        }
    })
}

/// A turn: begun in a task of its own, of which the response is the listener.
async fn ask(app: Arc<App>, call: Call) -> Result<Reply, Failure> {
    let question = Question::parse(&call.body, app.ready()?.settings.limits)?;
    let reader = Owner::read(&call.headers);
    let ask = Ask {
        key: Key::read(&call.headers, &question, reader.as_ref())?,
        question,
        reader,
        thread: None,
    };
    let streams = accepts_stream(&call.headers);
    let events = turn::ask(app, &call, ask)?;
    if streams {
        ui_message_stream::reply(events).await
    } else {
        collect(events).await
    }
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The body of a 200.
#[derive(Debug, Serialize)]
struct Answer {
    response: String,
    session_id: Option<Uuid>,
    timestamp: String,
}

/// The stream, collected.
async fn collect(mut events: Receiver<Event>) -> Result<Reply, Failure> {
    let mut response = String::new();
    let mut conversation = None;
    loop {
        match events.recv().await.ok_or_else(turn::panicked)? {
            Event::Begun { .. } => {}
            Event::Started { session_id, .. } => conversation = Some(session_id),
            Event::Text(text) => response.push_str(&text),
            Event::Finished { stored_at, .. } => {
                let answer = Answer {
                    response,
                    session_id: conversation,
                    timestamp: timestamp(stored_at),
                };
                return Ok(json(StatusCode::OK, &answer));
            }
            Event::Failed(failure) => return Err(failure),
        }
    }
}

/// ISO 8601 in UTC, with PostgreSQL's microseconds.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[derive(Serialize)]
struct Conversation {
    session_id: Uuid,
    messages: Vec<Message>,
}

#[derive(Serialize)]
struct Message {
    id: Uuid,
    role: String,
    content: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<Uuid>,
    created_at: String,
    state: String,
}

/// `GET /chat?session_id=…&before=…`: a page of the conversation, oldest message first.
async fn read(app: &App, call: &Call) -> Result<Reply, Failure> {
    let database = &app.ready()?.database;
    let session_id = session_id(call)?.ok_or_else(Failure::no_conversation)?;
    let before = match call.parameter("before") {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| {
            Failure::wrong("before", "must be the id of a message of the conversation")
        })?),
    };
    let messages = session::read(database, session_id, Owner::read(&call.headers), before).await?;
    let messages = messages.ok_or_else(Failure::no_conversation)?.into_iter();
    let messages = messages.map(|message| Message {
        id: message.id,
        role: message.role,
        content: message.content,
        selected_text: message.selected_text,
        reply_to: message.reply_to,
        created_at: timestamp(message.created_at),
        state: message.state,
    });
    let conversation = Conversation {
        session_id,
        messages: messages.collect(),
    };
    Ok(json(StatusCode::OK, &conversation))
}

/// `DELETE /chat?session_id=…`: all of the conversation; fine where there is none (any more).
async fn forget(app: &App, call: &Call) -> Result<Reply, Failure> {
    let database = &app.ready()?.database;
    if let Some(session_id) = session_id(call)? {
        session::forget(database, session_id, Owner::read(&call.headers)).await?;
    }
    let mut reply = Response::new(empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    Ok(reply)
}

/// The conversation of the query; `None` is an id that no conversation can have.
fn session_id(call: &Call) -> Result<Option<Uuid>, Failure> {
    let id = call.parameter("session_id");
    let id = id.ok_or_else(|| Failure::wrong("session_id", "is required"))?;
    Ok(id.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use tokio::sync::mpsc;

    #[tokio::test]
    async fn a_turn_that_panics_is_a_500_like_any_other() {
        let (events, listener) = mpsc::channel(1);
        tokio::spawn(async move {
            events.send(Event::Text("Half an".into())).await.unwrap();
            panic!("in the middle of a turn");
        });
        let failure = collect(listener).await.unwrap_err();
        assert_eq!(failure.code, Code::InternalError);
    }
}
