//! What a turn is known by before the database has said anything.

use std::time::Instant;

use chrono::Utc;
use uuid::Uuid;

use super::begin::Ask;
use super::{Turn, new_id};

/// The day's spending is spread over this many rows: turns would queue for a single one.
const SHARDS: u8 = 16;

/// What a turn may create and where it is charged; the same each time that its statement runs.
pub(super) struct Ids {
    pub(super) conversation: Uuid,
    pub(super) question: Uuid,
    pub(super) answer: Uuid,
    pub(super) shard: i16,
}

impl Ids {
    pub(super) fn new() -> Self {
        Self {
            conversation: new_id(),
            question: new_id(),
            answer: new_id(),
            shard: i16::from(rand::random::<u8>() % SHARDS),
        }
    }

    /// The turn as far as it is known without the database.
    pub(super) fn turn(&self, ask: &Ask, worst_cost: i64) -> Turn {
        let now = Utc::now();
        Turn {
            conversation: ask.question.conversation.unwrap_or(self.conversation),
            question_id: ask.retried.unwrap_or(self.question),
            answer_id: self.answer,
            history: Vec::new(),
            conversation_created_at: now,
            question_created_at: now,
            clock: (now, Instant::now()),
            replaces: None,
            reserved: worst_cost,
        }
    }
}
