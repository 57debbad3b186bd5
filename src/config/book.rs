//! The settings of the book: where it is, what of it is read, and what its index may cost.

use std::time::Duration;

use secrecy::SecretString;

use super::OutsideKnowledge;
use super::check::Check;
use crate::book::pages::{Base, Limits, Options};

/// The book that answers rest on.
#[derive(Debug, Clone)]
pub struct BookSettings {
    /// The address below which its pages lie (`BOOK_URL`); without it there is no book.
    pub base: Option<Base>,
    /// What of its pages is read (`BOOK_SELECT`, `BOOK_DROP`, `BOOK_INCLUDE`, `BOOK_EXCLUDE`, each a
    /// list with commas), and how many of them (`BOOK_MAX_PAGES`).
    pub options: Options,
    /// The most that one indexing may cost, in billionths of a dollar (`BOOK_MAX_COST_USD`).
    pub max_cost: i64,
    /// The most sections of the book that a question is answered from (`BOOK_SOURCES`).
    pub sources: usize,
    /// The most characters of these (`BOOK_MAX_CHARS`).
    pub max_chars: usize,
    /// What an answer may say that the book does not.
    pub outside_knowledge: OutsideKnowledge,
    /// The model of the vectors (`EMBEDDING_MODEL`); without it the book is searched by its words.
    pub embedding_model: Option<String>,
    /// Billionths of a dollar a token of these (`PRICE_EMBEDDING_USD_PER_MILLION`).
    pub embedding_price: i64,
    /// How long the function `refresh` may run (`BOOK_REFRESH_SECONDS`): the platform's limit for it.
    pub refresh_time: Duration,
    /// What a request for a new index must show (`CRON_SECRET`).
    pub cron_secret: Option<SecretString>,
}

impl BookSettings {
    pub(super) fn read(check: &mut Check) -> Self {
        let list = |check: &Check, variable| -> Vec<String> {
            let list = check.text(variable, "");
            let entries = list.split(',').map(str::trim);
            entries
                .filter(|entry| !entry.is_empty())
                .map(Into::into)
                .collect()
        };
        let base = check.value("BOOK_URL").is_some().then(|| {
            check.required("BOOK_URL", |url| {
                Base::parse(url.trim()).map_err(|_| {
                    "must be the address of the folder that the book's pages lie in, such as \
                     https://book.example/docs/ (https, or http on this machine)"
                        .into()
                })
            })
        });
        Self {
            base: base.flatten(),
            options: Options {
                select: list(check, "BOOK_SELECT"),
                drop: list(check, "BOOK_DROP"),
                include: list(check, "BOOK_INCLUDE"),
                exclude: list(check, "BOOK_EXCLUDE"),
                limits: Limits {
                    pages: check.number("BOOK_MAX_PAGES", 3_000),
                    ..Limits::default()
                },
            },
            max_cost: check.dollars("BOOK_MAX_COST_USD", 1.0, 1e9),
            sources: check.number("BOOK_SOURCES", 8),
            max_chars: check.number("BOOK_MAX_CHARS", 16_000),
            outside_knowledge: match check.one_of("OUTSIDE_KNOWLEDGE", ["marked", "off"]) {
                "off" => OutsideKnowledge::Off,
                _ => OutsideKnowledge::Marked,
            },
            // Unlike others: here an empty value says something.
            embedding_model: (!check.is_empty("EMBEDDING_MODEL"))
                .then(|| check.text("EMBEDDING_MODEL", "text-embedding-3-small")),
            embedding_price: check.dollars("PRICE_EMBEDDING_USD_PER_MILLION", 0.02, 1e3),
            refresh_time: Duration::from_secs(check.number("BOOK_REFRESH_SECONDS", 300)),
            cron_secret: check
                .value("CRON_SECRET")
                .map(|secret| secret.trim().into()),
        }
    }
}
