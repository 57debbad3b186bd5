//! The way to the database: a proxy that makes it longer, and counts the trips.
//!
//! Owns the latency and the count of flights. Never changes a byte, and never delays bytes by
//! more than the latency because of those before them.
//!
//! A turn of the wire begins when a client speaks after its server, and ends when the server speaks.
//! A flight is one turn, or several on different connections that all began before the first of them
//! ended: none waited for another, so together they take as long as one.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

/// The flights of all connections.
#[derive(Default)]
pub struct Flights(Mutex<Count>);

#[derive(Default)]
struct Count {
    flights: usize,
    /// A turn of the last flight is under way, and none of them has ended.
    open: bool,
}

impl Flights {
    /// How many there were.
    pub fn count(&self) -> usize {
        self.state().flights
    }

    /// A turn begins; returns its flight.
    fn begin(&self) -> usize {
        let mut state = self.state();
        if !state.open {
            state.flights += 1;
            state.open = true;
        }
        state.flights
    }

    /// A turn of this flight ends.
    fn end(&self, flight: usize) {
        let mut state = self.state();
        if flight == state.flights {
            state.open = false;
        }
    }

    fn state(&self) -> MutexGuard<'_, Count> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The turn of one connection, if one is under way.
struct Turn {
    flights: Arc<Flights>,
    flight: Mutex<Option<usize>>,
}

impl Turn {
    fn client_speaks(&self) {
        self.flight().get_or_insert_with(|| self.flights.begin());
    }

    fn server_speaks(&self) {
        if let Some(flight) = self.flight().take() {
            self.flights.end(flight);
        }
    }

    fn flight(&self) -> MutexGuard<'_, Option<usize>> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.server_speaks();
    }
}

/// Starts a proxy in front of a port on loopback; returns its own port.
///
/// A new connection pays one `round_trip` before its first byte, as TCP does; that one is not
/// counted.
pub async fn start(target: u16, round_trip: Duration, flights: Arc<Flights>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let turn = Turn {
                flights: Arc::clone(&flights),
                flight: Mutex::default(),
            };
            tokio::spawn(connect(client, target, round_trip, turn));
        }
    });
    Ok(port)
}

async fn connect(client: TcpStream, target: u16, round_trip: Duration, turn: Turn) -> Result<()> {
    sleep(round_trip).await;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // The whole delay on the way back: timers are coarse, and one is better than two.
    tokio::select! {
        () = pass(from_client, to_server, Duration::ZERO, || turn.client_speaks()) => {}
        () = pass(from_server, to_client, round_trip, || turn.server_speaks()) => {}
    }
    Ok(())
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    arrives: impl Fn(),
) {
    let (late, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            if late
                .send((Instant::now() + delay, buffer[..length].to_vec()))
                .is_err()
            {
                break;
            }
        }
        drop(late);
    };
    let write = async {
        while let Some((when, bytes)) = due.recv().await {
            if !delay.is_zero() {
                sleep_until(when).await;
            }
            // A server cannot have answered what has not arrived.
            arrives();
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}
