//! The same request twice: what an `Idempotency-Key` stands for.
//!
//! Pure. The check itself is part of the statement that begins a turn ([`crate::session`]). Only
//! hashes are kept: of the key, and of the request that it came with.

use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::error::Failure;
use crate::question::Question;
use crate::reader::Reader;

/// The header, as the IETF's draft on idempotency keys names it.
pub const HEADER: &str = "idempotency-key";

/// What it is called where a request is refused because of it.
pub const FIELD: &str = "Idempotency-Key";

/// The longest key, in characters.
const MAX_LENGTH: usize = 255;

/// The SHA-256 of a key.
pub type KeyHash = [u8; 32];

/// A key and the request that it came with, as SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The hash of the key.
    pub key: KeyHash,
    /// The hash of the question and its reader, so that a key that comes back with another request
    /// is noticed.
    pub request: [u8; 32],
}

impl Key {
    /// The key of a request; `None` if it has none.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` when the key is empty, too long or not visible ASCII.
    pub fn of(
        headers: &HeaderMap,
        question: &Question,
        reader: Option<&Reader>,
    ) -> Result<Option<Self>, Failure> {
        let key = hash(headers)?;
        Ok(key.map(|key| Self {
            key,
            request: fingerprint(question, reader),
        }))
    }
}

/// The key of a request that comes without a question; `None` if it has none.
///
/// # Errors
///
/// 400 `invalid_request` when the key is empty, too long or not visible ASCII.
pub fn hash(headers: &HeaderMap) -> Result<Option<KeyHash>, Failure> {
    let Some(value) = headers.get(HEADER) else {
        return Ok(None);
    };
    let bytes = value.as_bytes();
    let visible = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if bytes.is_empty() || bytes.len() > MAX_LENGTH || !visible {
        let message = format!("must be 1 to {MAX_LENGTH} visible ASCII characters");
        return Err(Failure::wrong(FIELD, message));
    }
    Ok(Some(Sha256::digest(bytes).into()))
}

/// The same for the same question by the same reader, however its JSON was written. A reader's
/// answers are replayed to nobody else.
fn fingerprint(question: &Question, reader: Option<&Reader>) -> [u8; 32] {
    let conversation = question.conversation.map(|id| id.to_string());
    let fields = [
        Some(&question.message),
        conversation.as_ref(),
        question.selected_text.as_ref(),
    ];
    let mut hash = Sha256::new();
    for field in fields {
        // The length keeps two fields from flowing into each other.
        let length = field.map_or(u64::MAX, |text| text.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(field.map_or("", |text| text));
    }
    hash.update(reader.map_or(&[][..], Reader::as_bytes));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &[u8], question: &Question) -> Result<Option<Key>, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, http::HeaderValue::from_bytes(key).unwrap());
        Key::of(&headers, question, None)
    }

    #[test]
    fn a_key_stands_for_one_question() {
        let key = |question| read(b"k1", &question).unwrap().unwrap();
        let first = key(Question::of("ab", None));
        assert_eq!(first, key(Question::of("ab", None)));
        assert_eq!(first.key, key(Question::of("a", Some("b"))).key);
        assert_ne!(first.request, key(Question::of("a", Some("b"))).request);
        assert_ne!(first.request, key(Question::of("ab", Some(""))).request);
    }

    #[test]
    fn a_key_is_visible_and_of_a_sane_length() {
        let question = Question::of("hi", None);
        assert!(
            Key::of(&HeaderMap::new(), &question, None)
                .unwrap()
                .is_none()
        );
        assert!(read(&[b'k'; 255], &question).is_ok());
        for wrong in [&b""[..], &[b'k'; 256], b"caf\xc3\xa9"] {
            let failure = read(wrong, &question).unwrap_err();
            assert_eq!(failure.details[0].field, "Idempotency-Key");
        }
    }
}
