//! How fast a network may do what is no turn: read, delete, judge. Decided in the instance's memory
//! alone, before any SQL, so that reads cannot crowd out the answers that are being stored.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Code, Failure};
use crate::pseudonym::Network;

/// The most networks that are remembered, of about 48 bytes each.
const MAX_NETWORKS: usize = 16 * 1024;

/// A minute's requests at once, and then one by one (GCRA): each network's next due time.
#[derive(Debug)]
pub struct Reads {
    /// Between two requests in the long run; none: no limit.
    interval: Option<Duration>,
    burst: u32,
    due: Mutex<HashMap<Network, Instant>>,
}

impl Reads {
    /// So many requests a minute from a network; 0: any number.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            interval: Duration::from_mins(1).checked_div(per_minute),
            burst: per_minute,
            due: Mutex::default(),
        }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// 429 `rate_limited`, with the time to wait, when the network has used its pace up.
    pub fn admit(&self, network: Network) -> Result<(), Failure> {
        let Some(interval) = self.interval else {
            return Ok(());
        };
        let now = Instant::now();
        let mut networks = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        if networks.len() >= MAX_NETWORKS {
            networks.retain(|_, due| *due > now);
            // All of them read at this very moment: forget them.
            if networks.len() >= MAX_NETWORKS {
                networks.clear();
            }
        }
        let due = networks.entry(network).or_insert(now);
        let begins = (*due).max(now);
        let room = interval * (self.burst - 1);
        let wait = begins.duration_since(now).saturating_sub(room);
        if !wait.is_zero() {
            let message =
                "Too many requests come from your network right now. Please try again in a moment.";
            return Err(Failure::new(Code::RateLimited, message).retry_after(wait));
        }
        *due = begins + interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minutes_requests_may_come_at_once_and_then_one_by_one() {
        let reads = Reads::new(60);
        let (me, other) = (Network([1; 16]), Network([2; 16]));
        assert!((0..60).all(|_| reads.admit(me).is_ok()));
        let refused = reads.admit(me).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert_eq!(refused.retry_after_seconds(), Some(1));
        assert!(reads.admit(other).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(reads.admit(me).is_ok() && reads.admit(me).is_err());
        assert!((0..10_000).all(|_| Reads::new(0).admit(me).is_ok()));
    }

    #[tokio::test]
    async fn the_memory_is_bounded() {
        let reads = Reads::new(1);
        for i in 0..2 * u32::try_from(MAX_NETWORKS).unwrap() {
            let mut network = [0; 16];
            network[..4].copy_from_slice(&i.to_be_bytes());
            reads.admit(Network(network)).unwrap();
        }
        assert!(reads.due.lock().unwrap().len() <= MAX_NETWORKS);
    }
}
