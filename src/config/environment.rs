//! Reading the settings from the environment: each variable is listed here once, with its default
//! and its check.
//!
//! What a setting means is said in [`super`]; how a value is checked, in `check`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::book::BookSettings;
use super::check::{Check, base_url, database_url, key};
use super::dotenv;
use super::{
    DatabaseSettings, ModelSettings, Prices, Problems, QuestionLimits, RateLimits, Settings,
};
use crate::caller::Proxy;
use crate::cors::Origins;
use crate::prompt;
use crate::pseudonym::Pseudonyms;

/// The longest prompt by default, in characters, unless the longest question needs more.
const MAX_PROMPT_CHARS: usize = 48_000;

/// Reads the working directory's `.env`, if there is one, for local runs. It never overrides
/// the real environment.
///
/// # Errors
///
/// Says which line of the file is malformed, without quoting it; what precedes that line is read.
pub fn load_dotenv() -> Result<(), String> {
    // No such file is the ordinary case.
    let Err(dotenvy::Error::LineParse(..)) = dotenvy::from_path(".env") else {
        return Ok(());
    };
    let text = std::fs::read_to_string(".env").unwrap_or_default();
    let problem = dotenv::variables(&text).find_map(Result::err);
    let problem = problem.unwrap_or_else(|| ".env is malformed".to_owned());
    Err(format!("{problem} (the file is ignored from there on)"))
}

/// The environment's variables; one that is not Unicode cannot be one of our settings.
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
        let mut check = Check::new(variables);
        let api_key = check.required("OPENAI_API_KEY", key);
        let postgres = check.required("DATABASE_URL", database_url);
        let origins = check.required("CORS_ORIGINS", Origins::parse);
        let question_limits = QuestionLimits {
            message: check.number("MAX_MESSAGE_CHARS", 4_000),
            selected_text: check.number("MAX_SELECTED_TEXT_CHARS", 20_000),
        };
        let max_prompt_chars = max_prompt_chars(&mut check, question_limits);
        let history_messages = check.number("HISTORY_MESSAGES", 10);
        let rate_limits = RateLimits::read(&mut check);
        // Billionths of a dollar per token are thousandths of a dollar per million tokens.
        let prices = Prices {
            input: check.dollars("PRICE_INPUT_USD_PER_MILLION", 0.75, 1e3),
            output: check.dollars("PRICE_OUTPUT_USD_PER_MILLION", 4.5, 1e3),
        };
        let proxy = proxy(&mut check);
        let moderation = check.one_of("MODERATION", ["off", "input"]) == "input";
        let model = model(&mut check, api_key);
        let database = database(&mut check, postgres);
        let book = BookSettings::read(&mut check);
        let book_title = check.text("BOOK_TITLE", "Physical AI & Humanoid Robotics");

        // Once nothing is wrong, none of them is a placeholder.
        let origins = origins.unwrap_or_default();
        check.done(&origins)?;
        let secret = model.api_key.expose_secret();
        let pseudonyms = Pseudonyms::new(format!("textbook-chat pseudonyms {secret}").into());
        Ok(Self {
            book_title,
            origins,
            question_limits,
            history_messages,
            max_prompt_chars,
            rate_limits,
            prices,
            proxy,
            pseudonyms,
            moderation,
            book,
            model,
            database,
        })
    }
}

fn model(check: &mut Check, api_key: Option<SecretString>) -> ModelSettings {
    let base_url = check.parsed("OPENAI_BASE_URL", "https://api.openai.com/v1", base_url);
    ModelSettings {
        api_key: api_key.unwrap_or_default(),
        base_url: base_url.unwrap_or_default(),
        name: check.text("OPENAI_MODEL", "gpt-5.4-mini"),
        reasoning_effort: Some(check.text("OPENAI_REASONING_EFFORT", "none"))
            .filter(|effort| effort != "omit"),
        max_completion_tokens: check.number("MAX_COMPLETION_TOKENS", 800),
        connect_timeout: milliseconds(check, "LLM_CONNECT_TIMEOUT_MS", 5_000),
        first_byte_timeout: milliseconds(check, "LLM_FIRST_BYTE_TIMEOUT_MS", 15_000),
        timeout: milliseconds(check, "LLM_TIMEOUT_MS", 25_000),
    }
}

