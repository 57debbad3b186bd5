//! The model: OpenAI Chat Completions, asked for a stream, read piece by piece.
//!
//! It owns the request's form, the time limits, the retries ([`retry`]) and what counts as an
//! answer. It never sees the database, and no text of a message, an answer or a provider's error
//! leaves it for the log: a provider quotes keys and prompts in its error messages.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_openai::types::stream::StreamResponse;
use futures_util::StreamExt;
use tokio::sync::OnceCell;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::ModelSettings;
use crate::error::{Code, Failure, milliseconds};
use crate::prompt::Message;

mod client;
mod log;
mod pace;
pub mod retry;
mod wire;

use client::Connection;
pub use client::Refusal;
use log::CallLog;
use pace::Pace;
pub use wire::Usage;
use wire::{Chunk, Moderation, Request, StreamOptions, Verdict};

/// How long a whole answer waits for its usage, which comes right after it where it comes at all.
const USAGE_WAIT: Duration = Duration::from_secs(1);

/// The longest answer that is taken, in bytes; far beyond what `MAX_COMPLETION_TOKENS` allows.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

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
    /// The provider refused the request.
    #[error("the model refused: {0}")]
    Refused(Refusal),
    /// The request or the answer broke on the way.
    #[error("the model could not be reached: {0}")]
    Transport(String),
    /// The moderation found the question unfit.
    #[error("the moderation flagged the question")]
    Flagged,
    /// The moderation has no verdict. The model's call ran beside it.
    #[error("the moderation failed: {0}")]
    Moderation(Box<Error>),
    /// The answer is not one: not the protocol, cut off, or empty.
    #[error("the model answered nonsense: {0}")]
    Nonsense(&'static str),
}

impl Error {
    /// Whether the provider cannot have charged anything.
    #[must_use]
    pub fn is_free_of_charge(&self) -> bool {
        matches!(
            self,
            Self::SetUp(_) | Self::ConnectTimeout | Self::Refused(_)
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
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
    connection: OnceCell<Connection>,
}

impl Model {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: ModelSettings) -> Self {
        Self {
            settings,
            connection: OnceCell::new(),
        }
    }

    /// Asks the model, more than once where [`retry`] says so, and returns when the first piece
    /// of the answer is there. Dropping what it returns ends the call.
    ///
    /// # Errors
    ///
    /// When the provider refuses, cannot be reached, or does not begin to answer in time.
    ///
    /// `safety_identifier` names the reader to the provider, and to nobody else.
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
            let left = end.saturating_duration_since(Instant::now());
            let Some(delay) = retry::delay(&error, attempt, left, rand::random()) else {
                // An earlier attempt may have been billed, whatever the last one says.
                let hides_a_bill = error.is_free_of_charge() && billed;
                return Err(if hides_a_bill {
                    Error::Transport(error.to_string())
                } else {
                    error
                });
            };
            sleep(delay).await;
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
                let mut answer = AnswerStream {
                    chunks,
                    pace,
                    deadlines,
                    first: None,
                    finish_reason: None,
                    visible: false,
                    bytes: 0,
                    call,
                };
                answer.first = answer.advance().await?;
                Ok(answer)
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
        let client = self.connection().await?.client(pace);
        let chat = client.chat();
        timeout_at(deadlines.first_byte, chat.create_stream_byot(request))
            .await
            .map_err(|_| Error::Timeout("no response began"))?
            .map_err(Into::into)
    }
}

impl Model {
    /// Asks the provider's moderation about a question; returns where it has nothing against it.
    ///
    /// # Errors
    ///
    /// `Flagged` where it has. No verdict is an error, too: a question that was to be moderated
    /// is not answered without.
    pub async fn moderate(&self, texts: &[&str]) -> Result<(), Error> {
        let started = Instant::now();
        let end = started + self.settings.first_byte_timeout.min(self.settings.timeout);
        let mut attempt = 1;
        let verdict = loop {
            let verdict = self.ask_moderation(texts, end).await;
            let left = end.saturating_duration_since(Instant::now());
            let error = verdict.as_ref().err();
            let delay = error.and_then(|e| retry::delay(e, attempt, left, rand::random()));
            let Some(delay) = delay else { break verdict };
            sleep(delay).await;
            attempt += 1;
        };
        tracing::info!(
            duration_ms = milliseconds(started.elapsed()),
            outcome = match &verdict {
                Ok(()) => "ok",
                Err(Error::Flagged) => "flagged",
                Err(_) => "failed",
            },
            attempt,
            error = verdict.as_ref().err().map(tracing::field::display),
            "moderation"
        );
        verdict.map_err(|error| match error {
            Error::Flagged => error,
            error => Error::Moderation(Box::new(error)),
        })
    }

