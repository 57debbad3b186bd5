//! The steps of starting a server: lock, initialise once, run, wait until it is ready.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;

use launch::{
    folders::{Account, CACHE_VARIABLE},
    postgres::major,
    running,
};

use super::password;
use crate::{ports, watchdog};

/// How long a start may take: usually 0.1 s, but a server that was killed recovers its data first.
const READY_LIMIT: Duration = Duration::from_mins(1);
const POLL: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Persistent,
    Temporary,
}

/// A server process that is ready.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) port: u16,
    pub(super) watchdog: Child,
    pub(super) leash: OwnedFd,
}

pub(super) fn start(
    programs: &Path,
    account: &Account,
    folder: &Path,
    kind: Kind,
) -> Result<Process> {
    let log = lock(folder)?;
    log.set_len(0)?;
    let data = folder.join("data");
    if data.exists() {
        check_version(programs, &data)?;
    } else {
        initialise(programs, account, folder, kind).with_context(|| {
            format!(
                "cannot make a database in {}{}",
                folder.display(),
                account.hint(programs)
            )
        })?;
    }
    // We hold the lock, so no server runs here. If a process has the id in this file, it is an
    // unrelated one, and PostgreSQL would refuse to start because of it.
    remove(&data.join("postmaster.pid"))?;
    if kind == Kind::Persistent && password::read(folder).is_none() {
        // New, or made by a version of this program that did without.
        password::set(programs, account, folder)?;
    }

    let port = ports::free()?;
    let mut watchdog = run(programs, account, folder, kind, port, log)?;
    let leash = watchdog
        .stdin
        .take()
        .context("the watchdog has no pipe")?
        .into();
    let mut process = Process {
        port,
        watchdog,
        leash,
    };
    if let Err(error) = process.ready(&data) {
        let log = tail(folder);
        process.stop();
        return Err(error.context(format!("PostgreSQL did not start. Its log ends:\n{log}")));
    }
    Ok(process)
}

/// Opens and locks the log of the server in `folder`.
///
/// The server inherits the open file, so the lock lasts until the last of its processes is gone.
pub(super) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join("server.log");
    let log = File::options().create(true).append(true).open(&path);
    let log = log.with_context(|| {
        format!(
            "cannot write {}: name another folder in {CACHE_VARIABLE}",
            path.display()
        )
    })?;
    match running::lock(&log) {
        Ok(()) => Ok(log),
        Err(TryLockError::Error(error)) => Err(error.into()),
        Err(TryLockError::WouldBlock) => bail!(
            "the database in {} is in use: is another `cargo dev` of this project running? \
             Stop that one first, or set DATABASE_URL",
            folder.display()
        ),
    }
}

/// Removes a file or folder, if it exists.
pub(super) fn remove(path: &Path) -> Result<()> {
    let result = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn initialise(programs: &Path, account: &Account, folder: &Path, kind: Kind) -> Result<()> {
    // Made beside its place and then renamed: the data are complete, or they do not exist.
    let partial = folder.join("data.partial");
    let initdb = |character_type: &str| {
        remove(&partial)?;
        let mut initdb = Command::new(programs.join("initdb"));
        initdb
            .args(["--encoding=UTF8", "--locale=C", character_type])
            .args(["--username=postgres", "--auth=trust"])
            .args(["--no-sync", "--no-instructions", "--pgdata"])
            .arg(&partial)
            .current_dir(folder);
        account.run(&mut initdb);
        Ok::<_, anyhow::Error>(initdb.output()?)
    };
    // As at Neon. With plain C, a word beside a typographic quote or dash is one word with it, and is
    // not found; but not every system has another.
    let mut output = initdb("--lc-ctype=C.UTF-8")?;
    if !output.status.success() {
        output = initdb("--lc-ctype=C")?;
    }
    ensure!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    if kind == Kind::Persistent {
        password::forget(folder)?;
    }
    Ok(fs::rename(partial, folder.join("data"))?)
}

/// Only one major version can read the data.
fn check_version(programs: &Path, data: &Path) -> Result<()> {
    let made_by = fs::read_to_string(data.join("PG_VERSION"))?;
    let (made_by, here) = (made_by.trim(), major(programs)?.to_string());
    ensure!(
        made_by == here,
        "the data in {} were made by PostgreSQL {made_by}, and the one found here is {here}: \
         begin anew with `cargo dev --reset`, or install version {made_by}",
        data.display()
    );
    Ok(())
}

fn run(
    programs: &Path,
    account: &Account,
    folder: &Path,
    kind: Kind,
    port: u16,
    log: File,
) -> Result<Child> {
    let (signal, removed) = match kind {
        // The "fast" and the "immediate" shutdown of PostgreSQL.
        Kind::Persistent => (Signal::SIGINT, None),
        Kind::Temporary => (Signal::SIGQUIT, Some(folder)),
    };
    let mut command = watchdog::command(programs.join("postgres").as_os_str(), signal, removed);
    command
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-p")
        .arg(port.to_string());
    // No Unix socket: its path may have at most 107 bytes, which a cache folder may well exceed.
    let mut settings = vec!["listen_addresses=127.0.0.1", "unix_socket_directories="];
    settings.push("max_connections=300");
    if kind == Kind::Temporary {
        settings.extend([
            "fsync=off",
            "synchronous_commit=off",
            "full_page_writes=off",
        ]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    account.run(&mut command);
    command
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().context("cannot run sh")
}

impl Process {
    /// Ends the server and waits until nothing of it is left.
    pub(super) fn stop(mut self) {
        drop(self.leash);
        let _ = self.watchdog.wait();
    }

    /// Waits until the server itself says that it is ready, in the file that `pg_ctl` reads.
    fn ready(&mut self, data: &Path) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < READY_LIMIT {
            let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            if state
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
            if let Some(status) = self.watchdog.try_wait()? {
                bail!("it ended with {status}");
            }
            thread::sleep(POLL);
        }
        bail!("it was not ready after {} seconds", READY_LIMIT.as_secs())
    }
}

/// The last lines of the log in `folder`.
fn tail(folder: &Path) -> String {
    let log = fs::read(folder.join("server.log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
