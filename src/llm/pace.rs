//! Back-pressure: a slow reader slows down the reading of the model.
//!
//! async-openai reads a response in a task of its own and hands it on through an unbounded channel.
//! Here the response's body itself waits while the channel holds more than a little, so that it is
//! the model's server that is held up, and memory stays bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};

/// How many bytes the body may be ahead of its reader, counted since the reader last caught up.
const WINDOW: usize = 64 * 1024;

/// Where the reader of a response stands.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The reader has taken everything, and a frame may be any size until it gets more.
    waiting: AtomicBool,
    ahead: AtomicUsize,
    body: AtomicWaker,
}

impl Pace {
    /// For a response that is read as a whole, at once: no frame has to wait.
    pub(super) fn none() -> Self {
        Self {
            waiting: AtomicBool::new(true),
            ..Self::default()
        }
    }

    /// Called at each look into the channel: whether it was empty, and the reader waits.
    pub(super) fn reader_waits(&self, waits: bool) {
        self.waiting.store(waits, Ordering::SeqCst);
        if waits {
            self.ahead.store(0, Ordering::SeqCst);
            self.body.wake();
        }
    }

    fn must_wait(&self) -> bool {
        !self.waiting.load(Ordering::SeqCst) && self.ahead.load(Ordering::SeqCst) >= WINDOW
    }
}

/// A response's body that keeps pace with its reader.
pub(super) struct PacedBody {
    body: reqwest::Body,
    pace: Arc<Pace>,
}

impl PacedBody {
    pub(super) fn new(body: reqwest::Body, pace: Arc<Pace>) -> Self {
        Self { body, pace }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, reqwest::Error>>> {
        if self.pace.must_wait() {
            self.pace.body.register(context.waker());
            // The reader may have caught up just before it could have woken us.
            if self.pace.must_wait() {
                return Poll::Pending;
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            let length = frame.data_ref().map_or(0, Bytes::len);
            self.pace.ahead.fetch_add(length, Ordering::SeqCst);
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
