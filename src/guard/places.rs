//! How much an instance runs at once, which its descriptors decide.
//!
//! A process that has no descriptor left can neither accept a client nor reach the model or the
//! database. So each client's connection is counted, whatever it asks, and with each turn the
//! connections that it opens to the model. Requests that are no turns, which cost whoever sends them
//! nothing, hold at most a quarter of the places. Where the served ones end, some room is left to refuse
//! in; where that ends, too, nobody is accepted until somebody leaves. What an instance needs to
//! finish, its database, its log, is never given away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Code, Failure};

/// What a full instance asks its clients to wait.
const OVERLOADED_WAIT: Duration = Duration::from_secs(2);

/// What an idle instance has open, its database apart: standard streams, event loop, signals,
/// listener, the platform's socket, the search's two connections; 14 were counted.
const OWN: usize = 20;

/// The most requests at once that are no turns, where there are descriptors for more: what the
/// database does not answer soon would wait longer than a reader does.
const READS: usize = 256;

/// Where a process has no limit, or a huge one.
const PLENTY: usize = 1 << 20;

/// Raises the limit of open descriptors as far as the process may: many start with a lower one for
/// the sake of programs that use `select`.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where the maximum itself is refused, as macOS does, the limit stays what it was.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// The descriptors that this process may have open.
#[must_use]
pub fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|limit| limit.try_into().ok());
    limit.unwrap_or(PLENTY).min(PLENTY)
}

/// Connections to the model that may wait for their next call, of a process with this limit.
/// More of them save handshakes, but take the places of readers.
#[must_use]
pub fn idle_connections(descriptor_limit: usize) -> usize {
    (descriptor_limit / 32).clamp(1, 128)
}

/// The places of an instance; its clones are the same places.
#[derive(Debug, Clone)]
pub struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Descriptors of clients' connections, and of those that turns may open.
    taken: AtomicUsize,
    turns: AtomicUsize,
    /// Requests that are no turns, and the most of them.
    reads: AtomicUsize,
    most_reads: usize,
    /// The most that are served.
    served: usize,
    /// The most that are accepted; those above `served` are refused.
    accepted: usize,
    /// Woken when somebody leaves.
    room: AtomicWaker,
}

impl Default for Places {
    fn default() -> Self {
        Self::of(PLENTY, 0)
    }
}

impl Places {
    /// The places of a process with this limit of descriptors, whose database uses so many.
    #[must_use]
    pub fn of(descriptor_limit: usize, database: usize) -> Self {
        // For what cannot be counted: a second address that is tried, a name that is looked up.
        let spare = descriptor_limit / 32;
        let kept = OWN + database + idle_connections(descriptor_limit) + spare;
        let refused = (descriptor_limit / 16).clamp(2, 256);
        let accepted = descriptor_limit.saturating_sub(kept).max(2 * refused);
        let served = accepted - refused;
        Self(Arc::new(Inner {
            taken: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            most_reads: (served / 4).clamp(1, READS),
            served,
            accepted,
            room: AtomicWaker::new(),
        }))
    }

    /// A client has connected. To be called once for each, and never refused: whoever is accepted
    /// has a descriptor.
    #[must_use]
    pub fn connect(&self) -> Place {
        self.take(1)
    }

