//! Server-sent events: the framing, and a response's body that a turn's events feed.
//!
//! It knows no protocol; each implements [`Protocol`].

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body::{Body, Frame};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, Sleep, sleep};

use crate::http::BoxError;
use crate::turn::{self, Event};

/// The longest silence. A frame after that keeps proxies from closing the connection, and lets us
/// notice a reader who has left: the runtime notices only when it writes.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// A protocol in which a turn is told.
pub trait Protocol: Send + Unpin + 'static {
    /// A frame that fills a long silence.
    const HEARTBEAT: &'static [u8];

    /// Appends an event in the form that it has in this protocol; some have none.
    fn encode(&mut self, event: &Event, frames: &mut Vec<u8>);
}

/// A frame that every protocol ignores.
pub const COMMENT: &[u8] = b": keep-alive\n\n";

/// The headers of a stream.
pub const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (header::CONNECTION, HeaderValue::from_static("keep-alive")),
    // Proxies that know it pass each piece on at once.
    (
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    ),
];

/// About how much is written at once to a reader who is slower than the model.
const FRAME: usize = 16 * 1024;

/// Appends one event with this data, which holds no line break.
pub fn data(data: &str, frames: &mut Vec<u8>) {
    frames.extend_from_slice(b"data: ");
    frames.extend_from_slice(data.as_bytes());
    frames.extend_from_slice(b"\n\n");
}

/// Appends one event with this JSON.
pub fn json(value: &impl Serialize, frames: &mut Vec<u8>) {
    frames.extend_from_slice(b"data: ");
    // Writing into memory fails only for a map whose keys are not strings; no part has one.
    let _ = serde_json::to_writer(&mut *frames, value);
    frames.extend_from_slice(b"\n\n");
}

/// The body of a streamed turn. Dropping it ends the turn.
pub struct EventStream<P> {
    first: Option<Event>,
    events: Receiver<Event>,
    protocol: P,
    heartbeat: Pin<Box<Sleep>>,
    ended: bool,
}

impl<P: Protocol> EventStream<P> {
    /// `first` is the event that was waited for before the response began.
    #[must_use]
    pub fn new(first: Event, events: Receiver<Event>, protocol: P) -> Self {
        Self {
            first: Some(first),
            events,
            protocol,
            heartbeat: Box::pin(sleep(HEARTBEAT)),
            ended: false,
        }
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(first);
        }
        let event = self.events.poll_recv(context);
        event.map(|event| event.unwrap_or_else(turn::vanished))
    }
}

impl<P: Protocol> Body for EventStream<P> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut frames = Vec::new();
        while !self.ended && frames.len() < FRAME {
            let Poll::Ready(event) = self.poll_event(context) else {
                break;
            };
            self.protocol.encode(&event, &mut frames);
            self.ended = matches!(event, Event::AnswerStored { .. } | Event::Failed(_));
        }
        if frames.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            if self.heartbeat.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            frames.extend_from_slice(P::HEARTBEAT);
        }
        self.heartbeat.as_mut().reset(Instant::now() + HEARTBEAT);
        Poll::Ready(Some(Ok(Frame::data(frames.into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use uuid::Uuid;

    struct Plain;

    impl Protocol for Plain {
        const HEARTBEAT: &'static [u8] = COMMENT;

        fn encode(&mut self, event: &Event, frames: &mut Vec<u8>) {
            match event {
                Event::Text(text) => data(text, frames),
                Event::Failed(failure) => data(failure.code.as_str(), frames),
                _ => {}
            }
        }
    }

    fn started() -> Event {
        Event::AnswerBegan {
            conversation: Uuid::nil(),
            answer_id: Uuid::nil(),
            began_at: chrono::Utc::now(),
        }
    }

    async fn read(stream: EventStream<Plain>) -> String {
        let bytes = stream.collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_turn_that_panics_ends_its_own_stream_with_an_error_and_no_other() {
        let (events, panicking) = mpsc::channel(1);
        let turn = tokio::spawn(async move {
            events.send(Event::Text("Half an".into())).await.unwrap();
            panic!("in the middle of a turn");
        });
        let (events, neighbour) = mpsc::channel(1);
        tokio::spawn(async move {
            let _ = turn.await;
            events.send(Event::Text("Whole.".into())).await.unwrap();
            let stored_at = chrono::Utc::now();
            let finish_reason = "stop".into();
            let stored = Event::AnswerStored {
                stored_at,
                finish_reason,
                usage: None,
                sources: None,
            };
            events.send(stored).await.unwrap();
        });
        let panicking = read(EventStream::new(started(), panicking, Plain)).await;
        assert_eq!(panicking, "data: Half an\n\ndata: internal_error\n\n");
        let neighbour = read(EventStream::new(started(), neighbour, Plain)).await;
        assert_eq!(neighbour, "data: Whole.\n\n");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_filled_with_comments_and_a_crowd_of_events_shares_a_frame() {
        let (events, listener) = mpsc::channel(8);
        let mut stream = EventStream::new(started(), listener, Plain);
        let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, ": keep-alive\n\n");
        for text in ["a", "b", "c"] {
            events.send(Event::Text(text.into())).await.unwrap();
        }
        let frame = stream.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(frame, "data: a\n\ndata: b\n\ndata: c\n\n");
    }
}
