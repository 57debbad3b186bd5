//! Checking a variable's value: each check says what would be right, and never quotes the value.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use tokio_postgres::config::{Host, SslMode};

use super::Problem;

/// Reads one variable after the other and keeps what is wrong.
pub(super) struct Check(pub(super) Vec<Problem>);

impl Check {
    pub(super) fn required<T>(
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

    pub(super) fn wrong(&mut self, variable: &'static str, message: &str) {
        let message = message.into();
        self.0.push(Problem { variable, message });
    }

    /// A whole number; 0 switches the limit off.
    pub(super) fn limit<T: FromStr + Copy>(
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
    pub(super) fn dollars(
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

    /// A positive whole number.
    pub(super) fn number<T: FromStr + Copy + Default + PartialOrd>(
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

    pub(super) fn time(
        &mut self,
        variable: &'static str,
        value: Option<String>,
        default: u64,
    ) -> Duration {
        Duration::from_millis(self.number(variable, value, default))
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that `Check::required` calls"
)]
pub(super) fn key(text: String) -> Result<SecretString, String> {
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
pub(super) fn base_url(url: String) -> Result<String, String> {
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
