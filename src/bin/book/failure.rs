//! What went wrong, as lines for the operator and an exit code. Prints nothing.

use textbook_chat::book::{EmbedError, index, pages};
use textbook_chat::{config, database};
use tokio_postgres::error::SqlState;

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) lines: Vec<String>,
    /// What is printed nonetheless.
    pub(crate) output: String,
}

impl Failure {
    pub(crate) fn of(line: impl Into<String>) -> Self {
        Self {
            code: 1,
            lines: vec![line.into()],
            output: String::new(),
        }
    }

    pub(crate) fn no_index(url: &str) -> Self {
        Self::of(format!(
            "there is no index of {url}: run `cargo run --bin book -- index`"
        ))
    }
}

impl From<config::Problems> for Failure {
    fn from(problems: config::Problems) -> Self {
        let problems = problems.problems.iter();
        Self {
            lines: problems
                .map(|problem| format!("{} {}", problem.variable, problem.message))
                .collect(),
            ..Self::of("")
        }
    }
}

impl From<database::Error> for Failure {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::Statement {
                code: Some(SqlState::UNDEFINED_TABLE),
                ..
            } => Self::of(
                "the database has no tables for the book: run `cargo run --bin migrate` first",
            ),
            database::Error::Statement {
                code: Some(SqlState::UNDEFINED_COLUMN),
                ..
            } => Self::of(
                "the database's tables are those of an earlier version: run `cargo run --bin \
                 migrate` first",
            ),
            error => Self::of(format!("the database: {error}")),
        }
    }
}

impl From<pages::Error> for Failure {
    fn from(error: pages::Error) -> Self {
        let code = match error {
            pages::Error::Drawn { .. } => 3,
            _ => 1,
        };
        Self {
            code,
            ..Self::of(error.to_string())
        }
    }
}

impl From<index::Error> for Failure {
    fn from(error: index::Error) -> Self {
        match error {
            index::Error::Database(error) | index::Error::Embed(EmbedError::Database(error)) => {
                error.into()
            }
            index::Error::Pages(error) => error.into(),
            error => Self::of(error.to_string()),
        }
    }
}
