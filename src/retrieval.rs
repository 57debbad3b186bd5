//! The book in a turn: the sections that an answer rests on.
//!
//! Without vectors the search travels with the statement that begins the turn, and finds the question
//! before by itself: it costs no round trip. With vectors it follows: the question is embedded when the
//! turn may run, and an embedding that is late or fails costs nothing but its part. Whatever happens
//! here never fails a turn; the log says what it was.
//!
//! Searches have connections of their own, so that a slow one holds up no other statement.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::book;
use crate::book::pages::Base;
use crate::book::search::{self, Before, Conversation, Query, Section, Vector};
use crate::config::{DatabaseSettings, Settings};
use crate::database::{self, Database};
use crate::error::{chain, milliseconds};
use crate::llm::Model;
use crate::prompt;
use crate::session::{Ask, Author, Turn};

/// How long a search may take, waiting for others to end included.
const SEARCH_LIMIT: Duration = Duration::from_secs(1);

/// How much of this it may wait: the rest is enough for a search.
const WAIT_LIMIT: Duration = Duration::from_millis(750);

/// How long the embedding of a question may take.
const EMBEDDING_LIMIT: Duration = Duration::from_millis(600);

/// Connections for searches.
const CONNECTIONS: usize = 2;

/// How long it is assumed that the index has vectors, or has none.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// How long connecting for a search may take, as long as a sleeping database needs.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The longest that an embedding and a search take together, connecting included.
pub const LONGEST: Duration = Duration::from_millis(2_600);

/// The longest text that is embedded, in bytes. A token is at least one byte, and the provider takes
/// up to 8,191 tokens.
const EMBEDDED_BYTES: usize = 8_000;

/// The book of a deployment, and how it is searched.
#[derive(Debug)]
pub struct Library {
    base: Base,
    database: Database,
    sections: usize,
    max_chars: usize,
    embedding: Option<Embedding>,
    vectors: Mutex<Known>,
}

#[derive(Debug)]
struct Embedding {
    name: String,
    /// Billionths of a dollar a token.
    price: i64,
}

/// What is known of the index's vectors.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    there: bool,
    since: Option<Instant>,
}

/// What was found for a question.
#[derive(Debug, Default)]
pub struct Found {
    /// The sections, best first; `None` where the book was not searched, or in vain: without an index,
    /// or when the search has failed.
    pub sections: Option<Vec<Section>>,
    /// What the question's embedding has cost, in billionths of a dollar.
    pub cost: i64,
}

/// The search of one turn.
#[derive(Debug, Clone, Copy)]
pub struct Search<'a> {
    ask: &'a Ask,
    /// None for a question about a selected passage, which rests on that passage alone.
    library: Option<&'a Library>,
    with_vector: bool,
}

impl Library {
    /// The library of a deployment that has a book. Nothing is connected yet.
    #[must_use]
    pub fn of(settings: &Settings) -> Option<Self> {
        let book = &settings.book;
        let database = DatabaseSettings {
            pool_size: CONNECTIONS,
            connect_timeout: settings.database.connect_timeout.min(CONNECT_LIMIT),
            wait_timeout: WAIT_LIMIT,
            statement_timeout: SEARCH_LIMIT,
            ..settings.database.clone()
        };
        Some(Self {
            base: book.base.clone()?,
            database: Database::new(database),
            sections: book.sources,
            max_chars: book.max_chars,
            embedding: book.embedding_model.clone().map(|name| Embedding {
                name,
                price: book.embedding_price,
            }),
            vectors: Mutex::default(),
        })
    }

    /// Gets ready while the instance waits for its first request; never fails.
    pub async fn warm(&self) {
        self.database.warm().await;
        self.look().await;
    }

    /// Finds out whether the index has vectors of the model that is set, unless that is known.
    async fn look(&self) {
        let Some(embedding) = &self.embedding else {
            return;
        };
        let known = self.known();
        if known
            .since
            .is_some_and(|since| since.elapsed() < LOOK_AGAIN)
        {
            return;
        }
        // Turns that come meanwhile need not look as well.
        self.know(known.there);
        let there = book::has_vectors_of(&self.database, &embedding.name).await;
        self.know(there.unwrap_or(false));
    }

    fn know(&self, there: bool) {
        *self.vectors.lock().unwrap_or_else(PoisonError::into_inner) = Known {
            there,
            since: Some(Instant::now()),
        };
    }

