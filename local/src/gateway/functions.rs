//! The functions' processes: each is started once, and again if it is needed after it has died.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::function::{Environment, Function, OnLine};

/// The functions by their names.
pub struct Functions {
    binaries: PathBuf,
    cwd: PathBuf,
    environment: Environment,
    log: Log,
    /// Locked while a function starts, so that requests that arrive meanwhile wait for that
    /// process.
    running: BTreeMap<String, Mutex<Option<Function>>>,
}

/// Takes each line that a function writes: its name and the line.
pub type Log = Arc<dyn Fn(&str, &str) + Send + Sync>;

impl Functions {
    /// Functions whose binaries are in the folder `binaries`, none of them started.
    #[must_use]
    pub fn new(
        names: Vec<String>,
        binaries: &Path,
        cwd: &Path,
        environment: Environment,
        log: Log,
    ) -> Self {
        let running = names
            .into_iter()
            .map(|name| (name, Mutex::default()))
            .collect();
        Self {
            binaries: binaries.to_owned(),
            cwd: cwd.to_owned(),
            environment,
            log,
            running,
        }
    }

    /// Starts those that are not running.
    ///
    /// # Errors
    ///
    /// With the output of the one that does not start.
    pub async fn start(&self) -> Result<()> {
        for name in self.running.keys() {
            self.url(name).await?;
        }
        Ok(())
    }

    /// A function's address; the function is started if it is not running.
    ///
    /// # Errors
    ///
    /// With its output, if it does not start.
    pub async fn url(&self, name: &str) -> Result<String> {
        let mut running = self
            .running
            .get(name)
            .with_context(|| format!("no function {name}"))?
            .lock()
            .await;
        if let Some(function) = running.as_mut()
            && function.is_running()
        {
            return Ok(function.url());
        }
        let (log, owned) = (Arc::clone(&self.log), name.to_owned());
        let on_line: OnLine = Arc::new(move |line: &str| log(&owned, line));
        if running.take().is_some() {
            on_line("it had ended; starting it again");
        }
        let binary = self.binaries.join(name);
        let function = Function::spawn(&binary, &self.environment, &self.cwd, on_line).await?;
        Ok(running.insert(function).url())
    }

    /// For a function that did not answer: whether it has died, and must be started again.
    ///
    /// A process releases its port a moment before it can be seen to have ended.
    pub(super) async fn has_died(&self, name: &str) -> bool {
        let Some(running) = self.running.get(name) else {
            return false;
        };
        match running.lock().await.as_mut() {
            Some(function) => function.ends_within(Duration::from_millis(500)).await,
            None => true,
        }
    }

    /// Ends all of them at once, as the platform does, and kills those still running after `limit`.
    pub async fn stop(&self, limit: Duration) {
        join_all(self.running.values().map(async |running| {
            if let Some(function) = running.lock().await.take() {
                let _ = function.terminate(limit).await;
            }
        }))
        .await;
    }
}
