//! The way to the database: a proxy that makes it longer, and counts the trips.
//!
//! Owns the latency and the count of wire turns. Never changes a byte, and never delays bytes by
//! more than the latency because of those before them.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

/// Starts a proxy in front of a port on loopback; returns its own port.
///
/// `turns` grows by one whenever a client speaks after its server. A new connection pays one
/// `round_trip` before its first byte, as TCP does; that one is not counted.
pub async fn start(target: u16, round_trip: Duration, turns: Arc<AtomicUsize>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(connect(client, target, round_trip, Arc::clone(&turns)));
        }
    });
    Ok(port)
}

async fn connect(
    client: TcpStream,
    target: u16,
    round_trip: Duration,
    turns: Arc<AtomicUsize>,
) -> Result<()> {
    sleep(round_trip).await;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let server_spoke = AtomicBool::new(true);
    let question = || {
        if server_spoke.swap(false, SeqCst) {
            turns.fetch_add(1, SeqCst);
        }
    };
    // The whole delay on the way back: timers are coarse, and one is better than two.
    tokio::select! {
        () = pass(from_client, to_server, Duration::ZERO, question) => {}
        () = pass(from_server, to_client, round_trip, || server_spoke.store(true, SeqCst)) => {}
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
