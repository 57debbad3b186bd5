//! `book evaluate`: how often the search finds the section that answers a question, measured with
//! questions whose answers are known. Changes nothing.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use textbook_chat::book::evaluate::{Asked, Figures, Share, evaluate, questions};
use textbook_chat::config::BookProgram;

use crate::asking::Asking;
use crate::{Address, Failure};

/// Says how often the search finds the section that answers a question
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Questions as lines of JSON: {"question": …, "urls": […]}, also with "page" and "kind"
    file: PathBuf,
    #[command(flatten)]
    address: Address,
    /// Search as for a reader who is on the question's page
    #[arg(long)]
    with_pages: bool,
    #[command(flatten)]
    asking: Asking,
    /// Print the figures as one JSON object instead
    #[arg(long)]
    json: bool,
}

/// The form of `--json`.
#[derive(Serialize)]
struct Evaluated {
    /// What was searched by.
    by: &'static str,
    #[serde(flatten)]
    figures: Figures,
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
    let url = base.url().as_str();
    let texts: Vec<&str> = questions.iter().map(|it| it.question.as_str()).collect();
    let vectors = arguments
        .asking
        .vectors(&database, url, &mut settings, &texts)
        .await?;
    let asked = questions.iter().enumerate().map(|(i, question)| Asked {
        question,
        vector: vectors.as_ref().and_then(|vectors| vectors.of(i)),
    });
    let asked: Vec<Asked<'_>> = asked.collect();
    let figures = evaluate(&database, &base, &asked, arguments.with_pages).await?;
    let figures = figures.ok_or_else(|| Failure::no_index(url))?;
    Ok(if arguments.json {
        let by = match vectors {
            Some(_) => "words and vectors",
            None => "words",
        };
        crate::report::line(&Evaluated { by, figures })
    } else {
        let by = vectors.map_or("words alone".into(), |vectors| {
            format!("words and vectors of {}", vectors.model)
        });
        format!("Searched by {by}.\n\n{}", table(&figures))
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
