//! A proxy in front of PostgreSQL: counts round trips, and does what a failing network or server
//! may do.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::Database;

const FROM_SERVER: u8 = 0;
const FROM_CLIENT: u8 = 1;

/// What is wrong with the way to the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections are closed as soon as they are made.
    Refuse,
    /// The server says that it is starting up, and closes the connection.
    StartingUp,
    /// Connections are accepted, and nobody answers.
    Silence,
    /// Whatever is sent on any connection is lost.
    BlackHole,
    /// Whatever the server says on any connection is lost; what it is told arrives.
    Mute,
    /// A server that has to wake up: the first bytes of a connection come late.
    Asleep(Duration),
    /// Everything arrives late.
    Delay(Duration),
    /// The next connection breaks after this many bytes from the server.
    ResetAfter(usize),
}

impl Fault {
    /// The ways in which a database can be gone.
    pub const GONE: [Self; 3] = [Self::Refuse, Self::Silence, Self::BlackHole];
}

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    fault: Mutex<Fault>,
    /// The port of the server.
    server: AtomicU16,
    /// What is sent on so many connections, the first ones, is lost.
    silent: AtomicUsize,
    lose_reply: AtomicBool,
    connections: AtomicUsize,
    round_trips: AtomicUsize,
    open: Mutex<Vec<AbortHandle>>,
}

impl State {
    fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }
}

impl Proxy {
    /// In front of the tests' PostgreSQL.
    pub async fn start() -> Self {
        Self::before(Database::port()).await
    }

    /// In front of the server at this port.
    pub async fn before(port: u16) -> Self {
        let server = port;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.server.store(server, Ordering::SeqCst);
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.fault() == Fault::Refuse {
                    continue;
                }
                let number = shared.connections.fetch_add(1, Ordering::SeqCst);
                let pipe = tokio::spawn(connect(client, number, Arc::clone(&shared)));
                shared.open.lock().unwrap().push(pipe.abort_handle());
            }
        });
        Self { port, state }
    }

    /// Sets the fault from now on; open connections stay.
    pub fn fault(&self, fault: Fault) {
        *self.state.fault.lock().unwrap() = fault;
    }

    /// Sets the fault from now on, also for open connections: these break, or lead into the black
    /// hole.
    pub fn break_off(&self, fault: Fault) {
        self.fault(fault);
        if fault != Fault::BlackHole {
            self.cut_all();
        }
    }

    /// The database is gone: connections break, new ones are closed at once.
    pub fn take_away(&self) {
        self.break_off(Fault::Refuse);
    }

    /// Something on the way has forgotten the connections that there are: what is sent on them is
    /// lost, and nobody says so. New ones are well.
    pub fn forget_all(&self) {
        let connections = self.connections();
        self.state.silent.store(connections, Ordering::SeqCst);
    }

    /// The server is at another port now.
    pub fn lead_to(&self, port: u16) {
        self.state.server.store(port, Ordering::SeqCst);
    }

    pub fn bring_back(&self) {
        self.fault(Fault::None);
    }

    /// The server runs the next statement, and the connection breaks before its reply is passed on.
    pub fn lose_next_reply(&self) {
        self.state.lose_reply.store(true, Ordering::SeqCst);
    }

    /// Breaks every open connection.
    pub fn cut_all(&self) {
        for pipe in self.state.open.lock().unwrap().drain(..) {
            pipe.abort();
        }
    }

    /// How many connections have been made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How often a client has spoken after its server so far: each time costs the network's
    /// latency.
    pub fn round_trips(&self) -> usize {
        self.state.round_trips.load(Ordering::SeqCst)
    }
}

/// What PostgreSQL says while it recovers.
const STARTING_UP: &[u8] =
    b"E\x00\x00\x00\x37SFATAL\x00C57P03\x00Mthe database system is starting up\x00\x00";

async fn connect(mut client: TcpStream, number: usize, state: Arc<State>) {
    match state.fault() {
        Fault::Silence => std::future::pending().await,
        Fault::Asleep(time) => sleep(time).await,
        Fault::StartingUp => {
            let mut startup = [0; 1024];
            if client.read(&mut startup).await.is_ok() {
                let _ = client.write_all(STARTING_UP).await;
            }
            return;
        }
        _ => {}
    }
    let port = state.server.load(Ordering::SeqCst);
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
        return;
    };
    let limit = match state.fault() {
        Fault::ResetAfter(bytes) => {
            *state.fault.lock().unwrap() = Fault::None;
            bytes
        }
        _ => usize::MAX,
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let last = AtomicU8::new(FROM_SERVER);
    let statement = |_| {
        if last.swap(FROM_CLIENT, Ordering::SeqCst) == FROM_SERVER {
            state.round_trips.fetch_add(1, Ordering::SeqCst);
        }
        Some(usize::MAX)
    };
    let is_lost = |fault| fault == Fault::BlackHole || number < state.silent.load(Ordering::SeqCst);
    let passed = AtomicUsize::new(0);
    let reply = |length| {
        last.store(FROM_SERVER, Ordering::SeqCst);
        if state.lose_reply.swap(false, Ordering::SeqCst) {
            return None;
        }
        let before = passed.fetch_add(length, Ordering::SeqCst);
        Some(limit.saturating_sub(before))
    };
    tokio::select! {
        () = pipe(from_client, to_server, &state, statement, is_lost) => {}
        () = pipe(from_server, to_client, &state, reply, |fault| fault == Fault::Mute || is_lost(fault)) => {}
    }
}

/// Passes on as many bytes as `allow` says, and ends when that is fewer than there are.
async fn pipe(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &State,
    allow: impl Fn(usize) -> Option<usize>,
    is_lost: impl Fn(Fault) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        let Some(allowed) = allow(length) else {
            return;
        };
        match state.fault() {
            fault if is_lost(fault) => continue,
            Fault::Delay(time) => sleep(time).await,
            _ => {}
        }
        let passed = &bytes[..length.min(allowed)];
        if to.write_all(passed).await.is_err() || passed.len() < length {
            return;
        }
    }
}
