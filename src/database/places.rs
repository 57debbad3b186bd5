//! How many statements may be under way, and which of them go first.
//!
//! A statement that finds no place waits in turn. Those that end a turn store what was paid for: they
//! have places that nothing else takes, and wait behind nothing but each other. Reads, which cost
//! whoever sends them nothing, hold at most half of the places that they share with the turns that
//! are to begin.

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use super::Rank;

/// Statements that may be under way on one connection. The server runs them one after the other:
/// many more would only wait there instead of here.
const PIPELINE: usize = 8;

/// How many more may be those that end turns.
const ENDS: usize = 4;

/// Those of the statements before that may be reads.
const READS: usize = PIPELINE / 2;

/// Places for statements.
#[derive(Debug)]
pub(super) struct Places {
    all: Semaphore,
    not_ends: Semaphore,
    reads: Semaphore,
}

/// A place that is held.
#[derive(Debug)]
pub(super) struct Permits<'a> {
    _read: Option<SemaphorePermit<'a>>,
    _not_end: Option<SemaphorePermit<'a>>,
    _any: SemaphorePermit<'a>,
}

impl Places {
    /// Those on this many connections.
    pub(super) fn on(connections: usize) -> Self {
        Self {
            all: Semaphore::new(connections * (PIPELINE + ENDS)),
            not_ends: Semaphore::new(connections * PIPELINE),
            reads: Semaphore::new(connections * READS),
        }
    }

    /// Waits for one. Whoever waits for a wider kind holds a place of each narrower one: a read waits
    /// for others behind few, and a turn's end behind none, however many reads there are.
    pub(super) async fn take(&self, rank: Rank) -> Result<Permits<'_>, AcquireError> {
        let read = match rank {
            Rank::Other => Some(self.reads.acquire().await?),
            _ => None,
        };
        let not_end = match rank {
            Rank::End => None,
            _ => Some(self.not_ends.acquire().await?),
        };
        Ok(Permits {
            _read: read,
            _not_end: not_end,
            _any: self.all.acquire().await?,
        })
    }

    /// How many statements may be under way on a connection for this one to follow them.
    pub(super) fn depth(rank: Rank) -> usize {
        match rank {
            Rank::End => PIPELINE + ENDS,
            _ => PIPELINE,
        }
    }
}
