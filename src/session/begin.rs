//! Before the model: one statement that decides whether a turn may run, and begins it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::ids::Ids;
use super::{Author, PastMessage, StoredAnswer, Turn, citations};
use crate::database::functions::{explain, statement};
use crate::database::{Database, Error, Rank, Statement};
use crate::guard::{Refusal, Scope, Subject, Terms};
use crate::idempotency::Key;
use crate::leaving::WhenLeft;
use crate::pseudonym::Network;
use crate::question::Question;
use crate::reader::Reader;

/// Everything that must be decided before the model is paid for. Intervals are passed as seconds;
/// the numbers are those of the parameters in [`begin_once`].
const BEGIN_SQL: &str = "
select
    outcome, extract(epoch from wait)::float8 as wait_seconds,
    session_id, question_id, answer_id, answered_at, reserved,
    role, content, selected_text, state,
    session_created_at, question_created_at, begun_at, replaces, citations
from {turn}.begin(
    named_session => $1, new_session => $2, new_question => $3, new_answer => $4,
    message => $5, passage => $6, history_messages => $7,
    key_hash => $8, request_hash => $9, lease => make_interval(secs => $10),
    network_hash => $11, network_burst => $12,
    network_interval => make_interval(secs => $13), network_daily => $14,
    conversation_burst => $15, conversation_interval => make_interval(secs => $16),
    budget => $17, fixed_cost => $18, byte_cost => $19,
    message_bytes => $20, max_history_bytes => $21,
    spending_shard => $22, sweeps => $23,
    reader => $24, owned => $25, retried => $26,
    new_title => $27, new_parts => $28::jsonb, new_options => $29::jsonb, reader_page => $30,
    answer_cost => $31, moderated => $32
)";

static BEGIN: LazyLock<Statement> =
    LazyLock::new(|| statement("begin", BEGIN_SQL).ranked(Rank::Begin));

/// The class of SQLSTATE by which the database says that a turn has met another one.
const MET: &str = "TC";

/// How often a turn is begun at most, if it meets others each time.
const MEETINGS: u32 = 5;

/// A request for a turn.
#[derive(Debug)]
pub struct Ask {
    /// The question.
    pub question: Question,
    /// Its `Idempotency-Key`.
    pub key: Option<Key>,
    /// The network that it comes from.
    pub network: Network,
    /// The reader whose token came with it.
    pub reader: Option<Reader>,
    /// The conversation must be the reader's own, and a new one will be.
    pub owned: bool,
    /// The stored question to answer once more.
    pub retried: Option<Uuid>,
    /// What becomes of the answer if its reader leaves.
    pub when_left: WhenLeft,
    /// What is stored with it.
    pub stored: Stored,
}

/// What is stored with a question besides its text, for ChatKit.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The title of the conversation, if it has none yet.
    pub title: Option<String>,
    /// The question's content as JSON, if it is more than one text.
    pub parts: Option<String>,
    /// The question's inference options as JSON.
    pub options: Option<String>,
}

/// The result of beginning a turn.
#[derive(Debug)]
pub enum Outcome {
    /// The question is stored; the model may be asked.
    Begun(Turn),
    /// A request with the same key has been answered.
    Answered(StoredAnswer),
    /// A request with the same key is running.
    InProgress,
    /// The key came with another request before.
    KeyReused,
    /// The conversation must be the reader's own, and is not, or is gone.
    NoConversation,
    /// The database has failed, and nobody knows whether the question is stored: the turn as it would
    /// have begun, without a history and with the least that can have been reserved for it. It must be
    /// ended, so that its key is free and the money is given back.
    Unsure(Turn, Error),
    /// A limit is used up; nothing is stored.
    Refused {
        /// Whom the limit applies to; nobody but this question, if it is too big.
        subject: Option<Subject>,
        /// Which limit it is.
        refusal: Refusal,
        /// How long until it may succeed.
        wait: Duration,
    },
}

/// Decides whether the turn may run; if so, finds or creates the conversation, stores the question
/// and reads the messages before it. Once this returns a turn, the question is committed and the
/// turn's worst cost is reserved: `worst_cost`, in billionths of a dollar, and that of its history.
///
/// A question about a passage rests on that passage alone: no history is read for it.
///
/// # Errors
///
/// When the database fails, and the question is not stored.
pub async fn begin(
    database: &Database,
    ask: &Ask,
    worst_cost: i64,
    terms: &Terms,
) -> Result<Outcome, Error> {
    let ids = Ids::new();
    let mut attempts = 0;
    loop {
        attempts += 1;
        match begin_once(database, ask, &ids, worst_cost, terms).await {
            // It met another turn, or its conversation was deleted meanwhile, and it has changed
            // nothing: the next run sees what the other one has left.
            Err(error) if attempts < MEETINGS && has_met(&error) => {}
            Err(error) if error.is_unsure() => {
                return Ok(Outcome::Unsure(ids.turn(ask, worst_cost), error));
            }
            outcome => return outcome.map_err(explain),
        }
    }
}

