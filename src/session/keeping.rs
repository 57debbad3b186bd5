//! Besides the turn: a conversation as a page reads it, and how it is forgotten.

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::citations;
use crate::citation::Citations;
use crate::database::{Database, Error, Statement};
use crate::reader::Reader;

const READ: Statement = Statement::new("read", include_str!("read.sql"));

const FORGET: Statement = Statement::new(
    "forget",
    // Its messages and keys go with it.
    "delete from chat_sessions where id = $1 and (owner is null or owner = $2)",
);

/// The most messages that [`read`] returns.
const PAGE: i64 = 50;

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
    /// What an answer cites.
    pub citations: Option<Citations>,
}

/// The newest messages of a conversation before the message `before`, oldest first, at most 50;
/// `None` if there is no such conversation for this reader.
///
/// # Errors
///
/// When the database fails.
pub async fn read(
    database: &Database,
    conversation: Uuid,
    reader: Option<Reader>,
    before: Option<Uuid>,
) -> Result<Option<Vec<Message>>, Error> {
    let parameters = [
        (&conversation as _, Type::UUID),
        (&before as _, Type::UUID),
        (&PAGE as _, Type::INT8),
        (&reader.as_ref().map(Reader::as_bytes) as _, Type::BYTEA),
    ];
    let rows = database.query(&READ, &parameters).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let messages = rows.iter().filter_map(|row| {
        Some(Message {
            id: row.get::<_, Option<Uuid>>("id")?,
            role: row.get("role"),
            content: row.get("content"),
            selected_text: row.get("selected_text"),
            created_at: row.get("created_at"),
            state: row.get("state"),
            reply_to: row.get("reply_to"),
            citations: citations(row),
        })
    });
    Ok(Some(messages.collect()))
}

/// Deletes a conversation with all that belongs to it; deleting one that is not there for this
/// reader is fine.
///
/// # Errors
///
/// When the database fails.
pub async fn forget(
    database: &Database,
    conversation: Uuid,
    reader: Option<Reader>,
) -> Result<(), Error> {
    let parameters = [
        (&conversation as _, Type::UUID),
        (&reader.as_ref().map(Reader::as_bytes) as _, Type::BYTEA),
    ];
    database.query(&FORGET, &parameters).await?;
    Ok(())
}
