//! The conversation store: what readers asked and what was answered, in order.
//!
//! A turn has one statement before the model ([`begin`]) and one after ([`finish`]), each a single
//! round trip and each safe to run twice, because every id comes from here. They call functions of
//! the database, whose text is `turn.sql`. A turn whose reader has left also asks whether it
//! [`is_called_off`]. Besides the turn: [`stop`] an answer, [`read`] a conversation, [`forget`] it,
//! [`judge_answer`]; what readers do with conversations of their own is in [`owned`].
//!
//! The tables and the contract call a conversation a session, ChatKit calls it a thread. The store
//! never speaks to the model and knows no settings: what a turn may cost is passed in.

use std::time::Instant;

use chrono::{DateTime, SubsecRound, Utc};
use tokio_postgres::Row;
use uuid::{NoContext, Timestamp, Uuid};

use crate::citation::Citations;

mod begin;
pub mod costs;
mod end;
mod ids;
mod judging;
mod keeping;
pub mod owned;
mod stop;

pub use begin::{Ask, Outcome, Stored, begin};
pub use end::{Ended, Finished, fail, finish, refuse};
pub use judging::{Feedback, judge_answer, judge_items};
pub use keeping::{Message, forget, read};
pub use stop::{is_called_off, stop};

/// What a turn does to the tables, as functions of the database; `{turn}` stands for their schema.
pub const FUNCTIONS: &str = include_str!("session/turn.sql");

/// A turn whose question is stored.
#[derive(Debug)]
pub struct Turn {
    /// The conversation; new if the one that the reader named is unknown.
    pub conversation: Uuid,
    /// The stored question.
    pub question_id: Uuid,
    /// The answer, once it is stored.
    pub answer_id: Uuid,
    /// The messages before the question, oldest first.
    pub history: Vec<PastMessage>,
    /// When the conversation began, by the database's clock.
    pub conversation_created_at: DateTime<Utc>,
    /// When the question was stored, by the database's clock.
    pub question_created_at: DateTime<Utc>,
    /// When the turn began: by the database's clock, and by ours.
    clock: (DateTime<Utc>, Instant),
    /// The `seq` of the last message that the new answer to a retried question replaces.
    replaces: Option<i64>,
    reserved: i64,
}

impl Turn {
    /// What it may cost at most, which is reserved until it ends, in billionths of a dollar.
    #[must_use]
    pub fn reserved(&self) -> i64 {
        self.reserved
    }

    /// The time by the database's clock, as near as ours can tell, in the whole microseconds that
    /// the database keeps.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let (at, instant) = self.clock;
        (at + instant.elapsed()).trunc_subsecs(6)
    }

    /// Whether its question was stored before, and is answered once more.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.replaces.is_some()
    }
}

/// A message of the conversation's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// Its author.
    pub author: Author,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
    /// It was cut short before it was whole.
    pub cancelled: bool,
}

/// The author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The reader.
    User,
    /// The model.
    Assistant,
}

impl Author {
    /// The author that the database names by this role.
    fn of(role: &str) -> Self {
        match role {
            "assistant" => Self::Assistant,
            _ => Self::User,
        }
    }
}

/// An answer that was stored before.
#[derive(Debug)]
pub struct StoredAnswer {
    /// The message.
    pub id: Uuid,
    /// The conversation.
    pub conversation: Uuid,
    /// The text.
    pub content: String,
    /// What it cites.
    pub citations: Option<Citations>,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
}

/// Whether an answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The model had finished it.
    Complete,
    /// It was cut short: the reader left or was too slow, or the instance was stopped.
    Cancelled,
}

/// What a stored answer cites; what is stored in another form counts as nothing.
fn citations(row: &Row) -> Option<Citations> {
    serde_json::from_str(row.get::<_, Option<&str>>("citations")?).ok()
}

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and knowing a conversation's id is enough to read it: it must not be a
/// neighbour's id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
