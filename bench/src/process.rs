//! One process that is measured.
//!
//! Owns the process, its port, and what the kernel says about it. Its output is discarded, because
//! reading it would be measured, too. The process ends when this is dropped.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// How long a program may take until it listens; callgrind makes it fifty times as slow.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Short compared with what is measured, long enough not to load the processors.
const POLL: Duration = Duration::from_micros(200);
/// Linux reports times in these ticks, whatever the kernel's own are.
const TICK: Duration = Duration::from_millis(10);

/// Names and values.
pub type Environment = Vec<(String, String)>;

/// A running program.
pub struct Process {
    pub port: u16,
    pub child: Child,
    pub started: Instant,
    /// From its start until it listened.
    pub listening: Duration,
    pid: u32,
}

impl Process {
    /// Starts a program with only these variables and waits until it listens.
    pub async fn start(program: &Path, environment: &Environment) -> Result<Self> {
        Self::start_under(&[], program, environment).await
    }

    /// The same under another program, which takes it as its last argument.
    pub async fn start_under(
        wrapper: &[&str],
        program: &Path,
        environment: &Environment,
    ) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let mut command = match wrapper.split_first() {
            Some((wrapper, arguments)) => {
                let mut command = Command::new(wrapper);
                command.args(arguments).arg(program);
                command
            }
            None => Command::new(program),
        };
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("VERCEL_DEV_PORT", port.to_string())
            // A folder without a `.env`.
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("cannot run {}", program.display()))?;
        // On a thread of its own: a runtime's timers are too coarse for this.
        let wait = move || {
            while started.elapsed() < START_LIMIT {
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Ok(started.elapsed());
                }
                thread::sleep(POLL);
            }
            bail!("it does not listen")
        };
        let listening = tokio::task::spawn_blocking(wait).await?;
        let listening = listening.with_context(|| program.display().to_string())?;
        let pid = child.id().context("it has ended")?;
        Ok(Self {
            port,
            child,
            started,
            listening,
            pid,
        })
    }

    /// The processor time used so far.
    pub fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // Counted from behind the program's name, which may hold anything: fields 14 and 15 of all.
        let (_, fields) = stat.rsplit_once(')').context("no name")?;
        let mut ticks = 0;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u32>()?;
        }
        Ok(TICK * ticks)
    }

    /// The memory that it occupies, in megabytes.
    pub fn resident(&self) -> Result<f64> {
        let status = self.proc("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kilobytes.context("no VmRSS")?.parse::<f64>()? / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.pid);
        fs::read_to_string(&path).with_context(|| format!("{path}: the process is gone"))
    }
}
