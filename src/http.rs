//! The edge: what every request of every route goes through, before and after its handler.
//!
//! Request ids, the body's limit, paths, methods, CORS, panics, and the one form that errors have.
//! A handler gets a [`Call`] that has passed all of these and returns a [`Reply`] or a [`Failure`];
//! nothing else leaves a function.

use std::borrow::Cow;
use std::mem::take;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use tracing::Instrument;
use uuid::Uuid;

mod body;
mod headers;
mod reply;

use headers::{add_headers, allow, allow_header, is_json, preflight};
use reply::refusal;

pub use reply::{Body, Refused, Reply, json, no_content};

use crate::app::App;
use crate::background::Background;
use crate::caller::{self, PlatformAddress};
use crate::cors::same_site;
use crate::error::{Code, Failure};
use crate::telemetry;

/// The largest body that is accepted; a larger one is answered with 413.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Why a body breaks off.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A route: one function.
#[derive(Debug)]
pub struct Route {
    /// The last segment of its path: `chat` serves `/chat` and `/api/chat`, whatever a site's
    /// rewrites put in front of it.
    pub name: &'static str,
    /// The methods that it accepts, apart from `OPTIONS`.
    pub methods: &'static [Method],
    /// Whether an instance gets ready for a turn while it waits for its first request.
    pub warms: bool,
    /// What it does.
    pub handler: fn(Arc<App>, Call) -> BoxFuture<'static, Result<Reply, Failure>>,
}

/// The platform's id of a request, as an extension of the request: for a platform that does not
/// name it in a header.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// A request that has passed the edge.
#[derive(Debug)]
pub struct Call {
    /// One of the route's methods.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The address that the request comes from, if somebody vouches for one.
    pub address: Option<IpAddr>,
    /// The query string, `""` if there is none.
    pub query: String,
    /// The body, at most [`MAX_BODY_BYTES`]; empty once it was taken.
    body: Bytes,
    /// Finds the request in the log.
    pub request_id: String,
    /// For work that outlives the response.
    pub background: Background,
}

impl Call {
    /// The first parameter of the query with this name, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut parameters = form_urlencoded::parse(self.query.as_bytes());
        parameters.find_map(|(known, value)| (known == name).then_some(value))
    }

    /// The body, to be dropped when it is parsed: the call lasts as long as its turn, and hundreds
    /// of them wait for the model at the same time.
    #[must_use]
    pub fn take_body(&mut self) -> Bytes {
        take(&mut self.body)
    }

    /// The response for a turn that has failed. The turn's task has logged the failure, because the
    /// reader may have left; any other failure is returned as an error, and logged at the edge.
    #[must_use]
    pub fn turn_failed(&self, failure: &Failure) -> Reply {
        refusal(failure, &self.request_id)
    }
}

/// Answers a request. Returns a response whatever the handler does, a panic included.
pub async fn serve<B>(
    route: &Route,
    app: Arc<App>,
    request: Request<B>,
    background: Background,
    sink: telemetry::Sink,
) -> Reply
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
{
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let request_id = request_id(&parts);
    let span = telemetry::request_span(&request_id, sink);
    async {
        let admitted = app.places().admit();
        // Read before anything is decided: a sender that was refused half-way would see a broken
        // connection instead of the reason.
        let (body_bytes, body) = body::read(body, admitted.is_ok()).await;
        let (origin, result) = match (allowed_origin(&app, &parts.headers), admitted) {
            (Ok(origin), Ok(())) => {
                let app = Arc::clone(&app);
                let result = answer(route, app, &parts, body, &request_id, background).await;
                (origin, result)
            }
            (Ok(origin), Err(full)) => (origin, Err(full)),
            (Err(failure), _) => (None, Err(failure)),
        };
        let mut reply =
            result.unwrap_or_else(|failure| refuse(route, &parts, &failure, &request_id));
        add_headers(reply.headers_mut(), origin, &request_id);
        if app.places().are_scarce() {
            let close = HeaderValue::from_static("close");
            reply.headers_mut().insert(header::CONNECTION, close);
        }
        telemetry::request_ended(&parts, body_bytes, &reply, started.elapsed());
        reply
    }
    .instrument(span)
    .await
}

