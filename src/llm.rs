//! The model: OpenAI Chat Completions, asked for a stream, read piece by piece.
//!
//! It owns the request's form, the time limits, the retries ([`retry`]) and what counts as an
//! answer. It never sees the database, and no text of a message, an answer or a provider's error
//! goes from here into the log: a provider quotes keys and prompts in its error messages.

use std::sync::Arc;

use async_openai::types::stream::StreamResponse;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use crate::config::ModelSettings;
use crate::error::{Code, Failure};
use crate::prompt::Message;

mod answer;
mod check;
mod client;
mod embedding;
mod log;
mod moderation;
mod pace;
pub mod retry;
mod wire;

pub use answer::AnswerStream;
use answer::Deadlines;
use check::Checked;
use client::Provider;
pub use client::Refusal;
pub use embedding::{DIMENSIONS, Vectors};
use log::CallLog;
use pace::Pace;
pub use wire::Usage;
use wire::{Chunk, Request, StreamOptions};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP client could not be made.
    #[error("setting up the HTTP client failed: {0}")]
    SetUp(String),
    /// A time limit ran out; says which.
    #[error("the model took too long: {0}")]
    Timeout(&'static str),
    /// No connection in time. Nothing has been asked.
    #[error("the model could not be connected to in time")]
    ConnectTimeout,
    /// No connection, for another reason. Nothing has been asked.
    #[error("the model could not be connected to: {0}")]
    Unreachable(String),
    /// The provider refused the request.
    #[error("the model refused: {0}")]
    Refused(Refusal),
    /// The request or the answer broke on the way.
    #[error("the model could not be reached: {0}")]
    Transport(String),
    /// The moderation found the question unfit.
    #[error("the moderation flagged the question")]
    Flagged,
    /// The moderation gave no verdict. The call to the model ran alongside it.
    #[error("the moderation failed: {0}")]
    Moderation(Box<Error>),
    /// What came is not an answer: it breaks the protocol, is cut off, or is empty.
    #[error("the model answered nonsense: {0}")]
    Nonsense(&'static str),
}

impl Error {
    /// Whether the provider cannot have charged anything.
    #[must_use]
    pub fn is_free_of_charge(&self) -> bool {
        matches!(
            self,
            Self::SetUp(_) | Self::ConnectTimeout | Self::Unreachable(_) | Self::Refused(_)
        )
    }

    /// The setting that the provider does not accept, and why.
    #[must_use]
    pub fn setting(&self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Refused(refusal) => refusal.setting(),
            Self::Moderation(error) => error.setting(),
            _ => None,
        }
    }
}

/// A setting that the provider does not accept.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {problem}")]
struct Misset {
    variable: &'static str,
    problem: &'static str,
    source: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Some((variable, problem)) = error.setting() {
            return Self::new(
                Code::ConfigurationError,
                "This chat is not set up completely. Your question is saved. If the chat is yours: the \
                 function's log names the setting to fix.",
            )
            .because(Misset {
                variable,
                problem,
                source: error,
            });
        }
        match error {
            Error::Timeout(_) | Error::ConnectTimeout => Self::new(
                Code::LlmTimeout,
                "The assistant took too long to answer. Your question is saved; please try again.",
            ),
            Error::Moderation(_) => Self::new(
                Code::LlmError,
                "The assistant cannot answer right now. Please ask again in a moment.",
            ),
            Error::Flagged => Self::new(
                Code::ContentRefused,
                "This question cannot be answered here. Please ask about the textbook.",
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
    provider: OnceCell<Provider>,
    checked: Checked,
}

impl Model {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: ModelSettings) -> Self {
        Self {
            settings,
            provider: OnceCell::new(),
            checked: Checked::default(),
        }
    }

    /// Asks the model, more than once where [`retry`] says so, and returns when the first piece of
    /// the answer is there. Dropping what it returns ends the call.
    ///
    /// `safety_identifier` names the conversation to the provider, and to nobody else.
    ///
    /// # Errors
    ///
    /// When the provider refuses, cannot be reached, or does not begin to answer in time.
    pub async fn ask(
        &self,
        messages: &[Message<'_>],
        safety_identifier: &str,
    ) -> Result<AnswerStream, Error> {
        let end = Instant::now() + self.settings.timeout;
        let (mut attempt, mut billed) = (1, false);
        loop {
            let error = match self
                .attempt(messages, safety_identifier, attempt, end)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            billed |= !error.is_free_of_charge();
            if !retry::wait(&error, attempt, end).await {
                // An earlier attempt may have been billed, whatever the last one says.
                let hides_a_bill = error.is_free_of_charge() && billed;
                return Err(if hides_a_bill {
                    Error::Transport(error.to_string())
                } else {
                    error
                });
            }
            attempt += 1;
        }
    }

    /// One call, up to the first piece of its answer.
    async fn attempt(
        &self,
        messages: &[Message<'_>],
        safety_identifier: &str,
        attempt: u32,
        end: Instant,
    ) -> Result<AnswerStream, Error> {
        let mut call = CallLog::new(&self.settings.name, messages, attempt);
        let deadlines = Deadlines {
            first_byte: end.min(Instant::now() + self.settings.first_byte_timeout),
            end,
        };
        let pace = Arc::new(Pace::default());
        match self
            .open(messages, safety_identifier, &deadlines, &pace)
            .await
        {
            Ok(chunks) => {
                let answer = AnswerStream::new(chunks, pace, deadlines, call);
                answer.begun().await
            }
            Err(error) => {
                call.failed(&error);
                Err(error)
            }
        }
    }

    async fn open(
        &self,
        messages: &[Message<'_>],
        safety_identifier: &str,
        deadlines: &Deadlines,
        pace: &Arc<Pace>,
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
            safety_identifier,
        };
        let client = self.provider().await?.client(pace);
        let chat = client.chat();
        timeout_at(deadlines.first_byte, chat.create_stream_byot(request))
            .await
            .map_err(|_| Error::Timeout("no response began"))?
            .map_err(Into::into)
    }

    /// Makes the HTTP client while the instance waits for its first request. Fails silently: a call
    /// then tries again, and says what is wrong.
    pub async fn warm(&self) {
        let _ = self.provider().await;
    }

    async fn provider(&self) -> Result<&Provider, Error> {
        self.provider
            .get_or_try_init(|| Provider::new(&self.settings))
            .await
    }
}
