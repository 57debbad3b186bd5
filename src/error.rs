//! What a client is told when something goes wrong, and what the log is told.
//!
//! The two are different strings by construction. A [`Failure`] carries a `code` and a `message`
//! written here, for people; its `cause` is for the log alone and has no way into a response.
//! Causes are this crate's own error types, which leave out what a driver or a provider might
//! quote: a reader's text, a key, a database URL.
//!
//! This module never decides what failed: the module that owns a step converts its own error.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use serde::Serialize;
use uuid::Uuid;

/// Generates the enum, its list and its words from one table, so that none of them can lack a code.
macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident: $word:literal, $status:ident;)*) => {
        /// Every error code of the API, each with its HTTP status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[$doc])* $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The code as it appears in a response and in the log.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The HTTP status that goes with the code.
            #[must_use]
            pub fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }
        }
    };
}

codes! {
    /// The request is not what the contract asks for; nothing was touched.
    InvalidRequest: "invalid_request", BAD_REQUEST;
    /// The request does not show the secret that it needs.
    Unauthorized: "unauthorized", UNAUTHORIZED;
    /// The `Origin` is not on the list of `CORS_ORIGINS`.
    OriginNotAllowed: "origin_not_allowed", FORBIDDEN;
    /// No route has this path, or there is no such conversation or message for this reader.
    NotFound: "not_found", NOT_FOUND;
    /// The route does not know this method.
    MethodNotAllowed: "method_not_allowed", METHOD_NOT_ALLOWED;
    /// The body is larger than [`crate::http::MAX_BODY_BYTES`].
    PayloadTooLarge: "payload_too_large", PAYLOAD_TOO_LARGE;
    /// The body is not `application/json`.
    UnsupportedMediaType: "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE;
    /// A request of ChatKit's for something that this server does not do.
    NotSupported: "not_supported", NOT_IMPLEMENTED;
    /// The same request, by its `Idempotency-Key`, is still being answered.
    InProgress: "in_progress", CONFLICT;
    /// The `Idempotency-Key` was used for another request.
    IdempotencyKeyReused: "idempotency_key_reused", UNPROCESSABLE_ENTITY;
    /// The moderation found the question unfit; the question is not kept.
    ContentRefused: "content_refused", BAD_REQUEST;
    /// A pace or a day's count is used up; `retry_after` says for how long.
    RateLimited: "rate_limited", TOO_MANY_REQUESTS;
    /// The day's money is spent; `retry_after` says for how long.
    BudgetExhausted: "budget_exhausted", SERVICE_UNAVAILABLE;
    /// The instance is full.
    Overloaded: "overloaded", SERVICE_UNAVAILABLE;
    /// A setting is missing or malformed; the log names it.
    ConfigurationError: "configuration_error", INTERNAL_SERVER_ERROR;
    /// The model failed or answered nonsense.
    LlmError: "llm_error", INTERNAL_SERVER_ERROR;
    /// The model did not answer within its time limits.
    LlmTimeout: "llm_timeout", INTERNAL_SERVER_ERROR;
    /// The book cannot be read, or a new version of it should not be put in place.
    BookError: "book_error", INTERNAL_SERVER_ERROR;
    /// The database could not be reached, or refused a statement.
    DatabaseError: "database_error", INTERNAL_SERVER_ERROR;
    /// Anything else, a panic included.
    InternalError: "internal_error", INTERNAL_SERVER_ERROR;
}

impl Code {
    /// Whether it is no failure of ours: the request is at fault, or a limit does what it is for.
    #[must_use]
    pub fn refuses(self) -> bool {
        matches!(
            self,
            Self::NotSupported | Self::BudgetExhausted | Self::Overloaded
        ) || self.status().is_client_error()
    }

    /// Whether a reader should be shown it in the conversation: a limit, or a failure on our side.
    /// Anything else is a fault of the request itself.
    #[must_use]
    pub fn is_for_reader(self) -> bool {
        self.status().is_server_error() || self == Self::RateLimited
    }
}

