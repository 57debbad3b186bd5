//! A call's line in the log: sizes, times and outcome, no text.

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
    started: Instant,
    pub(super) first_byte: Option<Duration>,
    pub(super) characters: usize,
    pub(super) usage: Option<Usage>,
}

impl CallLog {
    pub(super) fn new(model: &str, messages: &[Message<'_>], started: Instant) -> Self {
        Self {
            model: model.into(),
            messages: messages.len(),
            prompt_characters: messages.iter().map(|m| m.content.chars().count()).sum(),
            started,
            first_byte: None,
            characters: 0,
            usage: None,
        }
    }

    pub(super) fn received(&mut self, text: &str) {
        self.characters += text.chars().count();
        self.first_byte.get_or_insert(self.started.elapsed());
    }

    pub(super) fn finished(&self, finish_reason: Option<&str>) {
        self.write(Some(200), finish_reason, None);
    }

    pub(super) fn failed(&self, error: &Error) {
        let status = match error {
            Error::Refused(refusal) => Some(refusal.status),
            Error::Nonsense(_) => Some(200),
            _ => None,
        };
        self.write(status, None, Some(error));
    }

    fn write(&self, status: Option<u16>, finish_reason: Option<&str>, error: Option<&Error>) {
        tracing::info!(
            model = self.model,
            messages = self.messages,
            prompt_characters = self.prompt_characters,
            attempt = 1,
            status,
            duration_ms = milliseconds(self.started.elapsed()),
            first_byte_ms = self.first_byte.map(milliseconds),
            characters = self.characters,
            prompt_tokens = self.usage.and_then(|usage| usage.prompt_tokens),
            completion_tokens = self.usage.and_then(|usage| usage.completion_tokens),
            finish_reason,
            outcome = if error.is_none() { "ok" } else { "failed" },
            error = error.map(tracing::field::display),
            "model call"
        );
    }
}
