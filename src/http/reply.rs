//! Responses: JSON, an empty body, and the one form that errors have.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use serde::Serialize;

use super::BoxError;
use crate::error::Failure;

/// A response's body.
pub type Body = BoxBody<Bytes, BoxError>;

/// A response.
pub type Reply = Response<Body>;

/// Marks a response, as an extension, whose line of the log says already that it refuses.
#[derive(Debug, Clone, Copy)]
pub struct Refused;

/// A JSON response.
pub fn json(status: StatusCode, value: &impl Serialize) -> Reply {
    // Only a map whose keys are not strings can fail, and our own types hold none.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut reply = Response::new(full(text));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    reply
}

/// A response that says nothing but that it is done.
#[must_use]
pub fn no_content() -> Reply {
    let mut reply = Response::new(full(Bytes::new()));
    *reply.status_mut() = StatusCode::NO_CONTENT;
    reply
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// A failure as a response.
pub(super) fn refusal(failure: &Failure, request_id: &str) -> Reply {
    let mut reply = json(failure.code.status(), &failure.body(request_id));
    if failure.code.refuses() {
        reply.extensions_mut().insert(Refused);
    }
    if let Some(seconds) = failure.retry_after_seconds() {
        reply
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    reply
}
