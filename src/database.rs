//! The way to PostgreSQL: statements with a deadline, tried again until then, over shared
//! connections.
//!
//! Every statement goes through [`Database::query`]: unnamed and with its types given
//! (`query_typed`), which is one round trip and works through PgBouncer in transaction mode. There
//! are no transactions, no prepared statements and no session state.
//!
//! This module knows no table: SQL is beside the code that runs it, in [`crate::session`] and
//! elsewhere. What of it are functions of the database is installed by [`functions`].

mod connection;
mod connections;
mod error;
pub mod functions;
mod places;
mod pool;
mod retry;

use std::borrow::Cow;

use tokio::time::{Instant, sleep, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::config::DatabaseSettings;
use crate::error::milliseconds;
use connections::Connections;
use retry::{Fault, Next, Tries};

pub use error::{Error, describe};
pub use pool::tls;

/// The database of an instance. Connects lazily.
#[derive(Debug)]
pub struct Database {
    settings: DatabaseSettings,
    connections: Connections,
}

/// A statement and its name in the log.
///
/// It must be safe to run twice, also at the same time: when its connection turns out to be dead or
/// silent, nobody knows whether the server has committed it, or will, and it runs once more.
#[derive(Debug)]
pub struct Statement {
    /// For the log.
    pub name: &'static str,
    /// Its parameters and columns must not have custom types: cast them to and from text, or
    /// tokio-postgres looks the type up first, with round trips of its own.
    pub sql: Cow<'static, str>,
    /// What it may take.
    pub rank: Rank,
}

/// What a statement is for: who waits for it, and what is lost without it. `places` says which
/// statements go first, `retry` how long they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// It ends a turn: without it, what was paid for is lost.
    End,
    /// It begins a turn.
    Begin,
    /// It helps a turn, which goes on without it: it is not worth a second wait.
    Aside,
    /// Anything else, a read above all.
    Other,
}

impl Statement {
    /// One whose SQL stands in the program.
    #[must_use]
    pub const fn new(name: &'static str, sql: &'static str) -> Self {
        Self {
            name,
            sql: Cow::Borrowed(sql),
            rank: Rank::Other,
        }
    }

    /// The same with another rank than [`Rank::Other`].
    #[must_use]
    pub fn ranked(self, rank: Rank) -> Self {
        Self { rank, ..self }
    }
}

/// A parameter of a statement and its type.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl Database {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(settings: DatabaseSettings) -> Self {
        Self {
            connections: Connections::new(settings.clone()),
            settings,
        }
    }

    /// Runs a statement in one round trip. Where its connection turns out to be dead or silent, it
    /// runs once more on a newer one: a platform thaws an instance with connections that the server
    /// has closed long ago.
    ///
    /// # Errors
    ///
    /// When there is no connection in time, or the statement fails or takes too long; all tries
    /// together take no longer than connecting and one statement may take. A connection whose
    /// statement took too long is not used again, nor are those beside it.
    pub async fn query(
        &self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Error> {
        let started = Instant::now();
        let mut tries = Tries::new(statement.name, statement.rank, &self.settings);
        let result = loop {
            let began = Instant::now();
            let deadline = tries.deadline();
            let fault = match self.attempt(statement, parameters, deadline).await {
                Ok(rows) => break Ok(rows),
                Err(fault) => fault,
            };
            let (reason, message) = told(&fault);
            match tries.after(fault, began) {
                Next::GiveUp(error) => break Err(error),
                Next::Again(pause) => {
                    tracing::warn!(statement = statement.name, reason, "{message}");
                    sleep(pause).await;
                }
            }
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
    ) -> Result<Vec<Row>, Fault> {
        let waiting = Instant::now();
        let place = self.connections.get(statement.rank, deadline).await?;
        let query = place.query_typed(&statement.sql, parameters);
        let mut time = self.settings.statement_timeout;
        if matches!(statement.rank, Rank::Aside) {
            // Its turn goes on without it: what it has waited is part of its time.
            time = time.saturating_sub(waiting.elapsed()).max(time / 4);
        }
        let deadline = deadline.min(Instant::now() + time);
        let outcome = tokio::select! {
            biased;
            outcome = timeout_at(deadline, query) => outcome,
            () = place.is_stuck() => return Err(Fault::HeldUp),
        };
        match outcome {
            Ok(Ok(rows)) => Ok(rows),
            Ok(Err(error)) if is_dead(&place, &error) => {
                self.connections.condemn(&place);
                Err(Fault::Died(describe(&error)))
            }
            Ok(Err(error)) => Err(match error.code().cloned() {
                Some(code) if retry::is_locked(&code) => Fault::Locked(code, describe(&error)),
                code => Fault::Final(Error::Statement {
                    statement: statement.name,
                    code,
                    reason: describe(&error),
                }),
            }),
            Err(_elapsed) => {
                self.connections.condemn(&place);
                place.has_stuck();
                Err(Fault::TimedOut)
            }
        }
    }
}

/// What the log is told of a try that has failed, when there is another one.
fn told(fault: &Fault) -> (Option<String>, &'static str) {
    match fault {
        Fault::Died(reason) => (Some(reason.clone()), "connection was dead"),
        Fault::TimedOut => (None, "connection was silent"),
        Fault::HeldUp => (None, "the statement before it is stuck"),
        Fault::Locked(_, reason) => (Some(reason.clone()), "it met a lock"),
        Fault::Busy => (None, "the pool is busy"),
        Fault::Away(reason) => (Some(reason.clone()), "no connection can be made"),
        Fault::Final(_) => (None, "it failed"),
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
