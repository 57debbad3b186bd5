//! Reading the settings from the environment: each variable's name and default.
//!
//! What a setting means stands in [`super`]; how a value is checked, in `check`.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::check::{Check, base_url, database_url, key};
use super::{
    DatabaseSettings, ModelSettings, Prices, Problem, Problems, QuestionLimits, RateLimits,
    Settings,
};
use crate::caller::Proxy;
use crate::cors::Origins;
use crate::prompt;
use crate::pseudonym::Pseudonyms;

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
    max_prompt_chars: Option<String>,
    rate_limit_network_burst: Option<String>,
    rate_limit_network_per_minute: Option<String>,
    rate_limit_network_per_day: Option<String>,
    rate_limit_conversation_per_minute: Option<String>,
    daily_budget_usd: Option<String>,
    price_input_usd_per_million: Option<String>,
    price_output_usd_per_million: Option<String>,
    max_turns_in_flight: Option<String>,
    client_ip_header: Option<String>,
    proxy_secret: Option<String>,
    moderation: Option<String>,
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
        let mut raw: Environment = envy::from_iter(variables).map_err(|error| {
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
        let api_key = check.required("OPENAI_API_KEY", raw.openai_api_key.take(), key);
        let postgres = check.required("DATABASE_URL", raw.database_url.take(), database_url);
        let origins = check.required("CORS_ORIGINS", raw.cors_origins.take(), |s| {
            Origins::parse(&s)
        });
        let limits = QuestionLimits {
            message: check.number("MAX_MESSAGE_CHARS", raw.max_message_chars.take(), 4_000),
            selected_text: check.number(
                "MAX_SELECTED_TEXT_CHARS",
                raw.max_selected_text_chars.take(),
                20_000,
            ),
        };
        let max_prompt_chars = check.prompt(raw.max_prompt_chars.take(), limits);
        let history_messages = check.number("HISTORY_MESSAGES", raw.history_messages.take(), 10);
        let guard = check.guard(&mut raw);
        let prices = check.prices(&mut raw);
        let proxy = check.proxy(raw.client_ip_header.take(), raw.proxy_secret.take());
        let moderation = check.moderation(raw.moderation.as_deref());
        let model = check.model(&mut raw, api_key.clone());
        let database = check.database(&mut raw, postgres);

        let (Some(api_key), Some(origins), Some(model), Some(database), true) = (
            api_key,
            origins.clone(),
            model,
            database,
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
            question_limits: limits,
            history_messages,
            max_prompt_chars,
            rate_limits: guard,
            prices,
            proxy,
            pseudonyms: Pseudonyms::new(
                format!("textbook-chat pseudonyms {}", api_key.expose_secret()).into(),
            ),
            moderation,
            model,
            database,
        })
    }
}

impl Check {
    fn prompt(&mut self, value: Option<String>, limits: QuestionLimits) -> usize {
        let least = limits.message + limits.selected_text + prompt::INSTRUCTION_CHARS;
        let longest = self.number("MAX_PROMPT_CHARS", value, least.max(48_000));
        if longest < least {
            self.wrong(
                "MAX_PROMPT_CHARS",
                "must hold the longest message and passage, and 4,000 characters more",
            );
        }
        longest
    }

    fn guard(&mut self, raw: &mut Environment) -> RateLimits {
        RateLimits {
            network_burst: self.limit(
                "RATE_LIMIT_NETWORK_BURST",
                raw.rate_limit_network_burst.take(),
                30,
            ),
            network_per_minute: self.limit(
                "RATE_LIMIT_NETWORK_PER_MINUTE",
                raw.rate_limit_network_per_minute.take(),
                30,
            ),
            network_per_day: self.limit(
                "RATE_LIMIT_NETWORK_PER_DAY",
                raw.rate_limit_network_per_day.take(),
                500,
            ),
            conversation_per_minute: self.limit(
                "RATE_LIMIT_CONVERSATION_PER_MINUTE",
                raw.rate_limit_conversation_per_minute.take(),
                5,
            ),
            daily_budget: self.dollars("DAILY_BUDGET_USD", raw.daily_budget_usd.take(), 5.0, 1e9),
            turns_in_flight: self.limit("MAX_TURNS_IN_FLIGHT", raw.max_turns_in_flight.take(), 512),
        }
    }

