//! The limits: the terms of a turn (how fast it may be asked, what it may cost), computed once from
//! the settings, and what a reader is told when one of them refuses it.
//!
//! Pure. Whether one refuses is decided in the database ([`crate::session::begin`]), which takes
//! the terms as they are here.

use std::time::Duration;

use crate::config::{Prices, Settings};
use crate::error::{Code, Failure};
use crate::prompt;

/// The time that a turn may take in addition to the model's and its statements'. Until its lease
/// ends, a request with the same key is told to wait.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The share of turns that also delete a few dead rows.
const SWEEPS: f64 = 0.01;

/// What a turn may cost and how fast it may be asked.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The pace of a network.
    pub network: Pace,
    /// Questions from a network per day, in UTC; 0: any number.
    pub network_per_day: i64,
    /// The pace of a conversation.
    pub conversation: Pace,
    /// Billionths of a dollar per day, in UTC; 0: any number.
    pub daily_budget: i64,
    /// The most recent messages of a conversation that are part of a prompt.
    pub history_messages: i64,
    /// What each of these adds to a prompt besides its texts, in bytes.
    pub message_bytes: i64,
    /// The most that all of these may add to a prompt, in bytes.
    pub max_history_bytes: i64,
    /// How long a turn may take, after which its `Idempotency-Key` is released.
    pub lease: Duration,
    /// The share of turns that also delete a few dead rows.
    pub sweeps: f64,
    /// The model is shown nothing of the past that the moderation has not passed.
    pub moderated: bool,
    prices: Prices,
    max_completion_tokens: u64,
}

/// So many questions at once, and one more per interval; a burst of 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Questions at once.
    pub burst: i64,
    /// Between two questions in the long run, in seconds.
    pub interval: f64,
}

impl Pace {
    fn new(burst: u32, per_minute: u32) -> Self {
        Self {
            // Without a pace there is nothing that a burst could exceed.
            burst: if per_minute == 0 { 0 } else { burst.into() },
            interval: 60.0 / f64::from(per_minute.max(1)),
        }
    }
}

impl Terms {
    /// The terms of these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let limits = &settings.rate_limits;
        let database = &settings.database;
        let statement = database.connect_timeout + database.statement_timeout;
        Self {
            network: Pace::new(limits.network_burst, limits.network_per_minute),
            network_per_day: limits.network_per_day.into(),
            // A conversation may ask as many at once as per minute.
            conversation: Pace::new(
                limits.conversation_per_minute,
                limits.conversation_per_minute,
            ),
            daily_budget: limits.daily_budget,
            history_messages: settings.history_messages.into(),
            message_bytes: integer(prompt::MESSAGE_BYTES),
            max_history_bytes: integer(prompt::BYTES_PER_CHAR * settings.max_prompt_chars),
            lease: settings.model.timeout + 2 * statement + LEASE_MARGIN,
            sweeps: SWEEPS,
            moderated: settings.moderation,
            prices: settings.prices,
            max_completion_tokens: settings.model.max_completion_tokens.into(),
        }
    }

    /// The most that a turn can cost, in billionths of a dollar, if its prompt has this many bytes
    /// without its history: a token is at least one byte.
    #[must_use]
    pub fn worst_cost(&self, prompt_bytes: usize) -> i64 {
        self.cost(prompt_bytes as u64, self.max_completion_tokens)
    }

    /// What of that is the answer's.
    #[must_use]
    pub fn answer_cost(&self) -> i64 {
        self.cost(0, self.max_completion_tokens)
    }

    /// The most that a byte of the history can cost, in billionths of a dollar.
    #[must_use]
    pub fn byte_cost(&self) -> i64 {
        self.prices.input
    }

    /// What these tokens cost, in billionths of a dollar.
    #[must_use]
    pub fn cost(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let input = self.prices.input.saturating_mul(integer(input_tokens));
        input.saturating_add(self.prices.output.saturating_mul(integer(output_tokens)))
    }
}

