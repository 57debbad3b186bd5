//! Free ports on loopback, for programs that cannot be given port 0.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the ports that kernels give to connections, and to programs that ask for any free one.
const FIRST: u16 = 10_000;
const COUNT: u16 = 20_000;

/// A port on which nothing listens now and that this process has not given out lately, so that two
/// programs that start at the same time do not get the same one. Another process may still take it
/// before it is used: the caller then tries again with another port.
pub(crate) fn free() -> io::Result<u16> {
    static GIVEN_OUT: AtomicU32 = AtomicU32::new(0);
    // Other processes begin elsewhere.
    let start = process::id().wrapping_mul(7_919);
    let mut taken = io::ErrorKind::AddrInUse.into();
    for _ in 0..COUNT {
        let given_out = GIVEN_OUT.fetch_add(1, Ordering::Relaxed);
        let offset = start.wrapping_add(given_out) % u32::from(COUNT);
        let port = FIRST + u16::try_from(offset).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => taken = error,
            listener => return listener.map(|_| port),
        }
    }
    Err(taken)
}

/// Whether a program that did not start wrote that its port was taken.
pub(crate) fn was_taken(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("address already in use") || words.contains("addrinuse")
}

/// Attempts before giving up.
pub(crate) const ATTEMPTS: usize = 5;
