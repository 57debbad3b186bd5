//! A call's line in the log: sizes, times and outcome, no text.
//!
//! Every call writes one, even a call that is dropped on its way because its reader has left.

use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::wire::Usage;
use crate::error::milliseconds;
use crate::prompt::Message;

/// One call's line in the log.
pub(super) struct CallLog {
    model: String,
    messages: usize,
    prompt_characters: usize,
    attempt: u32,
    started: Instant,
    written: bool,
    pub(super) first_byte: Option<Duration>,
    pub(super) characters: usize,
    pub(super) usage: Option<Usage>,
}

impl CallLog {
    pub(super) fn new(model: &str, messages: &[Message<'_>], attempt: u32) -> Self {
        Self {
            model: model.into(),
            messages: messages.len(),
            prompt_characters: messages.iter().map(|m| m.content.chars().count()).sum(),
            attempt,
            started: Instant::now(),
            written: false,
            first_byte: None,
            characters: 0,
            usage: None,
        }
    }

    pub(super) fn received(&mut self, text: &str) {
        self.characters += text.chars().count();
        self.first_byte.get_or_insert(self.started.elapsed());
    }

    pub(super) fn finished(&mut self, finish_reason: Option<&str>) {
        self.write("ok", Some(200), finish_reason, None);
    }

    pub(super) fn failed(&mut self, error: &Error) {
        let status = match error {
            Error::Refused(refusal) => Some(refusal.status),
            Error::Nonsense(_) => Some(200),
            _ => None,
        };
        self.write("failed", status, None, Some(error));
    }

    fn write(
        &mut self,
        outcome: &str,
        status: Option<u16>,
        finish_reason: Option<&str>,
        error: Option<&Error>,
    ) {
        self.written = true;
        tracing::info!(
            model = self.model,
            messages = self.messages,
            prompt_characters = self.prompt_characters,
            attempt = self.attempt,
            status,
            duration_ms = milliseconds(self.started.elapsed()),
            first_byte_ms = self.first_byte.map(milliseconds),
            characters = self.characters,
            prompt_tokens = self.usage.and_then(|usage| usage.prompt_tokens),
            completion_tokens = self.usage.and_then(|usage| usage.completion_tokens),
            finish_reason,
            outcome,
            error = error.map(tracing::field::display),
            "model call"
        );
    }
}

impl Drop for CallLog {
    fn drop(&mut self) {
        if !self.written {
            self.write("cancelled", None, None, None);
        }
    }
}