    fn known(&self) -> Known {
        *self.vectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Search<'a> {
    /// The search for a question.
    #[must_use]
    pub fn of(library: Option<&'a Library>, ask: &'a Ask) -> Self {
        let library = library.filter(|_| ask.question.selected_text.is_none());
        Self {
            ask,
            library,
            with_vector: library.is_some_and(|it| it.embedding.is_some() && it.known().there),
        }
    }

    /// The most that it adds to a prompt, in bytes: reserved before it runs.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.library.map_or(0, |library| {
            prompt::bytes_of_sources(library.sections, library.max_chars)
        })
    }

    /// The most that it costs by itself, in billionths of a dollar.
    #[must_use]
    pub fn max_cost(&self) -> i64 {
        let library = self.library.filter(|_| self.with_vector);
        let embedding = library.and_then(|it| it.embedding.as_ref());
        embedding.map_or(0, |it| it.cost(EMBEDDED_BYTES as u64))
    }

    /// What can be found while the turn is begun.
    pub async fn beside_begin(&self) -> Option<Found> {
        let library = self.library?;
        if self.with_vector {
            return None;
        }
        let Ask {
            question, retried, ..
        } = self.ask;
        let before = question.conversation.map_or(Before::Nothing, |id| {
            Before::Newest(Conversation {
                id,
                reader: self.ask.reader.as_ref(),
                owned: self.ask.owned,
                retried: *retried,
            })
        });
        let query = self.query(library, before);
        let (sections, ()) = tokio::join!(self.find(library, &query), library.look());
        let sections = sections.ok().flatten();
        Some(Found { sections, cost: 0 })
    }

    /// The rest of the search, once the turn may run.
    pub async fn after_begin(&self, found: Option<Found>, model: &Model, turn: &Turn) -> Found {
        let (Some(library), None) = (self.library, &found) else {
            return found.unwrap_or_default();
        };
        let Some(embedding) = &library.embedding else {
            return Found::default();
        };
        let found = self.by_vector(library, embedding, model, turn);
        let (found, ()) = tokio::join!(found, library.look());
        found
    }

    async fn by_vector(
        &self,
        library: &Library,
        embedding: &Embedding,
        model: &Model,
        turn: &Turn,
    ) -> Found {
        let mut asked = turn.history.iter().rev();
        let before = asked.find(|message| message.author == Author::User);
        let before = before.map(|message| match &message.selected_text {
            Some(passage) => format!("{} {}", first(passage, 1_000), message.content),
            None => message.content.clone(),
        });
        let question = &self.ask.question.message;
        let text = match &before {
            Some(before) => format!("{}\n\n{question}", first(before, EMBEDDED_BYTES / 2)),
            None => question.clone(),
        };
        let text = first(&text, EMBEDDED_BYTES);
        let (numbers, cost) = embedding.embed(model, text).await;
        let before = before.as_deref().map_or(Before::Nothing, Before::Question);
        let words = self.query(library, before);
        let vector = numbers.as_deref().map(|numbers| Vector {
            numbers,
            model: &embedding.name,
        });
        let both = Query { vector, ..words };
        let mut sections = self.find(library, &both).await;
        if vector.is_some()
            && let Err(error) = &sections
        {
            library.know(false);
            // The vectors may be gone, with their extension or without: the words are not. What took
            // too long has left no time for them, but the next search is theirs.
            if matches!(error, database::Error::Statement { .. }) {
                sections = self.find(library, &words).await;
            }
        }
        let sections = sections.ok().flatten();
        Found { sections, cost }
    }

    fn query<'b>(&'b self, library: &'b Library, before: Before<'b>) -> Query<'b> {
        Query {
            book: library.base.url(),
            question: &self.ask.question.message,
            before,
            page: self.ask.question.page.as_deref(),
            vector: None,
            sections: library.sections,
            max_chars: library.max_chars,
        }
    }

    async fn find(
        &self,
        library: &Library,
        query: &Query<'_>,
    ) -> Result<Option<Vec<Section>>, database::Error> {
        let started = Instant::now();
        let found = search::search(&library.database, query).await;
        let outcome = match &found {
            Ok(Some(_)) => "ok",
            Ok(None) => "there is no index of BOOK_URL",
            Err(database::Error::StatementTimeout(_)) => "it took too long",
            Err(_) => "failed",
        };
        let sections = found.as_ref().ok().and_then(Option::as_ref).map(Vec::len);
        let way = if query.vector.is_some() {
            "words and vectors"
        } else {
            "words"
        };
        let duration_ms = milliseconds(started.elapsed());
        match &found {
            Ok(Some(_)) => tracing::info!(way, sections, outcome, duration_ms, "search"),
            Ok(None) => tracing::warn!(way, outcome, duration_ms, "search"),
            Err(error) => {
                tracing::warn!(way, outcome, duration_ms, cause = chain(error), "search");
            }
        }
        found
    }
}

impl Embedding {
    fn cost(&self, tokens: u64) -> i64 {
        book::embedding_cost(tokens, self.price)
    }

    /// The vector of a text, if it comes in time, and what it costs.
    async fn embed(&self, model: &Model, text: &str) -> (Option<Vec<f32>>, i64) {
        let worst = self.cost(text.len() as u64);
        match timeout(EMBEDDING_LIMIT, model.embed(&self.name, &[text])).await {
            Ok(Ok(mut answer)) => {
                let cost = answer.tokens.map_or(worst, |tokens| self.cost(tokens));
                (answer.vectors.pop(), cost)
            }
            // The log has it.
            Ok(Err(error)) if error.is_free_of_charge() => (None, 0),
            Ok(Err(_)) => (None, worst),
            Err(_elapsed) => {
                let limit_ms = milliseconds(EMBEDDING_LIMIT);
                tracing::warn!(limit_ms, "the embedding is late: words alone are searched");
                (None, worst)
            }
        }
    }
}

/// The first bytes of a text, up to a whole character.
fn first(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}
