//! The model: OpenAI Chat Completions, asked for a stream, read piece by piece.
//!
//! It owns the request's form, the time limits and what counts as an answer. It never sees the
//! database, and no text of a message, an answer or a provider's error leaves it for the log:
//! a provider quotes keys and prompts in its error messages.

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::stream::StreamResponse;
use futures_util::StreamExt;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::config::ModelSettings;
use crate::error::{Code, Failure, chain};
use crate::prompt::Message;

mod log;
mod wire;

use log::CallLog;
use wire::{Chunk, Request, StreamOptions};

/// How long a whole answer waits for its usage, which comes right after it where it comes at all.
const USAGE_WAIT: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made.
    #[error("setting up the HTTP client failed: {0}")]
    SetUp(String),
    /// A time limit ran out; says which.
    #[error("the model took too long: {0}")]
    Timeout(&'static str),
    /// The provider refused the request.
    #[error("the model refused: {0}")]
    Refused(#[from] Refusal),
    /// The request or the answer broke on the way.
    #[error("the model could not be reached: {0}")]
    Transport(String),
    /// The answer is not one: not the protocol, cut off, or empty.
    #[error("the model answered nonsense: {0}")]
    Nonsense(&'static str),
}

/// A status other than 200, without the provider's message.
#[derive(Debug, thiserror::Error)]
#[error("status {status}, type {kind:?}, code {code:?}")]
pub struct Refusal {
    status: u16,
    kind: Option<String>,
    code: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Timeout(_) => Self::new(
                Code::LlmTimeout,
                "The assistant took too long to answer. Your question is saved; please try again.",
            ),
            _ => Self::new(
                Code::LlmError,
                "The assistant cannot answer right now. Your question is saved; please try again.",
            ),
        }
        .because(error)
    }
}

/// The model of an instance. Its client is made when it is first needed.
#[derive(Debug)]
pub struct Model {
    settings: ModelSettings,
    client: OnceCell<Client<OpenAIConfig>>,
}

impl Model {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: ModelSettings) -> Self {
        Self {
            settings,
            client: OnceCell::new(),
        }
    }

    /// Asks the model. The answer is read from what this returns.
    ///
    /// # Errors
    ///
    /// When the provider refuses, cannot be reached, or does not begin to answer in time.
    pub async fn ask(&self, messages: &[Message<'_>]) -> Result<AnswerStream, Error> {
        let asked = Instant::now();
        let call = CallLog::new(&self.settings.name, messages, asked);
        let deadlines = Deadlines {
            first_byte: asked + self.settings.first_byte_timeout.min(self.settings.timeout),
            end: asked + self.settings.timeout,
        };
        let result = self.open(messages, &deadlines).await;
        match result {
            Ok(chunks) => Ok(AnswerStream {
                chunks,
                deadlines,
                finish_reason: None,
                visible: false,
                call,
            }),
            Err(error) => {
                call.failed(&error);
                Err(error)
            }
        }
    }

    async fn open(
        &self,
        messages: &[Message<'_>],
        deadlines: &Deadlines,
    ) -> Result<StreamResponse<Chunk>, Error> {
        let request = Request {
            model: &self.settings.name,
            messages,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
            max_completion_tokens: self.settings.max_completion_tokens,
            reasoning_effort: self.settings.reasoning_effort.as_deref(),
        };
        let client = self.client().await?;
        let chat = client.chat();
        timeout_at(deadlines.first_byte, chat.create_stream_byot(request))
            .await
            .map_err(|_| Error::Timeout("no response began"))?
            .map_err(Into::into)
    }

    async fn client(&self) -> Result<&Client<OpenAIConfig>, Error> {
        self.client
            .get_or_try_init(|| async {
                let settings = self.settings.clone();
                // Parsing the CA bundle takes 10 ms and more of CPU: not on a thread that serves.
                tokio::task::spawn_blocking(move || make_client(&settings))
                    .await
                    .map_err(|error| Error::SetUp(error.to_string()))?
            })
            .await
    }
}

/// async-openai's own HTTP stack sleeps as long as a server tells it and retries by itself; in its
/// place stands a plain one, which reports what the server said and leaves the decision to us.
fn make_client(settings: &ModelSettings) -> Result<Client<OpenAIConfig>, Error> {
    let http = reqwest::Client::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.timeout)
        .build()
        .map_err(|error| Error::SetUp(chain(&error)))?;
    let config = OpenAIConfig::new()
        .with_api_base(&settings.base_url)
        .with_api_key(settings.api_key.expose_secret());
    let sender = http.clone();
    let service = tower::service_fn(
        move |request: async_openai::middleware::HttpRequestFactory| {
            let http = sender.clone();
            async move {
                let request = request.build().await?;
                let response = http.execute(request).await?;
                if response.status().is_success() {
                    Ok(response)
                } else {
                    Err(OpenAIError::Boxed(Box::new(Refusal::read(response).await)))
                }
            }
        },
    );
    Ok(Client::build(http, config).with_http_service(service))
}

