//! Free ports on loopback, for programs that cannot be given port 0.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// A port that nobody listens on at this moment. Another program may take it before it is used:
/// whoever uses it tries again with another.
pub(crate) fn free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

/// Whether a program that did not start wrote that its port was taken.
pub(crate) fn was_taken(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("address already in use") || words.contains("addrinuse")
}

/// How often to try.
pub(crate) const ATTEMPTS: usize = 5;
