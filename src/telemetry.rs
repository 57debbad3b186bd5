//! The log: JSON lines, one span per request.
//!
//! What may appear in it is decided where it is written, by naming each field: ids, counts, times,
//! codes and the header values below. Never a message, a passage, a key, a cookie or a database
//! URL. Only this crate's own events are written, because libraries quote what they work on.
//!
//! On the platform a line goes through the request's [`LogContext`], so that it appears under its
//! request; elsewhere it goes to standard output. `writer` sees to it that neither holds up a turn.

mod writer;

use std::fmt::{Debug, Display, Write as _};
use std::time::Duration;

use chrono::{SecondsFormat, Utc};
use http::request::Parts;
use http::{HeaderName, header};
use tracing::field::{Empty, Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use vercel_runtime::LogContext;

pub use writer::{leave_room_in, may_end, written};

use crate::error::milliseconds;
use crate::http::{Refused, Reply};

/// The longest text in a line; what is longer is cut.
const MAX_VALUE_CHARS: usize = 2_000;

/// Where the lines of a request go: `None` is standard output.
pub type Sink = Option<LogContext>;

/// Starts the log at `LOG_LEVEL` (`error`, `warn`, `info`, `debug`, `trace` or `off`; default
/// `info`, also for any other value), and puts panics into it.
pub fn init() {
    let level = std::env::var("LOG_LEVEL").ok();
    let level = level.and_then(|level| level.trim().parse().ok());
    let targets = Targets::new().with_target("textbook_chat", level.unwrap_or(LevelFilter::INFO));
    writer::start();
    // A second start finds the first one's log, which serves as well.
    let _ = tracing_subscriber::registry()
        .with(JsonLines.with_filter(targets))
        .try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The message may quote what was being worked on; the place never does.
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "textbook_chat", place, "panic");
    }));
}

/// The span of a request, whose ids appear on each of its lines.
#[must_use]
pub fn request_span(request_id: &str, sink: Sink) -> Span {
    // Of the highest level, so that no `LOG_LEVEL` takes the ids from the lines that are left.
    let span = tracing::error_span!(
        target: "textbook_chat",
        "request",
        request_id,
        session_id = Empty,
    );
    if let Some(sink) = sink {
        span.with_subscriber(|(id, dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>();
            if let Some(span) = registry.and_then(|registry| registry.span(id)) {
                span.extensions_mut().insert(sink);
            }
        });
    }
    span
}

/// The line that says how a request ended. A refusal has one already, and a crowd that is refused
/// must not fill the log: there, this line is for debugging.
pub fn request_ended(parts: &Parts, body_bytes: usize, reply: &Reply, duration: Duration) {
    if reply.extensions().get::<Refused>().is_some() {
        tracing::debug!(
            target: "textbook_chat",
            status = reply.status().as_u16(),
            duration_ms = milliseconds(duration),
            "request"
        );
        return;
    }
    let header = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let names: Vec<_> = parts.headers.keys().map(HeaderName::as_str).collect();
    tracing::info!(
        target: "textbook_chat",
        method = parts.method.as_str(),
        path = parts.uri.path(),
        origin = header(header::ORIGIN),
        user_agent = header(header::USER_AGENT),
        headers = names.join(","),
        body_bytes,
        status = reply.status().as_u16(),
        duration_ms = milliseconds(duration),
        "request"
    );
}

/// Writes each event as one line, with the fields of the spans that it is in.
struct JsonLines;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for JsonLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let level = *event.metadata().level();
        let mut line = Fields(opening(level));
        event.record(&mut line);

        let mut sink = None;
        for span in context.event_scope(event).into_iter().flatten() {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<Fields>() {
                line.0.push_str(&fields.0);
            }
            sink = sink.or_else(|| extensions.get::<LogContext>().cloned());
        }
        line.0.push('}');
        writer::send(sink, level, line.0);
    }
}

/// How every line begins.
fn opening(level: Level) -> String {
    let now = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let name = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    format!(r#"{{"timestamp":"{now}","level":"{name}""#)
}

/// The fields of a span or an event, each as `,"name":value`. No event has a field that one of our
/// spans has, too.
#[derive(Default)]
struct Fields(String);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Display) {
        let _ = write!(self.0, r#","{}":{value}"#, field.name());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // A path or a header may be as long as its sender likes.
        let end = value.char_indices().nth(MAX_VALUE_CHARS);
        let value = end.map_or(value, |(end, _)| &value[..end]);
        if let Ok(quoted) = serde_json::to_string(value) {
            self.insert(field, quoted);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
}