impl Refusal {
    /// Reads what a program may know of an error response; its body may be anything.
    async fn read(response: reqwest::Response) -> Self {
        #[derive(Default, Deserialize)]
        struct Body {
            error: Details,
        }
        #[derive(Default, Deserialize)]
        struct Details {
            r#type: Option<String>,
            // A string or null with OpenAI, a number with others.
            code: Option<Value>,
        }
        let status = response.status().as_u16();
        let body: Body = match response.bytes().await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(_) => Body::default(),
        };
        Self {
            status,
            kind: body.error.r#type,
            code: body.error.code.map(|code| match code {
                Value::String(code) => code,
                other => other.to_string(),
            }),
        }
    }
}

impl From<OpenAIError> for Error {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<Refusal>() {
                Ok(refusal) => Self::Refused(*refusal),
                Err(error) => Self::Transport(error.to_string()),
            },
            OpenAIError::Reqwest(error) if error.is_timeout() => {
                Self::Timeout(if error.is_connect() {
                    "connecting"
                } else {
                    "the answer stalled"
                })
            }
            // The base URL may hold credentials.
            OpenAIError::Reqwest(error) => Self::Transport(chain(&error.without_url())),
            OpenAIError::JSONDeserialize(..) => Self::Nonsense("a piece is not JSON"),
            OpenAIError::StreamError(_) => Self::Transport("the stream broke".into()),
            _ => Self::Transport("the client refused the request".into()),
        }
    }
}

/// A running answer.
pub struct AnswerStream {
    chunks: StreamResponse<Chunk>,
    deadlines: Deadlines,
    finish_reason: Option<String>,
    /// Whether the answer holds more than white space so far.
    visible: bool,
    call: CallLog,
}

impl AnswerStream {
    /// The next piece of text; `None` when the answer is whole.
    ///
    /// # Errors
    ///
    /// When the answer breaks, stalls, or ends without a `finish_reason`: a stream that is cut
    /// looks like one that has ended.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let piece = self.read().await;
        match &piece {
            Ok(Some(text)) => self.call.received(text),
            Ok(None) => self.call.finished(self.finish_reason.as_deref()),
            Err(error) => self.call.failed(error),
        }
        piece
    }

    async fn read(&mut self) -> Result<Option<String>, Error> {
        loop {
            let chunk = self.read_chunk().await;
            if self.finish_reason.is_some() {
                // The answer is whole. What may follow is the usage; its loss loses no answer.
                match chunk {
                    Ok(Some(chunk)) => self.call.usage = chunk.usage.or(self.call.usage.take()),
                    _ if !self.visible => return Err(Error::Nonsense("it is empty")),
                    _ => return Ok(None),
                }
                continue;
            }
            let chunk = chunk?.ok_or(Error::Nonsense("it ended without a finish_reason"))?;
            if chunk.error.is_some() {
                return Err(Error::Nonsense("it reported an error on its way"));
            }
            self.call.usage = chunk.usage.or(self.call.usage.take());
            let Some(choice) = chunk.choices.into_iter().flatten().next() else {
                continue;
            };
            self.finish_reason = choice.finish_reason.filter(|reason| !reason.is_empty());
            let delta = choice.delta.unwrap_or_default();
            let text = delta.content.or(delta.refusal).unwrap_or_default();
            if !text.is_empty() {
                self.visible |= !text.trim().is_empty();
                return Ok(Some(text));
            }
        }
    }

    async fn read_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let now = Instant::now();
        let (deadline, late) = if self.finish_reason.is_some() {
            (self.deadlines.end.min(now + USAGE_WAIT), "no usage")
        } else if self.call.first_byte.is_none() {
            (self.deadlines.first_byte, "no answer began")
        } else {
            (self.deadlines.end, "the answer did not end")
        };
        let chunk = timeout_at(deadline, self.chunks.next()).await;
        Ok(chunk.map_err(|_| Error::Timeout(late))?.transpose()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct Deadlines {
    first_byte: Instant,
    end: Instant,
}