    /// Whether another client may be accepted; if not, the task is woken when one may.
    pub fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.0.room.register(context.waker());
        if self.are_full() {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// Whether no other client may be accepted.
    #[must_use]
    pub fn are_full(&self) -> bool {
        self.taken() >= self.0.accepted
    }

    /// Whether connections should not be kept for a next request, for others will want their places.
    #[must_use]
    pub fn are_scarce(&self) -> bool {
        self.taken() > self.0.served / 2
    }

    /// Whether a request of a client that has connected is served.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` when there are more than may be.
    pub fn admit(&self) -> Result<(), Failure> {
        if self.taken() > self.0.served {
            return Err(overloaded());
        }
        Ok(())
    }

    /// A place for a turn that opens so many connections.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` when there are not so many left, or the instance runs as many turns as it
    /// may (`limit`, 0: as many as there are places).
    pub(super) fn turn(&self, limit: usize, connections: usize) -> Result<TurnPlace, Failure> {
        let place = TurnPlace {
            _connections: self.take(connections),
            places: self.clone(),
        };
        let before = self.0.turns.fetch_add(1, Ordering::Relaxed);
        if limit > 0 && before >= limit {
            return Err(overloaded());
        }
        self.admit()?;
        Ok(place)
    }

    /// A place for a request that is no turn and needs the database.
    ///
    /// # Errors
    ///
    /// 503 `overloaded` when as many are under way as may be beside turns.
    pub fn read(&self) -> Result<ReadPlace, Failure> {
        let place = ReadPlace(self.clone());
        if self.0.reads.fetch_add(1, Ordering::Relaxed) >= self.0.most_reads {
            return Err(overloaded());
        }
        Ok(place)
    }

    fn take(&self, count: usize) -> Place {
        self.0.taken.fetch_add(count, Ordering::Relaxed);
        Place {
            count,
            places: self.clone(),
        }
    }

    fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }
}

/// Places that are taken; dropping it makes room.
#[derive(Debug)]
pub struct Place {
    count: usize,
    places: Places,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Inner { taken, room, .. } = &*self.places.0;
        taken.fetch_sub(self.count, Ordering::Relaxed);
        room.wake();
    }
}

/// A place among the turns of an instance; dropping it makes room.
#[derive(Debug)]
pub struct TurnPlace {
    _connections: Place,
    places: Places,
}

impl Drop for TurnPlace {
    fn drop(&mut self) {
        self.places.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place among the requests that are no turns; dropping it makes room.
#[derive(Debug)]
pub struct ReadPlace(Places);

impl Drop for ReadPlace {
    fn drop(&mut self) {
        self.0.0.reads.fetch_sub(1, Ordering::Relaxed);
    }
}

fn overloaded() -> Failure {
    let message = "Many readers are asking right now. Please try again in a few seconds.";
    Failure::new(Code::Overloaded, message).retry_after(OVERLOADED_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_instance_says_so_and_has_room_again_when_a_turn_ends() {
        let places = Places::default();
        let first = places.turn(2, 1).unwrap();
        let _second = places.turn(2, 1).unwrap();
        assert_eq!(places.turn(2, 1).unwrap_err().code, Code::Overloaded);
        drop(first);
        assert!(places.turn(2, 1).is_ok());
        assert!((0..100).all(|_| places.turn(0, 1).is_ok()));
    }

    #[test]
    fn turns_end_where_the_descriptors_do_and_refusals_a_little_later() {
        let places = Places::of(1024, 4);
        let clients: Vec<_> = (0..places.0.served).map(|_| places.connect()).collect();
        assert!(places.admit().is_ok() && places.turn(0, 1).is_err());
        let more: Vec<_> = std::iter::repeat_with(|| places.connect())
            .take_while(|_| !places.are_full())
            .collect();
        assert!(places.admit().is_err() && more.len() > 50);
        drop(clients);
        assert!(places.admit().is_ok() && places.turn(0, 1).is_ok());
        drop(more);
        assert_eq!(places.taken(), 0);
    }

    #[test]
    fn reads_leave_room_for_turns_and_make_room_for_each_other() {
        for (limit, most) in [(1024, 218), (PLENTY, READS)] {
            let places = Places::of(limit, 4);
            let reads: Vec<_> = std::iter::from_fn(|| places.read().ok()).collect();
            assert_eq!(reads.len(), most);
            assert!(places.turn(0, 1).is_ok());
            drop(reads);
            assert!(places.read().is_ok());
        }
    }

    #[test]
    fn some_are_served_whatever_the_limit_is() {
        for limit in [0, 16, 64, 1024, PLENTY] {
            let places = Places::of(limit, 4);
            let client = places.connect();
            assert!(
                places.admit().is_ok() && places.read().is_ok() && places.turn(0, 1).is_ok(),
                "{limit}"
            );
            drop(client);
        }
    }
}
