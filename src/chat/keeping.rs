//! What `/chat` does besides turns: conversations are read again, and forgotten.

use http::{Response, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use crate::app::App;
use crate::citation::Source;
use crate::error::Failure;
use crate::http::{Call, Reply, empty, json};
use crate::reader::Reader;
use crate::session;
use crate::time::timestamp;

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
    /// The sections of the book that an answer cites; present if the book was searched for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<Source>>,
}

/// `GET /chat`, with `?before=…`: a page of the conversation, oldest message first.
pub(super) async fn read(app: &App, call: &Call) -> Result<Reply, Failure> {
    let ready = app.ready()?;
    let database = ready.reading(call.address)?;
    let conversation = conversation(call)?.ok_or_else(Failure::no_conversation)?;
    let before = match call.parameter("before") {
        None => None,
        Some(id) => Some(id.parse().map_err(|_| {
            Failure::wrong("before", "must be the id of a message of the conversation")
        })?),
    };
    let messages =
        session::read(&database, conversation, Reader::of(&call.headers), before).await?;
    let messages = messages.ok_or_else(Failure::no_conversation)?.into_iter();
    let messages = messages.map(|message| Message {
        id: message.id,
        role: message.role,
        content: match &message.citations {
            Some(citations) => citations.linked(&message.content).into_owned(),
            None => message.content,
        },
        selected_text: message.selected_text,
        reply_to: message.reply_to,
        created_at: timestamp(message.created_at),
        state: message.state,
        sources: message.citations.map(|citations| citations.sources),
    });
    let body = Conversation {
        session_id: conversation,
        messages: messages.collect(),
    };
    Ok(json(StatusCode::OK, &body))
}

/// `DELETE /chat`: deletes the whole conversation; succeeds even if there is none, or
/// none any more.
pub(super) async fn forget(app: &App, call: &Call) -> Result<Reply, Failure> {
    let ready = app.ready()?;
    let database = ready.reading(call.address)?;
    if let Some(conversation) = conversation(call)? {
        session::forget(&database, conversation, Reader::of(&call.headers)).await?;
    }
    let mut reply = Response::new(empty());
    *reply.status_mut() = StatusCode::NO_CONTENT;
    Ok(reply)
}

/// The header that names a conversation. Whoever knows its id can read it, and addresses end up in
/// logs: a header does not.
const SESSION_ID: &str = "x-session-id";

/// The conversation that the header names or, without one, the query; `None` if the id cannot be that
/// of a conversation.
fn conversation(call: &Call) -> Result<Option<Uuid>, Failure> {
    let header = call.headers.get(SESSION_ID);
    let header = header.map(|id| String::from_utf8_lossy(id.as_bytes()));
    let id = header.or_else(|| call.parameter("session_id"));
    let id = id.ok_or_else(|| Failure::wrong("session_id", "is required"))?;
    Ok(id.parse().ok())
}
