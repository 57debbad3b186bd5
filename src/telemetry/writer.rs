//! Lines on their way out of the process.
//!
//! Whoever reads the log may stop reading, and then a write blocks. The thread that serves all turns
//! must not: it writes a line itself only where that cannot block, for handing it to another thread
//! costs more than writing it. Other lines wait in a queue for a thread of their own, and those that find
//! it full are dropped and counted; as soon as somebody reads again, a line says how many.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tracing::Level;

use super::{Sink, opening};

/// Lines that may wait, of a few hundred bytes each.
const WAITING: usize = 1024;

/// How long the end of a request or of the process waits for its lines.
const PATIENCE: Duration = Duration::from_millis(50);

/// How often the end of an invocation looks whether the platform reads again.
const LOOK: Duration = Duration::from_millis(100);

/// A pipe that is writable takes so many bytes at once: `PIPE_BUF` of Linux, on which functions run.
const AT_ONCE: usize = 4096;

static QUEUE: OnceLock<SyncSender<Message>> = OnceLock::new();
/// Lines in the queue, or being written out of it.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// Held by whoever writes a line without the queue.
static WRITING: Mutex<()> = Mutex::new(());
static DROPPED: AtomicU64 = AtomicU64::new(0);
static SOCKET: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);

enum Message {
    Line(Sink, Level, String),
    /// Whatever came before it is written.
    Mark(oneshot::Sender<()>),
}

/// Starts the thread. Without it, nothing is written.
pub(super) fn start() {
    let (queue, messages) = sync_channel(WAITING);
    if QUEUE.set(queue).is_ok() {
        let thread = std::thread::Builder::new().name("log".into());
        let _ = thread.spawn(move || write_all(&messages));
    }
}

/// Sends a line on its way, or drops it.
pub(super) fn send(sink: Sink, level: Level, line: String) {
    let Some(queue) = QUEUE.get() else { return };
    if written_at_once(&sink, level, &line) {
        return;
    }
    PENDING.fetch_add(1, Ordering::AcqRel);
    if queue.try_send(Message::Line(sink, level, line)).is_err() {
        PENDING.fetch_sub(1, Ordering::AcqRel);
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes a line if none waits, nobody else writes one, and it cannot block.
fn written_at_once(sink: &Sink, level: Level, line: &str) -> bool {
    if PENDING.load(Ordering::Acquire) > 0 || line.len() >= AT_ONCE {
        return false;
    }
    let Ok(_writing) = WRITING.try_lock() else {
        return false;
    };
    let now = Some(Timespec::default());
    let free = match (sink, socket()) {
        (Some(_), Some(socket)) => has_room(&*socket, now.as_ref()),
        // Whose socket is not known may be full.
        (Some(_), None) => false,
        (None, _) => has_room(std::io::stdout(), now.as_ref()),
    };
    if free {
        write(sink, level, line);
    }
    free
}

/// Waits until the lines so far are written, but not long. The platform shows a line under its
/// request only if it comes before the request's end, and may freeze or kill the process then.
pub async fn written() {
    if PENDING.load(Ordering::Acquire) == 0 {
        return;
    }
    let (tell, told) = oneshot::channel();
    if QUEUE
        .get()
        .is_some_and(|it| it.try_send(Message::Mark(tell)).is_ok())
    {
        let _ = timeout(PATIENCE, told).await;
    }
}

/// Waits until an invocation may end: its lines are written, and its end, which the runtime writes to
/// the platform's socket from the thread that serves everybody, will not have to wait there. So where
/// the platform does not read, invocations stay open, and no reader notices.
pub async fn may_end() {
    written().await;
    while socket().is_some_and(|it| !has_room(&*it, Some(&Timespec::default()))) {
        sleep(LOOK).await;
    }
}

/// Names the platform's socket, to which lines go that have a sink: from now on they wait while it
/// is more than a quarter full, and so do the ends of invocations.
pub fn leave_room_in(socket: OwnedFd) {
    *SOCKET.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(socket));
}

fn write_all(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            Message::Line(sink, level, line) => {
                wait_for_room(&sink);
                write(&sink, level, &line);
                // Somebody reads, so this one arrives.
                let dropped = DROPPED.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    wait_for_room(&sink);
                    write(&sink, Level::WARN, &notice(dropped));
                }
                PENDING.fetch_sub(1, Ordering::AcqRel);
            }
            // Whoever asked may have gone on.
            Message::Mark(tell) => drop(tell.send(())),
        }
    }
}

fn socket() -> Option<Arc<OwnedFd>> {
    let socket = SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    socket.clone()
}

/// Whether at most a quarter of a socket is full, which is when the kernel calls a Unix socket
/// writable, or [`AT_ONCE`] bytes of a pipe are free; waits for that, without a limit where there is none.
/// What has failed has room: who writes to it will see.
fn has_room(to: impl AsFd, limit: Option<&Timespec>) -> bool {
    loop {
        match poll(&mut [PollFd::new(&to, PollFlags::OUT)], limit) {
            Err(Errno::INTR) => {}
            ready => return ready != Ok(0),
        }
    }
}

fn notice(dropped: u64) -> String {
    let start = opening(Level::WARN);
    format!(
        r#"{start},"message":"lines of the log were dropped: nobody read them","dropped":{dropped}}}"#
    )
}

/// Standard output makes its writer wait by itself.
fn wait_for_room(sink: &Sink) {
    if sink.is_some()
        && let Some(socket) = socket()
    {
        has_room(&*socket, None);
    }
}

/// Blocks where there is no room.
fn write(sink: &Sink, level: Level, line: &str) {
    let Some(sink) = sink else {
        // A log that cannot be written must not fail a turn.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
        return;
    };
    match level {
        Level::ERROR => sink.error(line),
        Level::WARN => sink.warn(line),
        Level::INFO => sink.info(line),
        _ => sink.debug(line),
    }
}
