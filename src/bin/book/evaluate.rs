//! `book evaluate`: how often the search finds the section that answers, by questions whose answers are
//! known. Changes nothing, and pays for nothing: it searches by words.

use std::path::PathBuf;

use clap::Args;
use textbook_chat::book::evaluate::{Figures, Share, evaluate, questions};
use textbook_chat::config::BookProgram;

use crate::{Address, Failure};

/// Says how often the search finds the section that answers a question
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Questions as lines of JSON: {"question": …, "urls": […], "page": …}, the last if there is one
    file: PathBuf,
    #[command(flatten)]
    address: Address,
    /// Search as for a reader who is on the question's page
    #[arg(long)]
    with_pages: bool,
    /// Print the figures as one JSON object instead
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    let base = arguments.address.base(&settings)?;
    let database = crate::database(&mut settings)?;
    let file = arguments.file.display();
    let text = std::fs::read_to_string(&arguments.file)
        .map_err(|error| Failure::of(format!("{file} cannot be read: {error}")))?;
    let questions = questions(&text)
        .map_err(|error| Failure::of(format!("{file}, line {}: {}", error.line, error.reason)))?;
    let figures = evaluate(&database, &base, &questions, arguments.with_pages).await?;
    Ok(if arguments.json {
        crate::report::line(&figures)
    } else {
        table(&figures)
    })
}

fn table(figures: &Figures) -> String {
    let mut lines = vec![format!(
        "{:<12} {:>9} {:>6} {:>6} {:>6} {:>6}",
        "", "questions", "R@3", "R@5", "R@10", "MRR"
    )];
    lines.push(row("all", &figures.all));
    lines.extend(figures.kinds.iter().map(|(kind, share)| row(kind, share)));
    if !figures.misses.is_empty() {
        lines.push(String::new());
        lines.push("Not among the first five:".into());
    }
    for miss in &figures.misses {
        let rank = miss
            .rank
            .map_or("not found".into(), |rank| format!("rank {rank}"));
        let first = miss.first.as_deref().unwrap_or("nothing");
        lines.push(format!("- {} ({rank}; first: {first})", miss.question));
    }
    lines.join("\n") + "\n"
}

fn row(name: &str, share: &Share) -> String {
    format!(
        "{name:<12} {:>9} {:>6.3} {:>6.3} {:>6.3} {:>6.3}",
        share.questions, share.recall_3, share.recall_5, share.recall_10, share.mrr
    )
}
