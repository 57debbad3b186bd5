//! The settings: read from the environment once, checked all at once.
//!
//! A function starts whatever its settings are: a wrong one must not turn into an opaque failure
//! of the platform. [`Settings::from_environment`] therefore returns every problem, by variable,
//! and never a value: the values are secrets.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode};

use crate::cors::Origins;

/// What an instance runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The textbook that the assistant speaks for (`BOOK_TITLE`).
    pub book_title: String,
    /// The pages that may call (`CORS_ORIGINS`).
    pub origins: Origins,
    /// What a question may hold.
    pub limits: Limits,
    /// Messages of the conversation that the model is shown before the current one
    /// (`HISTORY_MESSAGES`). More of them cost tokens on every turn.
    pub history_messages: u32,
    /// The model.
    pub model: ModelSettings,
    /// The database.
    pub database: DatabaseSettings,
}

/// What a question may hold, in Unicode characters.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `MAX_MESSAGE_CHARS`
    pub message: usize,
    /// `MAX_SELECTED_TEXT_CHARS`
    pub selected_text: usize,
}

/// How the model is called.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// `OPENAI_API_KEY`
    pub api_key: SecretString,
    /// `OPENAI_BASE_URL`: up to and without `/chat/completions`.
    pub base_url: String,
    /// `OPENAI_MODEL`
    pub name: String,
    /// `OPENAI_REASONING_EFFORT`: `None` leaves it out of the request, which models that do not
    /// reason insist on.
    pub reasoning_effort: Option<String>,
    /// `MAX_COMPLETION_TOKENS`: caps an answer's length, and with it its time and its price.
    pub max_completion_tokens: u32,
    /// `LLM_CONNECT_TIMEOUT_MS`
    pub connect_timeout: Duration,
    /// `LLM_FIRST_BYTE_TIMEOUT_MS`: from the request to the first piece of the answer. Too short
    /// fails turns of a busy model, too long leaves readers waiting for a dead one.
    pub first_byte_timeout: Duration,
    /// `LLM_TIMEOUT_MS`: from the request to the end of the answer. Keep it below the
    /// `maxDuration` of `vercel.json`, else the platform ends the turn without an answer.
    pub timeout: Duration,
}

/// How the database is reached.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`, parsed. Its `Debug` leaves the password out.
    pub postgres: tokio_postgres::Config,
    /// `DATABASE_POOL_SIZE`: connections an instance. A turn holds one for milliseconds, so a few
    /// carry hundreds of turns; many instances together must stay below the server's limit.
    pub pool_size: usize,
    /// `DATABASE_CONNECT_TIMEOUT_MS`: a sleeping Neon needs about a second.
    pub connect_timeout: Duration,
    /// `DATABASE_WAIT_TIMEOUT_MS`: for a free connection of the pool.
    pub wait_timeout: Duration,
    /// `DATABASE_STATEMENT_TIMEOUT_MS`: a statement that takes longer fails, and its connection
    /// is thrown away.
    pub statement_timeout: Duration,
}

/// A setting that is missing or malformed. Names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The environment variable.
    pub variable: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Every [`Problem`] of an environment.
#[derive(Debug, Clone)]
pub struct Problems {
    /// At least one.
    pub problems: Vec<Problem>,
    /// The origins where they are right, so that their pages can read what is wrong.
    pub origins: Origins,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{} {}", problem.variable, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The variables as they stand, so that one bad one does not hide the next.
#[derive(Deserialize)]
struct Environment {
    openai_api_key: Option<String>,
    database_url: Option<String>,
    cors_origins: Option<String>,
    openai_base_url: Option<String>,
    openai_model: Option<String>,
    openai_reasoning_effort: Option<String>,
    book_title: Option<String>,
    max_message_chars: Option<String>,
    max_selected_text_chars: Option<String>,
    history_messages: Option<String>,
    max_completion_tokens: Option<String>,
    llm_connect_timeout_ms: Option<String>,
    llm_first_byte_timeout_ms: Option<String>,
    llm_timeout_ms: Option<String>,
    database_pool_size: Option<String>,
    database_connect_timeout_ms: Option<String>,
    database_wait_timeout_ms: Option<String>,
    database_statement_timeout_ms: Option<String>,
}

/// Reads `.env` of the working directory where there is one, for local runs. It never overrides
/// the real environment.
///
/// # Errors
///
/// Says that the file is malformed, without quoting it; what stands before that place is read.
pub fn load_dotenv() -> Result<(), &'static str> {
    match dotenvy::from_path(".env") {
        Err(dotenvy::Error::LineParse(..)) => Err(
            ".env is malformed, and the rest of it is ignored: put values with spaces in quotes",
        ),
        // No such file is the ordinary case.
        _ => Ok(()),
    }
}

/// The environment's variables; one that is not Unicode cannot be a setting of ours.
fn unicode_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
}

impl Settings {
    /// Reads the settings from the process's environment.
    ///
    /// # Errors
    ///
    /// Every variable that is missing or malformed.
    pub fn from_environment() -> Result<Self, Problems> {
        Self::from_variables(unicode_variables())
    }

