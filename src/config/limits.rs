//! The limits on what may be asked and spent, each with its variable, its default and its meaning.

use super::check::Check;

/// What a network, a conversation and a day may use; a zero switches a limit off.
#[derive(Debug, Clone, Copy)]
pub struct RateLimits {
    /// Questions from a network at once (`RATE_LIMIT_NETWORK_BURST`): a classroom shares a network.
    pub network_burst: u32,
    /// Questions from a network per minute, in the long run (`RATE_LIMIT_NETWORK_PER_MINUTE`).
    pub network_per_minute: u32,
    /// Questions from a network per day, in UTC (`RATE_LIMIT_NETWORK_PER_DAY`).
    pub network_per_day: u32,
    /// Questions in a conversation per minute (`RATE_LIMIT_CONVERSATION_PER_MINUTE`).
    pub conversation_per_minute: u32,
    /// Requests from a network per minute that are no questions
    /// (`RATE_LIMIT_READS_PER_MINUTE`).
    pub reads_per_minute: u32,
    /// Billionths of a dollar per day, in UTC (`DAILY_BUDGET_USD`).
    pub daily_budget: i64,
    /// Turns that an instance runs at once (`MAX_TURNS_IN_FLIGHT`).
    pub turns_in_flight: usize,
}

impl RateLimits {
    pub(super) fn read(check: &mut Check) -> Self {
        Self {
            network_burst: check.limit("RATE_LIMIT_NETWORK_BURST", 30),
            network_per_minute: check.limit("RATE_LIMIT_NETWORK_PER_MINUTE", 30),
            network_per_day: check.limit("RATE_LIMIT_NETWORK_PER_DAY", 500),
            conversation_per_minute: check.limit("RATE_LIMIT_CONVERSATION_PER_MINUTE", 5),
            reads_per_minute: check.limit("RATE_LIMIT_READS_PER_MINUTE", 600),
            daily_budget: check.dollars("DAILY_BUDGET_USD", 5.0, 1e9),
            turns_in_flight: check.limit("MAX_TURNS_IN_FLIGHT", 512),
        }
    }
}
