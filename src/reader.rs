//! The reader who owns a conversation, known by a random token and by nothing else.
//!
//! Pure. The token comes as a cookie from a page of the same site, or as `Authorization: Bearer`
//! from another; the database holds its SHA-256. It is issued with the first conversation that a
//! reader owns, never logged, and never taken from anywhere else in a request.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::cors::same_site;

/// The prefix makes browsers insist on HTTPS, on this very host, and on all of its paths.
const COOKIE: &str = "__Host-reader";

/// 400 days, the longest that browsers keep a cookie.
const COOKIE_ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=34560000";

/// Where a page of another site finds the token that it was issued.
pub const TOKEN_HEADER: HeaderName = HeaderName::from_static("x-reader-token");

/// Set by browsers, never by a page.
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// In bytes, before they are written as base64url.
const TOKEN_LENGTH: usize = 32;

/// A reader as the database knows them: the SHA-256 of their token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reader([u8; 32]);

impl Reader {
    /// The reader whose token comes with a request; the header takes precedence over the cookie,
    /// and anything not shaped like a token is ignored.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let cookies = headers.get_all(header::COOKIE).iter();
        let mut cookies = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut cookie = || cookies.find_map(|(name, value)| (name == COOKIE).then_some(value));
        bearer
            .and_then(Self::with)
            .or_else(|| Self::with(cookie()?))
    }

    fn with(token: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let right = bytes.len() == TOKEN_LENGTH;
        right.then(|| Self(Sha256::digest(token).into()))
    }

    /// For a parameter of a statement.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A token for a reader without one.
#[derive(Debug)]
pub struct Issued {
    /// The reader that it stands for.
    pub reader: Reader,
    header: (HeaderName, HeaderValue),
}

impl Issued {
    /// As a cookie, or in [`TOKEN_HEADER`] for a page of another site: browsers no longer keep
    /// third-party cookies.
    #[must_use]
    pub fn new(headers: &HeaderMap) -> Self {
        let token = URL_SAFE_NO_PAD.encode(rand::random::<[u8; TOKEN_LENGTH]>());
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        // The browser's own word, which holds even if a rewrite has changed the host on the way.
        let same_origin = text(SEC_FETCH_SITE) == Some("same-origin");
        let origin = text(header::ORIGIN);
        let (name, value) = if same_origin || origin.is_none_or(|it| same_site(it, headers)) {
            let cookie = format!("{COOKIE}={token}; {COOKIE_ATTRIBUTES}");
            (header::SET_COOKIE, cookie)
        } else {
            (TOKEN_HEADER, token.clone())
        };
        // Base64 and our own words, which are valid in any header.
        let mut value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        Self {
            reader: Reader(Sha256::digest(&token).into()),
            header: (name, value),
        }
    }

    /// Hands the token over.
    pub fn hand_over(self, headers: &mut HeaderMap) {
        headers.extend([self.header]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    fn handed_over(request: &HeaderMap) -> (Reader, HeaderMap) {
        let issued = Issued::new(request);
        let reader = issued.reader;
        let mut response = HeaderMap::new();
        issued.hand_over(&mut response);
        (reader, response)
    }

    #[test]
    fn a_token_comes_back_as_the_reader_that_it_was_issued_to() {
        let (reader, response) = handed_over(&headers(&[("origin", "https://book.example")]));
        let token = response[TOKEN_HEADER].to_str().unwrap();
        assert_eq!(token.len(), 43);
        let bearer = format!("bearer {token}");
        assert_eq!(
            Reader::of(&headers(&[("authorization", &bearer)])),
            Some(reader)
        );

        let rewritten = [
            ("origin", "https://book.example"),
            ("host", "chat.example"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(
            handed_over(&headers(&rewritten))
                .1
                .contains_key("set-cookie")
        );
        let same = [("origin", "https://book.example"), ("host", "book.example")];
        let (reader, response) = handed_over(&headers(&same));
        assert!(!response.contains_key(TOKEN_HEADER));
        let cookie = response["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=34560000"));
        let sent = format!("theme=dark; {}", cookie.split_once(';').unwrap().0);
        assert_eq!(Reader::of(&headers(&[("cookie", &sent)])), Some(reader));
        let both = [("cookie", sent.as_str()), ("authorization", &bearer)];
        assert_ne!(
            Reader::of(&headers(&both)),
            Some(reader),
            "the header takes precedence"
        );
    }

    #[test]
    fn anything_not_shaped_like_a_token_is_ignored() {
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer me",
            "Basic AAAA",
            "Bearer null",
        ] {
            assert_eq!(
                Reader::of(&headers(&[("authorization", wrong)])),
                None,
                "{wrong}"
            );
        }
        assert_eq!(
            Reader::of(&headers(&[("cookie", "__Host-reader=1; x")])),
            None
        );
    }
}
