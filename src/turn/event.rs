//! What a turn tells those who report it to a reader.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::citation::Source;
use crate::error::Failure;
use crate::llm::Usage;
use crate::session::Turn;

/// What happens in a turn, in this order: `QuestionStored` unless the answer is a replay,
/// `AnswerBegan`, `Text` once or more with `Cited` between them, `AnswerStored`. `Failed` may come instead of any of them, and
/// is then the last.
#[derive(Debug)]
pub enum Event {
    /// The question is stored; the model is being asked. Times are the database's.
    QuestionStored {
        /// The conversation.
        conversation: Uuid,
        /// When that began.
        conversation_created_at: DateTime<Utc>,
        /// The question.
        question_id: Uuid,
        /// When it was stored.
        question_created_at: DateTime<Utc>,
    },
    /// The first piece of the answer is there.
    AnswerBegan {
        /// The conversation.
        conversation: Uuid,
        /// The answer that will be stored.
        answer_id: Uuid,
        /// When it began, by the database's clock.
        began_at: DateTime<Utc>,
    },
    /// The next piece of the answer, never empty.
    Text(String),
    /// A section of the book is cited here.
    Cited(Source),
    /// The answer is whole and stored.
    AnswerStored {
        /// The answer's time, by the database's clock: when it was stored or, in a reader's own
        /// conversation, when it began.
        stored_at: DateTime<Utc>,
        /// Why the model stopped, in its provider's words; `stop` for a replayed answer.
        finish_reason: String,
        /// What the answer used, if it is known.
        usage: Option<Usage>,
        /// What it cites, in the order of the ids; `None` if the book was not searched for it.
        sources: Option<Vec<Source>>,
    },
    /// The turn failed; this is logged, and no whole answer is stored.
    Failed(Failure),
}

impl Event {
    pub(super) fn question_stored(turn: &Turn) -> Self {
        Self::QuestionStored {
            conversation: turn.conversation,
            conversation_created_at: turn.conversation_created_at,
            question_id: turn.question_id,
            question_created_at: turn.question_created_at,
        }
    }
}
