//! The settings: read from the environment once, checked all at once.
//!
//! A function starts whatever its settings are: a wrong one must not turn into an opaque failure of
//! the platform. [`Settings::from_environment`] therefore returns every problem, by variable, and
//! never a value: values may be secrets.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use crate::caller::Proxy;
use crate::cors::Origins;
use crate::pseudonym::Pseudonyms;

mod book;
mod check;
mod dotenv;
mod environment;
mod limits;
#[cfg(test)]
mod tests;

pub use book::BookSettings;
pub use check::database_url;
pub use environment::{BookProgram, load_dotenv};
pub use limits::RateLimits;

/// What an instance runs with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The textbook that the assistant speaks for (`BOOK_TITLE`).
    pub book_title: String,
    /// The pages that may call (`CORS_ORIGINS`).
    pub origins: Origins,
    /// What a question may hold.
    pub question_limits: QuestionLimits,
    /// Messages of the conversation that the model is shown before the current one
    /// (`HISTORY_MESSAGES`). More of them cost tokens on every turn.
    pub history_messages: u32,
    /// The longest prompt, in characters (`MAX_PROMPT_CHARS`): older messages are left out until
    /// it fits. It must hold the longest question with the longest passage.
    pub max_prompt_chars: usize,
    /// What a network, a conversation and a day may use.
    pub rate_limits: RateLimits,
    /// What the model costs.
    pub prices: Prices,
    /// A proxy in front of the platform that is trusted to name a client's address.
    pub proxy: Option<Proxy>,
    /// The names under which networks and conversations are known elsewhere. Their key is derived
    /// from the model's: it is secret, and the same in every instance.
    pub pseudonyms: Pseudonyms,
    /// Whether questions are moderated before they are answered (`MODERATION=input`).
    pub moderation: bool,
    /// The book that answers rest on.
    pub book: BookSettings,
    /// The model.
    pub model: ModelSettings,
    /// The database.
    pub database: DatabaseSettings,
}

/// What a question may hold, in Unicode characters.
#[derive(Debug, Clone, Copy)]
pub struct QuestionLimits {
    /// `MAX_MESSAGE_CHARS`
    pub message: usize,
    /// `MAX_SELECTED_TEXT_CHARS`
    pub selected_text: usize,
}

/// What an answer may say that the book does not (`OUTSIDE_KNOWLEDGE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutsideKnowledge {
    /// What the model knows, clearly apart from what the book says.
    Marked,
    /// Nothing.
    Off,
}

/// What the model costs, in billionths of a dollar per token: a thousand times the price in dollars
/// per million tokens, which is how providers state it.
#[derive(Debug, Clone, Copy)]
pub struct Prices {
    /// A token of the prompt (`PRICE_INPUT_USD_PER_MILLION`).
    pub input: i64,
    /// A token of the answer (`PRICE_OUTPUT_USD_PER_MILLION`).
    pub output: i64,
}

/// How the model is called.
#[derive(Debug, Clone)]
pub struct ModelSettings {
    /// `OPENAI_API_KEY`
    pub api_key: SecretString,
    /// `OPENAI_BASE_URL`: up to, but not including, `/chat/completions`.
    pub base_url: String,
    /// `OPENAI_MODEL`
    pub name: String,
    /// `OPENAI_REASONING_EFFORT`: `None` leaves it out of the request, as models that do not reason
    /// require.
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
    /// `DATABASE_POOL_SIZE`: connections per instance. Statements share them, so a few carry
    /// hundreds of turns; many instances together must stay below the server's limit.
    pub pool_size: usize,
    /// `DATABASE_CONNECT_TIMEOUT_MS`: a sleeping Neon needs about a second.
    pub connect_timeout: Duration,
    /// `DATABASE_WAIT_TIMEOUT_MS`: how long to wait for a place on a connection.
    pub wait_timeout: Duration,
    /// `DATABASE_STATEMENT_TIMEOUT_MS`: a statement that takes longer is tried again on another
    /// connection, in the time that connecting may take besides.
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
    /// The origins, if they are valid, so that their pages can read what is wrong.
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
