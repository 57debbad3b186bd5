//! The conversation store: what a reader asked and what was answered, in order.
//!
//! A turn has one statement before the model ([`begin`]) and one after ([`finish`]), each a
//! single round trip and each safe to run twice, for every id comes from here. Beside the turn:
//! [`read`] a conversation, [`forget`] it.
//!
//! It never speaks to the model and never decides what an answer is.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::{NoContext, Timestamp, Uuid};

use crate::config::Settings;
use crate::database::{Database, Error, Statement};
use crate::idempotency::Key;
use crate::question::Question;

const BEGIN: Statement = Statement {
    name: "begin",
    sql: include_str!("session/begin.sql"),
};

const BEGIN_WITH_KEY: Statement = Statement {
    name: "begin with key",
    sql: include_str!("session/begin_with_key.sql"),
};

const FINISH: Statement = Statement {
    name: "finish",
    sql: include_str!("session/finish.sql"),
};

const RELEASE: Statement = Statement {
    name: "release key",
    sql: "update idempotency_keys set running_until = now() - interval '1 second' where key = $1 and answer_id = $2",
};

const READ: Statement = Statement {
    name: "read",
    sql: include_str!("session/read.sql"),
};

const FORGET: Statement = Statement {
    name: "forget",
    // Its messages and keys go with it.
    sql: "delete from chat_sessions where id = $1",
};

/// Messages that [`read`] returns at the most.
const PAGE: i64 = 50;

/// What a turn may take beside the model's time and its statements. Until then a request with
/// the same key is told to wait.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// What came of beginning a turn.
#[derive(Debug)]
pub enum Begun {
    /// The question is stored; the model may be asked.
    Turn(Turn),
    /// A request with the same key has been answered.
    Answered(StoredAnswer),
    /// A request with the same key is running.
    InProgress,
    /// The key came with another request before.
    KeyReused,
}

/// A turn whose question is stored.
#[derive(Debug)]
pub struct Turn {
    /// The conversation; new where the reader's was unknown.
    pub session_id: Uuid,
    /// The stored question.
    pub question_id: Uuid,
    /// The answer, once it is stored.
    pub answer_id: Uuid,
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

/// An answer that was stored before.
#[derive(Debug)]
pub struct StoredAnswer {
    /// The message.
    pub id: Uuid,
    /// The conversation.
    pub session_id: Uuid,
    /// The text.
    pub content: String,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
}

/// Whether an answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The model had finished it.
    Complete,
    /// The reader left before, or the instance was stopped.
    Cancelled,
}

/// A message as a page shows it.
#[derive(Debug)]
pub struct Message {
    /// The message.
    pub id: Uuid,
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
    /// The question that an answer answers.
    pub reply_to: Option<Uuid>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// `complete` or `cancelled`.
    pub state: String,
}

/// Finds or creates the conversation, stores the question and reads the messages before it. Once
/// this returns a turn, the question is committed.
///
/// A question about a passage rests on that passage alone: no history is read for it.
///
/// # Errors
///
/// When the database fails; the question may then be stored or not.
pub async fn begin(
    database: &Database,
    question: &Question,
    key: Option<&Key>,
    settings: &Settings,
) -> Result<Begun, Error> {
    let (new_session, question_id, answer_id) = (new_id(), new_id(), new_id());
    let history = match question.selected_text {
        Some(_) => 0,
        None => i64::from(settings.history_messages),
    };
    let mut parameters: Vec<crate::database::Parameter<'_>> = vec![
        (&question.session_id, Type::UUID),
        (&new_session, Type::UUID),
        (&question_id, Type::UUID),
        (&question.message, Type::TEXT),
        (&question.selected_text, Type::TEXT),
        (&history, Type::INT8),
    ];
    let Some(key) = key else {
        let rows = database.query(&BEGIN, &parameters).await?;
        let first = rows.first().ok_or(Error::Unexpected(BEGIN.name))?;
        return Ok(Begun::Turn(Turn {
            session_id: first.get(0),
            question_id,
            answer_id,
            history: past(&rows, 1),
        }));
    };
    let database_time = settings.database.connect_timeout + settings.database.statement_timeout;
    let lease = settings.model.timeout + 2 * database_time + LEASE_MARGIN;
    let (hash, request) = (&key.key[..], &key.request[..]);
    let lease = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    parameters.extend::<[crate::database::Parameter<'_>; 4]>([
        (&hash, Type::BYTEA),
        (&request, Type::BYTEA),
        (&answer_id, Type::UUID),
        (&lease, Type::INT8),
    ]);
    let rows = database.query(&BEGIN_WITH_KEY, &parameters).await?;
    // No row: another request has claimed the key in this very moment.
    let Some(first) = rows.first() else {
        return Ok(Begun::InProgress);
    };
    Ok(match first.get(0) {
        "begun" => Begun::Turn(Turn {
            session_id: first.get(1),
            question_id: first.get(2),
            answer_id: first.get(3),
            history: past(&rows, 5),
        }),
        "answered" => Begun::Answered(StoredAnswer {
            session_id: first.get(1),
            id: first.get(3),
            stored_at: first.get(4),
            content: first.get(6),
        }),
        "in_progress" => Begun::InProgress,
        _ => Begun::KeyReused,
    })
}