fn integer<T>(number: T) -> i64
where
    i64: TryFrom<T>,
{
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A limit that refuses a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The network asks faster than its pace.
    NetworkPace,
    /// The network has asked enough for a day.
    NetworkDay,
    /// The conversation asks faster than its pace.
    ConversationPace,
    /// The day's money is spent.
    Budget,
    /// What is left of the day's money does not hold this question.
    TooBig,
}

/// What a limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One question.
    Question,
    /// A network.
    Network,
    /// A conversation.
    Conversation,
    /// All readers.
    Everybody,
}

impl Refusal {
    /// The refusal that the database names by this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "network_pace" => Self::NetworkPace,
            "network_day" => Self::NetworkDay,
            "conversation_pace" => Self::ConversationPace,
            "budget" => Self::Budget,
            "too_big" => Self::TooBig,
            _ => return None,
        })
    }

    /// What it applies to.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::NetworkPace | Self::NetworkDay => Scope::Network,
            Self::ConversationPace => Scope::Conversation,
            Self::Budget => Scope::Everybody,
            Self::TooBig => Scope::Question,
        }
    }

    /// The answer to the client.
    #[must_use]
    pub fn failure(self, wait: Duration) -> Failure {
        let (code, message) = match self {
            Self::NetworkPace => (
                Code::RateLimited,
                "Too many questions come from your network right now. Please try again in a moment.",
            ),
            Self::NetworkDay => (
                Code::RateLimited,
                "Your network has used up its questions for today. Please come back tomorrow.",
            ),
            Self::ConversationPace => (
                Code::RateLimited,
                "That was fast. Please wait a moment before your next question.",
            ),
            Self::Budget => (
                Code::BudgetExhausted,
                "The assistant has answered all it can for now. Please come back later.",
            ),
            Self::TooBig => (
                Code::BudgetExhausted,
                "This question is too long for what the assistant can still do today. Please ask a shorter one, or come back later.",
            ),
        };
        Failure::new(code, message).retry_after(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(variables: &[(&str, &str)]) -> Terms {
        let mandatory = [
            ("OPENAI_API_KEY", "sk-1"),
            ("DATABASE_URL", "postgresql://me@127.0.0.1/db"),
            ("CORS_ORIGINS", "https://book.example"),
        ];
        let variables = mandatory.iter().chain(variables);
        let variables = variables.map(|(name, value)| ((*name).into(), (*value).into()));
        Terms::of(&Settings::from_variables(variables).unwrap())
    }

    #[test]
    fn costs_are_counted_in_billionths_of_a_dollar() {
        let terms = terms(&[
            ("PRICE_INPUT_USD_PER_MILLION", "0.75"),
            ("PRICE_OUTPUT_USD_PER_MILLION", "4.50"),
            ("MAX_COMPLETION_TOKENS", "800"),
        ]);
        assert_eq!(terms.cost(1_000_000, 0), 750_000_000);
        assert_eq!(terms.cost(42, 7), 42 * 750 + 7 * 4_500);
        let worst = terms.worst_cost(100) - terms.worst_cost(0);
        assert_eq!(worst, 100 * terms.byte_cost());
        assert_eq!(terms.worst_cost(0), terms.cost(0, 800));
        assert_eq!(terms.answer_cost(), 800 * 4_500);
    }

    #[test]
    fn a_pace_of_none_is_no_limit_whatever_the_burst() {
        let terms = terms(&[
            ("RATE_LIMIT_NETWORK_BURST", "30"),
            ("RATE_LIMIT_NETWORK_PER_MINUTE", "0"),
            ("RATE_LIMIT_CONVERSATION_PER_MINUTE", "5"),
        ]);
        assert_eq!(terms.network.burst, 0);
        let conversation = Pace {
            burst: 5,
            interval: 12.0,
        };
        assert_eq!(terms.conversation, conversation);
    }
}
