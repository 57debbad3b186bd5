//! What becomes of an answer whose reader leaves: the header `x-when-left`.
//!
//! Pure. It is no part of what makes two requests the same ([`crate::idempotency`]): a page that asks
//! again for an answer may want something else to become of it.

use http::{HeaderMap, HeaderValue};

use crate::error::Failure;

/// The header.
pub const HEADER: &str = "x-when-left";

/// What becomes of an answer whose reader leaves while it is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum WhenLeft {
    /// It ends, and what was written until then is kept.
    #[default]
    Stop,
    /// It is finished and stored, unless somebody stops it.
    Finish,
}

impl WhenLeft {
    /// What a request asks for.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` when the header says anything else.
    pub fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        match headers.get(HEADER).map(HeaderValue::as_bytes) {
            None | Some(b"stop") => Ok(Self::Stop),
            Some(b"finish") => Ok(Self::Finish),
            Some(_) => Err(Failure::wrong(HEADER, "must be finish or stop")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_with_its_reader_unless_they_ask_for_the_other() {
        let read = |value: &str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(HEADER),
                HeaderValue::from_str(value).unwrap(),
            )]);
            WhenLeft::of(&headers)
        };
        assert_eq!(WhenLeft::of(&HeaderMap::new()).unwrap(), WhenLeft::Stop);
        assert_eq!(read("stop").unwrap(), WhenLeft::Stop);
        assert_eq!(read("finish").unwrap(), WhenLeft::Finish);
        for wrong in ["", "Finish", "finish, stop", "keep"] {
            assert_eq!(read(wrong).unwrap_err().details[0].field, HEADER, "{wrong}");
        }
    }
}
