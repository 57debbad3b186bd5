//! The flags of `cargo dev`.

use anyhow::{Result, anyhow, bail};
use lexopt::{
    Arg::{Long, Short},
    Parser, ValueExt,
};

pub(crate) const HELP: &str = "\
The whole product on this machine: database, model, functions, and a book with the chat.

Usage: cargo dev [--port N] [--reset] [--book WHERE]

  --port N   serve on http://localhost:N (default: 3000)
  --reset    drop the data of the embedded database and begin anew
  --book WHERE
             answer from this book, by its address or the folder that it is built in
             (default: BOOK_URL, or a short sample book)
  --help     show this text

Variables, also read from .env:
  DATABASE_URL         use this database, not the embedded one
  OPENAI_API_KEY       use OpenAI (or OPENAI_BASE_URL), not the offline model
  TEXTBOOK_CHAT_CACHE  keep PostgreSQL and its data in this folder
";

pub(crate) struct Options {
    pub(crate) port: u16,
    pub(crate) reset: bool,
    pub(crate) book: Option<String>,
}

/// Nothing when help is asked for.
pub(crate) fn parse(mut arguments: Parser) -> Result<Option<Options>> {
    let mut options = Options {
        port: 3000,
        reset: false,
        book: None,
    };
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") | Short('p') => {
                options.port = arguments
                    .value()?
                    .parse()
                    .map_err(|_| anyhow!("--port wants a number up to 65535"))?;
            }
            Long("reset") => options.reset = true,
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
