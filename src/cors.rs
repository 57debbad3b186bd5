//! Which web pages may call: the `Origin` of a request against the list of `CORS_ORIGINS`.
//!
//! Pure. It keeps other people's pages from using the endpoint through their visitors' browsers; it
//! does not stop scripts, which can send any `Origin` or none.

use http::{HeaderMap, header};

/// The origins that may call, as patterns.
#[derive(Debug, Clone, Default)]
pub struct Origins(Vec<Pattern>);

#[derive(Debug, Clone)]
struct Pattern {
    scheme: String,
    /// Host labels; a `*` inside one stands for any characters but a dot.
    labels: Vec<String>,
    port: Option<u16>,
}

impl Origins {
    /// Parses a comma-separated list such as
    /// `https://book.example,https://*.preview.book.example`. On a domain that is shared with
    /// strangers, such as `vercel.app`, no pattern is safe: anybody may choose a name that matches.
    ///
    /// # Errors
    ///
    /// Says which entry is not an origin, and what one looks like, without quoting it: a paste
    /// error may put anything there.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = list.split(',').map(str::trim).filter(|e| !e.is_empty());
        let patterns = entries.enumerate().map(|(i, entry)| {
            Pattern::parse(entry).ok_or_else(|| {
                format!(
                    "has an entry, number {}, that is not an origin: write scheme://host or \
                     scheme://host:port, without a path",
                    i + 1
                )
            })
        });
        let patterns: Vec<_> = patterns.collect::<Result<_, _>>()?;
        if patterns.is_empty() {
            return Err("lists no origin, such as https://book.example".into());
        }
        Ok(Self(patterns))
    }

    /// Whether a page of this origin may call.
    #[must_use]
    pub fn allow(&self, origin: &str) -> bool {
        Pattern::parse(origin).is_some_and(|origin| self.0.iter().any(|p| p.matches(&origin)))
    }
}

impl Pattern {
    fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = split_port(authority)?;
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_.*[]:".contains(c);
        if !matches!(scheme.as_str(), "http" | "https")
            || host.is_empty()
            || !host.chars().all(valid)
        {
            return None;
        }
        let port = port.or(default_port(&scheme));
        let labels: Vec<_> = host.split('.').map(str::to_ascii_lowercase).collect();
        Some(Self {
            scheme,
            labels,
            port,
        })
    }

    fn matches(&self, origin: &Self) -> bool {
        self.scheme == origin.scheme
            && self.port == origin.port
            && self.labels.len() == origin.labels.len()
            && self
                .labels
                .iter()
                .zip(&origin.labels)
                .all(|(pattern, label)| label_matches(pattern, label))
    }
}

fn label_matches(pattern: &str, label: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == label,
        Some((head, tail)) => label.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|&at| rest.is_char_boundary(at))
                .any(|at| label_matches(tail, &rest[at..]))
        }),
    }
}

/// Whether a request comes from a page of the very site that it is sent to: such a front end calls
/// through a rewrite and need not be listed.
///
/// The platform writes the `x-forwarded-*` headers itself; a page cannot add them without a
/// preflight, which carries none of them.
#[must_use]
pub fn same_site(origin: &str, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(host) = text("x-forwarded-host").or_else(|| text(header::HOST.as_str())) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if text("x-forwarded-proto").is_some_and(|proto| proto != scheme) {
        return false;
    }
    let with_port = |authority: &str| {
        let (host, port) = split_port(authority)?;
        Some((host.to_ascii_lowercase(), port.or(default_port(scheme))))
    };
    let (of_page, of_site) = (with_port(authority), with_port(host));
    of_page.is_some() && of_page == of_site
}

/// Splits `host:port`; an IPv6 address keeps its brackets. `None`: the port is not a number.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => Some((host, Some(port.parse().ok()?))),
        _ => Some((authority, None)),
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_origin_matches_exactly_but_for_case_and_the_default_port() {
        let origins = Origins::parse("https://book.example, http://localhost:3000").unwrap();
        assert!(origins.allow("https://book.example"));
        assert!(origins.allow("https://BOOK.example:443"));
        assert!(origins.allow("http://localhost:3000"));
        for stranger in [
            "http://book.example",
            "https://book.example:8443",
            "https://book.example.evil.example",
            "https://evilbook.example",
            "http://localhost",
            "null",
            "",
        ] {
            assert!(!origins.allow(stranger), "{stranger}");
        }
    }

    #[test]
    fn a_star_stands_for_characters_of_one_host_label() {
        let origins = Origins::parse("https://*-team.vercel.app").unwrap();
        assert!(origins.allow("https://book-git-main-team.vercel.app"));
        assert!(!origins.allow("https://evil.book-team.vercel.app"));
        assert!(!origins.allow("https://book-team.vercel.app.evil.example"));
        assert!(!origins.allow("https://team.vercel.app"));
    }

    #[test]
    fn what_is_not_an_origin_is_named() {
        for wrong in [
            "*",
            "book.example",
            "https://",
            "https://book.example/path",
            "ftp://x.example",
            " , ",
        ] {
            let problem = Origins::parse(wrong).unwrap_err();
            assert!(problem.contains("origin"), "{wrong}: {problem}");
        }
    }

    #[test]
    fn the_site_itself_is_known_by_its_forwarded_host() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, http::HeaderValue::from_static(value))
            });
            pairs.collect::<HeaderMap>()
        };
        let behind_proxy = headers(&[
            ("host", "10.0.0.1"),
            ("x-forwarded-host", "book.example"),
            ("x-forwarded-proto", "https"),
        ]);
        assert!(same_site("https://book.example", &behind_proxy));
        assert!(!same_site("http://book.example", &behind_proxy));
        assert!(!same_site("https://10.0.0.1", &behind_proxy));
        let direct = headers(&[("host", "localhost:3000")]);
        assert!(same_site("http://localhost:3000", &direct));
        assert!(!same_site("http://localhost:3001", &direct));
        assert!(!same_site("null", &direct));
    }
}
