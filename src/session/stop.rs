//! Answers that are stopped from elsewhere: by a request that may reach another instance than the
//! one that writes them.

use std::sync::LazyLock;

use tokio_postgres::types::Type;

use super::Turn;
use crate::database::functions::{explain, statement};
use crate::database::{Database, Error, Rank, Statement};
use crate::idempotency::KeyHash;

static STOP: LazyLock<Statement> =
    LazyLock::new(|| statement("stop", "select {turn}.stop(key_hash => $1) as told"));

static IS_CALLED_OFF: LazyLock<Statement> = LazyLock::new(|| {
    let sql =
        "select {turn}.is_called_off(this_answer => $1, this_question => $2) as is_called_off";
    statement("is called off", sql).ranked(Rank::Aside)
});

/// Tells the turn that the request with this key has begun to end; says whether there is one under
/// way. It listens once its reader has left.
///
/// # Errors
///
/// When the database fails.
pub async fn stop(database: &Database, key: &KeyHash) -> Result<bool, Error> {
    let rows = database.query(&STOP, &[(&&key[..], Type::BYTEA)]).await;
    let rows = rows.map_err(explain)?;
    let told = rows.first().ok_or(Error::Unexpected(STOP.name))?;
    Ok(told.get("told"))
}

/// Whether a turn that nobody listens to is to end: it was stopped, or its question was deleted.
///
/// # Errors
///
/// When the database fails.
pub async fn is_called_off(database: &Database, turn: &Turn) -> Result<bool, Error> {
    let parameters = [
        (&turn.answer_id as _, Type::UUID),
        (&turn.question_id as _, Type::UUID),
    ];
    let rows = database.query(&IS_CALLED_OFF, &parameters).await;
    let rows = rows.map_err(explain)?;
    let called_off = rows.first().ok_or(Error::Unexpected(IS_CALLED_OFF.name))?;
    Ok(called_off.get("is_called_off"))
}
