//! Passes a request on to a function, and its answer back as it arrives.

use std::{
    future::ready,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use reqwest::{Client, redirect::Policy};
use serde_json::json;
use uuid::Uuid;

use super::Functions;

/// The platform's limit for a request body (4.5 MB).
const BODY_LIMIT: usize = 4_500_000;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-vercel-id");

/// These belong to one connection, not to the request.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// The platform writes the client's address here itself, whatever the client has sent.
const PEER: [HeaderName; 3] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-vercel-forwarded-for"),
];

/// The status of a request whose client left before it was answered: nginx' number for it.
const NONE_YET: u16 = 499;

/// How an answer without a body ends, which nobody asks for.
const NO_BODY: End = End::Whole;

/// What happens to a request that is passed on.
#[derive(Debug)]
pub enum Event<'a> {
    /// It is passed on. What its function logs of it names this id.
    Began(&'a str),
    /// Its answer has ended.
    Ended {
        /// The same.
        id: &'a str,
        /// Of the request.
        method: &'a Method,
        /// As it was asked for, without the query.
        path: &'a str,
        /// Of the answer; 499 where its client left before there was one.
        status: u16,
        /// From the request's head to the answer's end.
        duration: Duration,
        /// How the answer ended.
        end: End,
    },
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client has taken all of it.
    Whole,
    /// The client has left before that.
    Left,
    /// The function has ended in the middle of it.
    BrokenOff,
}

/// Is told of each request.
pub type Watch = Arc<dyn for<'a> Fn(Event<'a>) + Send + Sync>;

pub(super) struct Proxy {
    functions: Arc<Functions>,
    client: Client,
    watch: Watch,
}

impl Proxy {
    pub(super) fn new(functions: Arc<Functions>, watch: Watch) -> Result<Self> {
        let client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            // A kept connection may belong to a process that ended; a new one costs nothing here,
            // and is closed with its request.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self {
            functions,
            client,
            watch,
        })
    }

    pub(super) async fn forward(&self, function: &str, peer: IpAddr, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let id = parts
            .headers
            .get(REQUEST_ID)
            .and_then(|id| id.to_str().ok())
            .map_or_else(new_id, str::to_owned);
        let body = match length(&parts.headers) {
            Some(length) if length > BODY_LIMIT => None,
            _ => to_bytes(body, BODY_LIMIT).await.ok(),
        };
        let Some(body) = body else {
            let message = "the platform takes no request body over 4.5 MB";
            return error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "payload_too_large",
                message,
                &id,
            );
        };
        annotate(&mut parts.headers, peer, &id);
        let mut watched = Watched::begin(&self.watch, &parts, &id);
        match self.send(function, parts, body).await {
            Ok(answer) => {
                let status = answer.status();
                watched.status = status.as_u16();
                if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) {
                    watched.end = NO_BODY;
                }
                let mut headers = answer.headers().clone();
                end_to_end(&mut headers);
                let body = watched.until_all_of(length(&headers), answer.bytes_stream());
                (status, headers, Body::from_stream(body)).into_response()
            }
            Err(why) => {
                watched.status = StatusCode::BAD_GATEWAY.as_u16();
                watched.end = End::Whole;
                let message = format!("the function `{function}` cannot be reached: {why:#}");
                error(StatusCode::BAD_GATEWAY, "bad_gateway", &message, &id)
            }
        }
    }

    /// Dropped when the client's connection closes, which closes the connection to the function.
    async fn send(&self, function: &str, parts: Parts, body: Bytes) -> Result<reqwest::Response> {
        let mut result = self.attempt(function, &parts, &body).await?;
        if let Err(error) = &result {
            // Checked in every case: once a death is known, the next request finds a new process.
            let died = self.functions.has_died(function).await;
            // The connection was refused, so nothing was sent: only then is it safe to try again.
            if died && error.is_connect() {
                result = self.attempt(function, &parts, &body).await?;
            }
        }
        Ok(result?)
    }

    async fn attempt(
        &self,
        function: &str,
        parts: &Parts,
        body: &Bytes,
    ) -> Result<reqwest::Result<reqwest::Response>> {
        let url = self.functions.url(function).await?;
        // The path as it was requested: that is what a function sees after a rewrite.
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let request = self
            .client
            .request(parts.method.clone(), format!("{url}{path}"));
        Ok(request
            .headers(parts.headers.clone())
            .body(body.clone())
            .send()
            .await)
    }
}

/// A request under way; tells of its end when it is dropped, whatever the reason.
struct Watched {
    watch: Watch,
    id: String,
    method: Method,
    path: String,
    began: Instant,
    status: u16,
    /// If it ended now.
    end: End,
}

impl Watched {
    fn begin(watch: &Watch, parts: &Parts, id: &str) -> Self {
        watch(Event::Began(id));
        Self {
            watch: Arc::clone(watch),
            id: id.to_owned(),
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            began: Instant::now(),
            status: NONE_YET,
            end: if [Method::HEAD, Method::OPTIONS].contains(&parts.method) {
                NO_BODY
            } else {
                End::Left
            },
        }
    }

    /// The same pieces. Of a body whose length is known, nobody asks what comes behind the last one.
    fn until_all_of(
        self,
        length: Option<usize>,
        pieces: impl Stream<Item = reqwest::Result<Bytes>>,
    ) -> impl Stream<Item = reqwest::Result<Bytes>> {
        let mut watched = Some(self);
        let mut rest = length;
        let pieces = pieces.map(Some).chain(stream::iter([None]));
        pieces.filter_map(move |piece| {
            if let (Some(rest), Some(Ok(piece))) = (&mut rest, &piece) {
                *rest = rest.saturating_sub(piece.len());
            }
            let end = match &piece {
                Some(Err(_)) => Some(End::BrokenOff),
                None => Some(End::Whole),
                Some(Ok(_)) => (rest == Some(0)).then_some(End::Whole),
            };
            if let Some(end) = end
                && let Some(mut ended) = watched.take()
            {
                ended.end = end;
            }
            ready(piece)
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        (self.watch)(Event::Ended {
            id: &self.id,
            method: &self.method,
            path: &self.path,
            status: self.status,
            duration: self.began.elapsed(),
            end: self.end,
        });
    }
}

/// What the platform tells a function about its request.
fn annotate(headers: &mut HeaderMap, peer: IpAddr, id: &str) {
    end_to_end(headers);
    // The body is passed on whole: its length is computed anew.
    headers.remove(header::CONTENT_LENGTH);
    if let Ok(address) = HeaderValue::from_str(&peer.to_canonical().to_string()) {
        for name in PEER {
            headers.insert(name, address.clone());
        }
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.remove("x-forwarded-host");
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert("x-forwarded-host", host);
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

fn length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_lowercase()))
        .collect();
    for name in named
        .iter()
        .filter_map(|name| HeaderName::try_from(name).ok())
        .chain(HOP_BY_HOP)
    {
        headers.remove(name);
    }
}

/// An id in the form of the platform's, with a region of its own.
pub(super) fn new_id() -> String {
    format!("dev1::{}", Uuid::new_v4().simple())
}

/// An error in the functions' own form.
pub(super) fn error(status: StatusCode, code: &str, message: &str, id: &str) -> Response {
    let body = json!({ "error": { "code": code, "message": message }, "request_id": id });
    (status, [("x-request-id", id)], Json(body)).into_response()
}
