//! `book check`: whether there is an index, and what it holds. Changes nothing, and reads no page.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use textbook_chat::book::{self, Active};
use textbook_chat::config::BookProgram;
use textbook_chat::database::Database;

use crate::{Address, Failure};

/// Says whether there is an index, and what it holds
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    address: Address,
    /// Print one JSON object instead
    #[arg(long)]
    json: bool,
}

/// The state of an index, and the form of `--json`.
#[derive(Debug, Default, Serialize)]
struct State<'a> {
    url: &'a str,
    indexed: bool,
    pages: u64,
    chunks: u64,
    checked_at: Option<DateTime<Utc>>,
    /// Whether its pages were read by the rules that are set now.
    same_rules: bool,
    /// Whether the database has a place for vectors.
    vectors: bool,
    embedding_model: Option<&'a str>,
    /// Pieces without a vector of that model.
    without_vector: Option<u64>,
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    let base = arguments.address.base(&settings)?;
    let database = crate::database(&mut settings)?;
    let url = base.url().as_str();
    let state = match book::active(&database, url).await? {
        Some(active) => State::of(&database, url, &active, &settings).await?,
        None => State {
            url,
            ..State::default()
        },
    };
    let output = if arguments.json {
        crate::report::line(&state)
    } else if state.indexed {
        state.text()
    } else {
        String::new()
    };
    if state.indexed {
        return Ok(output);
    }
    Err(Failure {
        output,
        ..Failure::no_index(url)
    })
}

impl<'a> State<'a> {
    async fn of(
        database: &Database,
        url: &'a str,
        active: &Active,
        settings: &'a BookProgram,
    ) -> Result<Self, Failure> {
        let vectors = book::has_vectors(database).await?;
        let model = settings.book.embedding_model.as_deref();
        let without_vector = match model.filter(|_| vectors) {
            Some(model) => Some(book::without_vector(database, active, model).await?),
            None => None,
        };
        Ok(Self {
            url,
            indexed: true,
            pages: active.pages,
            chunks: active.chunks,
            checked_at: Some(active.checked_at),
            same_rules: active.is_read_with(&settings.book.options),
            vectors,
            embedding_model: model,
            without_vector,
        })
    }

    fn text(&self) -> String {
        let Self {
            url, pages, chunks, ..
        } = self;
        let mut lines = vec![format!(
            "The index of {url} is there: {pages} pages, {chunks} pieces."
        )];
        if let Some(at) = self.checked_at {
            let ago = ago(Utc::now() - at);
            let at = at.format("%Y-%m-%d %H:%M:%S");
            lines.push(format!("Compared with the book {ago}, at {at} UTC."));
        }
        lines.push(match (self.embedding_model, self.without_vector) {
            (None, _) => {
                "No vectors, because EMBEDDING_MODEL is set to nothing: it is searched by its \
                          words alone."
                    .into()
            }
            (_, None) => {
                "No vectors, because the database has no extension `vector`: it is searched \
                          by its words alone."
                    .into()
            }
            (Some(model), Some(0)) => format!("Each piece has a vector of {model}."),
            (Some(model), Some(without)) => format!(
                "{without} of {chunks} pieces have no vector of {model}: an indexing with \
                 OPENAI_API_KEY adds them."
            ),
        });
        if !self.same_rules {
            let rules = "Its pages were read by other rules than those that are set now \
                         (BOOK_SELECT, BOOK_DROP, or another version of this program): the next \
                         indexing reads every page anew.";
            lines.push(rules.into());
        }
        lines.join("\n") + "\n"
    }
}

fn ago(time: TimeDelta) -> String {
    match (time.num_days(), time.num_hours(), time.num_minutes()) {
        (0, 0, 0) => "just now".into(),
        (0, 0, minutes) => format!("{minutes} min ago"),
        (0, hours, _) => format!("{hours} h ago"),
        (days, ..) => format!("{days} days ago"),
    }
}
