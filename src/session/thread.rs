//! Conversations of a reader's own, as ChatKit knows them: threads and their items.
//!
//! Every statement carries the owner; a conversation of somebody else, or of nobody, is none.

use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::Author;
use crate::database::{Database, Error, Parameter, Statement};
use crate::reader::Owner;

const READ: Statement = Statement {
    name: "read thread",
    sql: include_str!("thread.sql"),
};

const LIST: Statement = Statement {
    name: "list threads",
    sql: include_str!("threads.sql"),
};

const QUESTION: Statement = Statement {
    name: "read question",
    sql: "select role::text, content, selected_text from messages
          where id = $3 and session_id = $1 and role <> 'system'
              and exists (select from chat_sessions where id = $1 and owner = $2)",
};

const RENAME: Statement = Statement {
    name: "rename thread",
    sql: "update chat_sessions set title = $3 where id = $1 and owner = $2
          returning id, created_at, title",
};

const DELETE: Statement = Statement {
    name: "delete thread",
    sql: "delete from chat_sessions where id = $1 and owner = $2",
};

const JUDGE: Statement = Statement {
    name: "store feedback",
    sql: "with thread as (select id from chat_sessions where id = $1 and owner = $2),
          judged as (
              insert into message_feedback (session_id, item_id, kind)
              select thread.id, item_id, $4
              from thread, (select distinct unnest($3) as item_id) items
              -- Ids may be invented: a conversation has so many judgements, and no more.
              where (select count(*) from message_feedback where session_id = thread.id) < 1000
                  or exists (
                      select from message_feedback known
                      where known.session_id = thread.id and known.item_id = items.item_id
                  )
              on conflict (session_id, item_id)
                  do update set kind = excluded.kind, updated_at = now()
          )
          select id from thread",
};

/// A conversation.
#[derive(Debug)]
pub struct Thread {
    /// The conversation.
    pub id: Uuid,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// What it is called.
    pub title: Option<String>,
}

/// A message of a conversation.
#[derive(Debug)]
pub struct Item {
    /// The message.
    pub id: Uuid,
    /// Who wrote it.
    pub author: Author,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
    /// When it was stored, or an answer began.
    pub created_at: DateTime<Utc>,
    /// A question's content as JSON, where it is more than one text.
    pub parts: Option<String>,
    /// A question's inference options as JSON.
    pub options: Option<String>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// How many at the most.
    pub limit: u8,
    /// Newest first.
    pub descending: bool,
    /// Only what comes after this one.
    pub after: Option<Uuid>,
}

impl Page {
    /// One more tells whether there are more.
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

/// The list has no entry of the id that a page is to come after.
#[derive(Debug)]
pub struct UnknownCursor;

/// A conversation with a page of its messages; `None` where the reader has none of this id.
///
/// # Errors
///
/// When the database fails.
pub async fn read(
    database: &Database,
    owner: &Owner,
    thread: Uuid,
    page: Page,
) -> Result<Option<Result<(Thread, Listed<Item>), UnknownCursor>>, Error> {
    let parameters: [Parameter<'_>; 5] = [
        (&thread, Type::UUID),
        (&owner.as_bytes(), Type::BYTEA),
        (&page.after, Type::UUID),
        (&page.descending, Type::BOOL),
        (&page.limit_and_one(), Type::INT8),
    ];
    let rows = database.query(&READ, &parameters).await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    if !first.get::<_, bool>(3) {
        return Ok(Some(Err(UnknownCursor)));
    }
    let items = rows.iter().filter_map(|row| {
        Some(Item {
            id: row.get::<_, Option<Uuid>>(4)?,
            author: Author::of(row.get(5)),
            content: row.get(6),
            selected_text: row.get(7),
            created_at: row.get(8),
            parts: row.get(9),
            options: row.get(10),
        })
    });
    let items = page.cut(items.collect());
    Ok(Some(Ok((thread_of(first, 0), items))))
}

/// A reader's conversations.
///
/// # Errors
///
/// When the database fails.
pub async fn list(
    database: &Database,
    owner: &Owner,
    page: Page,
) -> Result<Result<Listed<Thread>, UnknownCursor>, Error> {
    let parameters: [Parameter<'_>; 4] = [
        (&owner.as_bytes(), Type::BYTEA),
        (&page.after, Type::UUID),
        (&page.descending, Type::BOOL),
        (&page.limit_and_one(), Type::INT8),
    ];
    let rows = database.query(&LIST, &parameters).await?;
    let first = rows.first().ok_or(Error::Unexpected(LIST.name))?;
    if !first.get::<_, bool>(0) {
        return Ok(Err(UnknownCursor));
    }
    let threads = rows
        .iter()
        .filter(|row| row.get::<_, Option<Uuid>>(1).is_some())
        .map(|row| thread_of(row, 1));
    Ok(Ok(page.cut(threads.collect())))
}

/// A stored message of a reader's own conversation: who wrote it, the text, and the passage.
///
/// # Errors
///
/// When the database fails.
pub async fn message(
    database: &Database,
    owner: &Owner,
    thread: Uuid,
    item: Uuid,
) -> Result<Option<(Author, String, Option<String>)>, Error> {
    let parameters: [Parameter<'_>; 3] = [
        (&thread, Type::UUID),
        (&owner.as_bytes(), Type::BYTEA),
        (&item, Type::UUID),
    ];
    let rows = database.query(&QUESTION, &parameters).await?;
    let found = rows.first();
    Ok(found.map(|row| (Author::of(row.get(0)), row.get(1), row.get(2))))
}

/// Calls a conversation something else; `None` where the reader has none of this id.
///
/// # Errors
///
/// When the database fails.
pub async fn rename(
    database: &Database,
    owner: &Owner,
    thread: Uuid,
    title: &str,
) -> Result<Option<Thread>, Error> {
    let parameters: [Parameter<'_>; 3] = [
        (&thread, Type::UUID),
        (&owner.as_bytes(), Type::BYTEA),
        (&title, Type::TEXT),
    ];
    let rows = database.query(&RENAME, &parameters).await?;
    Ok(rows.first().map(|row| thread_of(row, 0)))
}

/// Deletes a conversation with all that belongs to it; deleting one that the reader has not is
/// fine.
///
/// # Errors
///
/// When the database fails.
pub async fn delete(database: &Database, owner: &Owner, thread: Uuid) -> Result<(), Error> {
    let parameters: [Parameter<'_>; 2] = [(&thread, Type::UUID), (&owner.as_bytes(), Type::BYTEA)];
    database.query(&DELETE, &parameters).await?;
    Ok(())
}

/// Stores what a reader thinks of items, of which the widget names also those that were never
/// stored; whether the reader has a conversation of this id.
///
/// # Errors
///
/// When the database fails.
pub async fn judge(
    database: &Database,
    owner: &Owner,
    thread: Uuid,
    items: &[String],
    kind: &str,
) -> Result<bool, Error> {
    let parameters: [Parameter<'_>; 4] = [
        (&thread, Type::UUID),
        (&owner.as_bytes(), Type::BYTEA),
        (&items, Type::TEXT_ARRAY),
        (&kind, Type::TEXT),
    ];
    let rows = database.query(&JUDGE, &parameters).await?;
    Ok(!rows.is_empty())
}

fn thread_of(row: &Row, at: usize) -> Thread {
    Thread {
        id: row.get(at),
        created_at: row.get(at + 1),
        title: row.get(at + 2),
    }
}