/// One field of a request that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// The field's name in the request.
    pub field: &'static str,
    /// What is wrong with it and what would be right, for people.
    pub message: String,
}

/// A request that failed.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong and what to do, for people.
    pub message: Cow<'static, str>,
    /// The fields that are wrong, all of them; empty unless the request was invalid.
    pub details: Vec<Detail>,
    /// When to try again, if we know.
    pub retry_after: Option<Duration>,
    /// The conversation that holds the question, once it is stored.
    pub session_id: Option<Uuid>,
    /// The question was stored, but is not kept.
    pub taken_back: bool,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    /// A failure with a text for people.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
            session_id: None,
            taken_back: false,
            cause: None,
        }
    }

    /// An invalid request, with every field that is wrong.
    #[must_use]
    pub fn invalid(message: &'static str, details: Vec<Detail>) -> Self {
        Self {
            details,
            ..Self::new(Code::InvalidRequest, message)
        }
    }

    /// An invalid request with one wrong field.
    #[must_use]
    pub fn wrong(field: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::invalid("The request is not valid.", vec![Detail { field, message }])
    }

    /// There is no such conversation, or it is another reader's: nobody is told which.
    #[must_use]
    pub fn no_conversation() -> Self {
        Self::new(Code::NotFound, "There is no such conversation.")
    }

    /// A failure that should not happen; `cause` says in the log which one.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(
            Code::InternalError,
            "Something went wrong on our side. Please try again.",
        )
        .because(cause)
    }

    /// The same, with the time after which another try may succeed.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The wait in whole seconds, rounded up and at least one.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        let wait = self.retry_after?;
        let begun = u64::from(wait.subsec_nanos() > 0);
        Some((wait.as_secs() + begun).max(1))
    }

    /// The same, with its cause for the log alone.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same, for a question that is stored: its conversation can be continued.
    #[must_use]
    pub fn in_session(mut self, session_id: Uuid) -> Self {
        self.session_id = Some(session_id);
        self
    }

    /// The same, for a question that was stored but is not kept.
    #[must_use]
    pub fn taken_back(mut self) -> Self {
        self.taken_back = true;
        self
    }

    /// The same, with another text for people.
    #[must_use]
    pub fn saying(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Writes the failure into the log, within the span of its request: the turn's task does this
    /// for a turn, the edge for everything else.
    pub fn log(&self) {
        self.log_for(None, None);
    }

    /// The same, with the request's method and path.
    pub fn log_for(&self, method: Option<&str>, path: Option<&str>) {
        let code = self.code.as_str();
        let cause = self.cause.as_deref().map(|cause| chain(cause));
        let fields: Vec<_> = self.details.iter().map(|d| d.field).collect();
        let fields = (!fields.is_empty()).then(|| fields.join(","));
        if !self.code.refuses() {
            tracing::error!(code, cause, "request failed");
        } else if matches!(self.code, Code::BudgetExhausted | Code::Overloaded) {
            // Readers who are not at fault are turned away: an owner should know.
            tracing::warn!(code, cause, method, path, "request refused");
        } else {
            tracing::info!(code, cause, fields, method, path, "request refused");
        }
    }

    /// The response's body.
    #[must_use]
    pub fn body<'a>(&'a self, request_id: &'a str) -> impl Serialize + 'a {
        Body {
            error: BodyError {
                code: self.code.as_str(),
                message: &self.message,
                details: &self.details,
                retry_after: self.retry_after_seconds(),
            },
            request_id,
            session_id: self.session_id,
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error: BodyError<'a>,
    request_id: &'a str,
    // In the body, because the AI SDK shows a page no headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<Uuid>,
}

#[derive(Serialize)]
struct BodyError<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    details: &'a [Detail],
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// An error and its sources in one line, outermost first.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Milliseconds for a log field.
#[must_use]
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
