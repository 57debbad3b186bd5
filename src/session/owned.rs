//! Conversations of a reader's own, which ChatKit calls threads, and their messages.
//!
//! Every statement carries the owner: a conversation of another reader, or of nobody, is not found.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Author, citations};
use crate::citation::Citations;
use crate::database::{Database, Error, Parameter, Statement};
use crate::reader::Reader;

const READ: Statement = Statement::new("read own", include_str!("owned.sql"));

const LIST: Statement = Statement::new("list", include_str!("list.sql"));

const QUESTION: Statement = Statement::new(
    "read question",
    "select role::text as role, content, selected_text from messages
         where id = $3 and session_id = $1 and role <> 'system'
             and exists (select from chat_sessions where id = $1 and owner = $2)",
);

const RENAME: Statement = Statement::new(
    "rename",
    "update chat_sessions set title = $3 where id = $1 and owner = $2
         returning id, created_at, title",
);

const DELETE: Statement = Statement::new(
    "delete own",
    "delete from chat_sessions where id = $1 and owner = $2",
);

/// A conversation.
#[derive(Debug)]
pub struct Conversation {
    /// The conversation.
    pub id: Uuid,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// What it is called.
    pub title: Option<String>,
}

/// A message of a conversation.
#[derive(Debug)]
pub struct Message {
    /// The message.
    pub id: Uuid,
    /// Its author.
    pub author: Author,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
    /// When it was stored or, for an answer, when it began.
    pub created_at: DateTime<Utc>,
    /// A question's content as JSON, if it is more than one text.
    pub parts: Option<String>,
    /// A question's inference options as JSON.
    pub options: Option<String>,
    /// What an answer cites.
    pub citations: Option<Citations>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The most entries.
    pub limit: u8,
    /// Newest first.
    pub descending: bool,
    /// Only what comes after this one.
    pub after: Option<Uuid>,
}

impl Part {
    /// One more than wanted, to see whether there are more.
    fn limit_and_one(self) -> i64 {
        i64::from(self.limit) + 1
    }

    fn cut<T>(self, mut rows: Vec<T>) -> Listed<T> {
        let has_more = rows.len() > usize::from(self.limit);
        rows.truncate(usize::from(self.limit));
        Listed { rows, has_more }
    }
}

/// Part of a list.
#[derive(Debug)]
pub struct Listed<T> {
    /// In the order that was asked for.
    pub rows: Vec<T>,
    /// Whether others come after them.
    pub has_more: bool,
}

/// The result of looking for part of a list.
#[derive(Debug)]
pub enum Found<T> {
    /// There it is.
    There(T),
    /// The list has no entry with the id that the part is to come after.
    UnknownCursor,
    /// The reader has no such conversation.
    NoConversation,
}

/// A conversation with part of its messages.
///
/// # Errors
///
/// When the database fails.
pub async fn read(
    database: &Database,
    reader: &Reader,
    conversation: Uuid,
    part: Part,
) -> Result<Found<(Conversation, Listed<Message>)>, Error> {
    let parameters: [Parameter<'_>; 5] = [
        (&conversation, Type::UUID),
        (&reader.as_bytes(), Type::BYTEA),
        (&part.after, Type::UUID),
        (&part.descending, Type::BOOL),
        (&part.limit_and_one(), Type::INT8),
    ];
    let rows = database.query(&READ, &parameters).await?;
    let Some(first) = rows.first() else {
        return Ok(Found::NoConversation);
    };
    if !first.get::<_, bool>("known_cursor") {
        return Ok(Found::UnknownCursor);
    }
    let messages = rows.iter().filter_map(|row| {
        Some(Message {
            id: row.get::<_, Option<Uuid>>("message_id")?,
            author: Author::of(row.get("role")),
            content: row.get("content"),
            selected_text: row.get("selected_text"),
            created_at: row.get("message_created_at"),
            parts: row.get("parts"),
            options: row.get("options"),
            citations: citations(row),
        })
    });
    let messages = part.cut(messages.collect());
    Ok(Found::There((conversation_of(first), messages)))
}

/// A reader's conversations.
///
/// # Errors
///
/// When the database fails.
pub async fn list(
    database: &Database,
    reader: &Reader,
    part: Part,
) -> Result<Found<Listed<Conversation>>, Error> {
    let parameters: [Parameter<'_>; 4] = [
        (&reader.as_bytes(), Type::BYTEA),
        (&part.after, Type::UUID),
        (&part.descending, Type::BOOL),
        (&part.limit_and_one(), Type::INT8),
    ];
    let rows = database.query(&LIST, &parameters).await?;
    let first = rows.first().ok_or(Error::Unexpected(LIST.name))?;
    if !first.get::<_, bool>("known_cursor") {
        return Ok(Found::UnknownCursor);
    }
    let conversations = rows
        .iter()
        .filter(|row| row.get::<_, Option<Uuid>>("id").is_some())
        .map(conversation_of);
    Ok(Found::There(part.cut(conversations.collect())))
}

/// A stored message of a reader's own conversation: its author, the text, and the passage.
///
/// # Errors
///
/// When the database fails.
pub async fn message(
    database: &Database,
    reader: &Reader,
    conversation: Uuid,
    item: Uuid,
) -> Result<Option<(Author, String, Option<String>)>, Error> {
    let parameters: [Parameter<'_>; 3] = [
        (&conversation, Type::UUID),
        (&reader.as_bytes(), Type::BYTEA),
        (&item, Type::UUID),
    ];
    let rows = database.query(&QUESTION, &parameters).await?;
    let found = rows.first();
    Ok(found.map(|row| {
        let author = Author::of(row.get("role"));
        (author, row.get("content"), row.get("selected_text"))
    }))
}

/// Gives a conversation another title; `None` if the reader has no such conversation.
///
/// # Errors
///
/// When the database fails.
pub async fn rename(
    database: &Database,
    reader: &Reader,
    conversation: Uuid,
    title: &str,
) -> Result<Option<Conversation>, Error> {
    let parameters: [Parameter<'_>; 3] = [
        (&conversation, Type::UUID),
        (&reader.as_bytes(), Type::BYTEA),
        (&title, Type::TEXT),
    ];
    let rows = database.query(&RENAME, &parameters).await?;
    Ok(rows.first().map(conversation_of))
}

/// Deletes a conversation with all that belongs to it; deleting a conversation that the reader does
/// not own does nothing.
///
/// # Errors
///
/// When the database fails.
pub async fn delete(database: &Database, reader: &Reader, conversation: Uuid) -> Result<(), Error> {
    let parameters: [Parameter<'_>; 2] = [
        (&conversation, Type::UUID),
        (&reader.as_bytes(), Type::BYTEA),
    ];
    database.query(&DELETE, &parameters).await?;
    Ok(())
}

fn conversation_of(row: &Row) -> Conversation {
    Conversation {
        id: row.get("id"),
        created_at: row.get("created_at"),
        title: row.get("title"),
    }
}
