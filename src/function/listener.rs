//! The runtime's listener, made fit for streams and for many readers.
//!
//! `vercel_runtime` 2.4 keeps its listener to itself and leaves it two defaults. Nagle's algorithm
//! holds a piece of a stream back until the one before is acknowledged, which takes up to 40 ms;
//! and at most 128 connections may wait to be accepted: of a larger crowd, the clients that are
//! turned away try again after a second. Both are set here, from outside. Never accepts, reads or
//! writes anything.

use std::io;

use rustix::io::Errno;
use rustix::net::{listen, sockopt};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Connections that may wait; the kernel caps it at its own limit, `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Tunes the sockets that this process listens on, whose settings later connections inherit, and
/// the connections that it already has.
///
/// # Errors
///
/// When the kernel has no `pidfd_getfd` (before Linux 5.6) or a sandbox forbids it, or when
/// nothing listens yet.
pub(super) fn tune() -> io::Result<()> {
    // A duplicate is the only safe way to a descriptor that another part of the program owns.
    let process = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut listens = false;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let file = match pidfd_getfd(&process, number, PidfdGetfdFlags::empty()) {
            Ok(file) => file,
            // Closed meanwhile.
            Err(Errno::BADF) => continue,
            Err(error) => return Err(error.into()),
        };
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
