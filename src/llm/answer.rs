//! A running answer: its pieces, its time limits, and whether it is one.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use async_openai::types::stream::StreamResponse;
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::Error;
use super::log::CallLog;
use super::pace::Pace;
use super::wire::{Chunk, Usage};

/// How long a whole answer waits for its usage, which comes right after it, if at all.
const USAGE_WAIT: Duration = Duration::from_secs(1);

/// The longest answer that is taken, in bytes; far beyond what `MAX_COMPLETION_TOKENS` allows.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

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
    pub(super) fn new(
        chunks: StreamResponse<Chunk>,
        pace: Arc<Pace>,
        deadlines: Deadlines,
        call: CallLog,
    ) -> Self {
        Self {
            chunks,
            pace,
            deadlines,
            first: None,
            finish_reason: None,
            visible: false,
            bytes: 0,
            call,
        }
    }

    /// The same, once its first piece is there.
    pub(super) async fn begun(mut self) -> Result<Self, Error> {
        self.first = self.advance().await?;
        Ok(self)
    }

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

    /// What a whole answer used, if the provider tells: right after its end, or not at all.
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

/// By when an answer must have begun, and ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) first_byte: Instant,
    pub(super) end: Instant,
}
