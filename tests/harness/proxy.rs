//! A proxy in front of PostgreSQL: counts round trips, and takes the database away.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::Database;

const FROM_SERVER: u8 = 0;
const FROM_CLIENT: u8 = 1;

/// A running proxy.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    gone: AtomicBool,
    lose_reply: AtomicBool,
    connections: AtomicUsize,
    round_trips: AtomicUsize,
    open: Mutex<Vec<AbortHandle>>,
}

impl Proxy {
    /// In front of the tests' PostgreSQL.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Closed at once, as by a host that has no server.
                if shared.gone.load(Ordering::SeqCst) {
                    continue;
                }
                shared.connections.fetch_add(1, Ordering::SeqCst);
                let pipe = tokio::spawn(connect(client, Arc::clone(&shared)));
                shared.open.lock().unwrap().push(pipe.abort_handle());
            }
        });
        Self { port, state }
    }

    /// The database is gone: connections break, new ones are closed at once.
    pub fn take_away(&self) {
        self.state.gone.store(true, Ordering::SeqCst);
        self.cut_all();
    }

    pub fn bring_back(&self) {
        self.state.gone.store(false, Ordering::SeqCst);
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

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many times a client has spoken after its server so far: what the network's latency is
    /// paid for.
    pub fn round_trips(&self) -> usize {
        self.state.round_trips.load(Ordering::SeqCst)
    }
}

async fn connect(client: TcpStream, state: Arc<State>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", Database::port())).await else {
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let last = AtomicU8::new(FROM_SERVER);
    tokio::select! {
        () = pipe(from_client, to_server, || {
            if last.swap(FROM_CLIENT, Ordering::SeqCst) == FROM_SERVER {
                state.round_trips.fetch_add(1, Ordering::SeqCst);
            }
            true
        }) => {}
        () = pipe(from_server, to_client, || {
            last.store(FROM_SERVER, Ordering::SeqCst);
            !state.lose_reply.swap(false, Ordering::SeqCst)
        }) => {}
    }
}

async fn pipe(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, pass: impl Fn() -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !pass() {
            return;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
