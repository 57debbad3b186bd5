//! After the model: the statements that end a turn, with an answer or without.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use tokio_postgres::types::Type;

use super::{State, Turn};
use crate::citation::Citations;
use crate::database::functions::{explain, statement};
use crate::database::{Database, Error, Rank, Statement};
use crate::idempotency::Key;

static FINISH: LazyLock<Statement> = LazyLock::new(|| {
    let sql = "select {turn}.finish(
        this_answer => $1, this_session => $2, answer => $3, this_question => $4, answer_state => $5,
        cost => $6, began_at => $7, replaces => $8, what_it_cites => $9::jsonb, passed => $10
    ) as stored_at";
    statement("finish", sql).ranked(Rank::End)
});

static FAIL: LazyLock<Statement> = LazyLock::new(|| {
    let sql = "select {turn}.fail(
        this_question => $1, this_answer => $2, key_hash => $3, cost => $4, passed => $5
    )";
    statement("fail", sql).ranked(Rank::End)
});

static REFUSE: LazyLock<Statement> = LazyLock::new(|| {
    let sql = "select {turn}.refuse(
        this_question => $1, this_session => $2, question_title => $3
    )";
    statement("refuse", sql).ranked(Rank::End)
});

/// What is stored of a turn's answer.
#[derive(Debug)]
pub struct Finished<'a> {
    /// The text.
    pub text: &'a str,
    /// What it cites; none where the book was not searched.
    pub citations: Option<&'a Citations>,
    /// Whether it is whole.
    pub state: State,
    /// What the turn has cost, in billionths of a dollar.
    pub cost: i64,
    /// The moderation has passed the question.
    pub passed: bool,
    /// The time that it carries instead of the one at which it is stored.
    pub began_at: Option<DateTime<Utc>>,
}

/// Stores the answer, marks the conversation as touched, and replaces the turn's reservation with
/// its cost. For a retried question, it deletes what
/// was said after it. Returns the answer's time by the database's clock: `began_at`, or when it was
/// stored; `None` if nothing is stored, because the conversation or the question was deleted
/// meanwhile or a newer turn has answered it.
///
/// # Errors
///
/// When the database fails; the question stays.
pub async fn finish(
    database: &Database,
    turn: &Turn,
    finished: &Finished<'_>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let citations = finished.citations.map(serde_json::to_string);
    // Our own type, whose maps have strings for keys.
    let citations = citations.and_then(Result::ok);
    let state = match finished.state {
        State::Complete => "complete",
        State::Cancelled => "cancelled",
    };
    let rows = database
        .query(
            &FINISH,
            &[
                (&turn.answer_id, Type::UUID),
                (&turn.conversation, Type::UUID),
                (&finished.text, Type::TEXT),
                (&turn.question_id, Type::UUID),
                (&state, Type::TEXT),
                (&finished.cost, Type::INT8),
                (&finished.began_at, Type::TIMESTAMPTZ),
                (&turn.replaces, Type::INT8),
                (&citations, Type::TEXT),
                (&finished.passed, Type::BOOL),
            ],
        )
        .await;
    let rows = match rows {
        Err(error) if error.is_deleted() => return Ok(None),
        rows => rows.map_err(explain)?,
    };
    let stored = rows.first().ok_or(Error::Unexpected(FINISH.name))?;
    Ok(stored.get("stored_at"))
}

/// How a turn has ended that has no whole answer.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// What it has cost, in billionths of a dollar; `None` if it is settled already.
    pub cost: Option<i64>,
    /// The moderation has passed the question.
    pub passed: bool,
}

/// Ends a turn that has no whole answer: releases its key, so that the same request may try again
/// at once, and replaces its reservation with its cost.
///
/// # Errors
///
/// When the database fails; when the turn's lease ends, the key is released and the turn counts as
/// one that died.
pub async fn fail(
    database: &Database,
    turn: &Turn,
    key: Option<&Key>,
    ended: Ended,
) -> Result<(), Error> {
    if key.is_none() && ended.cost.is_none() {
        return Ok(());
    }
    let parameters = [
        (&turn.question_id as _, Type::UUID),
        (&turn.answer_id as _, Type::UUID),
        (&key.map(|key| &key.key[..]) as _, Type::BYTEA),
        (&ended.cost as _, Type::INT8),
        (&ended.passed as _, Type::BOOL),
    ];
    let failed = database.query(&FAIL, &parameters).await;
    failed.map_err(explain)?;
    Ok(())
}

/// Takes back a question that must not be kept, and the title that was made of it.
///
/// # Errors
///
/// When the database fails; the question then stays.
pub async fn refuse(database: &Database, turn: &Turn, title: Option<&str>) -> Result<(), Error> {
    let parameters = [
        (&turn.question_id as _, Type::UUID),
        (&turn.conversation as _, Type::UUID),
        (&title as _, Type::TEXT),
    ];
    let refused = database.query(&REFUSE, &parameters).await;
    refused.map_err(explain)?;
    Ok(())
}
