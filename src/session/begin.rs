//! Before the model: one statement that decides whether a turn may run, and begins it.

use std::time::{Duration, Instant};

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{Author, PastMessage, Reservation, StoredAnswer, Turn, new_id};
use crate::config::Settings;
use crate::database::{Database, Error, Statement};
use crate::guard::{Refusal, Subject};
use crate::idempotency::Key;
use crate::question::Question;
use crate::reader::Owner;

const BEGIN: Statement = Statement {
    name: "begin",
    sql: include_str!("begin.sql"),
};

/// The class of SQLSTATE with which `begin_turn` says that it has met another turn.
const MET: &str = "TC";

/// How often in a row that may happen.
const MEETINGS: u32 = 5;

/// The day's spending is counted in so many rows: one would be a queue.
const SHARDS: u8 = 16;

/// The share of turns that also delete a few dead rows.
const SWEEPS: f64 = 0.01;

/// What a turn may take beside the model's time and its statements. Until then a request with
/// the same key is told to wait.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// A request for a turn.
#[derive(Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Its `Idempotency-Key`.
    pub key: Option<Key>,
    /// The network that it comes from, by its hash of the day ([`crate::client::hash`]).
    pub network: [u8; 16],
    /// How long its prompt is without the history, in bytes.
    pub prompt_bytes: u64,
    /// Whose token came with it.
    pub reader: Option<Owner>,
    /// For a conversation that must be the reader's own.
    pub thread: Option<InThread>,
}

/// What a conversation with an owner has beside others.
#[derive(Debug, Clone)]
pub struct InThread {
    /// Its title, if it has none yet.
    pub title: Option<String>,
    /// The question's content as JSON, where it is more than one text.
    pub parts: Option<String>,
    /// The question's inference options as JSON.
    pub options: Option<String>,
    /// The stored question that is answered once more.
    pub retried: Option<Uuid>,
}

/// What came of beginning a turn.
#[derive(Debug)]
pub enum Begun {
    /// The question is stored; the model may be asked.
    Turn(Turn),
    /// A request with the same key has been answered.
    Answered(StoredAnswer),
    /// A request with the same key is running.
    InProgress,
    /// The key came with another request before.
    KeyReused,
    /// The conversation must be the reader's own, and is not, or is gone.
    NoSession,
    /// A limit is used up; nothing is stored.
    Refused {
        /// Whom it holds for.
        subject: Subject,
        /// Which limit it is.
        refusal: Refusal,
        /// Until it may go better.
        wait: Duration,
    },
}

/// Decides whether the turn may run; if so, finds or creates the conversation, stores the question
/// and reads the messages before it. Once this returns a turn, the question is committed and the
/// turn's worst cost is reserved.
///
/// A question about a passage rests on that passage alone: no history is read for it.
///
/// # Errors
///
/// When the database fails; the question may then be stored or not.
pub async fn begin(
    database: &Database,
    asked: &Asked,
    settings: &Settings,
) -> Result<Begun, Error> {
    let ids = Ids {
        session: new_id(),
        question: new_id(),
        answer: new_id(),
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        match begin_once(database, asked, &ids, settings).await {
            // It met another turn, or its conversation was deleted meanwhile, and has changed
            // nothing: now it sees what the other one has left.
            Err(Error::Statement {
                code: Some(code), ..
            }) if attempts < MEETINGS
                && (code == SqlState::FOREIGN_KEY_VIOLATION || code.code().starts_with(MET)) => {}
            begun => return begun,
        }
    }
}

/// The ids of what a turn may create; the same each time that its statement runs.
struct Ids {
    session: Uuid,
    question: Uuid,
    answer: Uuid,
}

