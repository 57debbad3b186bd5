//! The turn: a reader's question in, a grounded and remembered answer out, as events.
//!
//! Written once, read top to bottom; only this module composes the steps. The question is
//! committed before the model is asked, and stays when the model fails. The answer is committed
//! before the event that ends it. No database connection is held while the model speaks.
//!
//! A turn is one task, registered with the platform, that reads the model, feeds the response and
//! stores the answer. The response only listens: when the listener leaves, the turn ends, and what
//! was written until then is kept as cancelled; or, if it was asked to, it finishes the answer for
//! nobody. The turn knows neither HTTP nor the protocol that reports it.

mod answer;
mod asked;
mod event;
mod left;
mod open;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::maybe_done;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::{sleep, timeout};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::{App, Ready};
use crate::background::Background;
use crate::citation::Part;
use crate::error::{Code, Failure};
use crate::guard::{Subject, TurnPlace};
use crate::prompt;
use crate::retrieval::{self, Search};
use crate::session::{self, Ask, Outcome, StoredAnswer};
use answer::{Answer, Ending};
use open::{END_WAIT, Open, cut_off, end, not_confirmed};

pub use event::Event;

/// Events that may wait for a slow reader; after that the model has to wait, too.
const WAITING_EVENTS: usize = 32;

/// How long the turns of an instance that is being stopped may go on. The platform kills it about
/// 500 ms after asking, and what was written must be stored by then.
const STOP_GRACE: Duration = Duration::from_millis(250);

/// By when a turn of an instance that is being stopped must have ended, stored or not: the process
/// takes about a tenth of a second to end after its last turn.
const STOP_WORK: Duration = Duration::from_millis(370);

/// By when a turn of an instance that is being stopped must have told its reader.
const STOP_LIMIT: Duration = Duration::from_millis(450);

/// How much longer than the search's and the model's time a turn may take, for a reader who reads
/// slowly.
const SLOW_READER: Duration = Duration::from_millis(500);

/// How long the last event may take to be written.
const FAREWELL: Duration = Duration::from_secs(5);

/// Starts a turn and returns its events. Dropping the receiver ends the turn, unless it is to be
/// finished ([`Ask::when_left`]).
///
/// A turn that may not even start, because its instance is full or remembers that it must be
/// refused, is a single [`Event::Failed`].
#[must_use]
pub fn ask(app: Arc<App>, background: &Background, ask: Ask) -> Receiver<Event> {
    match admit(&app, &ask) {
        Ok(place) => start(app, ask, place, background),
        Err(failure) => failed(failure),
    }
}

/// A turn that failed before it began.
#[must_use]
pub fn failed(failure: Failure) -> Receiver<Event> {
    failure.log();
    let (events, listener) = mpsc::channel(1);
    // There is room for one.
    let _ = events.try_send(Event::Failed(failure));
    listener
}

/// The last event for a listener whose turn is gone without one: its task has panicked.
#[must_use]
pub fn vanished() -> Event {
    Event::Failed(panicked())
}

fn admit(app: &App, ask: &Ask) -> Result<TurnPlace, Failure> {
    let Ready {
        settings, guard, ..
    } = app.ready()?;
    if ask.key.as_ref().is_some_and(|key| guard.is_answering(key)) {
        return Err(in_progress());
    }
    let conversation = ask.question.conversation;
    let conversation = conversation.map(|id| Subject::Conversation(id, ask.reader));
    let subjects = [Subject::Everybody, Subject::Network(ask.network)];
    guard.check(subjects.into_iter().chain(conversation))?;
    guard.enter(settings.rate_limits.turns_in_flight)
}

fn start(app: Arc<App>, ask: Ask, place: TurnPlace, background: &Background) -> Receiver<Event> {
    let (events, listener) = mpsc::channel(WAITING_EVENTS);
    let turn = async move {
        let (mut stored_in, mut open) = (None, None);
        let run =
            AssertUnwindSafe(run(&app, &ask, &events, &mut stored_in, &mut open)).catch_unwind();
        let last = tokio::select! {
            biased;
            ended = run => match ended {
                Ok(Ok(last)) => last,
                Ok(Err(failure)) => Some(Event::Failed(failure)),
                Err(_) => Some(Event::Failed(within(stored_in, panicked()))),
            },
            () = app.stopping(STOP_WORK) => Some(Event::Failed(within(stored_in, cut_off()))),
        };
        if let Some(last) = last {
            tell(&app, &events, last).await;
        }
        drop((events, place));
        if let Some(open) = open {
            tokio::select! {
                () = open.end(&app, &ask) => {}
                () = app.stopping(STOP_WORK) => {}
            }
        }
    };
    background.wait_until(turn.instrument(Span::current()));
    listener
}

/// The failure of a turn that may have begun: its question can be asked again there.
fn within(conversation: Option<Uuid>, failure: Failure) -> Failure {
    match conversation {
        Some(conversation) => failure.in_session(conversation),
        None => failure,
    }
}

