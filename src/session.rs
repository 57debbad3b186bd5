//! The conversation store: what a reader asked and what was answered, in order.
//!
//! One statement before the model ([`begin`]) and one after ([`finish`]), each a single round
//! trip and each safe to run twice, for every id comes from here.
//!
//! It never speaks to the model and never decides what an answer is.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;
use uuid::{NoContext, Timestamp, Uuid};

use crate::database::{Database, Error, Statement};
use crate::question::Question;

const BEGIN: Statement = Statement {
    name: "begin",
    sql: include_str!("session/begin.sql"),
};

const FINISH: Statement = Statement {
    name: "finish",
    sql: include_str!("session/finish.sql"),
};

/// A turn whose question is stored.
#[derive(Debug)]
pub struct Turn {
    /// The conversation; new where the reader's was unknown.
    pub session_id: Uuid,
    /// The stored question.
    pub question_id: Uuid,
    /// The messages before the question, oldest first.
    pub history: Vec<PastMessage>,
}

/// A message of the conversation's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// Who wrote it.
    pub author: Author,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The reader.
    User,
    /// The model.
    Assistant,
}

/// Finds or creates the conversation, stores the question and reads up to `history_messages`
/// messages before it. Once this returns, the question is committed.
///
/// # Errors
///
/// When the database fails; the question may then be stored or not.
pub async fn begin(
    database: &Database,
    question: &Question,
    history_messages: u32,
) -> Result<Turn, Error> {
    let question_id = new_id();
    let rows = database
        .query(
            &BEGIN,
            &[
                (&question.session_id, Type::UUID),
                (&new_id(), Type::UUID),
                (&question_id, Type::UUID),
                (&question.message, Type::TEXT),
                (&question.selected_text, Type::TEXT),
                (&i64::from(history_messages), Type::INT8),
            ],
        )
        .await?;
    let first = rows.first().ok_or(Error::Unexpected(BEGIN.name))?;
    // A conversation without a past is one row whose message columns are null.
    let history = rows.iter().filter_map(|row| {
        Some(PastMessage {
            author: match row.get::<_, Option<&str>>(1)? {
                "assistant" => Author::Assistant,
                _ => Author::User,
            },
            content: row.get(2),
            selected_text: row.get(3),
        })
    });
    Ok(Turn {
        session_id: first.get(0),
        question_id,
        history: history.collect(),
    })
}

/// Stores the answer and marks the conversation as touched. Returns when the answer was stored,
/// by the database's clock.
///
/// # Errors
///
/// When the database fails, and the question stays; or when the conversation is gone meanwhile.
pub async fn finish(
    database: &Database,
    turn: &Turn,
    answer: &str,
) -> Result<DateTime<Utc>, Error> {
    let rows = database
        .query(
            &FINISH,
            &[
                (&new_id(), Type::UUID),
                (&turn.session_id, Type::UUID),
                (&answer, Type::TEXT),
                (&turn.question_id, Type::UUID),
            ],
        )
        .await?;
    let stored = rows.first().ok_or(Error::Unexpected(FINISH.name))?;
    Ok(stored.get(0))
}

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and who knows a session's id can read it: it must not be a neighbour's
/// id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
