//! Which `cargo dev` serves which port, so that a second one can say what it has met.
//!
//! While one runs it holds a locked file, named after its port, with the folder of its checkout.
//! The kernel releases the lock in every case.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How long a lock may be another's.
const LIMIT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(5);

/// The mark of a running `cargo dev`; dropped with it.
#[derive(Debug)]
pub struct Mark(#[expect(dead_code, reason = "it is locked")] File);

/// Says that the checkout in `root` serves `port`.
///
/// # Errors
///
/// When the mark cannot be written.
pub fn mark(cache: &Path, port: u16, root: &Path) -> Result<Mark> {
    let folder = cache.join("running");
    let path = folder.join(port.to_string());
    let open = || {
        fs::create_dir_all(&folder)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        lock(&file)?;
        file.set_len(0)?;
        file.write_all(root.to_string_lossy().as_bytes())?;
        Ok::<_, io::Error>(file)
    };
    let file = open().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Mark(file))
}

/// Locks a file, or waits for up to three seconds: whoever has it may have been killed just now, and not
/// all of its processes be gone.
///
/// # Errors
///
/// When another has it for longer, or it cannot be locked.
pub fn lock(file: &File) -> Result<(), TryLockError> {
    let since = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if since.elapsed() < LIMIT => sleep(POLL),
            locked => return locked,
        }
    }
}

/// Looks whether `port` is free, and no other `cargo dev` of the checkout in `root` has its data.
///
/// # Errors
///
/// Says who is in the way, and what to do.
pub fn look(cache: &Path, port: u16, root: &Path, embedded_database: bool) -> Result<()> {
    let others = running(cache);
    let same = |folder: &Path| folder == root;
    if let Some((other, _)) = others
        .iter()
        .find(|(other, folder)| same(folder) && (embedded_database || *other == port))
    {
        let beside = if *other == port {
            ""
        } else {
            ", or give this one a DATABASE_URL of its own"
        };
        bail!(
            "it runs already, on http://localhost:{other}: use that one, or stop it first (Ctrl-C){beside}"
        );
    }
    let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) else {
        return Ok(());
    };
    match others.iter().find(|(other, _)| *other == port) {
        Some((_, folder)) => bail!(
            "port {port} is in use by the `cargo dev` of {}: choose another with `--port`",
            folder.display()
        ),
        None if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {port} is in use by another program: choose another with `--port`")
        }
        None => Err(error).with_context(|| format!("cannot listen on port {port}")),
    }
}

/// The ports that are served, each with the folder of its checkout.
fn running(cache: &Path) -> Vec<(u16, PathBuf)> {
    let marks = fs::read_dir(cache.join("running"))
        .into_iter()
        .flatten()
        .flatten();
    let running = marks.filter_map(|mark| {
        let port = mark.file_name().to_str()?.parse().ok()?;
        let file = File::open(mark.path()).ok()?;
        // Where the lock can be had, its owner has ended.
        let ended = file.try_lock_shared().is_ok();
        let folder = fs::read_to_string(mark.path()).ok()?;
        (!ended).then(|| (port, PathBuf::from(folder)))
    });
    running.collect()
}
