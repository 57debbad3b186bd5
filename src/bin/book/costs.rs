//! `book costs`: what the last days have cost, and how many questions a budget is good for. Changes
//! nothing, and needs no book: only the database.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use textbook_chat::config::BookProgram;
use textbook_chat::session::costs::{Day, costs};

use crate::{Failure, report};

/// How long the statement may take: it counts answers, which no turn does.
const PATIENCE: Duration = Duration::from_mins(1);

/// Sums of earlier days are deleted.
const MOST_DAYS: i64 = 31;

/// The default of `DAILY_BUDGET_USD`, in billionths of a dollar.
const BUDGET: i64 = 5_000_000_000;

/// Shows what the last days have cost, by their answers
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Of how many days, today included
    #[arg(long, value_name = "DAYS", default_value_t = 30,
          value_parser = clap::value_parser!(i32).range(1..=MOST_DAYS))]
    days: i32,
    /// Print one JSON object a day instead
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
    let days = costs(&database, arguments.days).await?;
    Ok(if arguments.json {
        days.iter().map(report::line).collect()
    } else {
        text(&days, arguments.days)
    })
}

fn text(days: &[Day], asked: i32) -> String {
    if days.is_empty() {
        return format!("Nothing was asked in the last {asked} days.\n");
    }
    let mut all = Day {
        day: "together".into(),
        ..Day::default()
    };
    let mut text = String::from("day         answers  searched the book    dollars  an answer\n");
    for day in days {
        all.nanos += day.nanos;
        all.index_nanos += day.index_nanos;
        all.answers += day.answers;
        all.searched += day.searched;
        text += &line(day);
    }
    text += &line(&all);
    if all.index_nanos > 0 {
        let _ = writeln!(
            text,
            "The book's embeddings: ${:.4}.",
            dollars(all.index_nanos)
        );
    }
    if let Some(each) = each(&all) {
        let _ = writeln!(
            text,
            "At this cost, $5 are good for {} questions.",
            BUDGET / each
        );
    }
    text + "Two settings limit it: DAILY_BUDGET_USD, for everybody, and RATE_LIMIT_NETWORK_PER_DAY, for one\n\
            network. Answers of conversations that were deleted are not counted; what they cost is.\n"
}

fn line(day: &Day) -> String {
    let each = each(day).map_or("".into(), |each| format!("{:.4}", dollars(each)));
    let line = format!(
        "{:<10}  {:>7}  {:>17}  {:>9.4}  {each:>9}",
        day.day,
        day.answers,
        day.searched,
        dollars(day.nanos)
    );
    format!("{}\n", line.trim_end())
}

/// What an answer has cost, in billionths of a dollar.
fn each(day: &Day) -> Option<i64> {
    let answers = i64::try_from(day.answers).ok()?;
    Some(day.nanos.checked_div(answers)?).filter(|each| *each > 0)
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with four digits")]
fn dollars(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}
