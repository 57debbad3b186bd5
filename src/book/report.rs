//! What an indexing reports: how far it is, what it has done, or why it has failed.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::embed::{self, Embedded};
use super::pages::{self, Problem, Skip};
use crate::database;

/// How far an indexing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Pages that were read.
    Read(usize),
    /// Texts that were embedded, and how many there are.
    Embedded(u64, u64),
}

/// What an indexing has done.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The index is as the book is. Otherwise time ran out, and the next indexing goes on.
    pub done: bool,
    /// Pages that could not be asked for yet.
    pub left: usize,
    /// Pages in the index.
    pub pages: u64,
    /// Pieces in the index.
    pub chunks: u64,
    /// Pages that were not there before.
    pub new: usize,
    /// Pages that have changed, as far as this indexing has read them.
    pub changed: usize,
    /// Pages that are no longer there.
    pub gone: usize,
    /// Texts that were embedded.
    pub embedded: u64,
    /// Requests for embeddings.
    pub embedding_calls: u64,
    /// Tokens that these took.
    pub tokens: u64,
    /// Pages that give nothing, and why.
    pub skipped: Vec<(String, Skip)>,
    /// Pages that could not be read; what was known of them stays.
    pub problems: Vec<Problem>,
    /// What the owner should know about it.
    pub warning: Option<String>,
}

/// Why there is no new version.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database.
    #[error(transparent)]
    Database(#[from] database::Error),
    /// The book cannot be read, or should not be put in place.
    #[error(transparent)]
    Pages(#[from] pages::Error),
    /// Embedding it costs too much.
    #[error(transparent)]
    Embed(#[from] embed::Error),
    /// Another indexing is at work.
    #[error(
        "another indexing of this book is at work; if it has died, try again after {} UTC",
        .0.format("%H:%M:%S")
    )]
    Busy(DateTime<Utc>),
    /// Another indexing has taken over, because this one did not renew its lease in time.
    #[error("another indexing of this book has taken over")]
    TakenOver,
    /// Much of the book is gone.
    #[error(
        "the book has only {now} pieces of text left, of {before}: the index stays as it is. If that \
         is right, say so (--accept-loss, or ?accept_loss=1)"
    )]
    Lost {
        /// Chunks of the version in use.
        before: u64,
        /// Chunks of the new one.
        now: u64,
    },
}

/// The pages of each reason, in the order in which they were met: a site that dies gives the same one
/// for hundreds.
#[must_use]
pub fn by_reason(problems: &[Problem]) -> Vec<(&str, Vec<&str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Problem { url, reason } in problems {
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, urls)) => urls.push(url),
            None => reasons.push((reason, vec![url])),
        }
    }
    reasons
}

impl Report {
    pub(super) fn embed(&mut self, embedded: Embedded) {
        self.embedded = embedded.texts;
        self.embedding_calls = embedded.calls;
        self.tokens = embedded.tokens;
        self.warning = embedded.warning;
        self.left += usize::from(embedded.left > 0);
    }
}
