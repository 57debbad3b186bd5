//! The provider's moderation of a question.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::pace::Pace;
use super::wire::{Moderation, Verdict};
use super::{Error, Model, retry};
use crate::error::milliseconds;

impl Model {
    /// Asks the provider's moderation about a question; succeeds if it has no objection.
    ///
    /// # Errors
    ///
    /// `Flagged` if it has one. A missing verdict is an error, too: a question that is to be
    /// moderated is not answered without one.
    pub async fn moderate(&self, texts: &[&str]) -> Result<(), Error> {
        let started = Instant::now();
        let end = started + self.settings.first_byte_timeout.min(self.settings.timeout);
        let mut attempt = 1;
        let verdict = loop {
            let verdict = self.ask_moderation(texts, end).await;
            match &verdict {
                Err(error) if retry::wait(error, attempt, end).await => attempt += 1,
                _ => break verdict,
            }
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
        let client = self.provider().await?.client(&Arc::new(Pace::none()));
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
}
