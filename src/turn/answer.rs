//! The model's part of a turn: the answer while it is written, and what is kept of it.
//!
//! Decides what is kept of an answer that ends before it is whole. Never begins a turn, and never
//! decides whether one may begin.

use chrono::{DateTime, Utc};
use futures_util::future::{Either, select};
use tokio::sync::mpsc::Sender;

use super::Event;
use crate::app::Ready;
use crate::error::{Code, Failure};
use crate::llm::{self, Usage};
use crate::prompt::Message;
use crate::question::Question;
use crate::session::{self, Ask, State, Turn};

/// What the model has said so far.
#[derive(Default)]
pub(super) struct Answer {
    /// By the database's clock, as near as ours can tell.
    began_at: Option<DateTime<Utc>>,
    /// The moderation has no objection to the question, or is off.
    cleared: bool,
    text: String,
    /// Known once the answer is whole.
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

/// How the model's part of a turn ends.
pub(super) enum Ending {
    Spoken,
    Failed(llm::Error),
    /// The reader has stopped listening.
    Left,
    /// The instance is being stopped.
    Stopped,
    /// The reader takes so long to read that the turn's time is over.
    SlowReader,
}

impl Answer {
    /// Asks the model and passes on what it says; however this ends, `self` holds what was said.
    /// Dropping the future ends the call to the model.
    pub(super) async fn speak(
        &mut self,
        ready: &Ready,
        question: &Question,
        messages: &[Message<'_>],
        turn: &Turn,
        events: &Sender<Event>,
    ) -> Result<(), llm::Error> {
        let model = &ready.model;
        let conversation = ready.settings.pseudonyms.conversation(turn.conversation);
        let call = Box::pin(model.ask(messages, &conversation));
        let stream = if ready.settings.moderation {
            // Alongside each other; nothing is passed on, and no question kept, before the verdict.
            let selected_text = question.selected_text.as_deref();
            let texts: Vec<_> = selected_text
                .into_iter()
                .chain([&*question.message])
                .collect();
            let moderation = Box::pin(model.moderate(&texts));
            let (stream, verdict) = match select(call, moderation).await {
                Either::Left((stream, moderation)) => (stream, moderation.await),
                Either::Right((Ok(()), call)) => (call.await, Ok(())),
                Either::Right((Err(error), _)) => return Err(error),
            };
            verdict?;
            stream
        } else {
            call.await
        };
        self.cleared = true;
        let mut stream = stream?;
        let began_at = turn.now();
        self.began_at = Some(began_at);
        let began = Event::AnswerBegan {
            conversation: turn.conversation,
            answer_id: turn.answer_id,
            began_at,
        };
        // A reader who has left is noticed where this is waited for.
        let _ = events.send(began).await;
        while let Some(mut text) = stream.next().await? {
            // PostgreSQL's text cannot hold NUL, and no reader will miss it.
            text.retain(|c| c != '\0');
            self.text.push_str(&text);
            if !text.is_empty() {
                let _ = events.send(Event::Text(text)).await;
            }
        }
        self.finish_reason = Some(stream.finish_reason().to_owned());
        self.usage = stream.usage().await;
        Ok(())
    }

    /// Stores what there is of the answer; returns the last event, if anybody is there to hear it.
    pub(super) async fn store(
        &self,
        ready: &Ready,
        ask: &Ask,
        turn: &Turn,
        ending: Ending,
    ) -> Result<Option<Event>, Failure> {
        if let Some(finish_reason) = &self.finish_reason {
            // A whole answer counts as whole, even if its reader left while waiting for its usage.
            let cost = self.usage.and_then(|usage| {
                let terms = &ready.terms;
                Some(terms.cost(usage.prompt_tokens?, usage.completion_tokens?))
            });
            let stored_at = self.finish(ready, ask, turn, State::Complete, cost).await?;
            return Ok(Some(Event::AnswerStored {
                stored_at: stored_at.ok_or_else(deleted)?,
                finish_reason: finish_reason.clone(),
                usage: self.usage,
            }));
        }
        // A question without a verdict from the moderation is not kept, unless it was kept before.
        let taken_back = ready.settings.moderation && !self.cleared && !turn.is_retry();
        if taken_back {
            session::refuse(&ready.database, turn, ask.stored.title.as_deref()).await?;
        }
        // A retry replaces the old answer only with a whole one, or with one that its reader
        // stopped.
        let worth_keeping = match ending {
            Ending::Failed(_) => false,
            Ending::Left => true,
            Ending::Spoken | Ending::Stopped | Ending::SlowReader => !turn.is_retry(),
        };
        if worth_keeping && !self.text.trim().is_empty() {
            self.finish(ready, ask, turn, State::Cancelled, None)
                .await?;
        }
        let failure = match ending {
            Ending::Left | Ending::Spoken => return Ok(None),
            Ending::Failed(error) => error.into(),
            Ending::Stopped => stopped(),
            Ending::SlowReader => llm::Error::Timeout("its reader").into(),
        };
        Err(if taken_back {
            not_kept(failure)
        } else {
            failure
        })
    }

    async fn finish(
        &self,
        ready: &Ready,
        ask: &Ask,
        turn: &Turn,
        state: State,
        cost: Option<i64>,
    ) -> Result<Option<DateTime<Utc>>, Failure> {
        // In a reader's own conversation, the answer carries the time at which it began, because
        // that is the time that the widget was told.
        let began_at = self.began_at.filter(|_| ask.owned);
        let stored = session::finish(&ready.database, turn, &self.text, state, cost, began_at);
        Ok(stored.await?)
    }
}

fn not_kept(failure: Failure) -> Failure {
    let failure = failure.taken_back();
    if failure.code == Code::ContentRefused {
        return failure;
    }
    failure.saying("Your question was not answered, and is not kept. Please ask again.")
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
