//! Asks the book's own host for pages, and nobody else.
//!
//! Every redirect is checked like the first address. How much may be read, and for how long, is
//! limited; `crawl` decides which pages are asked for.

use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use reqwest::Response;
use reqwest::redirect::Policy;

use super::address::Base;
use super::source::{Answer, Body, Fault};
use super::{Error, Limits, Validators};

/// Redirects that one request may take.
const HOPS: usize = 5;

/// An HTTP client for one book.
#[derive(Debug)]
pub struct Web(reqwest::Client);

impl Web {
    /// A client that says who asks, and for which book.
    ///
    /// # Errors
    ///
    /// When the client cannot be made.
    pub fn new(base: &Base) -> Result<Self, Error> {
        let version = env!("CARGO_PKG_VERSION");
        let client = reqwest::Client::builder()
            .user_agent(format!("textbook-chat-book/{version} (+{})", base.url()))
            .redirect(Policy::none())
            .build()
            .map_err(Error::SetUp)?;
        Ok(Self(client))
    }

    pub(super) async fn get(
        &self,
        base: &Base,
        path: &str,
        known: Option<&Validators>,
        limits: &Limits,
    ) -> Result<Answer, Fault> {
        match tokio::time::timeout(limits.page_time, self.hop(base, path, known, limits)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!(
                "no whole answer in {} s",
                limits.page_time.as_secs()
            )),
        }
    }

    async fn hop(
        &self,
        base: &Base,
        path: &str,
        known: Option<&Validators>,
        limits: &Limits,
    ) -> Result<Answer, Fault> {
        let mut path = path.to_owned();
        for _ in 0..=HOPS {
            let request = self.0.get(base.at(&path)).headers(conditions(known));
            let response = request.send().await.map_err(|error| told(&error))?;
            let status = response.status();
            if status == StatusCode::NOT_MODIFIED {
                return Ok(Answer::NotModified);
            }
            if status.is_redirection() {
                let target = text(response.headers(), header::LOCATION).unwrap_or_default();
                path = base
                    .follow(&path, &target)
                    .ok_or("it is redirected to an address outside the book")?;
                continue;
            }
            // Amazon's storage answers 403 for what it does not have.
            if [
                StatusCode::NOT_FOUND,
                StatusCode::GONE,
                StatusCode::FORBIDDEN,
            ]
            .contains(&status)
            {
                return Ok(Answer::Missing);
            }
            if !status.is_success() {
                return Err(format!("the server answers {status}"));
            }
            return body(path, response, limits.bytes).await;
        }
        Err(format!("it is redirected more than {HOPS} times"))
    }
}

async fn body(path: String, response: Response, most: usize) -> Result<Answer, Fault> {
    let kind = text(response.headers(), header::CONTENT_TYPE).unwrap_or_default();
    let kind = kind.to_ascii_lowercase();
    if ![
        "",
        "text/html",
        "application/xhtml",
        "text/xml",
        "application/xml",
    ]
    .iter()
    .any(|text| {
        if text.is_empty() {
            kind.is_empty()
        } else {
            kind.starts_with(text)
        }
    }) {
        return Ok(Answer::NotText);
    }
    let validators = Validators {
        etag: text(response.headers(), header::ETAG),
        last_modified: text(response.headers(), header::LAST_MODIFIED),
    };
    let mut bytes = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| told(&error))?);
        if bytes.len() > most {
            break;
        }
    }
    let cut = bytes.len() > most;
    bytes.truncate(most);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answer::Found(Body {
        path,
        text,
        cut,
        validators,
    }))
}

/// The request's conditions: the page is sent only if it is no longer this version.
fn conditions(known: Option<&Validators>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(known) = known else {
        return headers;
    };
    let pairs = [
        (header::IF_NONE_MATCH, &known.etag),
        (header::IF_MODIFIED_SINCE, &known.last_modified),
    ];
    for (name, value) in pairs {
        if let Some(value) = value.as_ref().and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    headers
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

/// An error with its causes, without the address, which the problem names already.
fn told(error: &reqwest::Error) -> String {
    let mut told = String::from("the connection fails");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}
