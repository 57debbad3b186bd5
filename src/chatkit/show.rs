//! What is stored, as ChatKit's objects.
//!
//! Pure.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::wire::{Content, Empty, Item, OutputText, Page, Status, Thread};
use crate::session::Author;
use crate::session::owned::{Conversation, Message};
use crate::time::timestamp;

impl Item {
    pub(super) fn id(&self) -> Uuid {
        match self {
            Self::UserMessage { id, .. } | Self::AssistantMessage { id, .. } => *id,
        }
    }
}

pub(super) fn thread(row: Conversation) -> Thread {
    Thread {
        title: row.title,
        id: row.id,
        created_at: timestamp(row.created_at),
        status: Status::Active,
        metadata: Empty {},
        items: no_more(),
    }
}

pub(super) fn item(thread_id: Uuid, row: Message) -> Item {
    if row.author == Author::Assistant {
        return answer(row.id, thread_id, row.created_at, Some(row.content));
    }
    let parts = row.parts.and_then(|json| serde_json::from_str(&json).ok());
    let options = row
        .options
        .and_then(|json| serde_json::from_str(&json).ok());
    Item::UserMessage {
        id: row.id,
        thread_id,
        created_at: timestamp(row.created_at),
        content: parts.unwrap_or_else(|| vec![Content::InputText { text: row.content }]),
        attachments: [],
        quoted_text: row.selected_text,
        inference_options: options.unwrap_or_default(),
    }
}

/// An answer, which has no text yet when it has just begun.
pub(super) fn answer(id: Uuid, thread_id: Uuid, at: DateTime<Utc>, text: Option<String>) -> Item {
    Item::AssistantMessage {
        id,
        thread_id,
        created_at: timestamp(at),
        content: text.map(output).into_iter().collect(),
    }
}

pub(super) fn output<'a>(text: impl Into<Cow<'a, str>>) -> OutputText<'a> {
    OutputText {
        annotations: [],
        text: text.into(),
    }
}

pub(super) fn page<T>(data: Vec<T>, has_more: bool, id: fn(&T) -> Uuid) -> Page<T> {
    let after = data.last().filter(|_| has_more).map(id);
    Page {
        data,
        has_more,
        after,
    }
}

pub(super) fn no_more<T>() -> Page<T> {
    Page {
        data: Vec::new(),
        has_more: false,
        after: None,
    }
}
