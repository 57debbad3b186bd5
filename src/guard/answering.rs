//! Which requests an instance is answering at this moment: whoever repeats one is told so at once.
//!
//! A page that was reloaded repeats its request every second until there is an answer. The database
//! decides all the same: what this does not know may be under way elsewhere, or be answered.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::idempotency::Key;

/// The keys of requests, and their hashes; as many as turns at the most.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<HashSet<Key>>);

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub struct Answering<'a> {
    key: &'a Key,
    requests: &'a Requests,
}

impl Requests {
    pub(super) fn begin<'a>(&'a self, key: &'a Key) -> Answering<'a> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(key.clone());
        Answering {
            key,
            requests: self,
        }
    }

    pub(super) fn have(&self, key: &Key) -> bool {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.contains(key)
    }
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        let mut keys = self
            .requests
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        keys.remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_while_it_is_answered() {
        let requests = Requests::default();
        let [key, request] = [[1; 32], [2; 32]];
        let mine = Key { key, request };
        let other = Key { key, request: key };
        let answering = requests.begin(&mine);
        assert!(requests.have(&mine) && !requests.have(&other));
        drop(answering);
        assert!(!requests.have(&mine));
    }
}
