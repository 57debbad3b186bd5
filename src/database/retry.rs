//! When a statement is tried again: the one place that decides it. It knows no connection.
//!
//! Every statement is safe to run twice, and has the time of connecting and of one statement in all.

use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::{Error, Rank};
use crate::config::DatabaseSettings;

/// How long a turn that is to begin waits for a database to which no connection can be made. A
/// restart takes one to three seconds; a reader who is told after three that the database is gone
/// has not waited longer than for a model's first words, and nothing is lost yet.
const RESTART: Duration = Duration::from_secs(3);

/// Between two tries while the database cannot be had: 100 to 250 ms, at random, so that the
/// statements of all instances do not come back at the same moment.
const PAUSE: Duration = Duration::from_millis(100);
const SPREAD: Duration = Duration::from_millis(150);

/// Between two tries while somebody else has locked what the statement wants. It has just waited for
/// it, and gives the connection to others.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);

/// With less time than this, another try would only fail.
const WORTHWHILE: Duration = Duration::from_millis(50);

/// Why one try of a statement has failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection is dead; nobody knows whether the statement has run.
    Died(String),
    /// Nothing came back in a statement's time: the connection is silent, or the statement slow.
    TimedOut,
    /// The statement waited behind another one that got stuck.
    HeldUp,
    /// What it wants is locked: the server has undone it.
    Locked(SqlState, String),
    /// No place on a connection became free in time.
    Busy,
    /// No connection can be made now, which may pass: the database restarts, or is full.
    Away(String),
    /// Another try would fail in the same way.
    Final(Error),
}

/// What is to be done after a try that has failed.
#[derive(Debug)]
pub(super) enum Next {
    /// Try again after this time.
    Again(Duration),
    GiveUp(Error),
}

/// The tries of one statement.
#[derive(Debug)]
pub(super) struct Tries {
    name: &'static str,
    rank: Rank,
    deadline: Instant,
    /// How often it may have reached the server without a reply. A statement that brings its server
    /// down must not do so for as long as there is time.
    unanswered: u32,
    /// No connection could be made since.
    away_since: Option<Instant>,
    /// That it may have run matters more than what has kept it from running again.
    unsure: Option<Error>,
}

impl Tries {
    pub(super) fn new(name: &'static str, rank: Rank, settings: &DatabaseSettings) -> Self {
        Self {
            name,
            rank,
            deadline: Instant::now() + settings.connect_timeout + settings.statement_timeout,
            unanswered: 0,
            away_since: None,
            unsure: None,
        }
    }

