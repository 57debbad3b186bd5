//! The vectors of questions, for `book search` and `book evaluate`.

use clap::Args;
use textbook_chat::book;
use textbook_chat::book::search::Vector;
use textbook_chat::config::BookProgram;
use textbook_chat::database::{self, Database};
use textbook_chat::llm::Model;

use crate::remark;

/// Questions per request for embeddings; the provider takes up to 2,048.
const BATCH: usize = 128;

/// How questions are asked
#[derive(Debug, Args)]
pub(crate) struct Asking {
    /// Search by words alone, and ask for no embeddings
    #[arg(long)]
    no_embed: bool,
}

/// The vectors of some questions, in their order.
pub(crate) struct Vectors {
    pub(crate) model: String,
    numbers: Vec<Vec<f32>>,
}

impl Vectors {
    pub(crate) fn of(&self, question: usize) -> Option<Vector<'_>> {
        let numbers = self.numbers.get(question)?;
        Some(Vector {
            numbers,
            model: &self.model,
        })
    }
}

impl Asking {
    /// The vectors of these questions; `None` where they are searched by words alone, as a turn
    /// would be: without a model, a key, or vectors of that model in the index, or when the
    /// provider fails.
    pub(crate) async fn vectors(
        &self,
        database: &Database,
        url: &str,
        settings: &mut BookProgram,
        questions: &[&str],
    ) -> Result<Option<Vectors>, database::Error> {
        let name = settings.book.embedding_model.clone();
        let (Some(name), Some(model)) = (name, settings.model.take()) else {
            return Ok(None);
        };
        if self.no_embed || !has_vectors_of(database, url, &name).await? {
            return Ok(None);
        }
        let model = Model::new(model);
        let mut numbers = Vec::new();
        for batch in questions.chunks(BATCH) {
            match model.embed(&name, batch).await {
                Ok(answer) => numbers.extend(answer.vectors),
                // Figures of some with vectors and some without would say nothing.
                Err(error) => {
                    remark(&format!("searched by words alone: {error}"));
                    return Ok(None);
                }
            }
        }
        Ok(Some(Vectors {
            model: name,
            numbers,
        }))
    }
}

/// Whether any chunk of the index has a vector of this model: without one, a question's vector
/// would be paid for and find nothing.
async fn has_vectors_of(
    database: &Database,
    url: &str,
    model: &str,
) -> Result<bool, database::Error> {
    if !book::has_vectors(database).await? {
        return Ok(false);
    }
    Ok(match book::active(database, url).await? {
        Some(index) => book::without_vector(database, &index, model).await? < index.chunks,
        None => false,
    })
}
