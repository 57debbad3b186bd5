//! One process of a function's real binary.
//!
//! Owns the process, its port and where its output goes. Never restarts it and never interprets its
//! output: those are its owner's concerns. The process never outlives its owner.

use std::{
    net::Ipv4Addr,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Split},
    net::TcpStream,
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::{ports, watchdog};

/// How long a function may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(2);

/// The variables of a function's process.
#[derive(Clone, Debug)]
pub enum Environment {
    /// Our own, overridden by these.
    Inherited(Vec<(String, String)>),
    /// Only these, and `PATH`.
    Only(Vec<(String, String)>),
}

/// Takes each line that a function writes, on standard output or standard error.
pub type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

/// A running function; it is killed when this is dropped, or when the process that owns it ends.
#[derive(Debug)]
pub struct Function {
    port: u16,
    pid: Pid,
    watchdog: Child,
    /// The pipe whose end kills the function.
    leash: Option<OwnedFd>,
}

impl Function {
    /// Starts `binary` in the folder `cwd` and waits until it accepts connections.
    ///
    /// Must be called within a Tokio runtime, which then reads the function's output.
    ///
    /// # Errors
    ///
    /// With the function's output, if it ends or accepts no connection within ten seconds.
    pub async fn spawn(
        binary: &Path,
        environment: &Environment,
        cwd: &Path,
        on_line: OnLine,
    ) -> Result<Self> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::attempt(binary, environment, cwd, &on_line).await {
                Err(error)
                    if attempts < ports::ATTEMPTS && ports::was_taken(&format!("{error:#}")) => {}
                result => {
                    return result.with_context(|| format!("{} did not start", binary.display()));
                }
            }
        }
    }

    async fn attempt(
        binary: &Path,
        environment: &Environment,
        cwd: &Path,
        on_line: &OnLine,
    ) -> Result<Self> {
        let port = ports::free()?;
        let mut command = watchdog::command(binary.as_os_str(), Signal::SIGKILL, None);
        let variables = match environment {
            Environment::Inherited(variables) => variables,
            Environment::Only(variables) => {
                command
                    .env_clear()
                    .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
                variables
            }
        };
        command
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("VERCEL_DEV_PORT", port.to_string())
            .current_dir(cwd)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut watchdog = Command::from(command).spawn().context("cannot run sh")?;
        let leash = watchdog.stdin.take().context("no pipe")?.into_owned_fd()?;
        let mut stdout = lines(watchdog.stdout.take().context("no output")?);
        let stderr = lines(watchdog.stderr.take().context("no output")?);

        let pid = first_line(&mut stdout).await?;
        // Kept until the function runs, for an error's text.
        let start = Arc::new(Mutex::new(Some(String::new())));
        let readers = [
            tokio::spawn(read(stdout, Arc::clone(&start), Arc::clone(on_line))),
            tokio::spawn(read(stderr, Arc::clone(&start), Arc::clone(on_line))),
        ];
        let mut function = Self {
            port,
            pid,
            watchdog,
            leash: Some(leash),
        };
        let result = function.ready().await;
        if result.is_err() {
            function.leash = None;
            for reader in readers {
                // A grandchild may hold the output open.
                let _ = timeout(Duration::from_secs(1), reader).await;
            }
        }
        let output = start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .unwrap_or_default();
        result.with_context(|| format!("its output was:\n{output}"))?;
        Ok(function)
    }

    async fn ready(&mut self) -> Result<()> {
        let since = Instant::now();
        while since.elapsed() < START_LIMIT {
            // Look at the process first: another program may have the port that the function did
            // not get.
            if let Some(status) = self.watchdog.try_wait()? {
                bail!("it ended with {status}");
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                .await
                .is_ok()
            {
                return Ok(());
            }
            sleep(POLL).await;
        }
        bail!(
            "it accepted no connection on port {} in {} s",
            self.port,
            START_LIMIT.as_secs()
        )
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process id of the function itself.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether the process has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.watchdog.try_wait(), Ok(None))
    }

    /// Whether the process ends within `limit`.
    pub async fn ends_within(&mut self, limit: Duration) -> bool {
        timeout(limit, self.watchdog.wait()).await.is_ok()
    }

    /// Asks the function to end, as the platform does (SIGTERM), and kills it after `limit`.
    ///
    /// # Errors
    ///
    /// When the process cannot be waited for.
    pub async fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        if self.is_running() {
            let _ = kill(self.pid, Signal::SIGTERM);
        }
        if let Ok(status) = timeout(limit, self.watchdog.wait()).await {
            return Ok(status?);
        }
        self.leash = None;
        Ok(self.watchdog.wait().await?)
    }
}

fn lines<R: AsyncRead + Unpin>(output: R) -> Split<BufReader<R>> {
    BufReader::new(output).split(b'\n')
}

/// The first line is written by the watchdog: the process id of the function.
async fn first_line(stdout: &mut Split<BufReader<ChildStdout>>) -> Result<Pid> {
    let line = stdout.next_segment().await?.context("sh did not run")?;
    let line = String::from_utf8_lossy(&line);
    Ok(Pid::from_raw(
        line.parse()
            .with_context(|| format!("not a process id: {line}"))?,
    ))
}

async fn read<R: AsyncRead + Unpin>(
    mut lines: Split<BufReader<R>>,
    start: Arc<Mutex<Option<String>>>,
    on_line: OnLine,
) {
    while let Ok(Some(line)) = lines.next_segment().await {
        let line = String::from_utf8_lossy(&line);
        if let Some(start) = start
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            start.push_str(&line);
            start.push('\n');
        }
        on_line(&line);
    }
}