    /// Billionths of a dollar a token are thousandths of dollars a million tokens.
    fn prices(&mut self, raw: &mut Environment) -> Prices {
        Prices {
            input: self.dollars(
                "PRICE_INPUT_USD_PER_MILLION",
                raw.price_input_usd_per_million.take(),
                0.75,
                1e3,
            ),
            output: self.dollars(
                "PRICE_OUTPUT_USD_PER_MILLION",
                raw.price_output_usd_per_million.take(),
                4.5,
                1e3,
            ),
        }
    }

    fn moderation(&mut self, value: Option<&str>) -> bool {
        if !matches!(value, None | Some("off" | "input")) {
            self.wrong("MODERATION", "must be off or input");
        }
        value == Some("input")
    }

    fn model(
        &mut self,
        raw: &mut Environment,
        api_key: Option<SecretString>,
    ) -> Option<ModelSettings> {
        let url = raw.openai_base_url.take();
        let url = url.unwrap_or_else(|| "https://api.openai.com/v1".into());
        let base_url = self.required("OPENAI_BASE_URL", Some(url), base_url);
        let max_completion_tokens = self.number(
            "MAX_COMPLETION_TOKENS",
            raw.max_completion_tokens.take(),
            800,
        );
        let connect_timeout = self.time(
            "LLM_CONNECT_TIMEOUT_MS",
            raw.llm_connect_timeout_ms.take(),
            5_000,
        );
        let first_byte_timeout = self.time(
            "LLM_FIRST_BYTE_TIMEOUT_MS",
            raw.llm_first_byte_timeout_ms.take(),
            15_000,
        );
        let timeout = self.time("LLM_TIMEOUT_MS", raw.llm_timeout_ms.take(), 25_000);
        Some(ModelSettings {
            api_key: api_key?,
            base_url: base_url?,
            name: raw
                .openai_model
                .take()
                .unwrap_or_else(|| "gpt-5.4-mini".into()),
            reasoning_effort: match raw.openai_reasoning_effort.take().as_deref() {
                None => Some("none".into()),
                Some("omit") => None,
                Some(effort) => Some(effort.into()),
            },
            max_completion_tokens,
            connect_timeout,
            first_byte_timeout,
            timeout,
        })
    }

    fn database(
        &mut self,
        raw: &mut Environment,
        postgres: Option<tokio_postgres::Config>,
    ) -> Option<DatabaseSettings> {
        let pool_size = self.number("DATABASE_POOL_SIZE", raw.database_pool_size.take(), 4);
        let connect_timeout = self.time(
            "DATABASE_CONNECT_TIMEOUT_MS",
            raw.database_connect_timeout_ms.take(),
            5_000,
        );
        let wait_timeout = self.time(
            "DATABASE_WAIT_TIMEOUT_MS",
            raw.database_wait_timeout_ms.take(),
            5_000,
        );
        let statement_timeout = self.time(
            "DATABASE_STATEMENT_TIMEOUT_MS",
            raw.database_statement_timeout_ms.take(),
            5_000,
        );
        Some(DatabaseSettings {
            postgres: postgres?,
            pool_size,
            connect_timeout,
            wait_timeout,
            statement_timeout,
        })
    }

    fn proxy(&mut self, header: Option<String>, secret: Option<String>) -> Option<Proxy> {
        match (header, secret) {
            (None, None) => None,
            (Some(header), Some(secret)) => {
                let header = self.required("CLIENT_IP_HEADER", Some(header), |name| {
                    let name = name.trim().to_ascii_lowercase();
                    name.parse()
                        .map_err(|_| "must be the name of a header".into())
                })?;
                let secret = secret.trim().into();
                Some(Proxy { header, secret })
            }
            (Some(_), None) => {
                self.wrong(
                    "PROXY_SECRET",
                    "is missing: without it CLIENT_IP_HEADER could be forged",
                );
                None
            }
            (None, Some(_)) => {
                self.wrong("CLIENT_IP_HEADER", "is missing beside PROXY_SECRET");
                None
            }
        }
    }
}
