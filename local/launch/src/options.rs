//! The flags of `cargo dev`.

use std::{ffi::OsString, path::Path};

use anyhow::{Result, anyhow, bail, ensure};
use lexopt::{
    Arg::{Long, Short},
    Parser, ValueExt,
};

use crate::variables::Variables;

/// What `--help` prints.
pub const HELP: &str = "\
The whole product on this machine: database, model, functions, and a book with the chat.

Usage: cargo dev [--port N] [--reset [--yes]] [--book WHERE]

  --port N   serve on http://localhost:N (default: 3000)
  --reset    drop the data of the embedded database and begin anew, once you say yes
  --yes      say so without being asked
  --book WHERE
             answer from this book, by its address or the folder that it is built into
             (default: BOOK_URL, or a short sample book)
  --help     show this text

Variables, also read from .env:
  DATABASE_URL         use this database, not the embedded one
  OPENAI_API_KEY       use OpenAI (or OPENAI_BASE_URL), not the offline model
  TEXTBOOK_CHAT_CACHE  keep PostgreSQL and its data in this folder
  LOG_FORMAT           json: the functions' own log, instead of a line for each request
";

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// To serve on.
    pub port: u16,
    /// Whether the embedded database begins anew.
    pub reset: bool,
    /// Whether that has been agreed to.
    pub yes: bool,
    /// The address of a book, or its folder.
    pub book: Option<String>,
}

/// Reads them. Nothing when help is asked for.
///
/// # Errors
///
/// Says what is not understood.
pub fn parse(mut arguments: Parser) -> Result<Option<Options>> {
    let mut options = Options {
        port: 3000,
        reset: false,
        yes: false,
        book: None,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") | Short('p') => {
                options.port = arguments
                    .value()?
                    .parse()
                    .ok()
                    .filter(|port| *port > 0)
                    .ok_or_else(|| anyhow!("--port wants a number from 1 to 65535"))?;
            }
            Long("reset") => options.reset = true,
            Long("yes") => options.yes = true,
            Long("book") => {
                let place = arguments.value()?.into_string();
                options.book =
                    Some(place.map_err(|_| anyhow!("--book wants an address or a folder"))?);
            }
            Long("help") | Short('h') => return Ok(None),
            other => bail!("{}: see `cargo dev --help`", other.unexpected()),
        }
    }
    Ok(Some(options))
}

impl Options {
    /// The same, for the program that goes on.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["--port".into(), self.port.to_string().into()];
        let flags = [(self.reset, "--reset"), (self.yes, "--yes")];
        arguments.extend(flags.iter().filter(|it| it.0).map(|it| it.1.into()));
        if let Some(book) = &self.book {
            arguments.extend(["--book".into(), book.into()]);
        }
        arguments
    }

    /// The address or folder of the book, if one is named, and what names it, in words.
    #[must_use]
    pub fn place_of_book(&self, variables: &Variables) -> (Option<String>, String) {
        match &self.book {
            Some(place) => (Some(place.clone()), "--book".to_owned()),
            None => (variables.get("BOOK_URL"), variables.place("BOOK_URL")),
        }
    }

    /// Whether the book, if it is a folder, is there.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub fn check_book(&self, variables: &Variables) -> Result<()> {
        let (place, name) = self.place_of_book(variables);
        match place {
            Some(place) if !place.contains("://") => ensure!(
                Path::new(&place).is_dir(),
                "{name} {place}: there is no such folder (an address begins with https://)"
            ),
            _ => {}
        }
        Ok(())
    }
}
