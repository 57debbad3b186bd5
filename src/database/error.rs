//! Why a statement failed, and what of it may be said.

use tokio_postgres::error::SqlState;

use crate::error::{Code, Failure, chain};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TLS connector or the pool could not be made.
    #[error("setting up the pool failed: {0}")]
    SetUp(String),
    /// No connection within the time limits; names what took too long. The statement has not run.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// The statement did not end within its time limit. It may have run, or run later.
    #[error("statement {0} did not end in time")]
    StatementTimeout(&'static str),
    /// The statement ran and returned no row, where one was certain.
    #[error("statement {0} returned nothing")]
    Unexpected(&'static str),
    /// The server refused the statement, or the connection broke each time that it was tried.
    #[error("statement {statement} failed: {reason}")]
    Statement {
        /// The statement's name.
        statement: &'static str,
        /// The server's SQLSTATE, if it was the server that refused.
        code: Option<SqlState>,
        /// What the server or the driver said, without any of the statement's values.
        reason: String,
    },
}

impl Error {
    /// Whether the statement may have been committed all the same, or may still be: nobody has said
    /// that it was not.
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        match self {
            Self::StatementTimeout(_) => true,
            Self::Statement { code, .. } => code.is_none(),
            Self::SetUp(_) | Self::NoConnection(_) | Self::Unexpected(_) => false,
        }
    }

    /// The server's SQLSTATE, if it was the server that refused.
    #[must_use]
    pub fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Statement { code, .. } => code.as_ref(),
            _ => None,
        }
    }

    /// Whether the statement met the deletion of what it refers to.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(
            Code::DatabaseError,
            "The conversation store cannot be reached right now. Please try again in a moment.",
        )
        .because(error)
    }
}

/// What the server or the driver says, without the values that PostgreSQL quotes in the details
/// of any error and in the message of a data exception (class 22).
#[must_use]
pub fn describe(error: &tokio_postgres::Error) -> String {
    let Some(server) = error.as_db_error() else {
        return chain(error);
    };
    let code = server.code().code();
    if code.starts_with("22") {
        format!("SQLSTATE {code}")
    } else {
        format!("SQLSTATE {code}: {}", server.message())
    }
}
