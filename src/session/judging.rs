//! What readers think of answers.

use serde::Deserialize;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::database::{Database, Error, Parameter, Statement};
use crate::reader::Reader;

const JUDGE_ITEMS: Statement = Statement::new("store feedback", include_str!("judge_items.sql"));

const JUDGE_ANSWER: Statement = Statement::new("store feedback", include_str!("judge_answer.sql"));

/// What a reader thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feedback {
    /// The answer has helped.
    Positive,
    /// It has not.
    Negative,
}

impl Feedback {
    /// As it is stored.
    fn as_str(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
        }
    }
}

/// Stores what a reader thinks of an answer; says whether there is such an answer in a conversation
/// that is theirs or nobody's.
///
/// # Errors
///
/// When the database fails.
pub async fn judge_answer(
    database: &Database,
    reader: Option<Reader>,
    conversation: Uuid,
    answer: Uuid,
    feedback: Feedback,
) -> Result<bool, Error> {
    let parameters: [Parameter<'_>; 4] = [
        (&conversation, Type::UUID),
        (&reader.as_ref().map(Reader::as_bytes), Type::BYTEA),
        (&answer, Type::UUID),
        (&feedback.as_str(), Type::TEXT),
    ];
    judge(database, &JUDGE_ANSWER, &parameters).await
}

/// Stores what a reader thinks of items of a conversation of their own, some of which may never have
/// been stored; says whether the reader has such a conversation.
///
/// # Errors
///
/// When the database fails.
pub async fn judge_items(
    database: &Database,
    reader: &Reader,
    conversation: Uuid,
    items: &[String],
    feedback: Feedback,
) -> Result<bool, Error> {
    let parameters: [Parameter<'_>; 4] = [
        (&conversation, Type::UUID),
        (&reader.as_bytes(), Type::BYTEA),
        (&items, Type::TEXT_ARRAY),
        (&feedback.as_str(), Type::TEXT),
    ];
    judge(database, &JUDGE_ITEMS, &parameters).await
}

async fn judge(
    database: &Database,
    statement: &Statement,
    parameters: &[Parameter<'_>],
) -> Result<bool, Error> {
    match database.query(statement, parameters).await {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(error) if error.is_deleted() => Ok(false),
        Err(error) => Err(error),
    }
}
