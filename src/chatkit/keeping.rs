//! ChatKit's requests other than turns: threads read, listed, renamed, deleted, and items judged.

use http::StatusCode;
use serde_json::Value;

use super::show;
use super::wire::{self, Empty, Item, Order, Page, Paging, Thread};
use super::{Asked, conversation, parse};
use crate::app::Reading;
use crate::error::Failure;
use crate::http::{Reply, json};
use crate::session;
use crate::session::owned::{self, Conversation, Found, Part};

/// The page size for a client that names none, and the largest that any client gets.
const PAGE: u8 = 20;
const MAX_PAGE: u8 = 100;

/// The longest title that a reader may give, in characters.
const MAX_TITLE_CHARS: usize = 200;

/// The most items that one request judges, and the longest id, in characters.
const MAX_JUDGED: usize = 100;
const MAX_ID_CHARS: usize = 100;

impl Asked {
    /// The database, for a request that is no turn.
    pub(super) fn database(&self) -> Result<Reading<'_>, Failure> {
        self.app.ready()?.reading(self.call.address)
    }

    pub(super) async fn get_by_id(self, params: Value) -> Result<Reply, Failure> {
        let wire::ThreadId { thread_id } = parse(params)?;
        let whole = Part {
            limit: PAGE,
            descending: false,
            after: None,
        };
        let (found, items) = self.read(&thread_id, whole).await?;
        let thread = Thread {
            items,
            ..show::thread(found)
        };
        Ok(json(StatusCode::OK, &thread))
    }

    pub(super) async fn list_items(self, params: Value) -> Result<Reply, Failure> {
        let wire::ListItems { thread_id, paging } = parse(params)?;
        let (_, items) = self.read(&thread_id, part(paging)?).await?;
        Ok(json(StatusCode::OK, &items))
    }

    pub(super) async fn list_threads(self, params: Value) -> Result<Reply, Failure> {
        let wire::ListThreads { paging } = parse(params)?;
        let part = part(paging)?;
        let Some(reader) = self.reader else {
            return match part.after {
                None => Ok(json(StatusCode::OK, &show::no_more::<Thread>())),
                Some(_) => Err(unknown_cursor()),
            };
        };
        let database = self.database()?;
        let found = there(owned::list(&database, &reader, part).await?)?;
        let threads = found.rows.into_iter().map(show::thread).collect();
        let threads = show::page(threads, found.has_more, |thread: &Thread| thread.id);
        Ok(json(StatusCode::OK, &threads))
    }

    pub(super) async fn update(self, params: Value) -> Result<Reply, Failure> {
        let wire::Update { thread_id, title } = parse(params)?;
        let title = title.trim();
        if title.is_empty() || title.chars().count() > MAX_TITLE_CHARS || title.contains('\0') {
            let message = format!("must be 1 to {MAX_TITLE_CHARS} characters, without NUL");
            return Err(Failure::wrong("title", message));
        }
        let (reader, id) = (self.reader()?, conversation(&thread_id)?);
        let database = self.database()?;
        let renamed = owned::rename(&database, &reader, id, title).await?;
        let renamed = renamed.ok_or_else(Failure::no_conversation)?;
        Ok(json(StatusCode::OK, &show::thread(renamed)))
    }

    pub(super) async fn delete(self, params: Value) -> Result<Reply, Failure> {
        let wire::ThreadId { thread_id } = parse(params)?;
        if let (Some(reader), Ok(id)) = (self.reader, thread_id.parse()) {
            owned::delete(&*self.database()?, &reader, id).await?;
        }
        Ok(json(StatusCode::OK, &Empty {}))
    }

    pub(super) async fn feedback(self, params: Value) -> Result<Reply, Failure> {
        let feedback: wire::Feedback = parse(params)?;
        let items = &feedback.item_ids;
        let long = |id: &String| id.chars().count() > MAX_ID_CHARS || id.contains('\0');
        if items.len() > MAX_JUDGED || items.iter().any(long) {
            let message = format!(
                "must be at most {MAX_JUDGED} ids of at most {MAX_ID_CHARS} characters, without NUL"
            );
            return Err(Failure::wrong("item_ids", message));
        }
        let (reader, id) = (self.reader()?, conversation(&feedback.thread_id)?);
        let database = self.database()?;
        if session::judge_items(&database, &reader, id, items, feedback.kind).await? {
            Ok(json(StatusCode::OK, &Empty {}))
        } else {
            Err(Failure::no_conversation())
        }
    }

    async fn read(
        &self,
        thread_id: &str,
        part: Part,
    ) -> Result<(Conversation, Page<Item>), Failure> {
        let (reader, id) = (self.reader()?, conversation(thread_id)?);
        let database = self.database()?;
        let (found, messages) = there(owned::read(&database, &reader, id, part).await?)?;
        let items = messages.rows.into_iter().map(|row| show::item(id, row));
        Ok((
            found,
            show::page(items.collect(), messages.has_more, Item::id),
        ))
    }
}

fn there<T>(found: Found<T>) -> Result<T, Failure> {
    match found {
        Found::There(found) => Ok(found),
        Found::UnknownCursor => Err(unknown_cursor()),
        Found::NoConversation => Err(Failure::no_conversation()),
    }
}

fn part(paging: Paging) -> Result<Part, Failure> {
    let limit = match paging.limit {
        Some(limit) if limit.fract() != 0.0 => {
            return Err(Failure::wrong("limit", "must be an integer"));
        }
        Some(limit) if limit > 0.0 => {
            // The widget asks for 9,999 threads: it gets a page, and is told that there are more.
            let limit = limit.min(MAX_PAGE.into());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an integer from 1 to 100"
            )]
            let limit = limit as u8;
            limit
        }
        _ => PAGE,
    };
    Ok(Part {
        limit,
        descending: paging.order != Some(Order::Asc),
        // An id that is not one of ours becomes the nil UUID, which no entry has.
        after: paging.after.map(|id| id.parse().unwrap_or_default()),
    })
}

fn unknown_cursor() -> Failure {
    Failure::wrong("after", "is not an entry of this list")
}
