//! What days have cost, for the chat's owner. Never tells who asked.

use serde::Serialize;
use tokio_postgres::types::Type;

use crate::database::{Database, Error, Statement};

const COSTS: Statement = Statement::new("costs", include_str!("costs.sql"));

/// A day, in UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Day {
    /// `2026-11-27`.
    pub day: String,
    /// What readers' questions have cost, in billionths of a dollar; turns under way count with all that
    /// they have reserved.
    pub nanos: i64,
    /// What the embeddings of the book have cost, in billionths of a dollar.
    pub index_nanos: i64,
    /// Answers that are still stored, those included that were cut short.
    pub answers: u64,
    /// Those of them for which the book was searched.
    pub searched: u64,
}

/// The last days on which something was asked or spent, the newest first. Sums are kept for about a
/// month.
///
/// # Errors
///
/// When the database fails.
pub async fn costs(database: &Database, days: i32) -> Result<Vec<Day>, Error> {
    let rows = database.query(&COSTS, &[(&days, Type::INT4)]).await?;
    let days = rows.iter().map(|row| Day {
        day: row.get("day"),
        nanos: row.get("readers"),
        index_nanos: row.get("index"),
        answers: row.get::<_, i64>("answers").unsigned_abs(),
        searched: row.get::<_, i64>("searched").unsigned_abs(),
    });
    Ok(days.collect())
}
