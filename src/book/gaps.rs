//! What readers asked that the book did not answer, and which of its sections answers cite most.
//!
//! Owns what an owner is told of it. Never tells who asked or when: no id, no time and no conversation
//! leaves the database, and nothing is told in the order of time. Never writes: what is told is read
//! from the messages, and goes with them.

mod grouping;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tokio_postgres::types::Type;

use super::language;
use crate::citation::{Citations, Source};
use crate::database::{Database, Error, Parameter, Statement};
use grouping::Unanswered;
pub use grouping::{Group, OnPage, Question, Why};

/// The most questions that are read, the newest.
pub const MOST_QUESTIONS: usize = 10_000;

/// The most sections that are told.
const CITED: usize = 20;

/// How much of a question is read, in characters.
const QUESTION_CHARS: usize = 1_000;

/// How many texts are reduced to words at once.
const BATCH: usize = 500;

/// No word of the scripts from here on (Chinese, Japanese, Korean) is short because it says little.
const IDEOGRAPHS: char = '\u{2e80}';

const ASKED: Statement = Statement::new("read questions", include_str!("gaps/asked.sql"));

const WORDS: Statement = Statement::new("reduce questions", include_str!("gaps/words.sql"));

/// How the book has answered the questions of some days.
#[derive(Debug, Default, Serialize)]
pub struct Gaps {
    /// Of how many days.
    pub days: i32,
    /// Questions for which the book was searched, and that have a whole answer.
    pub searched: usize,
    /// Those of them whose answer rests on the book.
    pub answered: usize,
    /// The others.
    pub not_answered: usize,
    /// There were more than [`MOST_QUESTIONS`]; all figures are of the newest.
    pub older_left_out: bool,
    /// The questions that were not answered, those asked most often first.
    pub groups: Vec<Group>,
    /// The sections that are cited most, at most twenty.
    pub cited: Vec<Cited>,
}

/// A section, and how often it is cited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cited {
    /// The page's title.
    pub title: String,
    /// The headings above the text; none for the page itself.
    pub section: Option<String>,
    /// The address of the section.
    pub url: String,
    /// The answers that cite it.
    pub answers: usize,
}

/// How the book has answered the questions of the last days.
///
/// # Errors
///
/// When the database fails.
pub async fn gaps(database: &Database, days: i32) -> Result<Gaps, Error> {
    // One more than is counted, to know whether there are more.
    let (limit, chars) = (MOST_QUESTIONS + 1, QUESTION_CHARS + 1);
    let parameters: [Parameter<'_>; 3] = [
        (&days, Type::INT4),
        (&i64::try_from(limit).unwrap_or(i64::MAX), Type::INT8),
        (&i32::try_from(chars).unwrap_or(i32::MAX), Type::INT4),
    ];
    let rows = database.query(&ASKED, &parameters).await?;
    let mut gaps = Gaps {
        days,
        older_left_out: rows.len() > MOST_QUESTIONS,
        ..Gaps::default()
    };
    let mut unanswered = BTreeMap::new();
    let mut cited = HashMap::new();
    for row in rows.iter().take(MOST_QUESTIONS) {
        // Citations in another form were stored by another release.
        let Ok(citations) = serde_json::from_str::<Citations>(row.get("citations")) else {
            continue;
        };
        gaps.searched += 1;
        if let Some(why) = Why::of(&citations) {
            gaps.not_answered += 1;
            let text = shown(row.get("question"));
            let question = unanswered
                .entry(text)
                .or_insert_with_key(|text| Unanswered::new(text.clone()));
            let page: Option<&str> = row.get("page");
            question.count(why, page.map(shown));
        } else {
            gaps.answered += 1;
        }
        for source in citations.sources {
            cited
                .entry(source.url.clone())
                .or_insert_with(|| Cited::never(source))
                .answers += 1;
        }
    }
    let mut unanswered: Vec<Unanswered> = unanswered.into_values().collect();
    for questions in unanswered.chunks_mut(BATCH) {
        reduce(database, questions).await?;
    }
    gaps.groups = grouping::group(unanswered);
    gaps.cited = cited.into_values().collect();
    gaps.cited
        .sort_by(|a, b| b.answers.cmp(&a.answers).then_with(|| a.url.cmp(&b.url)));
    gaps.cited.truncate(CITED);
    Ok(gaps)
}

/// Finds the words of these questions.
async fn reduce(database: &Database, questions: &mut [Unanswered]) -> Result<(), Error> {
    let texts: Vec<&str> = questions.iter().map(|it| it.text.as_str()).collect();
    let configs: Vec<&str> = texts.iter().map(|it| language::config("", it)).collect();
    let parameters: [Parameter<'_>; 2] = [(&texts, Type::TEXT_ARRAY), (&configs, Type::TEXT_ARRAY)];
    let rows = database.query(&WORDS, &parameters).await?;
    let words = rows.iter().filter_map(|row| {
        let place = usize::try_from(row.get::<_, i64>("place") - 1).ok()?;
        let config = *configs.get(place)?;
        let lexemes: Vec<String> = row.get("lexemes");
        let forms: Vec<String> = row.get("forms");
        let mut words: BTreeMap<String, String> = lexemes.into_iter().zip(forms).collect();
        words.retain(|lexeme, _| says_something(config, lexeme));
        Some((place, words))
    });
    for (place, words) in words.collect::<Vec<_>>() {
        questions[place].words = words;
    }
    Ok(())
}

/// Where no list of stop words is known, a short word is most often one: it would bring together
/// whatever is asked in that language. A name or a number among them is in ASCII.
fn says_something(config: &str, lexeme: &str) -> bool {
    const SHORT: usize = 3;
    config != language::SIMPLE
        || lexeme.chars().count() > SHORT
        || lexeme.is_ascii()
        || lexeme.contains(|letter| letter >= IDEOGRAPHS)
}

/// A reader's text as one line, cut where it is long, without what would steer a terminal.
fn shown(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let words = text
        .split(|letter: char| letter.is_whitespace() || steers(letter))
        .filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(QUESTION_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl Cited {
    fn never(source: Source) -> Self {
        Self {
            title: source.title,
            section: source.section,
            url: source.url,
            answers: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_line_that_steers_no_terminal() {
        assert_eq!(
            shown(" What\n is\t\u{1b}[31mthis\u{202e}? "),
            "What is [31mthis ?"
        );
        let long = shown(&"روبوٹ ".repeat(500));
        assert_eq!(long.chars().count(), QUESTION_CHARS + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn short_words_say_nothing_where_stop_words_are_not_known() {
        for (config, lexeme, says) in [
            ("simple", "ہے", false),
            ("simple", "کیا", false),
            ("simple", "روبوٹ", true),
            ("simple", "ros", true),
            ("simple", "2", true),
            ("simple", "电池", true),
            ("russian", "зуб", true),
        ] {
            assert_eq!(says_something(config, lexeme), says, "{lexeme}");
        }
    }
}