    async fn ask_moderation(&self, texts: &[&str], end: Instant) -> Result<(), Error> {
        let client = self.connection().await?.client(&Arc::default());
        let moderations = client.moderations();
        let request = Moderation {
            model: "omni-moderation-latest",
            input: texts,
        };
        let verdict: Verdict = timeout_at(end, moderations.create_byot(request))
            .await
            .map_err(|_| Error::Timeout("the moderation"))??;
        if verdict.results.is_empty() {
            return Err(Error::Nonsense("the moderation has no verdict"));
        }
        if verdict.results.iter().any(|result| result.flagged) {
            return Err(Error::Flagged);
        }
        Ok(())
    }

    /// Makes the HTTP client, beside the wait for the first request. Fails in silence: a call then
    /// tries for itself, and says what is wrong.
    pub async fn warm(&self) {
        let _ = self.connection().await;
    }

    async fn connection(&self) -> Result<&Connection, Error> {
        self.connection
            .get_or_try_init(|| Connection::new(&self.settings))
            .await
    }
}

/// A running answer.
pub struct AnswerStream {
    chunks: StreamResponse<Chunk>,
    pace: Arc<Pace>,
    deadlines: Deadlines,
    /// The first piece, until it is taken.
    first: Option<String>,
    finish_reason: Option<String>,
    /// Whether the answer holds more than white space so far.
    visible: bool,
    bytes: usize,
    call: CallLog,
}

impl std::fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerStream").finish_non_exhaustive()
    }
}

impl AnswerStream {
    /// The next piece of text; `None` when the answer is whole.
    ///
    /// # Errors
    ///
    /// When the answer breaks, stalls, or ends without a `finish_reason`: a stream that is cut
    /// looks like one that has ended.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        match self.first.take() {
            Some(piece) => Ok(Some(piece)),
            None => self.advance().await,
        }
    }

    /// Why the model stopped, in the provider's words; known when the answer is whole.
    #[must_use]
    pub fn finish_reason(&self) -> &str {
        self.finish_reason.as_deref().unwrap_or_default()
    }

    /// What a whole answer used, where the provider tells: right after its end, or not at all.
    pub async fn usage(mut self) -> Option<Usage> {
        let wait = self.deadlines.end.min(Instant::now() + USAGE_WAIT);
        while let Ok(Ok(Some(chunk))) = timeout_at(wait, self.read_chunk()).await {
            self.call.usage = chunk.usage.or(self.call.usage.take());
        }
        self.call.finished(self.finish_reason.as_deref());
        self.call.usage
    }

    async fn advance(&mut self) -> Result<Option<String>, Error> {
        let piece = self.read().await;
        match &piece {
            Ok(Some(text)) => self.call.received(text),
            Ok(None) => {}
            Err(error) => self.call.failed(error),
        }
        piece
    }

    async fn read(&mut self) -> Result<Option<String>, Error> {
        loop {
            if self.finish_reason.is_some() {
                return if self.visible {
                    Ok(None)
                } else {
                    Err(Error::Nonsense("it is empty"))
                };
            }
            let chunk = self
                .read_chunk()
                .await?
                .ok_or(Error::Nonsense("it ended without a finish_reason"))?;
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
            self.bytes += text.len();
            if self.bytes > MAX_ANSWER_BYTES {
                return Err(Error::Nonsense("it does not end"));
            }
            if !text.is_empty() {
                self.visible |= !text.trim().is_empty();
                return Ok(Some(text));
            }
        }
    }

    async fn read_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let (deadline, late) = if self.call.first_byte.is_none() {
            (self.deadlines.first_byte, "no answer began")
        } else {
            (self.deadlines.end, "the answer did not end")
        };
        let next = poll_fn(|context| {
            let next = self.chunks.poll_next_unpin(context);
            self.pace.reader_waits(next.is_pending());
            next
        });
        let chunk = timeout_at(deadline, next).await;
        Ok(chunk.map_err(|_| Error::Timeout(late))?.transpose()?)
    }
}

#[derive(Debug, Clone, Copy)]
struct Deadlines {
    first_byte: Instant,
    end: Instant,
}
