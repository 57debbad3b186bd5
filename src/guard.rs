//! What may be spent: the limits, what a turn costs, and an instance's memory of refusals.
//!
//! The decision itself is part of the statement that begins a turn (`begin_turn` in
//! `migrations/`), so that it holds across instances. In front of it stands this memory: who was
//! refused is refused again until the time is over, without any SQL, and an instance that is full
//! says so at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::error::{Code, Failure};
use crate::reader::Owner;

/// Refusals that are remembered at the most; about 112 bytes each.
const MAX_REFUSALS: usize = 16 * 1024;

/// How long an instance takes the day's budget for spent without looking again.
const BUDGET_MEMORY: Duration = Duration::from_secs(5);

/// What a full instance asks its clients to wait.
const OVERLOADED_WAIT: Duration = Duration::from_secs(2);

/// The limits; a zero switches one off.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Questions of a network at once (`RATE_LIMIT_NETWORK_BURST`): a classroom shares one.
    pub network_burst: u32,
    /// Questions of a network a minute, in the long run (`RATE_LIMIT_NETWORK_PER_MINUTE`).
    pub network_per_minute: u32,
    /// Questions of a network a day, in UTC (`RATE_LIMIT_NETWORK_PER_DAY`).
    pub network_per_day: u32,
    /// Questions in a conversation a minute (`RATE_LIMIT_CONVERSATION_PER_MINUTE`).
    pub conversation_per_minute: u32,
    /// Billionths of a dollar a day, in UTC (`DAILY_BUDGET_USD`).
    pub daily_budget: i64,
    /// Turns that an instance runs at once (`MAX_TURNS_IN_FLIGHT`).
    pub turns_in_flight: usize,
}

/// What the model costs, in billionths of a dollar a token: a thousandth of the price in dollars
/// a million tokens, which is how providers name it.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    /// A token of the prompt (`PRICE_INPUT_USD_PER_MILLION`).
    pub input: i64,
    /// A token of the answer (`PRICE_OUTPUT_USD_PER_MILLION`).
    pub output: i64,
}

impl Prices {
    /// What these tokens cost.
    #[must_use]
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let tokens = |count| i64::try_from(count).unwrap_or(i64::MAX);
        let input = self.input.saturating_mul(tokens(input_tokens));
        input.saturating_add(self.output.saturating_mul(tokens(output_tokens)))
    }
}

/// Who is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A network, by its hash of the day.
    Network([u8; 16]),
    /// A conversation of this reader's. For others it may be an unknown one, and what is remembered
    /// of it is not for them.
    Conversation(Uuid, Option<Owner>),
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

/// An instance's memory.
#[derive(Debug, Default)]
pub struct Guard {
    refusals: Mutex<HashMap<Subject, Remembered>>,
    in_flight: Arc<AtomicUsize>,
}

/// A refusal that is remembered.
#[derive(Debug, Clone, Copy)]
struct Remembered {
    refusal: Refusal,
    /// Until then it is taken for granted.
    until: Instant,
    /// Until then it is told to last.
    ends: Instant,
}

/// A place among the turns of an instance; dropping it makes room.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Guard {
    /// A place for a turn.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` when the instance runs as many as it may (`limit`, 0: any number).
    pub fn enter(&self, limit: usize) -> Result<Place, Failure> {
        let place = Place(Arc::clone(&self.in_flight));
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        if limit > 0 && before >= limit {
            let message = "Many readers are asking right now. Please try again in a few seconds.";
            return Err(Failure::new(Code::Overloaded, message).retry_after(OVERLOADED_WAIT));
        }
        Ok(place)
    }

    /// Refuses who was refused before, until the time is over.
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

    /// Remembers a refusal; that of the budget only for a moment, for it holds for everybody, and
    /// what is reserved now may be settled soon.
    pub fn remember(&self, subject: Subject, refusal: Refusal, wait: Duration) {
        let now = Instant::now();
        let memory = match refusal {
            Refusal::Budget => wait.min(BUDGET_MEMORY),
            _ => wait,
        };
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() >= MAX_REFUSALS {
            refusals.retain(|_, it| it.until > now);
            // All of them still hold: forget them, and let the database say it once more.
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

    #[tokio::test(start_paused = true)]
    async fn who_was_refused_is_refused_until_the_time_is_over() {
        let guard = Guard::default();
        let me = Subject::Network([1; 16]);
        let other = Subject::Network([2; 16]);
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
            guard.remember(Subject::Network(network), Refusal::NetworkDay, wait);
        }
        assert!(guard.refusals.lock().unwrap().len() <= MAX_REFUSALS);
    }

    #[test]
    fn a_full_instance_says_so_and_has_room_again_when_a_turn_ends() {
        let guard = Guard::default();
        let first = guard.enter(2).unwrap();
        let _second = guard.enter(2).unwrap();
        assert_eq!(guard.enter(2).unwrap_err().code, Code::Overloaded);
        drop(first);
        assert!(guard.enter(2).is_ok());
        assert!((0..100).all(|_| guard.enter(0).is_ok()));
    }

    #[test]
    fn prices_are_counted_in_billionths_of_a_dollar() {
        let prices = Prices {
            input: 750,
            output: 4_500,
        };
        assert_eq!(prices.cost(1_000_000, 0), 750_000_000);
        assert_eq!(prices.cost(42, 7), 42 * 750 + 7 * 4_500);
    }
}