async fn begin_once(
    database: &Database,
    asked: &Asked,
    ids: &Ids,
    settings: &Settings,
) -> Result<Begun, Error> {
    let Asked {
        question,
        key,
        network,
        reader,
        thread,
        ..
    } = asked;
    let history_messages = match question.selected_text {
        Some(_) => 0,
        None => i64::from(settings.history_messages),
    };
    let (guard, prices) = (&settings.guard, &settings.prices);
    let database_time = settings.database.connect_timeout + settings.database.statement_timeout;
    let lease = settings.model.timeout + 2 * database_time + LEASE_MARGIN;
    // A pace of so many a minute; of no more than that at once in a conversation.
    let interval = |per_minute: u32| 60.0 / f64::from(per_minute.max(1));
    // Without a pace there is nothing that a burst could exceed.
    let network_burst = match guard.network_per_minute {
        0 => 0,
        _ => guard.network_burst,
    };
    // A token is at least one byte of text.
    let max_history_bytes = 4 * settings.max_prompt_chars;
    let fixed_cost = prices.cost(
        asked.prompt_bytes,
        u64::from(settings.model.max_completion_tokens),
    );
    let title = thread.as_ref().and_then(|it| it.title.as_deref());
    let parts = thread.as_ref().and_then(|it| it.parts.as_deref());
    let options = thread.as_ref().and_then(|it| it.options.as_deref());
    let retried = thread.as_ref().and_then(|it| it.retried);
    let shard = i16::from(rand::random::<u8>() % SHARDS);
    let sweep = rand::random::<f64>() < SWEEPS;
    let rows = database
        .query(
            &BEGIN,
            &[
                (&question.session_id, Type::UUID),
                (&ids.session, Type::UUID),
                (&ids.question, Type::UUID),
                (&ids.answer, Type::UUID),
                (&question.message, Type::TEXT),
                (&question.selected_text, Type::TEXT),
                (&history_messages, Type::INT8),
                (&key.as_ref().map(|key| &key.key[..]), Type::BYTEA),
                (&key.as_ref().map(|key| &key.request[..]), Type::BYTEA),
                (&lease.as_secs_f64(), Type::FLOAT8),
                (&&network[..], Type::BYTEA),
                (&i64::from(network_burst), Type::INT8),
                (&interval(guard.network_per_minute), Type::FLOAT8),
                (&i64::from(guard.network_per_day), Type::INT8),
                (&i64::from(guard.conversation_per_minute), Type::INT8),
                (&interval(guard.conversation_per_minute), Type::FLOAT8),
                (&guard.daily_budget, Type::INT8),
                (&fixed_cost, Type::INT8),
                (&prices.input, Type::INT8),
                (
                    &i64::try_from(max_history_bytes).unwrap_or(i64::MAX),
                    Type::INT8,
                ),
                (&shard, Type::INT2),
                (&sweep, Type::BOOL),
                (&reader.as_ref().map(Owner::as_bytes), Type::BYTEA),
                (&thread.is_some(), Type::BOOL),
                (&retried, Type::UUID),
                (&title, Type::TEXT),
                (&parts, Type::TEXT),
                (&options, Type::TEXT),
            ],
        )
        .await?;
    outcome(&rows, asked, shard)
}

/// What `begin_turn` has decided.
fn outcome(rows: &[Row], asked: &Asked, shard: i16) -> Result<Begun, Error> {
    let first = rows.first().ok_or(Error::Unexpected(BEGIN.name))?;
    let refused = |subject, refusal| Begun::Refused {
        subject,
        refusal,
        wait: Duration::from_secs_f64(first.get::<_, f64>(1).max(0.0)),
    };
    let network = Subject::Network(asked.network);
    Ok(match first.get(0) {
        "begun" => Begun::Turn(Turn {
            session_id: first.get(2),
            question_id: first.get(3),
            answer_id: first.get(4),
            history: past(rows),
            session_created_at: first.get(12),
            question_created_at: first.get(13),
            begun: (first.get(14), Instant::now()),
            replaces: first.get(15),
            reservation: Reservation {
                nanos: first.get(6),
                day: first.get(7),
                shard,
            },
        }),
        "answered" => Begun::Answered(StoredAnswer {
            session_id: first.get(2),
            id: first.get(4),
            stored_at: first.get(5),
            content: first.get(9),
        }),
        "in_progress" => Begun::InProgress,
        "key_reused" => Begun::KeyReused,
        "no_session" => Begun::NoSession,
        "network_pace" => refused(network, Refusal::NetworkPace),
        "network_day" => refused(network, Refusal::NetworkDay),
        "conversation_pace" => refused(
            Subject::Conversation(first.get(2), asked.reader),
            Refusal::ConversationPace,
        ),
        "budget" => refused(Subject::Everybody, Refusal::Budget),
        _ => return Err(Error::Unexpected(BEGIN.name)),
    })
}

/// The history; a conversation without a past is one row of nulls.
fn past(rows: &[Row]) -> Vec<PastMessage> {
    let history = rows.iter().filter_map(|row| {
        Some(PastMessage {
            author: Author::of(row.get::<_, Option<&str>>(8)?),
            content: row.get(9),
            selected_text: row.get(10),
            cancelled: row.get::<_, &str>(11) == "cancelled",
        })
    });
    history.collect()
}
