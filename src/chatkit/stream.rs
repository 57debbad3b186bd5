//! A turn as ChatKit's stream: server-sent events of threads and their items.
//!
//! The question is sent as soon as it is stored, before the model says anything; the answer is
//! `done` when it is stored. Failures that a reader should be shown are events, with their text.

use chrono::{DateTime, Utc};
use http::Response;
use http_body_util::BodyExt;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use super::input::Said;
use super::show;
use super::wire::{Annotation, Item, ItemUpdate, StreamEvent, StreamOptions};
use crate::citation::Source;
use crate::error::{Code, Failure};
use crate::http::{Call, Reply};
use crate::reader::Issued;
use crate::session::owned::Conversation;
use crate::sse::{self, EventStream, HEADERS, Protocol};
use crate::time::timestamp;
use crate::turn::{self, Event};

/// Streams a turn from the moment at which its question is stored; a fault of the request itself is
/// an ordinary error with its status.
pub(super) async fn reply(mut events: Receiver<Event>, mut stream: Stream, call: &Call) -> Reply {
    let first = match events.recv().await.unwrap_or_else(turn::vanished) {
        Event::Failed(failure) if !failure.code.is_for_reader() => {
            return call.turn_failed(&failure);
        }
        first => first,
    };
    // A reader who is refused owns nothing yet.
    let issued = stream.issued.take();
    let issued = issued.filter(|_| matches!(first, Event::QuestionStored { .. }));
    let mut reply = Response::new(EventStream::new(first, events, stream).boxed());
    reply.headers_mut().extend(HEADERS);
    if let Some(issued) = issued {
        issued.hand_over(reply.headers_mut());
    }
    reply
}

/// A turn's events as ChatKit's, and what is needed to write them.
#[derive(Default)]
pub(super) struct Stream {
    /// The question, until it is sent; a retry has none, because its question is stored already.
    said: Option<Said>,
    is_retry: bool,
    /// For a reader who had no token.
    issued: Option<Issued>,
    /// The title of a new conversation, until it is sent.
    title: Option<String>,
    /// The conversation and when it began.
    thread: Option<(Uuid, DateTime<Utc>)>,
    question: Option<Uuid>,
    answer: Option<Uuid>,
    text: String,
    /// The characters of the text so far.
    length: usize,
    annotations: Vec<Annotation>,
}

impl Stream {
    /// For the first question of a conversation.
    pub(super) fn of_new_thread(said: Said, issued: Option<Issued>) -> Self {
        Self {
            title: said.stored.title.clone(),
            said: Some(said),
            issued,
            ..Self::default()
        }
    }

    /// For a further question.
    pub(super) fn of_question(said: Said) -> Self {
        Self {
            said: Some(said),
            ..Self::default()
        }
    }

    /// For a stored question that is answered once more.
    pub(super) fn of_retry() -> Self {
        Self {
            is_retry: true,
            ..Self::default()
        }
    }

    /// A source is cited at the end of the text so far.
    fn cite<'a>(&mut self, source: &Source, write: &mut impl FnMut(StreamEvent<'a>)) {
        let Some(item_id) = self.answer else {
            return;
        };
        let annotation = show::annotation(source, self.length);
        let update = ItemUpdate::AnnotationAdded {
            content_index: 0,
            annotation_index: self.annotations.len(),
            annotation: annotation.clone(),
        };
        self.annotations.push(annotation);
        write(StreamEvent::ItemUpdated { item_id, update });
    }

    fn tell_title<'a>(&mut self, write: &mut impl FnMut(StreamEvent<'a>)) {
        if let (Some(title), Some((id, created_at))) = (self.title.take(), self.thread) {
            let thread = show::thread(Conversation {
                id,
                created_at,
                title: Some(title),
            });
            write(StreamEvent::ThreadUpdated { thread });
        }
    }
}

impl Protocol for Stream {
    // The widget is not known to accept comments.
    const HEARTBEAT: &'static [u8] =
        b"data: {\"type\":\"progress_update\",\"text\":\"Thinking\xe2\x80\xa6\"}\n\n";

