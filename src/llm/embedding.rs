//! The provider's embeddings of texts: the vectors by which the book is searched.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::pace::Pace;
use super::wire::{Embedded, Embedding};
use super::{Error, Model, retry};
use crate::error::milliseconds;

/// Numbers of a vector; the provider shortens its own to so many.
pub const DIMENSIONS: usize = 512;

/// The vectors of some texts.
#[derive(Debug)]
pub struct Vectors {
    /// In the order of the texts, each of [`DIMENSIONS`] numbers.
    pub vectors: Vec<Vec<f32>>,
    /// What they have used, where the provider says so.
    pub tokens: Option<u64>,
}

impl Model {
    /// Asks for the vectors of these texts, more than once where [`retry`] says so, for no longer than
    /// an answer may take (`LLM_TIMEOUT_MS`).
    ///
    /// # Errors
    ///
    /// When the provider refuses, cannot be reached, takes too long, or answers with anything but a
    /// vector for each text.
    pub async fn embed(&self, model: &str, texts: &[&str]) -> Result<Vectors, Error> {
        let started = Instant::now();
        let end = started + self.settings.timeout;
        let mut attempt = 1;
        let vectors = loop {
            let vectors = self.ask_embedding(model, texts, end).await;
            match &vectors {
                Err(error) if retry::wait(error, attempt, end).await => attempt += 1,
                _ => break vectors,
            }
        };
        tracing::info!(
            duration_ms = milliseconds(started.elapsed()),
            outcome = if vectors.is_ok() { "ok" } else { "failed" },
            attempt,
            texts = texts.len(),
            error = vectors.as_ref().err().map(tracing::field::display),
            "embedding"
        );
        vectors
    }

    async fn ask_embedding(
        &self,
        model: &str,
        texts: &[&str],
        end: Instant,
    ) -> Result<Vectors, Error> {
        let client = self.provider().await?.client(&Arc::new(Pace::none()));
        let embeddings = client.embeddings();
        let request = Embedding {
            model,
            input: texts,
            dimensions: DIMENSIONS,
            encoding_format: "float",
        };
        let answer: Embedded = timeout_at(end, embeddings.create_byot(request))
            .await
            .map_err(|_| Error::Timeout("the embedding"))??;
        let mut vectors = vec![Vec::new(); texts.len()];
        for vector in answer.data {
            let length = vector.embedding.len();
            if length != DIMENSIONS || !vector.embedding.iter().all(|it| it.is_finite()) {
                return Err(Error::Nonsense("a vector is not one of 512 numbers"));
            }
            let place = vectors.get_mut(vector.index);
            *place.ok_or(Error::Nonsense("there are more vectors than texts"))? = vector.embedding;
        }
        if vectors.iter().any(Vec::is_empty) {
            return Err(Error::Nonsense("there are fewer vectors than texts"));
        }
        Ok(Vectors {
            vectors,
            tokens: answer.usage.and_then(|usage| usage.prompt_tokens),
        })
    }
}
