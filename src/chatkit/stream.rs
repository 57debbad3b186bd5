//! A turn as ChatKit's stream: server-sent events of threads and their items.
//!
//! The question is told when it is stored, before the model says anything; the answer is `done`
//! when it is stored. Failures that a reader should read are events, with their text.

use chrono::{DateTime, Utc};
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::mpsc::{self, Receiver};
use uuid::Uuid;

use super::input::Said;
use super::wire::{Event, Item, ItemUpdate, StreamOptions};
use super::{answer_item, output, thread};
use crate::chat::timestamp;
use crate::error::{Code, Failure};
use crate::http::Reply;
use crate::reader::Issued;
use crate::session::thread as store;
use crate::sse::{self, EventStream, HEADERS, Protocol};
use crate::turn::{self, Event as Turned};

/// Streams a turn from the moment at which its question is stored.
///
/// # Errors
///
/// What is wrong with the request: an ordinary error with its status.
pub(super) async fn reply(
    events: Result<Receiver<Turned>, Failure>,
    mut stream: Stream,
) -> Result<Reply, Failure> {
    let (first, events) = match events {
        Ok(mut events) => (events.recv().await, events),
        Err(failure) => (Some(Turned::Failed(failure)), mpsc::channel(1).1),
    };
    let first = match first {
        None => Turned::Failed(turn::panicked()),
        Some(Turned::Failed(failure)) => {
            let status = failure.code.status();
            if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
                return Err(failure);
            }
            failure.log();
            Turned::Failed(failure)
        }
        Some(first) => first,
    };
    // Whoever is refused owns nothing yet.
    let issued = stream.issued.take();
    let issued = issued.filter(|_| matches!(first, Turned::Begun { .. }));
    let mut reply = Response::new(EventStream::new(first, events, stream).boxed());
    reply.headers_mut().extend(HEADERS);
    if let Some(issued) = issued {
        issued.hand_over(reply.headers_mut());
    }
    Ok(reply)
}

/// What is told beside the turn's own events.
#[derive(Default)]
pub(super) struct Stream {
    /// The question, unless it is stored already: then this is a retry.
    said: Option<Said>,
    is_retry: bool,
    /// For a reader who had no token.
    issued: Option<Issued>,
    /// Of a conversation that is new, until it is told.
    title: Option<String>,
    /// The conversation and when it began.
    thread: Option<(Uuid, DateTime<Utc>)>,
    question: Option<Uuid>,
    answer: Option<Uuid>,
    text: String,
}

impl Stream {
    /// Of the first question of a conversation.
    pub(super) fn of_new_thread(said: Said, issued: Option<Issued>) -> Self {
        Self {
            title: said.thread.title.clone(),
            said: Some(said),
            issued,
            ..Self::default()
        }
    }

    /// Of a further question.
    pub(super) fn of_question(said: Said) -> Self {
        Self {
            said: Some(said),
            ..Self::default()
        }
    }

    /// Of a question that is stored and answered once more.
    pub(super) fn of_retry() -> Self {
        Self {
            is_retry: true,
            ..Self::default()
        }
    }

    fn tell_title<'a>(&mut self, write: &mut impl FnMut(Event<'a>)) {
        if let (Some(title), Some((id, created_at))) = (self.title.take(), self.thread) {
            let thread = thread(store::Thread {
                id,
                created_at,
                title: Some(title),
            });
            write(Event::ThreadUpdated { thread });
        }
    }
}

impl Protocol for Stream {
    // The widget is not known to take comments.
    const HEARTBEAT: &'static [u8] =
        b"data: {\"type\":\"progress_update\",\"text\":\"Thinking\xe2\x80\xa6\"}\n\n";

    fn encode(&mut self, event: &Turned, frames: &mut Vec<u8>) {
        let mut write = |event: Event<'_>| sse::json(&event, frames);
        match event {
            Turned::Begun {
                session_id,
                session_created_at,
                question_id,
                question_created_at,
            } => {
                if self.title.is_some() {
                    let thread = thread(store::Thread {
                        id: *session_id,
                        created_at: *session_created_at,
                        title: None,
                    });
                    write(Event::ThreadCreated { thread });
                }
                if let Some(said) = self.said.take() {
                    let item = Item::UserMessage {
                        id: *question_id,
                        thread_id: *session_id,
                        created_at: timestamp(*question_created_at),
                        content: said.content,
                        attachments: [],
                        quoted_text: said.question.selected_text,
                        inference_options: said.options,
                    };
                    write(Event::ItemDone { item });
                }
                let stream_options = StreamOptions { allow_cancel: true };
                write(Event::StreamOptions { stream_options });
                self.thread = Some((*session_id, *session_created_at));
                self.question = Some(*question_id);
            }
            Turned::Started {
                session_id,
                answer_id,
                began_at,
            } => {
                let item = answer_item(*answer_id, *session_id, *began_at, None);
                write(Event::ItemAdded { item });
                self.tell_title(&mut write);
                write(Event::ItemUpdated {
                    item_id: *answer_id,
                    update: ItemUpdate::PartAdded {
                        content_index: 0,
                        content: output(""),
                    },
                });
                self.answer = Some(*answer_id);
            }
            Turned::Text(delta) => {
                if let Some(item_id) = self.answer {
                    self.text.push_str(delta);
                    let content_index = 0;
                    let update = ItemUpdate::TextDelta {
                        content_index,
                        delta,
                    };
                    write(Event::ItemUpdated { item_id, update });
                }
            }
            Turned::Finished { stored_at, .. } => {
                if let (Some(item_id), Some((thread_id, _))) = (self.answer, self.thread) {
                    write(Event::ItemUpdated {
                        item_id,
                        update: ItemUpdate::PartDone {
                            content_index: 0,
                            content: output(&*self.text),
                        },
                    });
                    let text = std::mem::take(&mut self.text);
                    let item = answer_item(item_id, thread_id, *stored_at, Some(text));
                    write(Event::ItemDone { item });
                }
            }
            Turned::Failed(failure) => {
                if let (true, Some(item_id)) = (failure.taken_back, self.question) {
                    write(Event::ItemRemoved { item_id });
                }
                let stored = self.is_retry || failure.session_id.is_some();
                write(Event::Error {
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