    /// By when all of them must have ended.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Decides what follows a try that began at `began`.
    ///
    /// A try may take all of a statement's time: a slow statement must not fail because it might
    /// have been faster elsewhere. The time for connecting is then left for another try, and no
    /// connection takes that long unless the database has to wake up.
    pub(super) fn after(&mut self, fault: Fault, began: Instant) -> Next {
        let (again, error) = match fault {
            Fault::Died(reason) => {
                let error = Error::Statement {
                    statement: self.name,
                    code: None,
                    reason,
                };
                let pause = if self.unanswered == 0 {
                    Duration::ZERO
                } else {
                    pause()
                };
                (self.unanswered(self.runs()).then_some(pause), error)
            }
            Fault::TimedOut => {
                let runs = if self.rank == Rank::Aside {
                    1
                } else {
                    self.runs()
                };
                let again = self.unanswered(runs).then_some(Duration::ZERO);
                (again, Error::StatementTimeout(self.name))
            }
            Fault::HeldUp => (Some(Duration::ZERO), Error::StatementTimeout(self.name)),
            Fault::Locked(code, reason) => {
                let error = Error::Statement {
                    statement: self.name,
                    code: Some(code),
                    reason,
                };
                (Some(LOCKED_PAUSE), error)
            }
            Fault::Busy => {
                let again = (self.rank == Rank::End).then(pause);
                (
                    again,
                    Error::NoConnection("the pool was busy for too long".into()),
                )
            }
            Fault::Away(reason) => {
                let since = *self.away_since.get_or_insert(began);
                let patient = match self.rank {
                    Rank::End => true,
                    Rank::Begin => since.elapsed() < RESTART,
                    // A page asks again more cheaply than it waits, and a crowd of them must not pile
                    // up here.
                    Rank::Other | Rank::Aside => false,
                };
                (patient.then(pause), Error::NoConnection(reason))
            }
            // Also if it may have run before: what the server says is about the whole.
            Fault::Final(error) => return Next::GiveUp(error),
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        match again {
            Some(pause) if left > pause + WORTHWHILE => {
                if error.is_unsure() {
                    self.unsure = Some(error);
                }
                Next::Again(pause)
            }
            _ if error.is_unsure() => Next::GiveUp(error),
            _ => Next::GiveUp(self.unsure.take().unwrap_or(error)),
        }
    }

    /// How often a statement of this rank may reach the server without a reply.
    fn runs(&self) -> u32 {
        if self.rank == Rank::End { 3 } else { 2 }
    }

    /// Counts a try without a reply; says whether there may be another one.
    fn unanswered(&mut self, runs: u32) -> bool {
        self.unanswered += 1;
        self.unanswered < runs
    }
}

fn pause() -> Duration {
    PAUSE + SPREAD.mul_f64(rand::random())
}

/// Whether the server refuses for now: because of a lock, or because it has met another transaction.
pub(super) fn is_locked(code: &SqlState) -> bool {
    [
        &SqlState::LOCK_NOT_AVAILABLE,
        &SqlState::T_R_DEADLOCK_DETECTED,
        &SqlState::T_R_SERIALIZATION_FAILURE,
    ]
    .contains(&code)
}

/// Whether a connection that could not be made may be made soon: the server is not there, starts or
/// stops, or has no room. A wrong password or certificate stays wrong.
pub(super) fn may_pass(error: &tokio_postgres::Error) -> bool {
    if let Some(code) = error.code() {
        let code = code.code();
        return ["57P", "53", "08"].iter().any(|it| code.starts_with(it));
    }
    let source = std::error::Error::source(error);
    error.is_closed() || source.is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(rank: Rank) -> Tries {
        let limit = Duration::from_secs(5);
        let settings = DatabaseSettings {
            postgres: tokio_postgres::Config::new(),
            pool_size: 1,
            connect_timeout: limit,
            wait_timeout: limit,
            statement_timeout: limit,
        };
        Tries::new("test", rank, &settings)
    }

    /// How often a statement is tried when each try fails in this way, up to ten times.
    fn count(rank: Rank, fault: impl Fn() -> Fault) -> usize {
        let mut tries = tries(rank);
        let again = |_: &usize| matches!(tries.after(fault(), Instant::now()), Next::Again(_));
        1 + (1..10).take_while(again).count()
    }

    #[test]
    fn what_ends_a_turn_is_tried_most_and_what_helps_it_least() {
        let died = || Fault::Died(String::new());
        let away = || Fault::Away(String::new());
        for (rank, after_death, after_silence, without_database, without_place) in [
            (Rank::End, 3, 3, 10, 10),
            (Rank::Begin, 2, 2, 10, 1),
            (Rank::Aside, 2, 1, 1, 1),
            (Rank::Other, 2, 2, 1, 1),
        ] {
            assert_eq!(count(rank, died), after_death, "{rank:?}");
            assert_eq!(count(rank, || Fault::TimedOut), after_silence, "{rank:?}");
            assert_eq!(count(rank, away), without_database, "{rank:?}");
            assert_eq!(count(rank, || Fault::Busy), without_place, "{rank:?}");
        }
    }

    #[test]
    fn a_database_that_stays_away_is_given_up_in_time() {
        let away = || Fault::Away(String::new());
        let ago = |duration| {
            Instant::now()
                .checked_sub(duration)
                .unwrap_or_else(Instant::now)
        };
        let mut begin = tries(Rank::Begin);
        assert!(matches!(begin.after(away(), ago(RESTART)), Next::GiveUp(_)));
        let mut end = tries(Rank::End);
        assert!(matches!(end.after(away(), ago(RESTART)), Next::Again(_)));
        end.deadline = Instant::now();
        assert!(matches!(end.after(away(), ago(RESTART)), Next::GiveUp(_)));
    }

    #[test]
    fn a_lock_or_a_deadlock_passes_and_a_wrong_statement_stays_wrong() {
        for code in [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ] {
            assert!(is_locked(&code), "{code:?}");
            let locked = || Fault::Locked(code.clone(), String::new());
            assert_eq!(count(Rank::Other, locked), 10, "{code:?}");
        }
        assert!(!is_locked(&SqlState::UNDEFINED_COLUMN));
    }

    #[test]
    fn that_it_may_have_run_is_not_forgotten() {
        let mut begin = tries(Rank::Begin);
        let silent = begin.after(Fault::TimedOut, Instant::now());
        assert!(matches!(silent, Next::Again(_)));
        begin.deadline = Instant::now();
        let away = begin.after(Fault::Away(String::new()), Instant::now());
        assert!(matches!(away, Next::GiveUp(error) if error.is_unsure()));
        let mut sure = tries(Rank::Other);
        let away = sure.after(Fault::Away(String::new()), Instant::now());
        assert!(matches!(away, Next::GiveUp(error) if !error.is_unsure()));
    }
}
