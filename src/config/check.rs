//! Checking a variable's value: each check says what would be right, and never quotes the value.

use std::collections::HashMap;
use std::net::IpAddr;
use std::str::FromStr;

use secrecy::SecretString;
use tokio_postgres::config::{Host, SslMode};

use super::{Problem, Problems};
use crate::cors::Origins;

/// Reads the variables one by one and collects what is wrong.
pub(super) struct Check {
    /// By their names in lower case, as `envy` hands them over.
    values: HashMap<String, String>,
    /// The names of those that are given and empty.
    empty: Vec<String>,
    problems: Vec<Problem>,
}

impl Check {
    /// An empty value counts as absent. Of names that differ only in case, the one in capitals counts.
    pub(super) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        let (empty, mut given): (Vec<_>, Vec<_>) =
            variables.partition(|(_, value)| value.trim().is_empty());
        // Later ones overwrite: in reverse order the name in capitals is the last one.
        given.sort_by(|(one, _), (other, _)| other.cmp(one));
        Self {
            empty: empty.into_iter().map(|(name, _)| name).collect(),
            // A map of strings cannot fail to be read.
            values: envy::from_iter(given).unwrap_or_default(),
            problems: Vec::new(),
        }
    }

    /// Fails with everything that was wrong.
    pub(super) fn done(self, origins: &Origins) -> Result<(), Problems> {
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(Problems {
            problems: self.problems,
            origins: origins.clone(),
        })
    }

    pub(super) fn value(&self, variable: &str) -> Option<&str> {
        let value = self.values.get(&variable.to_ascii_lowercase());
        value.map(String::as_str)
    }

    /// Whether it is given and empty.
    pub(super) fn is_empty(&self, variable: &str) -> bool {
        self.empty.iter().any(|name| name == variable)
    }

    pub(super) fn wrong(&mut self, variable: &'static str, message: impl Into<String>) {
        let message = message.into();
        self.problems.push(Problem { variable, message });
    }

    pub(super) fn required<T>(
        &mut self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.value(variable).ok_or_else(|| "is missing".into());
        let parsed = value.and_then(parse);
        parsed.map_err(|message| self.wrong(variable, message)).ok()
    }

    pub(super) fn parsed<T>(
        &mut self,
        variable: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let parsed = parse(self.value(variable).unwrap_or(default));
        parsed.map_err(|message| self.wrong(variable, message)).ok()
    }

    pub(super) fn text(&self, variable: &'static str, default: &str) -> String {
        self.value(variable).unwrap_or(default).to_owned()
    }

    /// One of two words; the first is the default.
    pub(super) fn one_of(
        &mut self,
        variable: &'static str,
        words: [&'static str; 2],
    ) -> &'static str {
        let value = self.value(variable).unwrap_or(words[0]);
        if let Some(word) = words.into_iter().find(|word| *word == value) {
            return word;
        }
        self.wrong(variable, format!("must be {} or {}", words[0], words[1]));
        words[0]
    }

    /// A whole number; 0 switches the limit off.
    pub(super) fn limit<T: FromStr>(&mut self, variable: &'static str, default: T) -> T {
        let number = self.value(variable).map(|value| value.trim().parse());
        match number {
            None => default,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.wrong(variable, "must be a whole number, or 0 for no limit");
                default
            }
        }
    }

    /// An amount of dollars, in the unit of which a dollar has `units`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "amounts are checked to be small"
    )]
    pub(super) fn dollars(&mut self, variable: &'static str, default: f64, units: f64) -> i64 {
        let amount = self.value(variable).map(|value| value.trim().parse());
        match amount.unwrap_or(Ok(default)) {
            Ok(amount) if (0.0..=1e6).contains(&amount) => (amount * units).round() as i64,
            _ => {
                let message = "must be an amount in US dollars such as 4.50, or 0";
                self.wrong(variable, message);
                0
            }
        }
    }

    /// A positive whole number.
    pub(super) fn number<T: FromStr + Default + PartialOrd>(
        &mut self,
        variable: &'static str,
        default: T,
    ) -> T {
        let number = self.value(variable).map(|value| value.trim().parse());
        match number {
            None => default,
            Some(Ok(number)) if number > T::default() => number,
            Some(_) => {
                self.wrong(variable, "must be a whole number above 0");
                default
            }
        }
    }
}

pub(super) fn key(text: &str) -> Result<SecretString, String> {
    // It is sent in a header: anything that is not visible ASCII is a paste error.
    if text.trim().bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.trim().into())
    } else {
        Err("holds characters that no key has; paste it again".into())
    }
}

/// Parses a PostgreSQL URL.
///
/// A host other than this machine is reached over TLS unless `sslmode` is `disable`: with `prefer`,
/// the driver's default, anybody on the way could switch TLS off.
///
/// # Errors
///
/// Says what is wrong without quoting the URL: a paste error may put the password anywhere.
pub fn database_url(url: &str) -> Result<tokio_postgres::Config, String> {
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
pub(super) fn base_url(url: &str) -> Result<String, String> {
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
