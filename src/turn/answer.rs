//! The model's part of a turn: the answer while it is written, and what is kept of it.
//!
//! Decides what is kept of an answer that ends before it is whole. Never begins a turn, and never
//! decides whether one may begin.

use chrono::{DateTime, Utc};
use tokio::sync::mpsc::Sender;
use uuid::Uuid;

use super::open::not_stored;
use super::{Event, asked};
use crate::app::Ready;
use crate::book::search::Section;
use crate::citation::{Citations, Marks, Piece, Source};
use crate::error::{Code, Failure, chain};
use crate::guard::Terms;
use crate::llm::{self, Usage};
use crate::prompt::{self, Material};
use crate::question::Question;
use crate::retrieval::Found;
use crate::session::{self, Ask, Ended, Finished, State, Turn};

/// What the model has said so far.
#[derive(Default)]
pub(super) struct Answer {
    /// By the database's clock, as near as ours can tell.
    began_at: Option<DateTime<Utc>>,
    /// The moderation has no objection to the question.
    passed: bool,
    text: String,
    /// Reads the model's marks, where the book was searched.
    marks: Option<Marks>,
    /// The least that the turn has to be charged with, in billionths of a dollar: what was paid for
    /// before the model was asked.
    cost: i64,
    /// What the model may have cost besides, as far as it is known.
    worst: Option<i64>,
    /// The turn's cost has taken the place of its reservation, or may have.
    settled: bool,
    /// Known once the answer is whole.
    finish_reason: Option<String>,
    usage: Option<Usage>,
}

