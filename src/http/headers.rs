//! The headers of a route: what a preflight is told, what every response carries, and which content
//! type is accepted.

use http::{HeaderMap, HeaderValue, Method, header};

use super::{Reply, Route, no_content};

/// How long a browser may remember a preflight, in seconds; Chromium's own limit.
const PREFLIGHT_MAX_AGE: &str = "7200";

pub(super) fn preflight(route: &Route) -> Reply {
    let mut reply = no_content();
    let headers = reply.headers_mut();
    headers.insert(header::ALLOW, allow_header(route));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, allow_header(route));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            // The last four come with ChatKit's requests: one is the page's, three the widget's own.
            "content-type, idempotency-key, authorization, x-session-id, x-when-left, x-page, \
             accept-language, chatkit-frame-instance-id, chatkit-device-id",
        ),
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static(PREFLIGHT_MAX_AGE),
    );
    reply
}

pub(super) fn add_headers(headers: &mut HeaderMap, origin: Option<HeaderValue>, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    // A stream sets its own.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("origin, accept"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static("x-request-id, retry-after, x-reader-token"),
        );
    } else {
        // A preflight of a page that is not on the list learns nothing.
        headers.remove(header::ACCESS_CONTROL_ALLOW_METHODS);
        headers.remove(header::ACCESS_CONTROL_ALLOW_HEADERS);
        headers.remove(header::ACCESS_CONTROL_MAX_AGE);
    }
}

pub(super) fn allow(route: &Route) -> String {
    let methods = route.methods.iter().chain([&Method::OPTIONS]);
    methods.map(Method::as_str).collect::<Vec<_>>().join(", ")
}

pub(super) fn allow_header(route: &Route) -> HeaderValue {
    // Method names are tokens, which are valid in any header.
    HeaderValue::try_from(allow(route)).unwrap_or(HeaderValue::from_static("OPTIONS"))
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let text = content_type.and_then(|value| value.to_str().ok());
    text.and_then(|text| text.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
