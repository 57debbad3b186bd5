//! Processes that never outlive their owner, however it ends.
//!
//! A destructor does not run when a process is killed, nor for a `static`; but the kernel closes a
//! pipe in every case. So each process is started under a small shell that waits for one of two
//! things: its child's end, or the end of the pipe that the owner holds.
//!
//! Never decides how long to wait for anything, and never restarts anything.

use std::{
    ffi::OsStr,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;

/// `sh -c SCRIPT watchdog <signal> <folder to remove, or nothing> <program> <arguments…>`.
///
/// - The inner `sh` prints its own process id and becomes the program, so that the id is always the
///   first line of standard output.
/// - `read` returns when the owner's end of the pipe is closed. It is a builtin: nothing is left behind.
/// - The watchdog keeps its standard error open to the very end, and with it any lock on that file.
const SCRIPT: &str = r#"
signal=$1 remove=$2
shift 2
exec 3<&0
sh -c 'echo $$; exec "$@"' sh "$@" </dev/null 3<&- &
child=$!
exec >/dev/null
( read -r _; kill -s "$signal" "$child" ) <&3 3<&- 2>/dev/null &
guard=$!
exec 3<&-
wait "$child"
status=$?
kill "$guard" 2>/dev/null
[ -z "$remove" ] || rm -rf "$remove"
exit "$status"
"#;

/// A command that runs `program`, sends it `signal` once the command's standard input is closed,
/// ends with its exit status, and then removes the folder `remove`.
///
/// The first line of its standard output is the process id of `program`. It leads a process group
/// of its own: Ctrl-C in the terminal reaches only the owner, which then decides the order.
pub(crate) fn command(program: &OsStr, signal: Signal, remove: Option<&Path>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "watchdog"])
        .arg(signal.as_str().trim_start_matches("SIG"))
        .arg(remove.unwrap_or(Path::new("")))
        .arg(program)
        .process_group(0)
        .stdin(Stdio::piped());
    command
}
