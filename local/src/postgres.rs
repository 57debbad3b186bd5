//! A PostgreSQL server of our own, on loopback.
//!
//! Owns a server's folder and its process. The server never outlives the process that started it,
//! even if that is killed. Knows nothing of what is stored: schemas and data are the callers'.
//!
//! A server's folder holds `data` (the cluster), `server.log`, and `pgpass` where it wants a password:
//! one that lives for a test does not. The log is locked as long as any
//! process of the server lives, so that two servers never share one folder.

mod cluster;
mod password;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use launch::{
    folders::{self, Account},
    postgres,
};

use crate::ports;
use cluster::{Kind, Process};

/// A running server; it ends when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Server {
    programs: PathBuf,
    folder: PathBuf,
    process: Option<Process>,
    port: u16,
}

impl Server {
    /// Starts the server whose data are in `folder`; initialises the folder if it has none.
    ///
    /// # Errors
    ///
    /// If another process runs it already, or if it does not start: says what to do.
    pub fn persistent(folder: &Path) -> Result<Self> {
        folders::make(folder)?;
        Self::start(Kind::Persistent, || Ok(folder.to_owned()))
    }

    /// Starts a server with no data, tuned for tests; its folder is removed when it ends.
    ///
    /// # Errors
    ///
    /// If it does not start: says what to do.
    pub fn temporary() -> Result<Self> {
        let parent = folders::temporary();
        Self::start(Kind::Temporary, || {
            let folder = tempfile::Builder::new()
                .prefix("textbook-chat-")
                .tempdir_in(&parent);
            // The server's watchdog removes it, because this process may be killed.
            Ok(folder
                .with_context(|| format!("cannot make a folder in {}", parent.display()))?
                .keep())
        })
    }

    fn start(kind: Kind, folder: impl Fn() -> Result<PathBuf>) -> Result<Self> {
        let programs = postgres::find(&folders::cache()?)?;
        let account = Account::choose()?;
        let mut attempts = 0;
        loop {
            let folder = folder()?;
            account.own(&folder)?;
            match cluster::start(&programs, &account, &folder, kind) {
                Ok(process) => {
                    return Ok(Self {
                        programs,
                        folder,
                        port: process.port,
                        process: Some(process),
                    });
                }
                Err(error) => {
                    if kind == Kind::Temporary {
                        cluster::remove(&folder)?;
                    }
                    attempts += 1;
                    if attempts == ports::ATTEMPTS || !ports::was_taken(&format!("{error:#}")) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Removes the data of the server in `folder`, to begin anew.
    ///
    /// # Errors
    ///
    /// When the server runs, or the data cannot be removed.
    pub fn erase(folder: &Path) -> Result<()> {
        if !folder.exists() {
            return Ok(());
        }
        let _lock = cluster::lock(folder)?;
        cluster::remove(&folder.join("data"))
    }

    /// The URL of `database` on this server.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_at(self.port, database)
    }

    /// The URL of `database` behind a proxy on this machine.
    #[must_use]
    pub fn url_at(&self, port: u16, database: &str) -> String {
        let password = password::read(&self.folder);
        let password = password.map(|it| format!(":{it}")).unwrap_or_default();
        format!("postgresql://postgres{password}@127.0.0.1:{port}/{database}")
    }

    /// A command that opens `database` in a terminal. The password is in no argument of it, where other
    /// people on this machine could see it.
    #[must_use]
    pub fn psql(&self, database: &str) -> String {
        format!(
            "PGPASSFILE='{}' {} -h 127.0.0.1 -p {} -U postgres {database}",
            password::file(&self.folder).display(),
            self.programs.join("psql").display(),
            self.port
        )
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that holds the data and the log.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs SQL in `database` and returns what it prints, a row a line, fields separated by `|`.
    ///
    /// # Errors
    ///
    /// With the server's message, if it refuses.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"])
            .args(["--set=ON_ERROR_STOP=1", "--command", sql])
            .args(["--host=127.0.0.1", "--username=postgres", "--no-password"])
            .args(["--port", &self.port.to_string(), database])
            .env("PGPASSFILE", password::file(&self.folder))
            .output()
            .with_context(|| format!("cannot run psql of {}", self.programs.display()))?;
        ensure!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned())
    }

    /// Makes a database, empty or as a copy of `template` (to which nobody may be connected).
    ///
    /// # Errors
    ///
    /// When it exists, or the template is in use.
    pub fn create_database(&self, name: &str, template: Option<&str>) -> Result<()> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let template = template
            .map(|it| format!(" TEMPLATE {}", quoted(it)))
            .unwrap_or_default();
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {}{template}", quoted(name)),
        )?;
        Ok(())
    }

    /// Whether `database` is there.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub fn has_database(&self, database: &str) -> Result<bool> {
        let names = self.sql("postgres", "SELECT datname FROM pg_database")?;
        Ok(names.lines().any(|name| name == database))
    }

    /// Ends the server and waits until nothing of it is left.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop();
        }
    }
}
