//! The conversation store: what a reader asked and what was answered, in order.
//!
//! A turn has one statement before the model ([`begin`]) and one after ([`finish`]), each a
//! single round trip and each safe to run twice, for every id comes from here. They are calls of
//! functions of the database, in `migrations/`. Beside the turn: [`read`] a conversation,
//! [`forget`] it.
//!
//! It never speaks to the model and never decides what an answer is.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::{NoContext, Timestamp, Uuid};

mod begin;
mod end;
mod page;

pub use begin::{Asked, Begun, begin};
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
    reservation: Reservation,
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

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and who knows a session's id can read it: it must not be a neighbour's
/// id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
