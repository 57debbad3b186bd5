//! The conversation store: what a reader asked and what was answered, in order.
//!
//! A turn has one statement before the model ([`begin`]) and one after ([`finish`]), each a
//! single round trip and each safe to run twice, for every id comes from here. They are calls of
//! functions of the database, in `migrations/`. Beside the turn: [`read`] a conversation,
//! [`forget`] it; what a reader does with conversations of their own is in [`thread`].
//!
//! It never speaks to the model and never decides what an answer is.

use std::time::Instant;

use chrono::{DateTime, NaiveDate, SubsecRound, Utc};
use uuid::{NoContext, Timestamp, Uuid};

mod begin;
mod end;
mod page;
pub mod thread;

pub use begin::{Asked, Begun, InThread, begin};
pub use end::{fail, finish, refuse};
pub use page::{Message, forget, read};

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
    /// When the conversation began, by the database's clock.
    pub session_created_at: DateTime<Utc>,
    /// When the question was stored, by the database's clock.
    pub question_created_at: DateTime<Utc>,
    /// When the turn began: by the database's clock, and by ours.
    begun: (DateTime<Utc>, Instant),
    /// The last message that a retried question's new answer replaces, by its `seq`.
    replaces: Option<i64>,
    reservation: Reservation,
}

impl Turn {
    /// The time by the database's clock, as near as ours can tell, in the whole microseconds that
    /// the database keeps.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let (at, instant) = self.begun;
        (at + instant.elapsed()).trunc_subsecs(6)
    }

    /// Whether its question was stored and answered before.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        self.replaces.is_some()
    }
}

/// What a turn may cost at the most, taken from the day's budget in advance.
#[derive(Debug, Clone, Copy)]
struct Reservation {
    day: NaiveDate,
    shard: i16,
    nanos: i64,
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
    /// The reader stopped it before it was whole.
    pub cancelled: bool,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The reader.
    User,
    /// The model.
    Assistant,
}

impl Author {
    /// By the role as the database has it.
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

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and who knows a session's id can read it: it must not be a neighbour's
/// id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
