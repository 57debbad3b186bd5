//! The sections of the book that a question is about: one statement, and what is made of its rows.
//!
//! How they are found stands in `search.sql`, a function of the database; docs/search.md says what
//! each part of it is worth. Without the extension for vectors everything works but what needs a
//! question's vector, which has a function of its own.
//!
//! Never calls a model, and never writes.

use std::sync::LazyLock;

use tokio_postgres::types::Type;
use url::Url;
use uuid::Uuid;

use crate::database::functions::{explain, statement};
use crate::database::{Database, Error, Rank, Statement};
use crate::reader::Reader;

use super::embed;
use super::pages::stem;
pub use super::section::Section;
use super::section::join;

const FUNCTION: &str = include_str!("search.sql");

const HAS_VECTORS: &str = include_str!("has_vectors.sql");

/// What `search_words` has in the place of vectors.
const NO_VECTORS: &str = "select 0::bigint, 0::bigint where false";

/// Exact, because a book is small: an index would be no faster, and would miss some. The parameter is
/// text, whose type is the same everywhere, and is cast once, not once a row.
const BY_VECTOR: &str = "
        select * from (
            select chunk.id, row_number() over (order by vector <=> vector_asked, chunk.id) as place
            from (select asked_vector::halfvec as vector_asked offset 0) question,
                book_chunks chunk join book_vectors using (hash)
            where model = vector_model and version = (select id from version)
        ) nearest
        where place <= 100 or id in (select id from page)
    ";

const SEARCH_SQL: &str = "select * from {turn}.{name}(
    book_url => $1, asked => $2, most_sections => $3, kept_sections => $4, reader_pages => $5,
    asked_before => $6, of_session => $7, retried => $8, reader => $9, owned => $10,
    asked_vector => $11, vector_model => $12
)";

static BY_WORDS: LazyLock<Statement> = LazyLock::new(|| {
    let sql = SEARCH_SQL.replace("{name}", "search_words");
    statement("search book", &sql).ranked(Rank::Aside)
});

static BY_WORDS_AND_VECTOR: LazyLock<Statement> = LazyLock::new(|| {
    let sql = SEARCH_SQL.replace("{name}", "search_vectors");
    statement("search book and vectors", &sql).ranked(Rank::Aside)
});

/// The search as functions of the database, and what a turn must know before it; `{turn}` stands for
/// their schema.
#[must_use]
pub fn functions() -> String {
    let function = |name, vectors| {
        FUNCTION
            .replace("{name}", name)
            .replace("{vectors}", vectors)
    };
    let words = function("search_words", NO_VECTORS);
    [&words, &function("search_vectors", BY_VECTOR), HAS_VECTORS].join("\n")
}

/// How many of eight sections are kept for the reader's page.
const KEPT_OF_EIGHT: usize = 3;

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The address of the book.
    pub book: &'a Url,
    /// What the reader asks.
    pub question: &'a str,
    /// The question before it: without it, "explain that more simply" finds nothing.
    pub before: Before<'a>,
    /// The page that the reader is on: a path or an address; a wrong one costs nothing. Sections in
    /// its language come first.
    pub page: Option<&'a str>,
    /// The question's vector; the database must have a place for vectors.
    pub vector: Option<Vector<'a>>,
    /// At most so many sections.
    pub sections: usize,
    /// At most so many characters, those of titles and headings included.
    pub max_chars: usize,
}

/// The question before the one that is asked.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// There is none.
    Nothing,
    /// This one.
    Question(&'a str),
    /// The newest of a conversation; none if that is not the reader's.
    Newest(Conversation<'a>),
}

/// A conversation as a reader names it.
#[derive(Debug, Clone, Copy)]
pub struct Conversation<'a> {
    /// The conversation.
    pub id: Uuid,
    /// The reader whose token came with the question.
    pub reader: Option<&'a Reader>,
    /// The conversation must be the reader's own.
    pub owned: bool,
    /// The stored question that is asked once more: only what came before it counts.
    pub retried: Option<Uuid>,
}

/// A question as a model has embedded it.
#[derive(Debug, Clone, Copy)]
pub struct Vector<'a> {
    /// As many numbers as `book_vectors` takes.
    pub numbers: &'a [f32],
    /// The model that embedded the book too.
    pub model: &'a str,
}

/// The sections that a question is about, best first; `None` without an active index of this book.
///
/// A section is what one address leads to. Its best piece is taken before any other piece of another
/// section, so that [`Query::max_chars`] cuts repetition first; a piece that does not fit is left out
/// whole.
///
/// # Errors
///
/// When the database fails; with a [`Query::vector`], also where it has no place for vectors.
pub async fn search(database: &Database, query: &Query<'_>) -> Result<Option<Vec<Section>>, Error> {
    let page = query.page.map(|page| spellings(path(page)));
    let kept = match page {
        Some(_) => query.sections * KEPT_OF_EIGHT / 8,
        None => 0,
    };
    let count = |number| i64::try_from(number).unwrap_or(i64::MAX / 4);
    let (sections, kept) = (count(query.sections), count(kept));
    // The text of a parameter cannot hold NUL.
    let question = query.question.replace('\0', " ");
    let (before, conversation) = match query.before {
        Before::Nothing => (None, None),
        Before::Question(before) => (Some(before.replace('\0', " ")), None),
        Before::Newest(conversation) => (None, Some(conversation)),
    };
    let reader = conversation.and_then(|it| it.reader).map(Reader::as_bytes);
    let (vector, model) = query
        .vector
        .map(|it| (embed::text(it.numbers), it.model))
        .unzip();
    let statement = match vector {
        None => &BY_WORDS,
        Some(_) => &BY_WORDS_AND_VECTOR,
    };
    let rows = database
        .query(
            statement,
            &[
                (&query.book.as_str(), Type::TEXT),
                (&question, Type::TEXT),
                (&sections, Type::INT8),
                (&kept, Type::INT8),
                (&page, Type::TEXT_ARRAY),
                (&before, Type::TEXT),
                (&conversation.map(|it| it.id), Type::UUID),
                (&conversation.and_then(|it| it.retried), Type::UUID),
                (&reader, Type::BYTEA),
                (&conversation.is_some_and(|it| it.owned), Type::BOOL),
                (&vector, Type::TEXT),
                (&model, Type::TEXT),
            ],
        )
        .await
        .map_err(explain)?;
    Ok((!rows.is_empty()).then(|| join(query, &rows)))
}

/// The path of an address or a path, without query and fragment.
#[must_use]
pub fn path(page: &str) -> &str {
    let page = page.trim();
    // First: they may hold anything, addresses among others.
    let page = page.split(['?', '#']).next().unwrap_or_default();
    let page = match page.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => page,
    };
    if page.starts_with('/') { page } else { "" }
}

/// All the ways in which sites write the path of one page.
fn spellings(path: &str) -> Vec<String> {
    let path = path.replace('\0', "");
    let stem = stem(&path);
    let ends = ["", "/", ".html", "/index.html", "/index"];
    ends.map(|end| format!("{stem}{end}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_any_of_its_spellings() {
        for page in [
            "/b/x",
            "/b/x/",
            "/b/x.html",
            "/b/x/index.html?q#f",
            "https://b.example/b/x#f",
        ] {
            let spellings = spellings(path(page));
            for expected in ["/b/x", "/b/x/", "/b/x.html", "/b/x/index.html"] {
                assert!(spellings.iter().any(|it| it == expected), "{page}");
            }
        }
        assert!(spellings(path("https://b.example")).contains(&"/".into()));
    }
}