fn has_met(error: &Error) -> bool {
    let met = error.code().is_some_and(|it| it.code().starts_with(MET));
    met || error.is_deleted()
}

async fn begin_once(
    database: &Database,
    ask: &Ask,
    ids: &Ids,
    fixed_cost: i64,
    terms: &Terms,
) -> Result<Outcome, Error> {
    let Question {
        message,
        conversation,
        selected_text,
        page,
    } = &ask.question;
    let history_messages = match selected_text {
        Some(_) => 0,
        None => terms.history_messages,
    };
    let sweeps = rand::random::<f64>() < terms.sweeps;
    let rows = database
        .query(
            &BEGIN,
            &[
                (conversation, Type::UUID),
                (&ids.conversation, Type::UUID),
                (&ids.question, Type::UUID),
                (&ids.answer, Type::UUID),
                (message, Type::TEXT),
                (selected_text, Type::TEXT),
                (&history_messages, Type::INT8),
                (&ask.key.as_ref().map(|key| &key.key[..]), Type::BYTEA),
                (&ask.key.as_ref().map(|key| &key.request[..]), Type::BYTEA),
                (&terms.lease.as_secs_f64(), Type::FLOAT8),
                (&&ask.network.0[..], Type::BYTEA),
                (&terms.network.burst, Type::INT8),
                (&terms.network.interval, Type::FLOAT8),
                (&terms.network_per_day, Type::INT8),
                (&terms.conversation.burst, Type::INT8),
                (&terms.conversation.interval, Type::FLOAT8),
                (&terms.daily_budget, Type::INT8),
                (&fixed_cost, Type::INT8),
                (&terms.byte_cost(), Type::INT8),
                (&terms.message_bytes, Type::INT8),
                (&terms.max_history_bytes, Type::INT8),
                (&ids.shard, Type::INT2),
                (&sweeps, Type::BOOL),
                (&ask.reader.as_ref().map(Reader::as_bytes), Type::BYTEA),
                (&ask.owned, Type::BOOL),
                (&ask.retried, Type::UUID),
                (&ask.stored.title, Type::TEXT),
                (&ask.stored.parts, Type::TEXT),
                (&ask.stored.options, Type::TEXT),
                (page, Type::TEXT),
                (&terms.answer_cost(), Type::INT8),
                (&terms.moderated, Type::BOOL),
            ],
        )
        .await?;
    outcome(&rows, ask)
}

/// What the database has decided.
fn outcome(rows: &[Row], ask: &Ask) -> Result<Outcome, Error> {
    let first = rows.first().ok_or(Error::Unexpected(BEGIN.name))?;
    Ok(match first.get("outcome") {
        "begun" => Outcome::Begun(Turn {
            conversation: first.get("session_id"),
            question_id: first.get("question_id"),
            answer_id: first.get("answer_id"),
            history: past(rows),
            conversation_created_at: first.get("session_created_at"),
            question_created_at: first.get("question_created_at"),
            clock: (first.get("begun_at"), Instant::now()),
            replaces: first.get("replaces"),
            reserved: first.get("reserved"),
        }),
        "answered" => Outcome::Answered(StoredAnswer {
            conversation: first.get("session_id"),
            id: first.get("answer_id"),
            stored_at: first.get("answered_at"),
            content: first.get("content"),
            citations: citations(first),
        }),
        "in_progress" => Outcome::InProgress,
        "key_reused" => Outcome::KeyReused,
        "no_session" => Outcome::NoConversation,
        word => {
            let refusal = Refusal::of(word).ok_or(Error::Unexpected(BEGIN.name))?;
            Outcome::Refused {
                subject: match refusal.scope() {
                    Scope::Question => None,
                    Scope::Network => Some(Subject::Network(ask.network)),
                    Scope::Conversation => {
                        Some(Subject::Conversation(first.get("session_id"), ask.reader))
                    }
                    Scope::Everybody => Some(Subject::Everybody),
                },
                refusal,
                wait: Duration::from_secs_f64(first.get::<_, f64>("wait_seconds").max(0.0)),
            }
        }
    })
}

/// The history; a conversation without a past is one row of nulls.
fn past(rows: &[Row]) -> Vec<PastMessage> {
    let history = rows.iter().filter_map(|row| {
        Some(PastMessage {
            author: Author::of(row.get::<_, Option<&str>>("role")?),
            content: row.get("content"),
            selected_text: row.get("selected_text"),
            cancelled: row.get::<_, &str>("state") == "cancelled",
        })
    });
    history.collect()
}
