//! The turn: a reader's question in, a grounded and remembered answer out, as events.
//!
//! Written once, read top to bottom; only this module composes the steps. The question is
//! committed before the model is asked, and stays when the model fails. The answer is committed
//! before the event that ends it. No database connection is held while the model speaks.
//!
//! A turn is one task, registered with the platform, that reads the model, feeds the response
//! and stores the answer. The response only listens: whoever stops listening ends the turn, and
//! what was written until then is kept as cancelled.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::{App, Ready};
use crate::error::{Code, Failure};
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
        if let Err(failure) = run(&app, &question, key.as_ref(), &events).await {
            // Here, for the response of a stream has gone out long ago, or nobody listens.
            failure.log();
            let _ = events.send(Event::Failed(failure)).await;
        }
    };
    background.wait_until(turn.instrument(Span::current()));
    listener
}

async fn run(
    app: &App,
    question: &Question,
    key: Option<&Key>,
    events: &Sender<Event>,
) -> Result<(), Failure> {
    let Ready {
        settings,
        database,
        model,
    } = app.ready()?;
    let turn = match session::begin(database, question, key, settings).await? {
        Begun::Turn(turn) => turn,
        Begun::Answered(answer) => {
            replay(answer, events).await;
            return Ok(());
        }
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

    let mut answer = String::new();
    let ending = tokio::select! {
        biased;
        () = events.closed() => Ending::Left,
        ending = speak(model, &messages, &turn, events, &mut answer) => {
            ending.unwrap_or_else(|error| Ending::Failed(error.into()))
        }
        () = app.stopping(STOP_GRACE) => Ending::Stopped,
    };
    let cut_short = matches!(ending, Ending::Left | Ending::Stopped);
    let failure = match ending {
        Ending::Whole {
            finish_reason,
            usage,
        } => match session::finish(database, &turn, &answer, State::Complete).await {
            Ok(Some(stored_at)) => {
                let finished = Event::Finished {
                    stored_at,
                    finish_reason,
                    usage,
                };
                let _ = events.send(finished).await;
                return Ok(());
            }
            Ok(None) => Some(deleted()),
            Err(error) => Some(Failure::from(error)),
        },
        Ending::Left => None,
        Ending::Stopped => Some(stopped()),
        Ending::Failed(failure) => Some(failure),
    };
    if cut_short && !answer.trim().is_empty() {
        session::finish(database, &turn, &answer, State::Cancelled).await?;
    }
    if let Some(key) = key {
        session::release(database, key).await?;
    }
    // The question is stored: who asks again can do so in the same conversation.
    failure.map_or(Ok(()), |failure| Err(failure.in_session(turn.session_id)))
}

/// How the model's part of a turn ends.
enum Ending {
    Whole {
        finish_reason: String,
        usage: Option<Usage>,
    },
    /// The reader has stopped listening.
    Left,
    /// The instance is being stopped.
    Stopped,
    Failed(Failure),
}

/// Asks the model and passes on what it says, which is in `answer` however this ends. Dropping it
/// ends the model's call.
async fn speak(
    model: &Model,
    messages: &[Message<'_>],
    turn: &Turn,
    events: &Sender<Event>,
    answer: &mut String,
) -> Result<Ending, llm::Error> {
    let mut stream = model.ask(messages).await?;
    let started = Event::Started {
        session_id: turn.session_id,
        answer_id: turn.answer_id,
    };
    if events.send(started).await.is_err() {
        return Ok(Ending::Left);
    }
    while let Some(mut text) = stream.next().await? {
        // PostgreSQL's text cannot hold it, and no reader misses it.
        text.retain(|c| c != '\0');
        answer.push_str(&text);
        if !text.is_empty() && events.send(Event::Text(text)).await.is_err() {
            return Ok(Ending::Left);
        }
    }
    Ok(Ending::Whole {
        finish_reason: stream.finish_reason().to_owned(),
        usage: stream.usage(),
    })
}

/// The events of an answer that was given before.
async fn replay(answer: StoredAnswer, events: &Sender<Event>) {
    let replayed = [
        Event::Started {
            session_id: answer.session_id,
            answer_id: answer.id,
        },
        Event::Text(answer.content),
        Event::Finished {
            stored_at: answer.stored_at,
            finish_reason: "stop".into(),
            usage: None,
        },
    ];
    for event in replayed {
        if events.send(event).await.is_err() {
            return;
        }
    }
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
