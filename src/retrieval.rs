//! The seam for retrieval: passages of the book that may hold the answer.
//!
//! The turn asks here between reading the history and building the prompt. There is no index yet,
//! so nothing is found; a search of chunks and embeddings goes here and changes no other step.

use crate::error::Failure;
use crate::question::Question;

/// A passage of the book, with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Where in the book: a chapter, a heading, a URL.
    pub source: String,
    /// The text.
    pub text: String,
}

/// The most that [`search`] adds to a prompt, in bytes: reserved before it runs.
#[must_use]
pub fn max_bytes(_question: &Question) -> usize {
    0
}

/// Passages that may hold the answer, best first; none for a question about a selected passage, which
/// rests on that passage alone.
///
/// # Errors
///
/// None today; a search may fail as a database does.
#[expect(
    clippy::unused_async,
    reason = "the seam: a search asks the database or an index"
)]
pub async fn search(_question: &Question) -> Result<Vec<Passage>, Failure> {
    Ok(Vec::new())
}