/// The history in the columns from `role`; a conversation without a past is one row of nulls.
fn past(rows: &[Row], role: usize) -> Vec<PastMessage> {
    let history = rows.iter().filter_map(|row| {
        Some(PastMessage {
            author: match row.get::<_, Option<&str>>(role)? {
                "assistant" => Author::Assistant,
                _ => Author::User,
            },
            content: row.get(role + 1),
            selected_text: row.get(role + 2),
        })
    });
    history.collect()
}

/// Stores the answer and marks the conversation as touched. Returns when the answer was stored,
/// by the database's clock; `None` where the conversation is gone meanwhile.
///
/// # Errors
///
/// When the database fails; the question stays.
pub async fn finish(
    database: &Database,
    turn: &Turn,
    answer: &str,
    state: State,
) -> Result<Option<DateTime<Utc>>, Error> {
    let state = match state {
        State::Complete => "complete",
        State::Cancelled => "cancelled",
    };
    let rows = database
        .query(
            &FINISH,
            &[
                (&turn.answer_id, Type::UUID),
                (&turn.session_id, Type::UUID),
                (&answer, Type::TEXT),
                (&turn.question_id, Type::UUID),
                (&state, Type::TEXT),
            ],
        )
        .await?;
    Ok(rows.first().map(|row| row.get(0)))
}

/// Gives a key free whose turn has failed, so that the same request may try again at once.
///
/// # Errors
///
/// When the database fails; the key is then free when its lease ends.
pub async fn release(database: &Database, key: &Key, turn: &Turn) -> Result<(), Error> {
    let parameters = [
        (&&key.key[..] as _, Type::BYTEA),
        // Unless another turn has taken it over.
        (&turn.answer_id as _, Type::UUID),
    ];
    database.query(&RELEASE, &parameters).await?;
    Ok(())
}

/// The newest messages of a conversation before the message `before`, oldest first, 50 at the
/// most; `None` where there is no such conversation.
///
/// # Errors
///
/// When the database fails.
pub async fn read(
    database: &Database,
    session_id: Uuid,
    before: Option<Uuid>,
) -> Result<Option<Vec<Message>>, Error> {
    let parameters = [
        (&session_id as _, Type::UUID),
        (&before as _, Type::UUID),
        (&PAGE as _, Type::INT8),
    ];
    let rows = database.query(&READ, &parameters).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let messages = rows.iter().filter_map(|row| {
        Some(Message {
            id: row.get::<_, Option<Uuid>>(0)?,
            role: row.get(1),
            content: row.get(2),
            selected_text: row.get(3),
            created_at: row.get(4),
            state: row.get(5),
            reply_to: row.get(6),
        })
    });
    Ok(Some(messages.collect()))
}

/// Deletes a conversation with all that belongs to it; deleting one that is not there is fine.
///
/// # Errors
///
/// When the database fails.
pub async fn forget(database: &Database, session_id: Uuid) -> Result<(), Error> {
    database
        .query(&FORGET, &[(&session_id, Type::UUID)])
        .await?;
    Ok(())
}

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and who knows a session's id can read it: it must not be a neighbour's
/// id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
