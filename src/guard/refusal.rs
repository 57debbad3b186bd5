//! A refusal: whom it holds for, which limit it is, and the sentence that a reader gets.

use std::time::Duration;

use uuid::Uuid;

use crate::error::{Code, Failure};
use crate::pseudonym::Network;
use crate::reader::Reader;

/// Whom a refusal holds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A network, by its hash of the day.
    Network(Network),
    /// A conversation as this reader has it. For others it may be an unknown one, and what is
    /// remembered of it is not for them.
    Conversation(Uuid, Option<Reader>),
    /// Everybody: the day's budget.
    Everybody,
}

/// A refusal, and why: one sentence for people each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The network asks faster than its pace.
    NetworkPace,
    /// The network has asked enough for a day.
    NetworkDay,
    /// The conversation asks faster than its pace.
    ConversationPace,
    /// The day's money is spent.
    Budget,
}

impl Refusal {
    /// The answer to the client.
    #[must_use]
    pub fn failure(self, wait: Duration) -> Failure {
        let (code, message) = match self {
            Self::NetworkPace => (
                Code::RateLimited,
                "Too many questions come from your network right now. Please try again in a moment.",
            ),
            Self::NetworkDay => (
                Code::RateLimited,
                "Your network has used up its questions for today. Please come back tomorrow.",
            ),
            Self::ConversationPace => (
                Code::RateLimited,
                "That was fast. Please wait a moment before your next question.",
            ),
            Self::Budget => (
                Code::BudgetExhausted,
                "The assistant has answered all it can for now. Please come back later.",
            ),
        };
        Failure::new(code, message).retry_after(wait)
    }
}