fn database(check: &mut Check, postgres: Option<tokio_postgres::Config>) -> DatabaseSettings {
    DatabaseSettings {
        postgres: postgres.unwrap_or_default(),
        pool_size: check.number("DATABASE_POOL_SIZE", 4),
        connect_timeout: milliseconds(check, "DATABASE_CONNECT_TIMEOUT_MS", 5_000),
        wait_timeout: milliseconds(check, "DATABASE_WAIT_TIMEOUT_MS", 5_000),
        statement_timeout: milliseconds(check, "DATABASE_STATEMENT_TIMEOUT_MS", 5_000),
    }
}

fn milliseconds(check: &mut Check, variable: &'static str, default: u64) -> Duration {
    Duration::from_millis(check.number(variable, default))
}

/// What the operator's program for the book works with.
#[derive(Debug)]
pub struct BookProgram {
    /// The database.
    pub database: Option<DatabaseSettings>,
    /// The provider of embeddings, where there is a key.
    pub model: Option<ModelSettings>,
    /// The book.
    pub book: BookSettings,
}

impl BookProgram {
    /// Reads the settings from the process's environment: those of the functions, of which a program
    /// needs fewer.
    ///
    /// # Errors
    ///
    /// Every variable that is malformed.
    pub fn from_environment() -> Result<Self, Problems> {
        let mut check = Check::new(unicode_variables());
        let direct = ["DATABASE_URL_UNPOOLED", "DATABASE_URL"];
        let url = direct.into_iter().find(|name| check.value(name).is_some());
        let postgres = url.and_then(|name| check.required(name, database_url));
        let given = check.value("OPENAI_API_KEY").is_some();
        let api_key = given
            .then(|| check.required("OPENAI_API_KEY", key))
            .flatten();
        let settings = Self {
            database: postgres.map(|postgres| database(&mut check, Some(postgres))),
            model: api_key.map(|key| model(&mut check, Some(key))),
            book: BookSettings::read(&mut check),
        };
        check.done(&Origins::default())?;
        Ok(settings)
    }
}

fn max_prompt_chars(check: &mut Check, limits: QuestionLimits) -> usize {
    const VARIABLE: &str = "MAX_PROMPT_CHARS";
    const MORE: usize = prompt::INSTRUCTION_CHARS;
    let question = limits.message.saturating_add(limits.selected_text);
    let least = question.saturating_add(MORE);
    let longest = check.number(VARIABLE, least.max(MAX_PROMPT_CHARS));
    if longest < least {
        let (thousands, rest) = (MORE / 1_000, MORE % 1_000);
        let message = format!(
            "must hold the longest message and passage, and {thousands},{rest:03} characters more"
        );
        check.wrong(VARIABLE, message);
    }
    longest
}

fn proxy(check: &mut Check) -> Option<Proxy> {
    const HEADER: &str = "CLIENT_IP_HEADER";
    const SECRET: &str = "PROXY_SECRET";
    match (check.value(HEADER).is_some(), check.value(SECRET)) {
        (false, None) => None,
        (true, Some(secret)) => {
            let secret = secret.trim().into();
            let header = check.required(HEADER, |name| {
                let name = name.trim().to_ascii_lowercase();
                name.parse()
                    .map_err(|_| "must be the name of a header".into())
            })?;
            Some(Proxy { header, secret })
        }
        (true, None) => {
            let message = "is missing: without it CLIENT_IP_HEADER could be forged";
            check.wrong(SECRET, message);
            None
        }
        (false, Some(_)) => {
            check.wrong(HEADER, "is missing beside PROXY_SECRET");
            None
        }
    }
}
