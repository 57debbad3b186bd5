//! How times are written wherever they leave the program.

use chrono::{DateTime, SecondsFormat, Utc};

/// ISO 8601 in UTC, with PostgreSQL's microseconds.
#[must_use]
pub fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