/// Sends the last event, and stays until the response is written: the platform may freeze the
/// instance as soon as this task has ended.
async fn tell(app: &App, events: &Sender<Event>, last: Event) {
    if let Event::Failed(failure) = &last {
        // Here, because a stream's response has long begun, or nobody listens.
        failure.log();
    }
    let told = async {
        if events.send(last).await.is_ok() {
            events.closed().await;
        }
    };
    tokio::select! {
        // Said in any case: on a busy machine the time may be over before this is reached.
        biased;
        () = told => {}
        () = sleep(FAREWELL) => {}
        () = app.stopping(STOP_LIMIT) => {}
    }
}

/// The recipe. Returns the last event, if anybody is there to hear it; says in `stored_in` which
/// conversation has the question, and leaves a turn in `open` that is still to be ended.
async fn run(
    app: &App,
    ask: &Ask,
    events: &Sender<Event>,
    stored_in: &mut Option<Uuid>,
    open: &mut Option<Open>,
) -> Result<Option<Event>, Failure> {
    let ready = app.ready()?;
    let Ready {
        settings, database, ..
    } = ready;
    let question = &ask.question;
    let search = Search::of(ready.library.as_ref(), ask);
    let prompt_bytes =
        prompt::bytes_without_history(&settings.book_title, question, search.max_bytes());
    let worst_cost = ready.terms.worst_cost(prompt_bytes) + search.max_cost();
    // In one flight; what is found early waits for the turn to begin, and goes with it if it may not.
    let mut found = pin!(maybe_done(search.beside_begin()));
    let begin = session::begin(database, ask, worst_cost, &ready.terms);
    let turn = match beside(begin, found.as_mut()).await? {
        Outcome::Begun(turn) => turn,
        Outcome::Answered(answer) => return Ok(replay(answer, events).await),
        Outcome::InProgress => return Err(in_progress()),
        Outcome::KeyReused => return Err(key_reused()),
        Outcome::NoConversation => return Err(Failure::no_conversation()),
        Outcome::Unsure(turn, error) => {
            let failure = not_confirmed(error, &turn, ask);
            *open = Some(Open::beginning(turn));
            return Err(failure);
        }
        Outcome::Refused {
            subject,
            refusal,
            wait,
        } => {
            if let Some(subject) = subject {
                ready.guard.remember(subject, refusal, wait);
            }
            return Err(refusal.failure(wait));
        }
    };
    Span::current().record("session_id", tracing::field::display(turn.conversation));
    let answering = ask.key.as_ref().map(|key| ready.guard.answering(key));
    *stored_in = Some(turn.conversation);
    // A reader who has left is noticed below, while the model is waited for.
    let _ = events.send(Event::question_stored(&turn)).await;

    let mut answer = Answer::default();
    let speak = async {
        found.as_mut().await;
        let found = found.take_output().flatten();
        let found = search.after_begin(found, &ready.model, &turn).await;
        answer.speak(ready, question, found, &turn, events).await
    };
    let ending = tokio::select! {
        biased;
        () = left::is_over(database, ask, &turn, events) => Ending::Left,
        spoken = speak => match spoken {
            Ok(()) => Ending::Spoken,
            Err(error) => Ending::Failed(error),
        },
        () = app.stopping(STOP_GRACE) => Ending::Stopped,
        () = sleep(retrieval::LONGEST + settings.model.timeout + SLOW_READER) => Ending::SlowReader,
    };
    // From here on, the database knows better.
    drop(answering);
    let stored = answer.store(ready, ask, &turn, ending).await;
    let conversation = turn.conversation;
    if let Err(_) | Ok(None) = &stored {
        let ended = answer.ended(&turn);
        let lost = stored.as_ref().err().map(|failure| failure.code) == Some(Code::DatabaseError);
        // The database may not be there for a while, and the reader waits.
        if lost
            || timeout(END_WAIT, end(database, ask, &turn, ended))
                .await
                .is_err()
        {
            *open = Some(Open::new(turn, ended));
        }
    }
    // Unless it was taken back, the question is stored: it can be asked again in the same
    // conversation.
    stored.map_err(|failure| {
        if failure.taken_back {
            failure
        } else {
            failure.in_session(conversation)
        }
    })
}

/// Waits for the first of two, and lets the other one go on meanwhile.
async fn beside<T>(first: impl Future<Output = T>, mut other: Pin<&mut impl Future>) -> T {
    let mut first = pin!(first);
    poll_fn(|context| {
        let _ = other.as_mut().poll(context);
        first.as_mut().poll(context)
    })
    .await
}

/// The events of an answer that was given before; returns the last.
async fn replay(answer: StoredAnswer, events: &Sender<Event>) -> Option<Event> {
    let answer_sources = answer.citations.as_ref().map(|it| it.sources.clone());
    let began = Event::AnswerBegan {
        conversation: answer.conversation,
        answer_id: answer.id,
        began_at: answer.stored_at,
    };
    events.send(began).await.ok()?;
    let citations = answer.citations.unwrap_or_default();
    for part in citations.parts(&answer.content) {
        let event = match part {
            Part::Text(text) => Event::Text(text.into()),
            Part::Cited(source) => Event::Cited(source.clone()),
        };
        events.send(event).await.ok()?;
    }
    Some(Event::AnswerStored {
        stored_at: answer.stored_at,
        finish_reason: "stop".into(),
        usage: None,
        sources: answer_sources,
    })
}

fn panicked() -> Failure {
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
