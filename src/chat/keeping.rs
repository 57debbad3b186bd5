//! What `/chat` does besides turns: conversations are read again and forgotten, answers stopped.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

use crate::app::App;
use crate::citation::Source;
use crate::database::Database;
use crate::error::{Code, Failure};
use crate::http::{Call, Reply, json, no_content};
use crate::idempotency::{self, KeyHash};
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

/// `DELETE /chat`: stops an answer if it names a request by its key, else forgets a conversation.
pub(super) async fn delete(app: &App, call: &Call) -> Result<Reply, Failure> {
    let ready = app.ready()?;
    let database = ready.reading(call.address)?;
    match idempotency::hash(&call.headers)? {
        Some(_) if session_id(call).is_some() => {
            return Err(Failure::wrong(
                idempotency::FIELD,
                "stops an answer: send it without the session id that deletes a conversation",
            ));
        }
        Some(key) => stop(&database, &key).await?,
        None => forget(&database, call).await?,
    }
    Ok(no_content())
}

/// Stops the answer that the request with this key has begun. The key is enough: who knows it can
/// ask for the answer, too.
async fn stop(database: &Database, key: &KeyHash) -> Result<(), Failure> {
    if session::stop(database, key).await? {
        return Ok(());
    }
    Err(Failure::new(
        Code::NotFound,
        "No answer to a question with this Idempotency-Key is being written.",
    ))
}

/// Deletes the whole conversation; succeeds even if there is none, or none any more.
async fn forget(database: &Database, call: &Call) -> Result<(), Failure> {
    if let Some(conversation) = conversation(call)? {
        session::forget(database, conversation, Reader::of(&call.headers)).await?;
    }
    Ok(())
}

/// The header that names a conversation. Whoever knows its id can read it, and addresses end up in
/// logs: a header does not.
const SESSION_ID: &str = "x-session-id";

/// The conversation that the header names or, without one, the query; `None` if the id cannot be that
/// of a conversation.
fn conversation(call: &Call) -> Result<Option<Uuid>, Failure> {
    let id = session_id(call).ok_or_else(|| Failure::wrong("session_id", "is required"))?;
    Ok(id.parse().ok())
}

fn session_id(call: &Call) -> Option<Cow<'_, str>> {
    let header = call.headers.get(SESSION_ID);
    let header = header.map(|id| String::from_utf8_lossy(id.as_bytes()));
    header.or_else(|| call.parameter("session_id"))
}
