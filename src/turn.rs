//! The turn: a reader's question in, a grounded and remembered answer out, as events.
//!
//! Written once, read top to bottom; only this module composes the steps. The question is
//! committed before the model is asked, and stays when the model fails. The answer is committed
//! before the event that ends it. No database connection is held while the model speaks.
//!
//! A turn is one task, registered with the platform, that reads the model, feeds the response
//! and stores the answer. The response only listens: whoever stops listening ends the turn, and
//! what was written until then is kept as cancelled.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::{App, Ready};
use crate::client;
use crate::config::Settings;
use crate::error::{Code, Failure, chain};
use crate::guard::{Place, Subject};
use crate::http::{Background, Call};
use crate::idempotency::Key;
use crate::llm::{self, Usage};
use crate::prompt::{self, Message};
use crate::question::Question;
use crate::reader::Owner;
use crate::retrieval;
use crate::session::{self, Asked, Begun, InThread, State, StoredAnswer, Turn};

/// Pieces of an answer that may wait for a slow reader; then the model has to wait, too.
const WAITING_EVENTS: usize = 32;

/// What an instance that is being stopped gives its turns to finish. The platform kills it about
/// 500 ms after it asked, and what was written must be stored by then.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// By when a turn of an instance that is being stopped has told its reader.
const STOP_LIMIT: Duration = Duration::from_millis(450);

/// How much longer than the model's time a turn may take: who reads slowly is part of it.
const SLOW_READER: Duration = Duration::from_millis(500);

/// How long the last event may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);

/// What happens in a turn, in this order: `Begun` unless the answer is a replay, `Started`, `Text`
/// once and more, `Finished`. `Failed` may come instead of any of them, and is then the last.
#[derive(Debug)]
pub enum Event {
    /// The question is stored; the model is being asked. Times are the database's.
    Begun {
        /// The conversation.
        session_id: Uuid,
        /// When that began.
        session_created_at: DateTime<Utc>,
        /// The question.
        question_id: Uuid,
        /// When it was stored.
        question_created_at: DateTime<Utc>,
    },
    /// The first piece of the answer is there.
    Started {
        /// The conversation.
        session_id: Uuid,
        /// The answer that will be stored.
        answer_id: Uuid,
        /// When it began, by the database's clock.
        began_at: DateTime<Utc>,
    },
    /// The next piece of the answer, never empty.
    Text(String),
    /// The answer is whole and stored.
    Finished {
        /// The time that it bears, by the database's clock: when it was stored, or in a thread when
        /// it began.
        stored_at: DateTime<Utc>,
        /// Why the model stopped, in its provider's words; `stop` for a replayed answer.
        finish_reason: String,
        /// What the answer used, where it is known.
        usage: Option<Usage>,
    },
    /// The turn failed; nothing is stored as a whole answer.
    Failed(Failure),
}

impl Event {
    fn begun(turn: &Turn) -> Self {
        Self::Begun {
            session_id: turn.session_id,
            session_created_at: turn.session_created_at,
            question_id: turn.question_id,
            question_created_at: turn.question_created_at,
        }
    }
}

/// A turn that a route asks for.
#[derive(Debug)]
pub struct Ask {
    /// The question.
    pub question: Question,
    /// Its `Idempotency-Key`.
    pub key: Option<Key>,
    /// Whose token came with it.
    pub reader: Option<Owner>,
    /// For a conversation that must be the reader's own.
    pub thread: Option<InThread>,
}

/// Starts a turn, unless its instance is full or remembers that it must be refused; its events are
/// what this returns. Dropping that ends the turn.
///
/// # Errors
///
/// 429 or 503 where it is refused, 500 while a setting is wrong.
pub fn ask(app: Arc<App>, call: &Call, ask: Ask) -> Result<Receiver<Event>, Failure> {
    let Ready {
        settings, guard, ..
    } = app.ready()?;
    let address = client::address(
        &call.headers,
        call.platform_address,
        settings.proxy.as_ref(),
    );
    let network = client::network(address);
    let network = client::hash(&settings.pseudonym_key, Utc::now(), &network);

    let conversation = ask
        .question
        .session_id
        .map(|id| Subject::Conversation(id, ask.reader));
    let subjects = [Subject::Everybody, Subject::Network(network)];
    guard.check(subjects.into_iter().chain(conversation))?;
    let place = guard.enter(settings.guard.turns_in_flight)?;

    let asked = Asked {
        prompt_bytes: prompt::bytes_without_history(&settings.book_title, &ask.question),
        question: ask.question,
        key: ask.key,
        network,
        reader: ask.reader,
        thread: ask.thread,
    };
    Ok(start(app, asked, place, &call.background))
}

