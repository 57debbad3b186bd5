//! The conversation store: what a reader asked and what was answered, in order.
//!
//! A turn has one statement before the model ([`begin`]) and one after ([`finish`]), each a
//! single round trip and each safe to run twice, for every id comes from here. They are calls of
//! functions of the database, in `migrations/`. Beside the turn: [`read`] a conversation,
//! [`forget`] it.
//!
//! It never speaks to the model and never decides what an answer is.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use uuid::{NoContext, Timestamp, Uuid};

use crate::config::Settings;
use crate::database::{Database, Error, Statement};
use crate::guard::{Refusal, Subject};
use crate::idempotency::Key;
use crate::question::Question;

const BEGIN: Statement = Statement {
    name: "begin",
    sql: include_str!("session/begin.sql"),
};

const FINISH: Statement = Statement {
    name: "finish",
    sql: include_str!("session/finish.sql"),
};

const FAIL: Statement = Statement {
    name: "fail",
    sql: "select fail_turn($1, $2, $3, $4, $5, $6)",
};

const REFUSE: Statement = Statement {
    name: "refuse",
    // The question, and its conversation if that holds nothing else.
    sql: "with refused as (delete from messages where id = $1)
          delete from chat_sessions where id = $2
              and not exists (select from messages where session_id = $2 and id <> $1)",
};

const READ: Statement = Statement {
    name: "read",
    sql: include_str!("session/read.sql"),
};

const FORGET: Statement = Statement {
    name: "forget",
    // Its messages and keys go with it.
    sql: "delete from chat_sessions where id = $1",
};

/// The class of SQLSTATE with which `begin_turn` says that it has met another turn.
const MET: &str = "TC";

/// How often in a row that may happen.
const MEETINGS: u32 = 5;

/// The day's spending is counted in so many rows: one would be a queue.
const SHARDS: u8 = 16;

/// The share of turns that also delete a few dead rows.
const SWEEPS: f64 = 0.01;

/// Messages that [`read`] returns at the most.
const PAGE: i64 = 50;

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

/// A turn whose question is stored.
#[derive(Debug)]
pub struct Turn {
    /// The conversation; new where the reader's was unknown.
    pub session_id: Uuid,
    /// The stored question.
    pub question_id: Uuid,
    /// The answer, once it is stored.
    pub answer_id: Uuid,
    /// The messages before the question, oldest first.
    pub history: Vec<PastMessage>,
    reservation: Reservation,
}

/// What a turn may cost at the most, taken from the day's budget in advance.
#[derive(Debug, Clone, Copy)]
struct Reservation {
    day: NaiveDate,
    shard: i16,
    nanos: i64,
}

/// A message of the conversation's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// Who wrote it.
    pub author: Author,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The reader.
    User,
    /// The model.
    Assistant,
}

/// An answer that was stored before.
#[derive(Debug)]
pub struct StoredAnswer {
    /// The message.
    pub id: Uuid,
    /// The conversation.
    pub session_id: Uuid,
    /// The text.
    pub content: String,
    /// When it was stored.
    pub stored_at: DateTime<Utc>,
}

/// Whether an answer is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The model had finished it.
    Complete,
    /// The reader left before, or the instance was stopped.
    Cancelled,
}

/// A message as a page shows it.
#[derive(Debug)]
pub struct Message {
    /// The message.
    pub id: Uuid,
    /// `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
    /// The passage that a reader asked about.
    pub selected_text: Option<String>,
    /// The question that an answer answers.
    pub reply_to: Option<Uuid>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// `complete` or `cancelled`.
    pub state: String,
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
            ],
        )
        .await?;
    let first = rows.first().ok_or(Error::Unexpected(BEGIN.name))?;
    let refused = |subject, refusal| Begun::Refused {
        subject,
        refusal,
        wait: Duration::from_secs_f64(first.get::<_, f64>(1).max(0.0)),
    };
    let network = Subject::Network(*network);
    Ok(match first.get(0) {
        "begun" => Begun::Turn(Turn {
            session_id: first.get(2),
            question_id: first.get(3),
            answer_id: first.get(4),
            history: past(&rows),
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
        "network_pace" => refused(network, Refusal::NetworkPace),
        "network_day" => refused(network, Refusal::NetworkDay),
        "conversation_pace" => refused(
            Subject::Conversation(first.get(2)),
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
            author: match row.get::<_, Option<&str>>(8)? {
                "assistant" => Author::Assistant,
                _ => Author::User,
            },
            content: row.get(9),
            selected_text: row.get(10),
        })
    });
    history.collect()
}