/// How the model's part of a turn ends.
pub(super) enum Ending {
    Spoken,
    Failed(llm::Error),
    /// The reader has stopped listening, and does not want the rest.
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
        found: Found,
        turn: &Turn,
        events: &Sender<Event>,
    ) -> Result<(), llm::Error> {
        let Ready {
            settings, model, ..
        } = ready;
        self.cost = found.cost;
        // Random for the request, and known to nobody who wrote one of its texts.
        let mark = Uuid::new_v4().simple().to_string();
        let prompt = prompt::build(&Material {
            book_title: &settings.book_title,
            outside_knowledge: settings.book.outside_knowledge,
            history: &turn.history,
            sections: found.sections.as_deref(),
            question,
            mark: &mark,
            max_chars: settings.max_prompt_chars,
        });
        self.worst = Some(ready.terms.worst_cost(prompt.bytes()));
        let shown = |sections: &Vec<Section>| sections[..prompt.shown].iter().map(source).collect();
        self.marks = found.sections.as_ref().map(shown).map(Marks::new);
        let conversation = settings.pseudonyms.conversation(turn.conversation);
        let call = model.ask(&prompt.messages, &conversation);
        // Alongside each other; nothing is passed on, and no question kept, before the verdict.
        let selected_text = question.selected_text.as_deref();
        let texts: Vec<_> = selected_text
            .into_iter()
            .chain([&*question.message])
            .collect();
        let moderation = settings.moderation.then(|| model.moderate(&texts));
        let asked = Box::pin(asked::ask(call, moderation)).await;
        self.passed = asked.passed;
        if asked.is_free {
            self.worst = Some(0);
        }
        let mut stream = asked.stream?;
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
            let pieces = match &mut self.marks {
                Some(marks) => marks.read(&text),
                None if text.is_empty() => Vec::new(),
                None => vec![Piece::Text(text)],
            };
            self.tell(pieces, events).await;
        }
        let rest = self.marks.as_mut().map(Marks::end);
        self.tell(rest.unwrap_or_default(), events).await;
        if self.text.trim().is_empty() {
            return Err(llm::Error::Nonsense("it is nothing but marks"));
        }
        self.finish_reason = Some(stream.finish_reason().to_owned());
        self.usage = stream.usage().await;
        Ok(())
    }

    async fn tell(&mut self, pieces: Vec<Piece>, events: &Sender<Event>) {
        for piece in pieces {
            let event = match piece {
                Piece::Text(text) => {
                    self.text.push_str(&text);
                    Event::Text(text)
                }
                Piece::Cited(source) => Event::Cited(source),
            };
            // A reader who has left is noticed where this is waited for.
            let _ = events.send(event).await;
        }
    }

    fn citations(&self) -> Option<&Citations> {
        self.marks.as_ref().map(Marks::citations)
    }

    /// How a turn has ended that has no whole answer.
    pub(super) fn ended(&self, turn: &Turn) -> Ended {
        Ended {
            cost: (!self.settled).then(|| self.charge(turn)),
            passed: self.passed,
        }
    }

    /// What the turn has cost: all that was reserved for it while nothing better is known.
    fn charge(&self, turn: &Turn) -> i64 {
        self.worst
            .map_or(turn.reserved(), |worst| self.cost.saturating_add(worst))
    }

    /// Stores what there is of the answer; returns the last event, if anybody is there to hear it.
    pub(super) async fn store(
        &mut self,
        ready: &Ready,
        ask: &Ask,
        turn: &Turn,
        ending: Ending,
    ) -> Result<Option<Event>, Failure> {
        if let Some(finish_reason) = self.finish_reason.clone() {
            // A whole answer counts as whole, even if its reader left while waiting for its usage.
            self.worst = self.used(&ready.terms).or(self.worst);
            let stored_at = self.finish(ready, ask, turn, State::Complete).await?;
            return Ok(Some(Event::AnswerStored {
                stored_at: stored_at.ok_or_else(deleted)?,
                finish_reason,
                usage: self.usage,
                sources: self.citations().map(|it| it.sources.clone()),
            }));
        }
        // A question without a verdict from the moderation is not kept, unless it was kept before.
        let unfit = ready.settings.moderation && !self.passed && !turn.is_retry();
        let taken_back = unfit && take_back(ready, ask, turn).await;
        // A retry replaces the old answer only with a whole one, or with one that its reader
        // stopped.
        let worth_keeping = match ending {
            Ending::Failed(_) => false,
            Ending::Left => true,
            Ending::Spoken | Ending::Stopped | Ending::SlowReader => !turn.is_retry(),
        };
        if worth_keeping && !self.text.trim().is_empty() {
            self.finish(ready, ask, turn, State::Cancelled).await?;
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

    /// What the model has charged for a whole answer, if it says so.
    fn used(&self, terms: &Terms) -> Option<i64> {
        let usage = self.usage?;
        Some(terms.cost(usage.prompt_tokens?, usage.completion_tokens?))
    }

    async fn finish(
        &mut self,
        ready: &Ready,
        ask: &Ask,
        turn: &Turn,
        state: State,
    ) -> Result<Option<DateTime<Utc>>, Failure> {
        // A reader who was cut off has not been told of all that was read.
        let citations = self.citations().map(|it| it.within(&self.text));
        let finished = Finished {
            text: &self.text,
            citations: citations.as_ref(),
            state,
            cost: self.charge(turn),
            passed: self.passed,
            // In a reader's own conversation, the answer carries the time at which it began, because
            // that is the time that the widget was told.
            began_at: self.began_at.filter(|_| ask.owned),
        };
        let stored_at = session::finish(&ready.database, turn, &finished).await;
        let stored_at = stored_at.map_err(not_stored)?;
        self.settled = stored_at.is_some();
        Ok(stored_at)
    }
}

/// Takes back the question. Where that fails, it stays, but the model is not shown it: nothing has
/// cleared it.
async fn take_back(ready: &Ready, ask: &Ask, turn: &Turn) -> bool {
    let taken_back = session::refuse(&ready.database, turn, ask.stored.title.as_deref()).await;
    if let Err(error) = &taken_back {
        tracing::warn!(
            cause = chain(error),
            "a question that the moderation has not passed stays"
        );
    }
    taken_back.is_ok()
}

/// A section as an answer may cite it.
fn source(section: &Section) -> Source {
    Source {
        // Its place among those that are cited.
        id: 0,
        title: section.title.clone(),
        section: section.headings(),
        url: section.url.clone(),
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
