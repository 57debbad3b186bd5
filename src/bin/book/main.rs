//! Keeps the index of the book, for the operator: `cargo run --bin book -- COMMAND`.
//!
//! Each command is a module with its arguments and a `run`; here they are listed, and failures become
//! lines and an exit code. The work is done in [`textbook_chat::book`]. Functions never run this.
//!
//! | exit code | |
//! |---|---|
//! | 0 | done |
//! | 1 | not done; stderr says why |
//! | 2 | the arguments are wrong |
//! | 3 | the book's pages are drawn in the browser |

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

mod asking;
mod check;
mod costs;
mod evaluate;
mod failure;
mod forget;
mod gaps;
mod index;
mod pieces;
mod progress;
mod report;
mod search;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use textbook_chat::book::pages::Base;
use textbook_chat::config::{self, BookProgram};
use textbook_chat::database::Database;

use failure::Failure;

/// Keeps the index of the book that answers rest on.
#[derive(Debug, Parser)]
#[command(name = "book", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Index(index::Arguments),
    Check(check::Arguments),
    Search(search::Arguments),
    Evaluate(evaluate::Arguments),
    Gaps(gaps::Arguments),
    Costs(costs::Arguments),
    Forget(forget::Arguments),
}

impl Command {
    /// Runs the command; returns what is to be printed.
    async fn run(&self, settings: BookProgram) -> Result<String, Failure> {
        match self {
            Self::Index(arguments) => index::run(arguments, settings).await,
            Self::Check(arguments) => check::run(arguments, settings).await,
            Self::Search(arguments) => search::run(arguments, settings).await,
            Self::Evaluate(arguments) => evaluate::run(arguments, settings).await,
            Self::Gaps(arguments) => gaps::run(arguments, settings).await,
            Self::Costs(arguments) => costs::run(arguments, settings).await,
            Self::Forget(arguments) => forget::run(arguments, settings).await,
        }
    }
}

/// Which book a command is about.
#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "`--help` shows it as it stands")]
struct Address {
    /// The address of the book's first page [default: BOOK_URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Address {
    fn base(&self, settings: &BookProgram) -> Result<Base, Failure> {
        base(self.url.as_deref(), settings)
    }
}

fn base(given: Option<&str>, settings: &BookProgram) -> Result<Base, Failure> {
    match given {
        Some(url) => Ok(Base::parse(url.trim())?),
        None => settings.book.base.clone().ok_or_else(|| {
            Failure::of("BOOK_URL is missing: set it to the address of the book's first page")
        }),
    }
}

fn database(settings: &mut BookProgram) -> Result<Database, Failure> {
    let database = settings.database.take().map(Database::new);
    database.ok_or_else(|| {
        Failure::of(
            "DATABASE_URL is missing: set it, or DATABASE_URL_UNPOOLED, to the PostgreSQL URL",
        )
    })
}

/// Tells the operator something that is not a result.
fn remark(text: &str) {
    eprintln!("book: {text}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(problem) = config::load_dotenv() {
        remark(&problem);
    }
    let outcome = match BookProgram::from_environment() {
        Ok(settings) => arguments.command.run(settings).await,
        Err(problems) => Err(problems.into()),
    };
    match outcome {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            print!("{}", failure.output);
            failure.lines.iter().for_each(|line| remark(line));
            ExitCode::from(failure.code)
        }
    }
}
