//! The runtime's listener, made fit for streams and for many readers.
//!
//! `vercel_runtime` 2.4 keeps its listener to itself and leaves it two defaults. Nagle's algorithm
//! holds a piece of a stream back until the one before is acknowledged, which takes up to 40 ms;
//! and at most 128 connections may wait to be accepted: of a larger crowd, the clients that are
//! turned away try again after a second. Both are set here, from outside.

use std::io;

use rustix::net::{listen, sockopt};

use super::duplicates::Duplicates;

/// Connections that may wait; the kernel caps it at its own limit, `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Tunes the sockets that this process listens on, whose settings later connections inherit, and
/// the connections that it already has.
///
/// # Errors
///
/// When descriptors cannot be duplicated, or when nothing listens yet.
pub(super) fn tune() -> io::Result<()> {
    let mut listens = false;
    for file in Duplicates::new()? {
        let file = file?;
        // Anything that is not a TCP socket refuses.
        if sockopt::set_tcp_nodelay(&file, true).is_ok() && sockopt::socket_acceptconn(&file)? {
            listen(&file, BACKLOG)?;
            listens = true;
        }
    }
    if listens {
        Ok(())
    } else {
        Err(io::Error::other("nothing listens"))
    }
}