fn start(app: Arc<App>, asked: Asked, place: Place, background: &Background) -> Receiver<Event> {
    let (events, listener) = mpsc::channel(WAITING_EVENTS);
    let turn = async move {
        let run = AssertUnwindSafe(run(&app, &asked, &events));
        let last = match run.catch_unwind().await {
            Ok(Ok(last)) => last,
            Ok(Err(failure)) => Some(Event::Failed(failure)),
            Err(_) => Some(Event::Failed(panicked())),
        };
        if let Some(last) = last {
            tell(&app, &events, last).await;
        }
        drop(place);
    };
    background.wait_until(turn.instrument(Span::current()));
    listener
}

/// Sends the last event, and stays until the response is written: the platform may freeze the
/// instance as soon as this task has ended.
async fn tell(app: &App, events: &Sender<Event>, last: Event) {
    if let Event::Failed(failure) = &last {
        // Here, for the response of a stream has gone out long ago, or nobody listens.
        failure.log();
    }
    let told = async {
        if events.send(last).await.is_ok() {
            events.closed().await;
        }
    };
    tokio::select! {
        () = told => {}
        () = sleep(FAREWELL) => {}
        () = app.stopping(STOP_LIMIT) => {}
    }
}

async fn run(app: &App, asked: &Asked, events: &Sender<Event>) -> Result<Option<Event>, Failure> {
    let ready = app.ready()?;
    let Ready {
        settings, database, ..
    } = ready;
    let question = &asked.question;
    let turn = match session::begin(database, asked, settings).await? {
        Begun::Turn(turn) => turn,
        Begun::Answered(answer) => return Ok(replay(answer, events).await),
        Begun::InProgress => return Err(in_progress()),
        Begun::KeyReused => return Err(key_reused()),
        Begun::NoSession => return Err(Failure::no_conversation()),
        Begun::Refused {
            subject,
            refusal,
            wait,
        } => {
            ready.guard.remember(subject, refusal, wait);
            return Err(refusal.failure(wait));
        }
    };
    Span::current().record("session_id", tracing::field::display(turn.session_id));
    // A reader who has left is seen where the model is waited for.
    let _ = events.send(Event::begun(&turn)).await;

    let passages = if question.selected_text.is_some() {
        Vec::new()
    } else {
        retrieval::search(question).await?
    };
    // Random for the request, and known to nobody who wrote one of its texts.
    let mark = Uuid::new_v4().simple().to_string();
    let messages = prompt::build(
        &settings.book_title,
        &turn.history,
        &passages,
        question,
        &mark,
        settings.max_prompt_chars,
    );

    let mut answer = Answer::default();
    let ending = tokio::select! {
        biased;
        () = events.closed() => Ending::Left,
        spoken = speak(ready, question, &messages, &turn, events, &mut answer) => match spoken {
            Ok(()) => Ending::Spoken,
            Err(error) => Ending::Failed(error),
        },
        () = app.stopping(STOP_GRACE) => Ending::Stopped,
        () = sleep(settings.model.timeout + SLOW_READER) => Ending::SlowReader,
    };
    let free_of_charge = matches!(&ending, Ending::Failed(error) if error.is_free_of_charge());
    let outcome = store(ready, asked, &turn, &answer, ending).await;
    if let Err(_) | Ok(None) = &outcome {
        // Without it the key is free when its lease ends: no reason to fail in another way.
        let failed = session::fail(database, &turn, asked.key.as_ref(), free_of_charge).await;
        if let Err(error) = failed {
            tracing::warn!(
                cause = chain(&error),
                "the turn stays charged, its key taken"
            );
        }
    }
    // Unless it is taken back the question is stored: who asks again can do so in the same
    // conversation.
    outcome.map_err(|failure| {
        if failure.taken_back {
            failure
        } else {
            failure.in_session(turn.session_id)
        }
    })
}