async fn answer(
    route: &Route,
    app: Arc<App>,
    parts: &Parts,
    body: Result<Bytes, Failure>,
    request_id: &str,
    background: Background,
) -> Result<Reply, Failure> {
    if parts.uri.path().trim_end_matches('/').rsplit('/').next() != Some(route.name) {
        return Err(Failure::new(Code::NotFound, "There is nothing here."));
    }
    if parts.method == Method::OPTIONS {
        return Ok(preflight(route));
    }
    if !route.methods.contains(&parts.method) {
        let message = format!("This address answers {} only.", allow(route));
        return Err(Failure::new(Code::MethodNotAllowed, message));
    }
    let body = body?;
    if parts.method == Method::POST && !is_json(&parts.headers) {
        return Err(Failure::new(
            Code::UnsupportedMediaType,
            "Send the body as JSON, with the header content-type: application/json.",
        ));
    }
    let proxy = app.ready().ok().and_then(|it| it.settings.proxy.as_ref());
    let platform: Option<PlatformAddress> = parts.extensions.get().copied();
    let call = Call {
        address: caller::address(&parts.headers, platform, proxy),
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        request_id: request_id.to_owned(),
        background,
    };
    // A panic that got through would take the connection with it, and the platform would never be
    // told that the invocation has ended.
    AssertUnwindSafe((route.handler)(app, call))
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Failure::internal("the handler panicked")))
}

/// The `Origin` that the response is shared with; `None` if the request names none.
fn allowed_origin(app: &App, headers: &HeaderMap) -> Result<Option<HeaderValue>, Failure> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(None);
    };
    let text = origin.to_str().unwrap_or_default();
    if app.origins().allow(text) || same_site(text, headers) {
        return Ok(Some(origin.clone()));
    }
    Err(Failure::new(
        Code::OriginNotAllowed,
        "This page may not use the chat. If it is yours, add its origin to CORS_ORIGINS.",
    ))
}

/// A failure as a line of the log and as a response.
fn refuse(route: &Route, parts: &Parts, failure: &Failure, request_id: &str) -> Reply {
    failure.log_for(Some(parts.method.as_str()), Some(parts.uri.path()));
    let mut reply = refusal(failure, request_id);
    if failure.code == Code::MethodNotAllowed {
        reply
            .headers_mut()
            .insert(header::ALLOW, allow_header(route));
    }
    reply
}

/// The platform's id of the request, or else one of ours.
fn request_id(parts: &Parts) -> String {
    let beside = parts.extensions.get().map(|RequestId(id)| id.as_str());
    let header = || parts.headers.get("x-vercel-id")?.to_str().ok();
    match beside.or_else(header) {
        Some(id) if !id.is_empty() && id.len() <= 200 => id.to_owned(),
        _ => Uuid::new_v4().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use http_body_util::{BodyExt, Full};

    const PANICKING: Route = Route {
        name: "chat",
        methods: &[Method::POST],
        warms: false,
        handler: |_, _| Box::pin(async { panic!("a text of the reader's") }),
    };

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_arrives_is_not_waited_for() {
        let app = Arc::new(App::new(Settings::from_variables(std::iter::empty())));
        let frames = futures_util::stream::pending::<Result<http_body::Frame<Bytes>, BoxError>>();
        let request = Request::post("/chat")
            .body(http_body_util::StreamBody::new(frames))
            .unwrap();
        let background = Background::new(|work| drop(tokio::spawn(work)));
        let reply = serve(&PANICKING, app, request, background, None).await;
        assert_eq!(reply.status(), 400);
    }

    #[test]
    fn the_platforms_id_beside_the_headers_counts_more_than_what_stands_in_them() {
        let request = Request::get("/chat")
            .header("x-vercel-id", "a sender's")
            .extension(RequestId("the platform's".into()))
            .body(())
            .unwrap();
        assert_eq!(request_id(&request.into_parts().0), "the platform's");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_like_any_other() {
        let app = Arc::new(App::new(Settings::from_variables(std::iter::empty())));
        let request = Request::post("/chat")
            .header("content-type", "application/json")
            .header("x-vercel-id", "fra1::abc")
            .body(Full::new(Bytes::from("{}")))
            .unwrap();
        let background = Background::new(|work| drop(tokio::spawn(work)));
        let reply = serve(&PANICKING, app, request, background, None).await;
        assert_eq!(reply.status(), 500);
        let body = reply.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "error": {
                    "code": "internal_error",
                    "message": "Something went wrong on our side. Please try again."
                },
                "request_id": "fra1::abc"
            })
        );
    }
}
