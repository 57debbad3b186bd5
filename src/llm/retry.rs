//! When the model is asked again: the whole policy, in one function.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Error;

/// How often a question is asked at most.
const MAX_ATTEMPTS: u32 = 3;

/// The wait before the second attempt, without jitter; doubles for the third.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// How long to wait before asking again, or `None` to give up.
///
/// What may pass is tried again: too many requests (429), a provider's own errors (5xx), a
/// connection that failed or broke before the first piece of an answer. What will not (a wrong key,
/// a wrong request, an empty account) is not, nor is a model that took all the time that it had for
/// its first piece.
///
/// A provider's `Retry-After` is obeyed if it ends within `left`, the rest of the turn's time; if
/// it does not, the reader is told at once. Otherwise the wait grows exponentially, multiplied by a
/// factor between 0.5 and 1.5 that `jitter` (0 to 1) chooses, so that readers who failed together
/// do not come back together.
#[must_use]
pub fn delay(error: &Error, attempt: u32, left: Duration, jitter: f64) -> Option<Duration> {
    if attempt >= MAX_ATTEMPTS {
        return None;
    }
    let wanted = match error {
        Error::Refused(refusal) => {
            let empty_account = refusal.code.as_deref() == Some("insufficient_quota")
                || refusal.kind.as_deref() == Some("insufficient_quota");
            let worth_it = matches!(refusal.status, 429 | 500..);
            if !worth_it || empty_account {
                return None;
            }
            refusal.retry_after
        }
        Error::Transport(_) | Error::ConnectTimeout | Error::Unreachable(_) => None,
        Error::SetUp(_)
        | Error::Timeout(_)
        | Error::Flagged
        | Error::Moderation(_)
        | Error::Nonsense(_) => return None,
    };
    let backoff = FIRST_DELAY * 2_u32.pow(attempt - 1);
    // A `Retry-After` of nothing at all is no reason to come back together.
    let delay = wanted
        .unwrap_or_default()
        .max(backoff.mul_f64(0.5 + jitter));
    (delay < left).then_some(delay)
}

/// Waits as [`delay`] says for a turn that ends at `end`; `false` to give up.
pub(super) async fn wait(error: &Error, attempt: u32, end: Instant) -> bool {
    let left = end.saturating_duration_since(Instant::now());
    match delay(error, attempt, left, rand::random()) {
        Some(delay) => {
            sleep(delay).await;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Refusal;

    const LEFT: Duration = Duration::from_secs(20);

    fn refused(status: u16, code: &str, retry_after: Option<u64>) -> Error {
        Error::Refused(Refusal {
            status,
            kind: None,
            code: Some(code.into()),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    #[test]
    fn what_may_go_better_is_asked_again_twice_with_growing_jittered_waits() {
        for error in [
            refused(429, "rate_limit_exceeded", None),
            refused(500, "", None),
            refused(503, "", None),
            Error::Transport("reset".into()),
            Error::Unreachable("refused".into()),
            Error::ConnectTimeout,
        ] {
            let wait = |attempt, jitter| delay(&error, attempt, LEFT, jitter);
            assert_eq!(wait(1, 0.0), Some(Duration::from_millis(125)), "{error}");
            assert_eq!(wait(1, 1.0), Some(Duration::from_millis(375)), "{error}");
            assert_eq!(wait(2, 0.5), Some(Duration::from_millis(500)), "{error}");
            assert_eq!(wait(3, 0.5), None, "{error}");
        }
    }

    #[test]
    fn what_will_not_go_better_is_not_asked_again() {
        for error in [
            refused(400, "bad_request", Some(1)),
            refused(401, "invalid_api_key", None),
            refused(404, "model_not_found", None),
            refused(429, "insufficient_quota", Some(1)),
            Error::Timeout("no answer began"),
            Error::Nonsense("it is empty"),
        ] {
            assert_eq!(delay(&error, 1, LEFT, 0.5), None, "{error}");
        }
    }

    #[test]
    fn a_providers_wish_is_obeyed_within_the_turns_time_alone() {
        let wait = |seconds| delay(&refused(429, "", Some(seconds)), 1, LEFT, 0.5);
        assert_eq!(wait(1), Some(Duration::from_secs(1)));
        assert_eq!(wait(19), Some(Duration::from_secs(19)));
        assert_eq!(wait(3600), None);
        let late = Duration::from_millis(100);
        assert_eq!(delay(&refused(500, "", None), 1, late, 0.5), None);
    }
}