    /// Reads the settings from these variables. An empty value counts as absent.
    ///
    /// # Errors
    ///
    /// Every variable that is missing or malformed.
    pub fn from_variables(
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Problems> {
        let variables = variables.filter(|(_, value)| !value.trim().is_empty());
        let raw: Environment = envy::from_iter(variables).map_err(|error| {
            let message = error.to_string();
            let problems = vec![Problem {
                variable: "environment",
                message,
            }];
            Problems {
                problems,
                origins: Origins::default(),
            }
        })?;
        let mut check = Check(Vec::new());
        let api_key = check.required("OPENAI_API_KEY", raw.openai_api_key, key);
        let postgres = check.required("DATABASE_URL", raw.database_url, database_url);
        let origins = check.required("CORS_ORIGINS", raw.cors_origins, |s| Origins::parse(&s));
        let limits = Limits {
            message: check.number("MAX_MESSAGE_CHARS", raw.max_message_chars, 4_000),
            selected_text: check.number(
                "MAX_SELECTED_TEXT_CHARS",
                raw.max_selected_text_chars,
                20_000,
            ),
        };
        let history_messages = check.number("HISTORY_MESSAGES", raw.history_messages, 10);
        let max_completion_tokens =
            check.number("MAX_COMPLETION_TOKENS", raw.max_completion_tokens, 800);
        let mut time = |variable, value, default| {
            Duration::from_millis(check.number(variable, value, default))
        };
        let llm_connect = time("LLM_CONNECT_TIMEOUT_MS", raw.llm_connect_timeout_ms, 5_000);
        let llm_first_byte = time(
            "LLM_FIRST_BYTE_TIMEOUT_MS",
            raw.llm_first_byte_timeout_ms,
            15_000,
        );
        let llm = time("LLM_TIMEOUT_MS", raw.llm_timeout_ms, 25_000);
        let database_connect = time(
            "DATABASE_CONNECT_TIMEOUT_MS",
            raw.database_connect_timeout_ms,
            5_000,
        );
        let database_wait = time(
            "DATABASE_WAIT_TIMEOUT_MS",
            raw.database_wait_timeout_ms,
            5_000,
        );
        let database_statement = time(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            raw.database_statement_timeout_ms,
            5_000,
        );
        let base_url = raw
            .openai_base_url
            .unwrap_or_else(|| "https://api.openai.com/v1".into());
        let base_url = check.required("OPENAI_BASE_URL", Some(base_url), check_base_url);
        let pool_size = check.number("DATABASE_POOL_SIZE", raw.database_pool_size, 4);

        let (Some(api_key), Some(postgres), Some(origins), Some(base_url), true) = (
            api_key,
            postgres,
            origins.clone(),
            base_url,
            check.0.is_empty(),
        ) else {
            return Err(Problems {
                problems: check.0,
                origins: origins.unwrap_or_default(),
            });
        };
        Ok(Self {
            book_title: raw
                .book_title
                .unwrap_or_else(|| "Physical AI & Humanoid Robotics".into()),
            origins,
            limits,
            history_messages,
            model: ModelSettings {
                api_key,
                base_url,
                name: raw.openai_model.unwrap_or_else(|| "gpt-5.4-mini".into()),
                reasoning_effort: match raw.openai_reasoning_effort.as_deref() {
                    None => Some("none".into()),
                    Some("omit") => None,
                    Some(effort) => Some(effort.into()),
                },
                max_completion_tokens,
                connect_timeout: llm_connect,
                first_byte_timeout: llm_first_byte,
                timeout: llm,
            },
            database: DatabaseSettings {
                postgres,
                pool_size,
                connect_timeout: database_connect,
                wait_timeout: database_wait,
                statement_timeout: database_statement,
            },
        })
    }
}

/// Reads one variable after the other and keeps what is wrong.
struct Check(Vec<Problem>);

impl Check {
    fn required<T>(
        &mut self,
        variable: &'static str,
        value: Option<String>,
        parse: impl FnOnce(String) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = value.ok_or_else(|| "is missing".into()).and_then(parse);
        parsed
            .map_err(|message| self.0.push(Problem { variable, message }))
            .ok()
    }

    /// A positive whole number.
    fn number<T: FromStr + Copy + Default + PartialOrd>(
        &mut self,
        variable: &'static str,
        value: Option<String>,
        default: T,
    ) -> T {
        let Some(value) = value else { return default };
        match value.trim().parse() {
            Ok(number) if number > T::default() => number,
            _ => {
                let message = "must be a whole number above 0".into();
                self.0.push(Problem { variable, message });
                default
            }
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `Check::required` calls"
)]
fn key(text: String) -> Result<SecretString, String> {
    // It travels in a header: whatever is not visible ASCII came in by a slip of the paste.
    if text.trim().bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.trim().into())
    } else {
        Err("holds characters that no key has; paste it again".into())
    }
}

/// Parses a PostgreSQL URL.
///
/// A host that is not this machine is reached over TLS, whatever `sslmode` says short of
/// `disable`: with `prefer`, the driver's default, anybody on the way could switch it off.
///
/// # Errors
///
/// Says what is wrong, never a part of the URL: a slip of the paste puts the password anywhere.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `Check::required` calls"
)]
pub fn database_url(url: String) -> Result<tokio_postgres::Config, String> {
    let url = url.trim();
    if !url.starts_with("postgresql://") && !url.starts_with("postgres://") {
        return Err("must begin with postgresql:// (no quotes, nothing in front)".into());
    }
    if url.contains("sslmode=verify") {
        return Err("must say sslmode=require: certificates are verified with it".into());
    }
    let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
        "is not a PostgreSQL URL: postgresql://user:password@host/database?sslmode=require, \
         with special characters of the password percent-encoded"
    })?;
    if config.get_hosts().is_empty() {
        return Err("names no host".into());
    }
    if config.get_ssl_mode() == SslMode::Prefer && !config.get_hosts().iter().all(is_here) {
        config.ssl_mode(SslMode::Require);
    }
    Ok(config)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// Checks the URL of a model's API.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `Check::required` calls"
)]
fn check_base_url(url: String) -> Result<String, String> {
    let uri: Option<http::Uri> = url.trim().parse().ok();
    let right = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
    });
    if right {
        Ok(url.trim().trim_end_matches('/').to_owned())
    } else {
        Err("must be a URL such as https://api.openai.com/v1".into())
    }
}
