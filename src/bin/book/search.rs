//! `book search`: the sections from which a question would be answered, best first. Changes nothing.

use clap::Args;
use serde::Serialize;
use textbook_chat::book::search::{Before, Query, Section, search};
use textbook_chat::config::BookProgram;

use crate::asking::Asking;
use crate::{Address, Failure};

/// Shows the sections from which a question would be answered
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The question, as a reader would ask it
    question: String,
    #[command(flatten)]
    address: Address,
    /// The question before it in the conversation
    #[arg(long, value_name = "QUESTION")]
    before: Option<String>,
    /// The page that the reader is on
    #[arg(long, value_name = "PATH")]
    page: Option<String>,
    #[command(flatten)]
    asking: Asking,
    /// Print each section as a line of JSON instead, in order
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    url: &'a str,
    title: &'a str,
    trail: &'a [String],
    text: &'a str,
    lang: &'a str,
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    let base = arguments.address.base(&settings)?;
    let database = crate::database(&mut settings)?;
    let url = base.url().as_str();
    let question = arguments.question.as_str();
    let vectors = arguments
        .asking
        .vectors(&database, url, &mut settings, &[question])
        .await?;
    let before = arguments.before.as_deref();
    let query = Query {
        book: base.url(),
        question,
        before: before.map_or(Before::Nothing, Before::Question),
        page: arguments.page.as_deref(),
        vector: vectors.as_ref().and_then(|vectors| vectors.of(0)),
        sections: settings.book.sources,
        max_chars: settings.book.max_chars,
    };
    let found = search(&database, &query).await?;
    let found = found.ok_or_else(|| Failure::no_index(url))?;
    Ok(if arguments.json {
        found.iter().map(line).collect()
    } else if found.is_empty() {
        "Nothing in the book has any of these words.\n".into()
    } else {
        let numbered = found.iter().enumerate();
        numbered.map(|(i, section)| text(i + 1, section)).collect()
    })
}

fn line(section: &Section) -> String {
    crate::report::line(&Line {
        url: &section.url,
        title: &section.title,
        trail: &section.trail,
        text: &section.text,
        lang: &section.lang,
    })
}

/// A section, with the beginning of its text.
fn text(number: usize, section: &Section) -> String {
    const SHOWN: usize = 200;
    let mut headings = vec![section.title.as_str()];
    headings.extend(section.trail.iter().map(String::as_str));
    let words = section
        .text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let mut shown: String = words.chars().take(SHOWN).collect();
    if shown.len() < words.len() {
        shown.push('…');
    }
    let headings = headings.join(" > ");
    format!("{number}. {headings}\n   {}\n   {shown}\n", section.url)
}
