//! What may be asked and spent: the terms of a turn, its refusals, and an instance's memory of
//! them.
//!
//! The decision itself is part of the statement that begins a turn (`session/turn.sql`), so that it
//! holds across instances. The memory stands in front of it: whatever was refused is refused again
//! until its time is over, without any SQL, and an instance that is full says so at once (`places`).

mod answering;
mod limits;
pub mod places;
mod reads;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::error::Failure;
use crate::idempotency::Key;
use crate::pseudonym::Network;
use crate::reader::Reader;
use answering::Requests;

pub use answering::Answering;
pub use limits::{Pace, Refusal, Scope, Terms};
pub use places::{Places, ReadPlace, TurnPlace};
pub use reads::Reads;

/// The most refusals that are remembered, of about 112 bytes each.
const MAX_REFUSALS: usize = 16 * 1024;

/// How long an instance assumes that the day's budget is spent before it asks again.
const BUDGET_MEMORY: Duration = Duration::from_secs(5);

/// Whom a refusal applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A network, by its hash of the day.
    Network(Network),
    /// A conversation as this reader knows it. To others it may be unknown, and what is remembered
    /// about it does not apply to them.
    Conversation(Uuid, Option<Reader>),
    /// Everybody: the day's budget.
    Everybody,
}

/// An instance's memory.
#[derive(Debug, Default)]
pub struct Guard {
    refusals: Mutex<HashMap<Subject, Remembered>>,
    requests: Requests,
    places: Places,
    connections_per_turn: usize,
}

/// A refusal that is remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    refusal: Refusal,
    /// Until then it is repeated without asking the database.
    until: Instant,
    /// When it ends, as readers are told.
    ends: Instant,
}

impl Guard {
    /// The guard of an instance with these places, each of whose turns opens so many connections.
    #[must_use]
    pub fn new(places: Places, connections_per_turn: usize) -> Self {
        Self {
            refusals: Mutex::default(),
            requests: Requests::default(),
            places,
            connections_per_turn,
        }
    }

    /// A place for a turn.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` when the instance runs as many as it may: `limit` (0: no bound of its own),
    /// or what its descriptors allow.
    pub fn enter(&self, limit: usize) -> Result<TurnPlace, Failure> {
        self.places.turn(limit, self.connections_per_turn)
    }

    /// Notes that the request with this key is being answered.
    pub fn answering<'a>(&'a self, key: &'a Key) -> Answering<'a> {
        self.requests.begin(key)
    }

    /// Whether this instance is answering the request with this key.
    #[must_use]
    pub fn is_answering(&self, key: &Key) -> bool {
        self.requests.have(key)
    }

    /// Refuses again until the remembered wait has passed.
    ///
    /// # Errors
    ///
    /// The same refusal, with the rest of its wait.
    pub fn check(&self, subjects: impl IntoIterator<Item = Subject>) -> Result<(), Failure> {
        let now = Instant::now();
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            match refusals.get(&subject) {
                Some(it) if it.until > now => return Err(it.refusal.failure(it.ends - now)),
                Some(_) => drop(refusals.remove(&subject)),
                None => {}
            }
        }
        Ok(())
    }

    /// Remembers a refusal; one of the budget only for a moment, because it applies to everybody,
    /// and what is reserved now may be settled soon.
    pub fn remember(&self, subject: Subject, refusal: Refusal, wait: Duration) {
        let now = Instant::now();
        let memory = match refusal {
            Refusal::Budget => wait.min(BUDGET_MEMORY),
            _ => wait,
        };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MAX_REFUSALS {
            refusals.retain(|_, it| it.until > now);
            // All of them still hold: forget them, and let the database decide again.
            if refusals.len() >= MAX_REFUSALS {
                refusals.clear();
            }
        }
        let remembered = Remembered {
            refusal,
            until: now + memory,
            ends: now + wait,
        };
        refusals.insert(subject, remembered);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_is_refused_until_the_time_is_over() {
        let guard = Guard::default();
        let me = Subject::Network(Network([1; 16]));
        let other = Subject::Network(Network([2; 16]));
        guard.remember(me, Refusal::NetworkPace, Duration::from_millis(2_500));
        let failure = guard.check([other, me]).unwrap_err();
        assert_eq!(failure.code, Code::RateLimited);
        assert_eq!(failure.retry_after_seconds(), Some(3));
        assert!(guard.check([other]).is_ok());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(guard.check([me]).is_ok());
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let guard = Guard::default();
        for i in 0..3 * u32::try_from(MAX_REFUSALS).unwrap() {
            let mut network = [0; 16];
            network[..4].copy_from_slice(&i.to_be_bytes());
            let wait = Duration::from_secs(100);
            guard.remember(
                Subject::Network(Network(network)),
                Refusal::NetworkDay,
                wait,
            );
        }
        assert!(guard.refusals.lock().unwrap().len() <= MAX_REFUSALS);
    }
}
