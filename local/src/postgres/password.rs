//! The password of a server's one account.
//!
//! On a machine with other people, whoever could connect to a developer's server could run programs as
//! that developer (`copy … from program`). So it is a random one, kept where its owner alone can read
//! it, in the form of libpq's password file.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use launch::folders::Account;
use uuid::Uuid;

use super::cluster::remove;

/// Whoever connects over loopback must know the password; there is no other way to connect.
const ACCESS: &str = "host all all 127.0.0.1/32 scram-sha-256\n";

/// Matches every server: the port changes with each start.
const ANY_SERVER: &str = "*:*:*:postgres:";

/// The password file of the server in `folder`.
pub(super) fn file(folder: &Path) -> PathBuf {
    folder.join("pgpass")
}

/// The password, if the server has one.
pub(super) fn read(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(file(folder)).ok()?;
    Some(text.strip_prefix(ANY_SERVER)?.trim_end().to_owned())
}

/// The next start sets another.
pub(super) fn forget(folder: &Path) -> Result<()> {
    remove(&file(folder))
}

/// Gives the server in `folder`, which must not run, a new password, and lets nobody in without.
pub(super) fn set(programs: &Path, account: &Account, folder: &Path) -> Result<()> {
    let password = Uuid::new_v4().simple().to_string();
    let data = folder.join("data");
    let mut single = Command::new(programs.join("postgres"));
    single
        .args(["--single", "-D"])
        .arg(&data)
        .arg("postgres")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    account.run(&mut single);
    let mut single = single.spawn().context("cannot run postgres")?;
    let mut words = single.stdin.take().context("postgres has no input")?;
    // Not an argument, which others could read.
    writeln!(words, "alter role postgres password '{password}'")?;
    drop(words);
    let ended = single.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success() && !said.contains("ERROR"),
        "the database could not be given a password: {}",
        said.trim()
    );
    // Truncated, not made anew: it stays the account's.
    let mut access = File::create(data.join("pg_hba.conf"))?;
    access.write_all(ACCESS.as_bytes())?;
    remove(&file(folder))?;
    let mut kept = OpenOptions::new();
    let mut kept = kept
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file(folder))?;
    Ok(writeln!(kept, "{ANY_SERVER}{password}")?)
}