/// Stores the answer, marks the conversation as touched, and puts the turn's `cost` (billionths of
/// a dollar, where it is known) in the place of its reservation. Returns when the answer was
/// stored, by the database's clock; `None` where the conversation is gone meanwhile.
///
/// # Errors
///
/// When the database fails; the question stays.
pub async fn finish(
    database: &Database,
    turn: &Turn,
    answer: &str,
    state: State,
    cost: Option<i64>,
) -> Result<Option<DateTime<Utc>>, Error> {
    let state = match state {
        State::Complete => "complete",
        State::Cancelled => "cancelled",
    };
    let rows = database
        .query(
            &FINISH,
            &[
                (&turn.answer_id, Type::UUID),
                (&turn.session_id, Type::UUID),
                (&answer, Type::TEXT),
                (&turn.question_id, Type::UUID),
                (&state, Type::TEXT),
                (&turn.reservation.day, Type::DATE),
                (&turn.reservation.shard, Type::INT2),
                (&turn.reservation.nanos, Type::INT8),
                (&cost, Type::INT8),
            ],
        )
        .await?;
    let stored = rows.first().ok_or(Error::Unexpected(FINISH.name))?;
    Ok(stored.get(0))
}

/// Ends a turn that has no answer: gives its key free, so that the same request may try again at
/// once, and gives back what was reserved where the model has cost nothing.
///
/// # Errors
///
/// When the database fails; the key is then free when its lease ends, and the turn stays charged.
pub async fn fail(
    database: &Database,
    turn: &Turn,
    key: Option<&Key>,
    free_of_charge: bool,
) -> Result<(), Error> {
    let refund = if free_of_charge {
        turn.reservation.nanos
    } else {
        0
    };
    if key.is_none() && refund == 0 {
        return Ok(());
    }
    let parameters = [
        (&turn.question_id as _, Type::UUID),
        (&turn.answer_id as _, Type::UUID),
        (&key.map(|key| &key.key[..]) as _, Type::BYTEA),
        (&turn.reservation.day as _, Type::DATE),
        (&turn.reservation.shard as _, Type::INT2),
        (&refund as _, Type::INT8),
    ];
    database.query(&FAIL, &parameters).await?;
    Ok(())
}

/// Takes back a question that must not be kept.
///
/// # Errors
///
/// When the database fails; the question then stays.
pub async fn refuse(database: &Database, turn: &Turn) -> Result<(), Error> {
    let parameters = [
        (&turn.question_id as _, Type::UUID),
        (&turn.session_id as _, Type::UUID),
    ];
    database.query(&REFUSE, &parameters).await?;
    Ok(())
}

/// The newest messages of a conversation before the message `before`, oldest first, 50 at the
/// most; `None` where there is no such conversation.
///
/// # Errors
///
/// When the database fails.
pub async fn read(
    database: &Database,
    session_id: Uuid,
    before: Option<Uuid>,
) -> Result<Option<Vec<Message>>, Error> {
    let parameters = [
        (&session_id as _, Type::UUID),
        (&before as _, Type::UUID),
        (&PAGE as _, Type::INT8),
    ];
    let rows = database.query(&READ, &parameters).await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let messages = rows.iter().filter_map(|row| {
        Some(Message {
            id: row.get::<_, Option<Uuid>>(0)?,
            role: row.get(1),
            content: row.get(2),
            selected_text: row.get(3),
            created_at: row.get(4),
            state: row.get(5),
            reply_to: row.get(6),
        })
    });
    Ok(Some(messages.collect()))
}

/// Deletes a conversation with all that belongs to it; deleting one that is not there is fine.
///
/// # Errors
///
/// When the database fails.
pub async fn forget(database: &Database, session_id: Uuid) -> Result<(), Error> {
    database
        .query(&FORGET, &[(&session_id, Type::UUID)])
        .await?;
    Ok(())
}

/// A UUID v7 whose bits after the milliseconds are all random. `Uuid::now_v7` counts within a
/// millisecond instead, and who knows a session's id can read it: it must not be a neighbour's
/// id plus one.
fn new_id() -> Uuid {
    Uuid::new_v7(Timestamp::now(NoContext))
}
