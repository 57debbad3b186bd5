//! `book gaps`: what readers asked that the book did not answer, and which sections answers cite most.
//! Changes nothing, and needs no book: only the database.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use textbook_chat::book::gaps::{Cited, Gaps, Group, MOST_QUESTIONS, Question, Why, gaps};
use textbook_chat::config::BookProgram;

use crate::{Failure, report};

/// How long a statement may take: it reads every message, which no turn does.
const PATIENCE: Duration = Duration::from_mins(1);

/// Groups that are listed; the others are counted.
const GROUPS: usize = 50;

/// A longer text is cut, in characters.
const LONGEST: usize = 200;

/// The longest time back: a century.
const MOST_DAYS: i64 = 36_500;

/// Lists what readers asked that the book did not answer, and the sections that answers cite most
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of how many days, until now
    #[arg(long, value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(i32).range(1..=MOST_DAYS))]
    days: i32,
    /// Print one JSON object instead, with all groups
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    arguments: &Arguments,
    mut settings: BookProgram,
) -> Result<String, Failure> {
    if let Some(database) = &mut settings.database {
        database.statement_timeout = database.statement_timeout.max(PATIENCE);
    }
    let database = crate::database(&mut settings)?;
    let gaps = gaps(&database, arguments.days).await?;
    Ok(if arguments.json {
        report::line(&gaps)
    } else {
        text(&gaps)
    })
}

fn text(gaps: &Gaps) -> String {
    let Gaps {
        searched,
        answered,
        not_answered,
        ..
    } = gaps;
    let days = match gaps.days {
        1 => "day".into(),
        days => format!("{days} days"),
    };
    if *searched == 0 {
        return format!(
            "In the last {days}, no question was answered for which the book was searched.\n\
             It is searched where BOOK_URL is set and has an index: `book check` says so.\n"
        );
    }
    let mut text = format!(
        "Questions of the last {days} for which the book was searched: {searched}.\n\
         Answered from the book: {answered}. Not answered: {not_answered}.\n"
    );
    if gaps.older_left_out {
        let _ = writeln!(
            text,
            "There are more: these are the newest {MOST_QUESTIONS}."
        );
    }
    if !gaps.groups.is_empty() {
        text += "\nNot answered, by the words that they share:\n";
        text.extend(gaps.groups.iter().take(GROUPS).map(group));
    }
    if gaps.groups.len() > GROUPS {
        let groups = gaps.groups.len() - GROUPS;
        let asked: usize = gaps.groups[GROUPS..].iter().map(|it| it.asked).sum();
        let _ = writeln!(
            text,
            "\nand {asked} more in {groups} smaller groups (--json has all of them)"
        );
    }
    if !gaps.cited.is_empty() {
        text += "\nCited most, by the answers that cite it:\n";
        text.extend(gaps.cited.iter().map(cited));
    }
    text
}

/// A group: its name, how often it was asked and where, and its questions.
fn group(group: &Group) -> String {
    let pages = pages(group);
    let questions: Vec<String> = group.questions.iter().map(question).collect();
    if group.words.is_empty() {
        // It is but one.
        let question = questions.concat();
        return format!("\n{question}{pages}\n");
    }
    let mut text = format!("\n{}: {}{pages}\n", group.words.join(", "), group.asked);
    for question in questions {
        let _ = writeln!(text, "{question}");
    }
    if group.more > 0 {
        let _ = writeln!(text, "  and {} more", group.more);
    }
    text
}

fn pages(group: &Group) -> String {
    // Where none is known, there is nothing to say.
    if group.pages.iter().all(|it| it.page.is_none()) {
        return String::new();
    }
    let pages = group.pages.iter().map(|it| match &it.page {
        Some(page) => format!("{} ({})", cut(page), it.asked),
        None => format!("unknown ({})", it.asked),
    });
    let others = (group.elsewhere > 0).then(|| format!("others ({})", group.elsewhere));
    let pages: Vec<String> = pages.chain(others).collect();
    format!(", on {}", pages.join(", "))
}

fn question(question: &Question) -> String {
    let times = match question.asked {
        1 => String::new(),
        asked => format!("{asked} times: "),
    };
    let (text, why) = (cut(&question.question), why(question.why));
    format!("- {text} ({times}{why})")
}

fn why(why: Why) -> String {
    let reasons = [
        ("nothing found", why.nothing_found),
        ("the book does not cover it", why.not_covered),
        ("nothing cited", why.nothing_cited),
    ];
    let reasons: Vec<_> = reasons
        .into_iter()
        .filter(|(_, times)| *times > 0)
        .collect();
    match &reasons[..] {
        [(reason, _)] => (*reason).into(),
        several => {
            let several = several.iter();
            let several = several.map(|(reason, times)| format!("{reason} ({times})"));
            several.collect::<Vec<_>>().join(", ")
        }
    }
}

fn cited(cited: &Cited) -> String {
    let Cited {
        title,
        section,
        url,
        answers,
    } = cited;
    let section = section.as_ref().map(|section| format!(" > {section}"));
    let section = section.unwrap_or_default();
    format!("{answers:>6}  {title}{section}\n        {url}\n")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
