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
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::sleep;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::{App, Ready};
use crate::database::Database;
use crate::error::{Code, Failure, chain};
use crate::http::Background;
use crate::idempotency::Key;
use crate::llm::{self, Model, Usage};
use crate::prompt::{self, Message};
use crate::question::Question;
use crate::retrieval;
use crate::session::{self, Begun, State, StoredAnswer, Turn};

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

/// What happens in a turn, in this order: `Started`, `Text` once and more, `Finished`. `Failed`
/// may come instead of any of them, and is then the last.
#[derive(Debug)]
pub enum Event {
    /// The first piece of the answer is there.
    Started {
        /// The conversation.
        session_id: Uuid,
        /// The answer that will be stored.
        answer_id: Uuid,
    },
    /// The next piece of the answer, never empty.
    Text(String),
    /// The answer is whole and stored.
    Finished {
        /// When it was stored, by the database's clock.
        stored_at: DateTime<Utc>,
        /// Why the model stopped, in its provider's words; `stop` for a replayed answer.
        finish_reason: String,
        /// What the answer used, where it is known.
        usage: Option<Usage>,
    },
    /// The turn failed; nothing is stored as a whole answer.
    Failed(Failure),
}

/// Starts the turn; its events are what this returns. Dropping that ends the turn.
#[must_use]
pub fn start(
    app: Arc<App>,
    question: Question,
    key: Option<Key>,
    background: &Background,
) -> Receiver<Event> {
    let (events, listener) = mpsc::channel(WAITING_EVENTS);
    let turn = async move {
        let run = AssertUnwindSafe(run(&app, &question, key.as_ref(), &events));
        let last = match run.catch_unwind().await {
            Ok(Ok(last)) => last,
            Ok(Err(failure)) => Some(Event::Failed(failure)),
            Err(_) => Some(Event::Failed(panicked())),
        };
        if let Some(last) = last {
            tell(&app, &events, last).await;
        }
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

async fn run(
    app: &App,
    question: &Question,
    key: Option<&Key>,
    events: &Sender<Event>,
) -> Result<Option<Event>, Failure> {
    let Ready {
        settings,
        database,
        model,
    } = app.ready()?;
    let turn = match session::begin(database, question, key, settings).await? {
        Begun::Turn(turn) => turn,
        Begun::Answered(answer) => return Ok(replay(answer, events).await),
        Begun::InProgress => return Err(in_progress()),
        Begun::KeyReused => return Err(key_reused()),
    };
    Span::current().record("session_id", tracing::field::display(turn.session_id));

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
    );

    let mut answer = Answer::default();
    let ending = tokio::select! {
        biased;
        () = events.closed() => Ending::Left,
        spoken = speak(model, &messages, &turn, events, &mut answer) => match spoken {
            Ok(()) => Ending::Spoken,
            Err(error) => Ending::Failed(error),
        },
        () = app.stopping(STOP_GRACE) => Ending::Stopped,
        () = sleep(settings.model.timeout + SLOW_READER) => Ending::SlowReader,
    };
    let outcome = store(database, &turn, &answer, ending).await;
    if let (Some(key), Err(_) | Ok(None)) = (key, &outcome) {
        // Without it the key is free when its lease ends: no reason to fail in another way.
        if let Err(error) = session::release(database, key, &turn).await {
            tracing::warn!(
                cause = chain(&error),
                "the key stays taken until its lease ends"
            );
        }
    }
    // The question is stored: who asks again can do so in the same conversation.
    outcome.map_err(|failure| failure.in_session(turn.session_id))
}

/// What the model has said so far.
#[derive(Default)]
struct Answer {
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
    model: &Model,
    messages: &[Message<'_>],
    turn: &Turn,
    events: &Sender<Event>,
    answer: &mut Answer,
) -> Result<(), llm::Error> {
    let mut stream = model.ask(messages).await?;
    let started = Event::Started {
        session_id: turn.session_id,
        answer_id: turn.answer_id,
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

/// Stores what there is of an answer; the last event, if anybody is there to hear it.
async fn store(
    database: &Database,
    turn: &Turn,
    answer: &Answer,
    ending: Ending,
) -> Result<Option<Event>, Failure> {
    // Whole is whole, whoever has left while its usage was waited for.
    if let Some(finish_reason) = &answer.finish_reason {
        let stored_at = session::finish(database, turn, &answer.text, State::Complete).await?;
        return Ok(Some(Event::Finished {
            stored_at: stored_at.ok_or_else(deleted)?,
            finish_reason: finish_reason.clone(),
            usage: answer.usage,
        }));
    }
    let failed = matches!(ending, Ending::Failed(_));
    if !failed && !answer.text.trim().is_empty() {
        session::finish(database, turn, &answer.text, State::Cancelled).await?;
    }
    match ending {
        Ending::Left | Ending::Spoken => Ok(None),
        Ending::Failed(error) => Err(error.into()),
        Ending::Stopped => Err(stopped()),
        Ending::SlowReader => Err(llm::Error::Timeout("its reader").into()),
    }
}

/// The events of an answer that was given before; returns the last.
async fn replay(answer: StoredAnswer, events: &Sender<Event>) -> Option<Event> {
    let started = Event::Started {
        session_id: answer.session_id,
        answer_id: answer.id,
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
        "The conversation was deleted while this was answered; nothing of it is kept.",
    )
}

fn stopped() -> Failure {
    Failure::new(
        Code::InternalError,
        "The answer was interrupted on our side. Your question is saved; please try again.",
    )
    .because("the instance is being stopped")
}
