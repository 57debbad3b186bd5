//! Whether the provider would answer, for an owner who sets the chat up.
//!
//! It is asked for the model's description, which needs the key and costs nothing; at most once a
//! minute an instance, because anybody may ask this. Never speaks to the model itself.

use std::borrow::Cow;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::{Error, Model};
use crate::error::chain;

/// For how long what the provider said is repeated.
const REPEATED: Duration = Duration::from_mins(1);

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the provider said last, and when. Whoever asks meanwhile waits for it.
#[derive(Debug, Default)]
pub(super) struct Checked(Mutex<Option<(Instant, Cow<'static, str>)>>);

impl Model {
    /// `ok`, or what is wrong in words that name the setting, never its value.
    pub async fn check(&self) -> Cow<'static, str> {
        let mut checked = self.checked.0.lock().await;
        if let Some((at, verdict)) = &*checked
            && at.elapsed() < REPEATED
        {
            return verdict.clone();
        }
        let verdict = self.verdict().await;
        *checked = Some((Instant::now(), verdict.clone()));
        verdict
    }

    async fn verdict(&self) -> Cow<'static, str> {
        let asked = async { self.provider().await?.describe(&self.settings.name).await };
        let asked = timeout(PATIENCE, asked).await;
        let Err(error) = asked.unwrap_or(Err(Error::Timeout("the model's description"))) else {
            return "ok".into();
        };
        tracing::warn!(cause = chain(&error), "the model is not ready");
        match &error {
            // Not every server that speaks this protocol describes its models.
            Error::Refused(refusal) if refusal.status == 404 && refusal.setting().is_none() => {
                "unknown: the provider does not describe this model".into()
            }
            error => match error.setting() {
                Some((variable, problem)) => format!("{variable}: {problem}").into(),
                None => "failed: it cannot be reached (OPENAI_BASE_URL); the log says why".into(),
            },
        }
    }
}
