//! Paths below the book's base.
//!
//! Where a page names itself (canonical link, sitemap, translations), only the path of the address
//! counts: its origin is often a placeholder. Paths are kept percent-encoded, as they are linked.
//! Nothing here makes a request.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

use super::Error;

/// What is encoded in an anchor: all but letters, digits, and the characters that generators use.
const ANCHOR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b':');

/// The address of the book: its pages lie below it.
#[derive(Debug, Clone)]
pub struct Base(Url);

impl Base {
    /// The base at this address; a slash at its end is added.
    ///
    /// # Errors
    ///
    /// When it is not https (or http on this machine), or has a password, a query or a fragment.
    pub fn parse(address: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Address(address.into(), why);
        let mut url = Url::parse(address).map_err(|_| wrong("is not a URL"))?;
        let local = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => return Err(wrong("names no host")),
        };
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            return Err(wrong(
                "must begin with https:// (http:// only on this machine)",
            ));
        }
        // The address is sent to the server and written to the log.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Address(
                "(hidden)".into(),
                "must not hold a password",
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("must not hold a query or a fragment"));
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// The address itself.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The path of the base, which ends with a slash.
    #[must_use]
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// The folders above its own, the nearest first, each with a slash at its end.
    pub(super) fn above(&self) -> impl Iterator<Item = &str> {
        let path = self.path().trim_end_matches('/');
        path.rmatch_indices('/').map(|(slash, _)| &path[..=slash])
    }

    /// Whether a link leads to the base as to a page, without the slash of a folder.
    pub(super) fn is_page_at(&self, from: &str, link: &str) -> bool {
        let url = self.at(from).join(link.trim());
        url.is_ok_and(|url| format!("{}/", url.path()) == self.path())
    }

    /// The address of a path.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(path);
        url
    }

    /// The path that a link on the page `from` leads to, if that may be a page of the book.
    pub(super) fn follow(&self, from: &str, link: &str) -> Option<String> {
        let url = self.at(from).join(link.trim()).ok()?;
        (url.origin() == self.0.origin()).then(|| self.below(&url))?
    }

    /// The path that a page of the book gives for itself or for another one, whatever the origin.
    pub(super) fn named(&self, from: &str, link: &str) -> Option<String> {
        self.below(&self.at(from).join(link.trim()).ok()?)
    }

    fn below(&self, url: &Url) -> Option<String> {
        url.path()
            .starts_with(self.path())
            .then(|| url.path().to_owned())
    }

    /// Whether the page lies in the base's folder itself.
    pub(super) fn is_top(&self, path: &str) -> bool {
        let inner = path.strip_prefix(self.path()).unwrap_or(path);
        !stem(inner).contains('/')
    }
}

/// The path by which a page is linked: the one it gives, if that means the page itself.
pub(super) fn canonical(path: &str, says: Option<&str>) -> String {
    match says {
        Some(says) if stem(says) == stem(path) => says.to_owned(),
        _ => folder(path).to_owned(),
    }
}

/// A path without the `index.html` that every server adds.
pub(super) fn folder(path: &str) -> &str {
    path.strip_suffix("index.html")
        .filter(|folder| folder.ends_with('/'))
        .unwrap_or(path)
}

/// What the different ways to write a page's path have in common.
pub(in crate::book) fn stem(path: &str) -> &str {
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_suffix(".html").unwrap_or(path);
    path.strip_suffix("/index").unwrap_or(path)
}

/// A path as a reader would write it.
pub(super) fn decode(path: &str) -> Cow<'_, str> {
    percent_decode_str(path).decode_utf8_lossy()
}

/// The address of a section: the path of its page, and its anchor percent-encoded.
pub(super) fn section(page: &str, anchor: Option<&str>) -> String {
    match anchor {
        Some(anchor) => format!("{page}#{}", utf8_percent_encode(anchor, ANCHOR)),
        None => page.to_owned(),
    }
}

/// Whether a path begins with the pattern, in which `*` stands for any characters.
pub(super) fn begins_like(path: &str, pattern: &str) -> bool {
    let path = decode(path);
    let pattern = decode(pattern);
    let mut parts = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    // The first place where a part fits leaves the most to those after it.
    parts.all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_https_or_on_this_machine_and_ends_with_a_slash() {
        assert_eq!(
            Base::parse("https://b.example/book").unwrap().path(),
            "/book/"
        );
        for local in [
            "http://127.0.0.1:8000/",
            "http://localhost/x/",
            "http://[::1]/",
        ] {
            Base::parse(local).unwrap();
        }
        for wrong in [
            "http://b.example/",
            "ftp://b.example/",
            "b.example",
            "https://b.example/?q",
            "data:x",
        ] {
            Base::parse(wrong).unwrap_err();
        }
        let error = Base::parse("https://me:secret@b.example/")
            .unwrap_err()
            .to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn links_are_followed_within_the_book_alone() {
        let base = Base::parse("https://b.example/book/").unwrap();
        let follow = |link| base.follow("/book/a/b.html", link);
        assert_eq!(follow("c.html?x#y").as_deref(), Some("/book/a/c.html"));
        assert_eq!(follow("../").as_deref(), Some("/book/"));
        assert_eq!(
            follow("https://b.example/book/z").as_deref(),
            Some("/book/z")
        );
        for outside in [
            "/other/",
            "../../x",
            "https://else.example/book/z",
            "http://b.example/book/z",
            "javascript:alert(1)",
            "mailto:a@b.example",
            "data:text/html,x",
            "//else.example/book/",
        ] {
            assert_eq!(follow(outside), None, "{outside}");
        }
        let named = base.named("/book/a", "http://placeholder.invalid/book/a/");
        assert_eq!(
            named.as_deref(),
            Some("/book/a/"),
            "of what a page says of itself, the path counts"
        );
    }

    #[test]
    fn a_canonical_link_counts_only_if_it_means_this_page() {
        assert_eq!(canonical("/b/x/index.html", Some("/b/x")), "/b/x");
        assert_eq!(canonical("/b/x", Some("/b/x.html")), "/b/x.html");
        assert_eq!(canonical("/b/x/index.html", Some("/b/")), "/b/x/");
        assert_eq!(canonical("/b/x.html", None), "/b/x.html");
    }

    #[test]
    fn a_pattern_is_a_beginning_in_which_a_star_is_anything() {
        assert!(begins_like("/book/1.0/x", "/book/1.0/"));
        assert!(begins_like("/book/a/tags/b", "*/tags/"));
        assert!(begins_like("/book/%D8%A8", "/book/ب"));
        assert!(!begins_like("/book/x", "/x"));
        assert!(!begins_like("/book/x", "/book/*/y"));
    }

    #[test]
    fn an_anchor_is_encoded_so_that_it_cannot_be_misread() {
        assert_eq!(section("/b/", Some("50%-ب\"<")), "/b/#50%25-%D8%A8%22%3C");
        assert_eq!(section("/b/", None), "/b/");
    }
}
