//! What is stored, as ChatKit's objects.
//!
//! Pure.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::wire::{Annotation, Cited, Content, Empty, Item, OutputText, Page, Status, Thread};
use crate::citation::{Citations, Source};
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
        let annotations = row.citations.as_ref().map(annotations);
        let output = output(row.content, annotations.unwrap_or_default());
        return answer(row.id, thread_id, row.created_at, Some(output));
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
pub(super) fn answer(
    id: Uuid,
    thread_id: Uuid,
    at: DateTime<Utc>,
    output: Option<OutputText<'static>>,
) -> Item {
    Item::AssistantMessage {
        id,
        thread_id,
        created_at: timestamp(at),
        content: output.into_iter().collect(),
    }
}

pub(super) fn output<'a>(
    text: impl Into<Cow<'a, str>>,
    annotations: Vec<Annotation>,
) -> OutputText<'a> {
    OutputText {
        annotations,
        text: text.into(),
    }
}

/// A source that is cited after so many characters.
pub(super) fn annotation(source: &Source, index: usize) -> Annotation {
    Annotation {
        source: Cited {
            title: source.title.clone(),
            description: source.section.clone(),
            url: source.url.clone(),
        },
        index,
    }
}

fn annotations(citations: &Citations) -> Vec<Annotation> {
    let sources = &citations.sources;
    let marks = citations.marks.iter().filter_map(|mark| {
        let source = sources.iter().find(|source| source.id == mark.source)?;
        Some(annotation(source, mark.at))
    });
    marks.collect()
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
