//! `book index --dry-run --json`: the pieces of the book as JSON lines, for other programs.
//!
//! The five keys and their order are a contract.

use std::io::{self, BufWriter, Write};

use serde::Serialize;
use textbook_chat::book::pages::{Base, Page};

#[derive(Serialize)]
struct Piece<'a> {
    url: String,
    title: &'a str,
    trail: &'a [String],
    text: &'a str,
    lang: &'a str,
}

/// Writes each piece of these pages on a line of its own.
///
/// # Errors
///
/// When the output cannot be written, except when its reader has seen enough and closed it.
pub(crate) fn write(base: &Base, pages: &[Page]) -> io::Result<()> {
    let mut output = BufWriter::new(io::stdout().lock());
    let origin = base.url().origin().ascii_serialization();
    let mut write = || {
        for chunk in pages.iter().flat_map(|page| &page.chunks) {
            let piece = Piece {
                url: format!("{origin}{}", chunk.url),
                title: &chunk.title,
                trail: &chunk.trail,
                text: &chunk.text,
                lang: &chunk.lang,
            };
            serde_json::to_writer(&mut output, &piece)?;
            output.write_all(b"\n")?;
        }
        output.flush()
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