/// What the model has said so far.
#[derive(Default)]
struct Answer {
    /// By the database's clock, as near as ours can tell.
    began_at: Option<DateTime<Utc>>,
    /// The moderation has nothing against the question, or is off.
    cleared: bool,
    text: String,
    /// Known once the answer is whole.
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

/// How the model's part of a turn ends.
enum Ending {
    Spoken,
    Failed(llm::Error),
    /// The reader has stopped listening.
    Left,
    /// The instance is being stopped.
    Stopped,
    /// The reader takes so long to read that the turn's time is over.
    SlowReader,
}

/// Asks the model and passes on what it says, which is in `answer` however this ends. Dropping it
/// ends the model's call.
async fn speak(
    ready: &Ready,
    question: &Question,
    messages: &[Message<'_>],
    turn: &Turn,
    events: &Sender<Event>,
    answer: &mut Answer,
) -> Result<(), llm::Error> {
    let model = &ready.model;
    let reader = safety_identifier(&ready.settings, turn);
    let ask = Box::pin(model.ask(messages, &reader));
    let asked = if ready.settings.moderation {
        // Beside each other; nothing is passed on, and no question kept, before the verdict.
        let selected_text = question.selected_text.as_deref();
        let texts: Vec<_> = selected_text
            .into_iter()
            .chain([&*question.message])
            .collect();
        let moderation = Box::pin(model.moderate(&texts));
        let (asked, verdict) = match select(ask, moderation).await {
            Either::Left((asked, moderation)) => (asked, moderation.await),
            Either::Right((Ok(()), ask)) => (ask.await, Ok(())),
            Either::Right((Err(error), _)) => return Err(error),
        };
        verdict?;
        asked
    } else {
        ask.await
    };
    answer.cleared = true;
    let mut stream = asked?;
    let began_at = turn.now();
    answer.began_at = Some(began_at);
    let started = Event::Started {
        session_id: turn.session_id,
        answer_id: turn.answer_id,
        began_at,
    };
    // A reader who has left is seen where this is waited for.
    let _ = events.send(started).await;
    while let Some(mut text) = stream.next().await? {
        // PostgreSQL's text cannot hold it, and no reader misses it.
        text.retain(|c| c != '\0');
        answer.text.push_str(&text);
        if !text.is_empty() {
            let _ = events.send(Event::Text(text)).await;
        }
    }
    answer.finish_reason = Some(stream.finish_reason().to_owned());
    answer.usage = stream.usage().await;
    Ok(())
}

/// A name for the conversation that tells the provider nothing but that it is the same one.
fn safety_identifier(settings: &Settings, turn: &Turn) -> String {
    let parts = [&b"conversation"[..], turn.session_id.as_bytes()];
    let name = client::pseudonym(&settings.pseudonym_key, &parts);
    format!("{:032x}", u128::from_be_bytes(name))
}

/// Stores what there is of an answer; the last event, if anybody is there to hear it.
async fn store(
    ready: &Ready,
    asked: &Asked,
    turn: &Turn,
    answer: &Answer,
    ending: Ending,
) -> Result<Option<Event>, Failure> {
    let database = &ready.database;
    // In a thread it bears the time at which it began, for that was told when it did.
    let began_at = answer.began_at.filter(|_| asked.thread.is_some());
    // Whole is whole, whoever has left while its usage was waited for.
    if let Some(finish_reason) = &answer.finish_reason {
        let cost = answer.usage.and_then(|usage| {
            let prices = &ready.settings.prices;
            Some(prices.cost(usage.prompt_tokens?, usage.completion_tokens?))
        });
        let stored_at = session::finish(
            database,
            turn,
            &answer.text,
            State::Complete,
            cost,
            began_at,
        )
        .await?;
        return Ok(Some(Event::Finished {
            stored_at: stored_at.ok_or_else(deleted)?,
            finish_reason: finish_reason.clone(),
            usage: answer.usage,
        }));
    }
    // One without a verdict of the moderation, unless it had one before.
    let taken_back = ready.settings.moderation && !answer.cleared && !turn.is_retry();
    if taken_back {
        let title = asked.thread.as_ref().and_then(|it| it.title.as_deref());
        session::refuse(database, turn, title).await?;
    }
    // What is replaced by a retry is a whole answer, or what its reader has stopped.
    let worth_keeping = match ending {
        Ending::Failed(_) => false,
        Ending::Left => true,
        Ending::Spoken | Ending::Stopped | Ending::SlowReader => !turn.is_retry(),
    };
    if worth_keeping && !answer.text.trim().is_empty() {
        session::finish(
            database,
            turn,
            &answer.text,
            State::Cancelled,
            None,
            began_at,
        )
        .await?;
    }
    let failure = match ending {
        Ending::Left | Ending::Spoken => return Ok(None),
        Ending::Failed(error) => error.into(),
        Ending::Stopped => stopped(),
        Ending::SlowReader => llm::Error::Timeout("its reader").into(),
    };
    Err(if taken_back {
        failure.taken_back()
    } else {
        failure
    })
}

/// The events of an answer that was given before; returns the last.
async fn replay(answer: StoredAnswer, events: &Sender<Event>) -> Option<Event> {
    let started = Event::Started {
        session_id: answer.session_id,
        answer_id: answer.id,
        began_at: answer.stored_at,
    };
    events.send(started).await.ok()?;
    events.send(Event::Text(answer.content)).await.ok()?;
    Some(Event::Finished {
        stored_at: answer.stored_at,
        finish_reason: "stop".into(),
        usage: None,
    })
}

/// What a listener makes of a turn that is gone without its last event.
#[must_use]
pub fn panicked() -> Failure {
    Failure::internal("the turn panicked")
}

fn in_progress() -> Failure {
    Failure::new(
        Code::InProgress,
        "This question is still being answered. Please try again in a moment.",
    )
    .retry_after(Duration::from_secs(1))
}

fn key_reused() -> Failure {
    Failure::new(
        Code::IdempotencyKeyReused,
        "This Idempotency-Key was used for another question. Use a new key for a new question.",
    )
}

fn deleted() -> Failure {
    Failure::new(
        Code::NotFound,
        "The question was deleted, or answered again, while this was being written; this is not kept.",
    )
}

fn stopped() -> Failure {
    Failure::new(
        Code::InternalError,
        "The answer was interrupted on our side. Your question is saved; please try again.",
    )
    .because("the instance is being stopped")
}
