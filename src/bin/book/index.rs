//! `book index`: brings the index up to date, or says what that would do.

use std::path::PathBuf;

use clap::Args;
use textbook_chat::book::Embedding;
use textbook_chat::book::index::{Job, index};
use textbook_chat::book::pages::{self, Base, Known, Options, Source, Web};
use textbook_chat::book::plan::plan;
use textbook_chat::config::BookProgram;
use textbook_chat::database::Database;
use textbook_chat::llm::Model;

use crate::progress::Display;
use crate::report::{self, Indexed, Planned, Vectors};
use crate::{Failure, pieces, remark};

/// Brings the index of the book up to date: reads its pages, and puts a new version in place
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "`--help` shows it as it stands")]
#[expect(clippy::struct_excessive_bools, reason = "they are flags")]
pub(crate) struct Arguments {
    /// The address of the book's first page [default: BOOK_URL]
    #[arg(long, value_name = "URL", conflicts_with = "folder")]
    url: Option<String>,
    /// Read the pages from this folder, which a build has written, instead of from the address
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The address at which that folder is, or will be, published [default: BOOK_URL]
    #[arg(long, value_name = "URL", requires = "folder")]
    site_url: Option<String>,
    /// A CSS selector of what is read of a page; adds to BOOK_SELECT (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    select: Vec<String>,
    /// A CSS selector of what is left out of a page; adds to BOOK_DROP (repeatable)
    #[arg(long, value_name = "SELECTOR")]
    drop: Vec<String>,
    /// Read only pages whose paths begin with this; adds to BOOK_INCLUDE (repeatable)
    #[arg(long, value_name = "PATH")]
    include: Vec<String>,
    /// Leave out pages whose paths begin with this; adds to BOOK_EXCLUDE (repeatable)
    #[arg(long, value_name = "PATH")]
    exclude: Vec<String>,
    /// Ask for no embeddings: new text is then found by its words alone
    #[arg(long)]
    no_embed: bool,
    /// The most that embeddings may cost this time [default: BOOK_MAX_COST_USD]
    #[arg(long, value_name = "DOLLARS", value_parser = nanos)]
    max_cost: Option<i64>,
    /// Put the new version in place even if much of the book is gone
    #[arg(long)]
    accept_loss: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object instead; with --dry-run, each piece of the book as a line of JSON
    #[arg(long)]
    json: bool,
}

/// An amount of dollars, in billionths.
#[expect(
    clippy::cast_possible_truncation,
    reason = "amounts are checked to be small"
)]
fn nanos(text: &str) -> Result<i64, String> {
    let dollars: Option<f64> = text.parse().ok();
    dollars
        .filter(|dollars| (0.0..=1e6).contains(dollars))
        .map(|dollars| (dollars * 1e9).round() as i64)
        .ok_or_else(|| "it must be an amount of dollars".into())
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    if let Some(max_cost) = arguments.max_cost {
        settings.book.max_cost = max_cost;
    }
    let address = arguments.url.as_deref().or(arguments.site_url.as_deref());
    let base = crate::base(address, &settings)?;
    let source = arguments.source(&base)?;
    let options = arguments.options(&settings);
    if arguments.dry_run && arguments.json {
        return list(&source, &base, &options).await;
    }
    if let Some(known) = settings.book.base.as_ref()
        && known.url() != base.url()
    {
        let (known, this) = (known.url(), base.url());
        remark(&format!(
            "questions are answered from the index of BOOK_URL, {known}; this one is of {this}"
        ));
    }
    if arguments.dry_run {
        return dry_run(arguments, settings, &source, &base, &options).await;
    }
    let database = crate::database(&mut settings)?;
    let vectors = arguments.vectors(&settings);
    let model = settings.model.take().filter(|_| vectors.is_ok());
    let model = model.map(Model::new);
    let embedding = match (&model, &vectors) {
        (Some(model), Ok(name)) => Some(Embedding {
            model,
            name,
            price: settings.book.embedding_price,
            max_cost: settings.book.max_cost,
        }),
        _ => None,
    };
    if let Err(Some(why)) = &vectors {
        remark(why);
    }
    let job = Job {
        source: &source,
        base: &base,
        options: &options,
        embedding,
        accept_loss: arguments.accept_loss,
        until: None,
    };
    let display = Display::new();
    let report = index(&database, job, &|progress| display.show(progress)).await;
    drop(display);
    let indexed = Indexed::new(base.url().as_str(), report?, settings.book.embedding_price);
    Ok(if arguments.json {
        report::line(&indexed)
    } else {
        indexed.text()
    })
}

impl Arguments {
    fn source(&self, base: &Base) -> Result<Source, Failure> {
        let Some(folder) = &self.folder else {
            return Ok(Source::Web(Web::new(base)?));
        };
        if folder.is_dir() {
            return Ok(Source::Folder(folder.clone()));
        }
        let folder = folder.display();
        Err(Failure::of(format!(
            "--folder: there is no folder {folder}"
        )))
    }

    /// Those of the settings, and those that are given as flags.
    fn options(&self, settings: &BookProgram) -> Options {
        let mut options = settings.book.options.clone();
        options.select.extend_from_slice(&self.select);
        options.drop.extend_from_slice(&self.drop);
        options.include.extend_from_slice(&self.include);
        options.exclude.extend_from_slice(&self.exclude);
        options
    }

    /// The model of the vectors, or why there will be none: no reason if that was asked for.
    fn vectors(&self, settings: &BookProgram) -> Result<String, Option<String>> {
        let alone = "the book will be searched by its words alone";
        match (&settings.book.embedding_model, &settings.model) {
            _ if self.no_embed => Err(None),
            (None, _) => Err(Some(format!(
                "{alone}, because EMBEDDING_MODEL is set to nothing: remove it, or name a model"
            ))),
            (_, None) => Err(Some(format!("{alone}: set OPENAI_API_KEY for vectors too"))),
            (Some(name), Some(_)) => Ok(name.clone()),
        }
    }
}

/// Each piece of the book, as lines of JSON.
async fn list(source: &Source, base: &Base, options: &Options) -> Result<String, Failure> {
    let display = Display::new();
    // Unchanged pages would come without their text: everything is read.
    let reading = pages::read(source, base, options, Known::default()).await;
    drop(display);
    let reading = reading?;
    report::problems(&reading.problems).lines().for_each(remark);
    pieces::write(base, &reading.pages)
        .map_err(|error| Failure::of(format!("the output cannot be written: {error}")))?;
    Ok(String::new())
}

async fn dry_run(
    arguments: &Arguments,
    mut settings: BookProgram,
    source: &Source,
    base: &Base,
    options: &Options,
) -> Result<String, Failure> {
    let database = settings.database.take().map(Database::new);
    let model = settings.book.embedding_model.as_deref();
    let model = model.filter(|_| !arguments.no_embed);
    let display = Display::new();
    let show = |progress| display.show(progress);
    let plan = plan(database.as_ref(), source, base, options, model, &show).await;
    drop(display);
    let planned = Planned {
        url: base.url().as_str(),
        plan: plan?,
        compared: database.is_some(),
        accept_loss: arguments.accept_loss,
        vectors: Vectors {
            model,
            why_not: arguments.vectors(&settings).err().flatten(),
            price: settings.book.embedding_price,
            max_cost: settings.book.max_cost,
        },
    };
    Ok(planned.text())
}