    fn encode(&mut self, event: &Event, frames: &mut Vec<u8>) {
        let mut write = |event: StreamEvent<'_>| sse::json(&event, frames);
        match event {
            Event::QuestionStored {
                conversation,
                conversation_created_at,
                question_id,
                question_created_at,
            } => {
                if self.title.is_some() {
                    let thread = show::thread(Conversation {
                        id: *conversation,
                        created_at: *conversation_created_at,
                        title: None,
                    });
                    write(StreamEvent::ThreadCreated { thread });
                }
                if let Some(said) = self.said.take() {
                    let item = Item::UserMessage {
                        id: *question_id,
                        thread_id: *conversation,
                        created_at: timestamp(*question_created_at),
                        content: said.content,
                        attachments: [],
                        quoted_text: said.question.selected_text,
                        inference_options: said.options,
                    };
                    write(StreamEvent::ItemDone { item });
                }
                let stream_options = StreamOptions { allow_cancel: true };
                write(StreamEvent::StreamOptions { stream_options });
                self.thread = Some((*conversation, *conversation_created_at));
                self.question = Some(*question_id);
            }
            Event::AnswerBegan {
                conversation,
                answer_id,
                began_at,
            } => {
                let item = show::answer(*answer_id, *conversation, *began_at, None);
                write(StreamEvent::ItemAdded { item });
                self.tell_title(&mut write);
                write(StreamEvent::ItemUpdated {
                    item_id: *answer_id,
                    update: ItemUpdate::PartAdded {
                        content_index: 0,
                        content: show::output("", Vec::new()),
                    },
                });
                self.answer = Some(*answer_id);
            }
            Event::Text(delta) => {
                if let Some(item_id) = self.answer {
                    self.text.push_str(delta);
                    self.length += delta.chars().count();
                    let content_index = 0;
                    let update = ItemUpdate::TextDelta {
                        content_index,
                        delta,
                    };
                    write(StreamEvent::ItemUpdated { item_id, update });
                }
            }
            Event::Cited(source) => self.cite(source, &mut write),
            Event::AnswerStored { stored_at, .. } => {
                if let (Some(item_id), Some((thread_id, _))) = (self.answer, self.thread) {
                    write(StreamEvent::ItemUpdated {
                        item_id,
                        update: ItemUpdate::PartDone {
                            content_index: 0,
                            content: show::output(&*self.text, self.annotations.clone()),
                        },
                    });
                    let text = std::mem::take(&mut self.text);
                    let output = show::output(text, std::mem::take(&mut self.annotations));
                    let item = show::answer(item_id, thread_id, *stored_at, Some(output));
                    write(StreamEvent::ItemDone { item });
                }
            }
            Event::Failed(failure) => {
                if let (true, Some(item_id)) = (failure.taken_back, self.question) {
                    write(StreamEvent::ItemRemoved { item_id });
                }
                let stored = self.is_retry || failure.session_id.is_some();
                write(StreamEvent::Error {
                    code: "custom",
                    message: told(failure).into(),
                    allow_retry: stored && failure.code != Code::NotFound,
                });
                if !failure.taken_back {
                    self.tell_title(&mut write);
                }
            }
        }
    }
}

/// The text of a failure, with the wait in words.
fn told(failure: &Failure) -> String {
    let Some(seconds) = failure.retry_after_seconds() else {
        return failure.message.to_string();
    };
    let (count, unit) = match seconds {
        ..120 => (seconds, "second"),
        120..7200 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3600), "hour"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{} ({count} {unit}{plural})", failure.message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_refusal_names_the_wait() {
        let told = |seconds| {
            let failure = Failure::new(Code::RateLimited, "Please wait.");
            super::told(&failure.retry_after(Duration::from_secs(seconds)))
        };
        assert_eq!(told(1), "Please wait. (1 second)");
        assert_eq!(told(90), "Please wait. (90 seconds)");
        assert_eq!(told(121), "Please wait. (3 minutes)");
        assert_eq!(told(7_201), "Please wait. (3 hours)");
    }
}
