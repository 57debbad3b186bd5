//! Reading the settings from the environment, and every check that they go through.
//!
//! What a setting means stands in [`super`]; here is what is wrong with a value, never the value.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio_postgres::config::{Host, SslMode};

use super::{DatabaseSettings, Limits, ModelSettings, Problem, Problems, Settings};
use crate::client::Proxy;
use crate::cors::Origins;
use crate::guard;

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
        let limits = Limits {
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
            limits,
            history_messages,
            max_prompt_chars,
            guard,
            prices,
            proxy,
            pseudonym_key: format!("textbook-chat pseudonyms {}", api_key.expose_secret()).into(),
            moderation,
            model,
            database,
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

    fn prompt(&mut self, value: Option<String>, limits: Limits) -> usize {
        /// What instructions and fences take.
        const INSTRUCTIONS: usize = 4_000;
        let least = limits.message + limits.selected_text + INSTRUCTIONS;
        let longest = self.number("MAX_PROMPT_CHARS", value, least.max(48_000));
        if longest < least {
            self.wrong(
                "MAX_PROMPT_CHARS",
                "must hold the longest message and passage, and 4,000 characters more",
            );
        }
        longest
    }

    fn guard(&mut self, raw: &mut Environment) -> guard::Limits {
        guard::Limits {
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
    fn prices(&mut self, raw: &mut Environment) -> guard::Prices {
        guard::Prices {
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
        let base_url = raw.openai_base_url.take();
        let base_url = base_url.unwrap_or_else(|| "https://api.openai.com/v1".into());
        let base_url = self.required("OPENAI_BASE_URL", Some(base_url), check_base_url);
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

    fn time(&mut self, variable: &'static str, value: Option<String>, default: u64) -> Duration {
        Duration::from_millis(self.number(variable, value, default))
    }

    fn wrong(&mut self, variable: &'static str, message: &str) {
        let message = message.into();
        self.0.push(Problem { variable, message });
    }

    /// A whole number; 0 switches the limit off.
    fn limit<T: FromStr + Copy>(
        &mut self,
        variable: &'static str,
        value: Option<String>,
        default: T,
    ) -> T {
        value.map_or(default, |value| {
            value.trim().parse().unwrap_or_else(|_| {
                self.wrong(variable, "must be a whole number, or 0 for no limit");
                default
            })
        })
    }

    /// An amount of dollars in units of which a dollar has `units`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "amounts are checked to be small"
    )]
    fn dollars(
        &mut self,
        variable: &'static str,
        value: Option<String>,
        default: f64,
        units: f64,
    ) -> i64 {
        let amount = value.map_or(Ok(default), |value| value.trim().parse());
        match amount {
            Ok(amount) if (0.0..=1e6).contains(&amount) => (amount * units).round() as i64,
            _ => {
                self.wrong(
                    variable,
                    "must be an amount in US dollars such as 4.50, or 0",
                );
                0
            }
        }
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
