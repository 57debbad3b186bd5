//! The way to PostgreSQL: statements with a deadline and one retry, over shared connections.
//!
//! Every statement goes through [`Database::query`]: unnamed and with its types given
//! (`query_typed`), which is one round trip and works through PgBouncer in transaction mode. There
//! are no transactions, no prepared statements and no session state.
//!
//! This module knows no table: SQL is beside the code that runs it, in [`crate::session`] and
//! elsewhere. What of it are functions of the database is installed by [`functions`].

mod connections;
pub mod functions;
mod pool;

use std::borrow::Cow;

use tokio::time::{Instant, timeout_at};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::config::DatabaseSettings;
use crate::error::{Code, Failure, chain, milliseconds};
use connections::Connections;

pub use pool::tls;

/// The database of an instance. Connects lazily.
#[derive(Debug)]
pub struct Database {
    settings: DatabaseSettings,
    connections: Connections,
}

/// A statement and its name in the log.
///
/// It must be safe to run twice: when its connection turns out to be dead, nobody knows whether
/// the server has committed it, and it runs once more.
#[derive(Debug)]
pub struct Statement {
    /// For the log.
    pub name: &'static str,
    /// Its parameters and columns must not have custom types: cast them to and from text, or
    /// tokio-postgres looks the type up first, with round trips of its own.
    pub sql: Cow<'static, str>,
}

impl Statement {
    /// One whose SQL stands in the program.
    #[must_use]
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self {
            name,
            sql: Cow::Borrowed(sql),
        }
    }
}

/// A parameter of a statement and its type.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TLS connector or the pool could not be made.
    #[error("setting up the pool failed: {0}")]
    SetUp(String),
    /// No connection within the time limits; names what took too long.
    #[error("no connection: {0}")]
    NoConnection(String),
    /// The statement did not end within its time limit.
    #[error("statement {0} did not end in time")]
    StatementTimeout(&'static str),
    /// The statement ran and returned no row, where one was certain.
    #[error("statement {0} returned nothing")]
    Unexpected(&'static str),
    /// The server refused the statement, or the connection broke twice.
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

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(
            Code::DatabaseError,
            "The conversation store cannot be reached right now. Please try again in a moment.",
        )
        .because(error)
    }
}

/// One try of a statement.
enum Attempt {
    Done(Vec<Row>),
    /// The connection had died before; the statement may run once more.
    ConnectionDied(String),
    Failed(Error),
}

impl Database {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: DatabaseSettings) -> Self {
        Self {
            connections: Connections::new(settings.clone()),
            settings,
        }
    }

    /// Runs a statement in one round trip, and once more on a newer connection if the pooled one
    /// turns out to be dead: a platform thaws an instance with connections that the server has
    /// closed long ago.
    ///
    /// # Errors
    ///
    /// When there is no connection in time, or the statement fails or takes too long; both attempts
    /// together take no longer than connecting and one statement may take. A connection whose
    /// statement took too long is not used again, nor are those beside it.
    pub async fn query(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let started = Instant::now();
        let deadline = started + self.settings.connect_timeout + self.settings.statement_timeout;
        let attempt = || self.attempt(statement, parameters, deadline);
        let mut outcome = attempt().await;
        if let Attempt::ConnectionDied(reason) = &outcome {
            tracing::warn!(statement = statement.name, reason, "connection was dead");
            outcome = attempt().await;
        }
        let result = match outcome {
            Attempt::Done(rows) => Ok(rows),
            Attempt::Failed(error) => Err(error),
            Attempt::ConnectionDied(reason) => Err(Error::Statement {
                statement: statement.name,
                code: None,
                reason,
            }),
        };
        tracing::info!(
            statement = statement.name,
            duration_ms = milliseconds(started.elapsed()),
            rows = result.as_ref().ok().map(Vec::len),
            outcome = if result.is_ok() { "ok" } else { "failed" },
            "database"
        );
        result
    }

    /// Makes the pool and its first connection while the instance waits for its first request.
    /// Fails silently: a statement then tries again, and says what is wrong.
    pub async fn warm(&self) {
        self.connections.warm().await;
    }

    async fn attempt(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        deadline: Instant,
    ) -> Attempt {
        let connection = match self.connections.get(deadline).await {
            Ok(connection) => connection,
            Err(error) => return Attempt::Failed(error),
        };
        let query = connection.query_typed(&statement.sql, parameters);
        let deadline = deadline.min(Instant::now() + self.settings.statement_timeout);
        let outcome = timeout_at(deadline, query).await;
        match outcome {
            Ok(Ok(rows)) => Attempt::Done(rows),
            Ok(Err(error)) if is_dead(&connection, &error) => {
                self.connections.condemn(&connection);
                Attempt::ConnectionDied(describe(&error))
            }
            Ok(Err(error)) => Attempt::Failed(Error::Statement {
                statement: statement.name,
                code: error.code().cloned(),
                reason: describe(&error),
            }),
            Err(_elapsed) => {
                self.connections.condemn(&connection);
                Attempt::Failed(Error::StatementTimeout(statement.name))
            }
        }
    }
}

/// Whether the connection was gone, rather than the statement wrong.
fn is_dead(connection: &Client, error: &tokio_postgres::Error) -> bool {
    // What a server or a pooler sends on its way out, which may reach us long after it was sent.
    let farewell = error.code().is_some_and(|code| {
        let code = code.code();
        code.starts_with("57P") || code.starts_with("08")
    });
    farewell || error.is_closed() || connection.is_closed()
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
