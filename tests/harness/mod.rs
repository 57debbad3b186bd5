//! The world that the stories play in: the real function binaries, a real PostgreSQL with a
//! database for each test, and a model that speaks the wire protocol and follows a script.
//!
//! The machinery is here, so that a test's body is only the story. Nothing is skipped: if a part
//! cannot be started, the test fails.

pub mod chatkit;
mod client;
pub mod database;
pub mod embedding;
pub mod hot_key;
pub mod model;
mod proxy;
pub mod shelf;
pub mod site;
pub mod stream;
mod tls;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use local::function::{Environment, Function};
use serde_json::Value;

pub use client::{Reply, question};
pub use database::Database;
pub use model::ScriptedModel;
pub use proxy::{Fault, Proxy};
pub use tls::TlsFront;

/// The page that the functions of a world accept.
pub const PAGE: &str = "https://book.example";

/// An id that no conversation and no message has.
pub const UNKNOWN: &str = "0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e";

/// A key that must appear nowhere but in requests to the model.
pub const API_KEY: &str = "sk-test-8dY3secretKey";

/// A database, a model, and the settings that functions are started with.
pub struct World {
    pub database: Database,
    pub model: ScriptedModel,
    settings: Vec<(String, String)>,
}

impl World {
    /// A fresh database, and a model that answers everything with one sentence.
    pub async fn new() -> Self {
        let database = Database::new().await;
        let model = ScriptedModel::start();
        let settings = [
            ("OPENAI_API_KEY", API_KEY),
            ("OPENAI_BASE_URL", &model.base_url()),
            ("DATABASE_URL", &database.url),
            ("CORS_ORIGINS", &format!("{PAGE},https://*-team.vercel.app")),
            ("LOG_LEVEL", "trace"),
            // Most stories are told faster than the limits allow.
            ("RATE_LIMIT_NETWORK_PER_MINUTE", "0"),
            ("RATE_LIMIT_NETWORK_PER_DAY", "0"),
            ("RATE_LIMIT_CONVERSATION_PER_MINUTE", "0"),
            ("RATE_LIMIT_READS_PER_MINUTE", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            database,
            model,
            settings: settings.into(),
        }
    }

    /// The same, but its functions reach the database at this port, where something stands in
    /// front.
    pub async fn behind(port: u16) -> Self {
        let mut world = Self::new().await;
        world.set("DATABASE_URL", world.database.url_at(port));
        world
    }

    /// The same with a proxy in front of the database.
    pub async fn behind_proxy() -> (Self, Proxy) {
        let proxy = Proxy::start().await;
        (Self::behind(proxy.port).await, proxy)
    }

    /// The same with another setting; an empty value counts as absent.
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.set(name, value);
        self
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "tests pass numbers and texts as they come"
    )]
    pub fn set(&mut self, name: &str, value: impl ToString) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_string()));
    }

    /// The environment that functions are started with.
    pub fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    /// The same with a deployment's default limits.
    pub fn guarded(self) -> Self {
        self.with("RATE_LIMIT_NETWORK_PER_MINUTE", "")
            .with("RATE_LIMIT_NETWORK_PER_DAY", "")
            .with("RATE_LIMIT_CONVERSATION_PER_MINUTE", "")
            .with("RATE_LIMIT_READS_PER_MINUTE", "")
    }

    /// The same with so little time for the database that a fault is soon over; enough for two busy
    /// cores.
    pub fn hurried(self) -> Self {
        self.with("DATABASE_CONNECT_TIMEOUT_MS", 1_000)
            .with("DATABASE_WAIT_TIMEOUT_MS", 1_000)
            .with("DATABASE_STATEMENT_TIMEOUT_MS", 1_000)
    }

    /// Starts the function `chat`.
    pub async fn chat(&self) -> Running {
        self.start(env!("CARGO_BIN_EXE_chat")).await
    }

    /// Starts the function `chat` with another setting.
    pub async fn chat_with(&self, name: &str, value: impl ToString) -> Running {
        self.copy().with(name, value).chat().await
    }

    fn copy(&self) -> Self {
        Self {
            database: self.database.clone(),
            model: self.model.clone(),
            settings: self.settings.clone(),
        }
    }

    /// Starts the function `chat` after a command of the shell, whose process it becomes.
    pub async fn chat_after(&self, command: &str) -> Running {
        let script = tempfile::Builder::new().suffix(".sh").tempfile().unwrap();
        let chat = env!("CARGO_BIN_EXE_chat");
        let text = format!("#!/bin/sh\n{command}\nexec '{chat}'\n");
        std::fs::write(&script, text).unwrap();
        // Closed: nobody may run a file that somebody has open for writing.
        let script = script.into_temp_path();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&script, executable).unwrap();
        self.start(script.to_str().unwrap()).await
    }

    /// Starts the function `chatkit`.
    pub async fn chatkit(&self) -> Running {
        self.start(env!("CARGO_BIN_EXE_chatkit")).await
    }

    /// Starts the function `feedback`.
    pub async fn feedback(&self) -> Running {
        self.start(env!("CARGO_BIN_EXE_feedback")).await
    }

    /// Starts the function `feedback` with another setting.
    pub async fn feedback_with(&self, name: &str, value: impl ToString) -> Running {
        let world = self.copy().with(name, value);
        world.start(env!("CARGO_BIN_EXE_feedback")).await
    }

    /// Starts the function `refresh`.
    pub async fn refresh(&self) -> Running {
        self.start(env!("CARGO_BIN_EXE_refresh")).await
    }

    /// Starts the function `health`.
    pub async fn health(&self) -> Running {
        self.start(env!("CARGO_BIN_EXE_health")).await
    }

    async fn start(&self, binary: &str) -> Running {
        let log = Log::default();
        let lines = Arc::clone(&log);
        let on_line = Arc::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
        // A folder without a `.env`: a developer's own settings must not reach a test.
        let folder = std::env::temp_dir();
        let environment = Environment::Only(self.settings().to_vec());
        let function = Function::spawn(Path::new(binary), &environment, &folder, on_line)
            .await
            .unwrap();
        Running::new(function.url(), function, log)
    }
}

/// The lines that a function has written.
pub type Log = Arc<Mutex<Vec<String>>>;

/// A running function: its process, and its address.
pub struct Running<F = Function> {
    pub function: F,
    pub url: String,
    http: reqwest::Client,
    log: Log,
}

impl<F> Running<F> {
    pub fn new(url: String, function: F, log: Log) -> Self {
        let http = reqwest::Client::new();
        Self {
            function,
            url,
            http,
            log,
        }
    }

    /// Everything that the function has written so far.
    pub fn raw_log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The log line with this message; waits for it.
    pub async fn logged(&self, message: &str) -> Value {
        let found = eventually(async || {
            let log = self.log.lock().unwrap();
            let mut lines = log
                .iter()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.find(|line| line["message"] == message)
        });
        let found = found.await;
        found.unwrap_or_else(|| panic!("no line {message:?} in the log:\n{}", self.raw_log()))
    }
}

/// Sends a signal, by its name.
pub fn signal(pid: i32, name: &str) {
    let kill = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// Asks again and again until there is an answer; `None` after ten seconds.
pub async fn eventually<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while tokio::time::Instant::now() < deadline {
        if let Some(answer) = ask().await {
            return Some(answer);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    None
}
