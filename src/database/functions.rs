//! The functions of the database that statements call: where their texts are installed.
//!
//! The texts belong to those who call them: [`crate::session`] has what a turn does (`turn.sql`),
//! [`crate::book::search`] how the book is searched (`search.sql`).
//!
//! Each text has a schema of its own, named after it, so that a deployment calls exactly the
//! functions that it was built with, whatever others have been installed since. Installing them is
//! up to the operator (`migrate`); a function of the bundle only calls them.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

use chrono::Utc;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Error, Rank, Statement};
use crate::book::search;
use crate::session;

/// Stands for the schema, in the texts and in the statements that call them.
const PLACEHOLDER: &str = "{turn}";

/// Bytes of the hash that are part of a schema's name.
const NAME_BYTES: usize = 4;

/// How many schemas [`Functions::install`] keeps whatever their age: those installed last.
const KEPT: i64 = 5;

/// How many days it keeps any other after that was last installed.
const KEPT_DAYS: i32 = 30;

static CURRENT: LazyLock<Functions> =
    LazyLock::new(|| Functions::of(format!("{}\n{}", session::FUNCTIONS, search::functions())));

/// One version of the functions.
#[derive(Debug)]
pub struct Functions {
    text: Cow<'static, str>,
    schema: String,
}

impl Functions {
    /// Those that this program was built with.
    #[must_use]
    pub fn current() -> &'static Self {
        &CURRENT
    }

    /// Those of this text, in which `{turn}` stands for their schema.
    #[must_use]
    pub fn of(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        let mut schema = String::from("turn_");
        for byte in &Sha256::digest(text.as_bytes())[..NAME_BYTES] {
            // Writing into a string never fails.
            let _ = write!(schema, "{byte:02x}");
        }
        Self { text, schema }
    }

    /// The schema that holds them.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// SQL that calls these functions, where `{turn}` stands for their schema.
    #[must_use]
    pub fn call(&self, sql: &str) -> String {
        sql.replace(PLACEHOLDER, &self.schema)
    }

    /// Installs them beside all others, in one transaction; returns whether they are new here.
    ///
    /// Older ones are dropped when five have been installed after them and they themselves were
    /// last installed more than thirty days ago: no deployment can need them any more.
    ///
    /// # Errors
    ///
    /// When the database refuses; then nothing has changed.
    pub async fn install(&self, client: &mut Client) -> Result<bool, tokio_postgres::Error> {
        let transaction = client.transaction().await?;
        let schema = &self.schema;
        let known = "select to_regnamespace($1) is not null";
        let known: bool = transaction.query_one(known, &[schema]).await?.get(0);
        if !known {
            // The bundle may run as another role than the operator.
            let place = format!("create schema {schema}; grant usage on schema {schema} to public");
            transaction.batch_execute(&place).await?;
            transaction.batch_execute(&self.call(&self.text)).await?;
        }
        let now = Utc::now().to_rfc3339();
        let comment = format!("comment on schema {schema} is 'installed {now}'");
        transaction.batch_execute(&comment).await?;
        let unneeded = "
            select name from (
                select name, installed, row_number() over (order by installed desc nulls last) as place
                from (
                    select nspname::text as name,
                        substring(obj_description(oid, 'pg_namespace') from '^installed (.*)')::timestamptz
                            as installed
                    from pg_namespace where nspname ~ '^turn_[0-9a-f]{8}$'
                ) schemas
            ) schemas
            where place > $1 and installed < now() - make_interval(days => $2)";
        for row in transaction.query(unneeded, &[&KEPT, &KEPT_DAYS]).await? {
            let name: String = row.get("name");
            let drop = format!("drop schema {name} cascade");
            transaction.batch_execute(&drop).await?;
        }
        transaction.commit().await?;
        Ok(!known)
    }
}

/// A statement that calls the functions of this program.
#[must_use]
pub fn statement(name: &'static str, sql: &str) -> Statement {
    Statement {
        name,
        sql: Functions::current().call(sql).into(),
        rank: Rank::Other,
    }
}

/// Names the functions if a statement failed because they are not installed.
#[must_use]
pub fn explain(error: Error) -> Error {
    match error {
        Error::Statement {
            statement,
            code: Some(code),
            ..
        } if code == SqlState::INVALID_SCHEMA_NAME || code == SqlState::UNDEFINED_FUNCTION => {
            Error::Statement {
                statement,
                reason: missing(),
                code: Some(code),
            }
        }
        error => error,
    }
}

/// What an operator is told if the functions are not installed.
#[must_use]
pub fn missing() -> String {
    let schema = Functions::current().schema();
    format!(
        "the functions {schema} are not installed in this database: run migrate of this version"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_named_after_its_text() {
        let (one, other) = (Functions::of("a {turn}.b"), Functions::of("a {turn}.c"));
        assert_ne!(one.schema(), other.schema());
        assert_eq!(one.schema(), Functions::of("a {turn}.b").schema());
        assert_eq!(one.schema().len(), "turn_".len() + 8);
        assert_eq!(one.call("{turn}.f()"), format!("{}.f()", one.schema()));
    }
}
