//! The platform's socket, which the runtime opens and keeps to itself.
//!
//! The runtime writes to it when an invocation ends, on the thread that serves everybody: if it is
//! full, that thread waits. So it is made as large as the system allows, and `telemetry` is told to
//! leave most of it free.

use std::io;
use std::os::unix::ffi::OsStrExt as _;

use rustix::net::{SocketAddrUnix, getpeername, sockopt};

use super::duplicates::Duplicates;
use crate::telemetry;

/// More than any system allows without privileges, which is what the kernel then sets.
const BUFFER: usize = 8 * 1024 * 1024;

/// Finds the socket, if there is one.
///
/// # Errors
///
/// When descriptors cannot be duplicated.
pub(super) fn tune() -> io::Result<()> {
    let Some(path) = std::env::var_os("VERCEL_IPC_PATH") else {
        return Ok(());
    };
    for file in Duplicates::new()? {
        let file = file?;
        // Of what is no socket, or no connected one, there is no peer.
        let Ok(Some(peer)) = getpeername(&file) else {
            continue;
        };
        let peer = SocketAddrUnix::try_from(peer).ok();
        let peer = peer.as_ref().and_then(SocketAddrUnix::path);
        if peer.is_some_and(|peer| peer.to_bytes() == path.as_bytes()) {
            sockopt::set_socket_send_buffer_size(&file, BUFFER)?;
            telemetry::leave_room_in(file);
            break;
        }
    }
    Ok(())
}
