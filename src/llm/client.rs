//! The HTTP client under async-openai, and what its errors mean.
//!
//! async-openai's own stack sleeps as long as a server tells it to, retries by itself and loses the
//! status of what it cannot parse. It is replaced by a plain one, which reports what the server
//! said and leaves every decision to [`super::retry`].

use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::config::{Config, OpenAIConfig};
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use http::{HeaderMap, header};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;

use super::Error;
use super::pace::{Pace, PacedBody};
use crate::config::ModelSettings;
use crate::error::chain;
use crate::guard::places::{descriptor_limit, idle_connections};

/// What the calls of an instance share.
#[derive(Debug)]
pub(super) struct Provider {
    http: reqwest::Client,
    config: OpenAIConfig,
}

impl Provider {
    pub(super) async fn new(settings: &ModelSettings) -> Result<Self, Error> {
        let config = OpenAIConfig::new()
            .with_api_base(&settings.base_url)
            .with_api_key(settings.api_key.expose_secret());
        // How long reading may take, the callers decide, who know what they wait for.
        let http = reqwest::Client::builder()
            // Whatever features other crates switch on: over HTTP/2 all calls would share a
            // connection, and its end would be the end of every answer.
            .http1_only()
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(idle_connections(descriptor_limit()));
        // Parsing the CA bundle takes 10 ms or more of CPU time: not on a thread that serves.
        let http = tokio::task::spawn_blocking(move || http.build())
            .await
            .map_err(|error| Error::SetUp(error.to_string()))?
            .map_err(|error| Error::SetUp(chain(&error)))?;
        Ok(Self { http, config })
    }

    /// Asks for the model's description, which costs nothing.
    pub(super) async fn describe(&self, model: &str) -> Result<(), Error> {
        let request = self.http.get(self.config.url(&format!("/models/{model}")));
        let response = request.headers(self.config.headers()).send().await;
        let response = response.map_err(|error| Error::from(OpenAIError::Reqwest(error)))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(Error::Refused(Refusal::read(response).await))
        }
    }

    /// A client for one call, which reads no faster than `pace` allows.
    pub(super) fn client(&self, pace: &Arc<Pace>) -> Client<OpenAIConfig> {
        let (http, pace) = (self.http.clone(), Arc::clone(pace));
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            let (http, pace) = (http.clone(), Arc::clone(&pace));
            async move {
                let response = http.execute(request.build().await?).await?;
                if response.status().is_success() {
                    let response: http::Response<reqwest::Body> = response.into();
                    let response =
                        response.map(|body| reqwest::Body::wrap(PacedBody::new(body, pace)));
                    Ok(response.into())
                } else {
                    Err(OpenAIError::Boxed(Box::new(Refusal::read(response).await)))
                }
            }
        });
        Client::build(self.http.clone(), self.config.clone()).with_http_service(service)
    }
}

/// A response whose status is not a success, without the provider's message.
#[derive(Debug, thiserror::Error)]
#[error("status {status}{}{}", named("type", kind.as_ref()), named("code", code.as_ref()))]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The provider's `error.type`.
    pub kind: Option<String>,
    /// The provider's `error.code`.
    pub code: Option<String>,
    /// How long the provider wants us to wait (`Retry-After` in seconds).
    pub retry_after: Option<Duration>,
}

fn named(name: &str, value: Option<&String>) -> String {
    value.map_or_else(String::new, |value| format!(", {name} {value}"))
}

impl Refusal {
    /// The setting that the provider does not accept, and why: only the owner can mend it. `None` for
    /// what may pass by itself.
    ///
    /// Codes: <https://platform.openai.com/docs/guides/error-codes/api-errors>
    #[must_use]
    pub fn setting(&self) -> Option<(&'static str, &'static str)> {
        match (self.status, self.code.as_deref()) {
            (401 | 403, _) => Some(("OPENAI_API_KEY", "the provider refuses it")),
            (404, Some("model_not_found")) => Some((
                "OPENAI_MODEL",
                "the provider does not know this model, or the key may not use it",
            )),
            (429, Some("insufficient_quota")) => {
                Some(("OPENAI_API_KEY", "its account has no credit left"))
            }
            _ => None,
        }
    }

    /// Reads the parts of an error response that are meant for programs; its body may be anything.
    pub(super) async fn read(mut response: reqwest::Response) -> Self {
        /// More than any error has to say.
        const MAX_BYTES: usize = 64 * 1024;
        #[derive(Default, Deserialize)]
        struct Body {
            error: Details,
        }
        #[derive(Default, Deserialize)]
        struct Details {
            r#type: Option<Value>,
            // A string or null from OpenAI, a number from others.
            code: Option<Value>,
        }
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_BYTES {
                break;
            }
        }
        let body: Body = serde_json::from_slice(&bytes).unwrap_or_default();
        Self {
            status: response.status().as_u16(),
            kind: body.error.r#type.and_then(word),
            code: body.error.code.and_then(word),
            retry_after: retry_after(response.headers()),
        }
    }
}

/// A value that can only be a name: it goes into the log, and anything else might quote a prompt.
fn word(value: Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (text.len() <= 64 && text.chars().all(name)).then_some(text)
}

/// `Retry-After` as seconds; a date or anything else counts as not given.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

impl From<OpenAIError> for Error {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<Refusal>() {
                Ok(refusal) => Self::Refused(*refusal),
                Err(error) => Self::Transport(error.to_string()),
            },
            OpenAIError::Reqwest(error) if error.is_timeout() && error.is_connect() => {
                Self::ConnectTimeout
            }
            // No such name, refused, no descriptor left, no TLS: nothing was asked.
            OpenAIError::Reqwest(error) if error.is_connect() => {
                Self::Unreachable(chain(&error.without_url()))
            }
            OpenAIError::Reqwest(error) if error.is_timeout() => {
                Self::Timeout("the answer stalled")
            }
            // The base URL may hold credentials.
            OpenAIError::Reqwest(error) => Self::Transport(chain(&error.without_url())),
            OpenAIError::JSONDeserialize(..) => Self::Nonsense("a piece is not JSON"),
            OpenAIError::StreamError(_) => Self::Transport("the stream broke".into()),
            _ => Self::Transport("the client refused the request".into()),
        }
    }
}
