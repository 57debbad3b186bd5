//! The names under which networks and conversations are known elsewhere: HMACs, which only the
//! holder of the key can make and nobody can undo.
//!
//! Pure. Never sees a reader's text.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

/// The key of the names.
#[derive(Debug, Clone)]
pub struct Pseudonyms(SecretString);

/// A network's name in the database, for a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(pub [u8; 16]);

impl Pseudonyms {
    /// With a key that is secret, and the same in every instance.
    #[must_use]
    pub fn new(key: SecretString) -> Self {
        Self(key)
    }

    /// A network's name on the day of `time`, in UTC: it changes with the day. Without the key
    /// nobody can tell whether an address has asked.
    #[must_use]
    pub fn network(&self, time: DateTime<Utc>, network: &str) -> Network {
        let day = time.date_naive().to_string();
        Network(self.name(&[day.as_bytes(), network.as_bytes()]))
    }

    /// A conversation's name for the model's provider, which tells it only whether two requests are
    /// of the same conversation: 32 hexadecimal digits.
    #[must_use]
    pub fn conversation(&self, id: Uuid) -> String {
        let name = self.name(&[b"conversation", id.as_bytes()]);
        format!("{:032x}", u128::from_be_bytes(name))
    }

    /// HMAC-SHA-256, truncated to 16 bytes, over parts that cannot flow into each other.
    fn name(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut cut = [0; 16];
        // HMAC takes a key of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes()) else {
            return cut;
        };
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        cut.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_networks_name_changes_with_the_day_and_depends_on_the_key() {
        let name = |key: &str, time: &str, network: &str| {
            Pseudonyms::new(key.into()).network(time.parse().unwrap(), network)
        };
        let first = name("s1", "2026-11-20T00:00:00Z", "203.0.113.7");
        assert_eq!(first, name("s1", "2026-11-20T23:59:59Z", "203.0.113.7"));
        assert_ne!(first, name("s1", "2026-11-21T00:00:00Z", "203.0.113.7"));
        assert_ne!(first, name("s1", "2026-11-20T00:00:00Z", "203.0.113.8"));
        assert_ne!(first, name("s2", "2026-11-20T00:00:00Z", "203.0.113.7"));
    }
}
