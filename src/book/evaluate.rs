//! How well the search works, measured with questions whose answers are known: how often, and how
//! early, a section that answers them is found.
//!
//! Ranks count sections, as an answer gets them: the pieces of one section count once.
//!
//! Never decides what is good enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::pages::Base;
use super::search::{self, Before, Query, Section, Vector, search};
use crate::database::{self, Database};

/// How far down a hit counts.
const SECTIONS: usize = 10;

/// A question, and the sections that answer it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What the reader types.
    pub question: String,
    /// The sections that answer it, as addresses, or as paths from the site or from the book's folder;
    /// any one of them is a hit.
    pub urls: Vec<String>,
    /// The page that the reader is on.
    pub page: Option<String>,
    /// What kind of question it is: each kind gets figures of its own.
    pub kind: Option<String>,
}

/// A question as it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question.
    pub question: &'a Question,
    /// Its vector; without one it is searched by words alone.
    pub vector: Option<Vector<'a>>,
}

impl<'a> From<&'a Question> for Asked<'a> {
    /// By words alone.
    fn from(question: &'a Question) -> Self {
        Self {
            question,
            vector: None,
        }
    }
}

/// How a set of questions was answered. Shares are between 0 and 1.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Of all questions.
    pub all: Share,
    /// By kind.
    pub kinds: BTreeMap<String, Share>,
    /// The questions whose answer is not among the first five sections, with the section that came
    /// first instead.
    pub misses: Vec<Miss>,
}

/// The figures of some of the questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    /// How many questions.
    pub questions: u32,
    /// The share of them that is answered by one of the first three sections.
    pub recall_3: f64,
    /// By one of the first five.
    pub recall_5: f64,
    /// By one of the first ten.
    pub recall_10: f64,
    /// The mean of 1 / the rank of the first section that answers; 0 beyond ten.
    pub mrr: f64,
}

/// A question whose answer was not found well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Miss {
    /// The question.
    pub question: String,
    /// The rank at which a section that answers was found, if at all.
    pub rank: Option<usize>,
    /// The section that came first.
    pub first: Option<String>,
}

/// Why a set of questions cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Unreadable {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Questions as JSON, one per line.
///
/// # Errors
///
/// When a line is no question, or one without text or sections.
pub fn questions(text: &str) -> Result<Vec<Question>, Unreadable> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let questions = lines.map(|(number, line)| {
        let unreadable = |reason| Unreadable {
            line: number + 1,
            reason,
        };
        let question: Question =
            serde_json::from_str(line).map_err(|error| unreadable(error.to_string()))?;
        if question.question.trim().is_empty() {
            return Err(unreadable("`question` is empty".into()));
        }
        if question.urls.is_empty() {
            return Err(unreadable("`urls` is empty".into()));
        }
        Ok(question)
    });
    questions.collect()
}

/// Asks all of them, without the reader's page unless `with_pages`; `None` without an active index.
///
/// # Errors
///
/// When the database fails.
pub async fn evaluate(
    database: &Database,
    book: &Base,
    asked: &[Asked<'_>],
    with_pages: bool,
) -> Result<Option<Figures>, database::Error> {
    let mut figures = Figures::default();
    for &Asked { question, vector } in asked {
        let page = question.page.as_deref().filter(|_| with_pages);
        let page = page.map(|page| address(book.url(), page));
        let found = search(
            database,
            &Query {
                book: book.url(),
                question: &question.question,
                before: Before::Nothing,
                page: page.as_deref(),
                vector,
                sections: SECTIONS,
                max_chars: usize::MAX,
            },
        )
        .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        figures.count(question, rank(book.url(), question, &found), &found);
    }
    for share in figures.kinds.values_mut().chain([&mut figures.all]) {
        share.divide();
    }
    Ok(Some(figures))
}

/// The rank, from 1, of the first section that answers.
fn rank(book: &Url, question: &Question, found: &[Section]) -> Option<usize> {
    let answers: Vec<String> = question
        .urls
        .iter()
        .map(|url| place(&address(book, url)))
        .collect();
    let hit = |section: &Section| answers.contains(&place(&section.url));
    found.iter().position(hit).map(|index| index + 1)
}

/// The whole address of a section that is named by its address or by a path.
fn address(book: &Url, named: &str) -> String {
    book.join(named).map_or_else(|_| named.into(), Into::into)
}

/// What all addresses of one section have in common: the path and the fragment.
fn place(address: &str) -> String {
    let fragment = address.split_once('#').map(|(_, fragment)| fragment);
    let path = search::path(address);
    let path = path.strip_suffix("index.html").unwrap_or(path);
    let path = path.strip_suffix(".html").unwrap_or(path);
    let place = format!(
        "{}#{}",
        path.strip_suffix('/').unwrap_or(path),
        fragment.unwrap_or_default()
    );
    // Whichever of its characters are percent-encoded.
    percent_encoding::percent_decode_str(&place)
        .decode_utf8_lossy()
        .into_owned()
}

impl Figures {
    fn count(&mut self, question: &Question, rank: Option<usize>, found: &[Section]) {
        self.all.count(rank);
        if let Some(kind) = &question.kind {
            self.kinds.entry(kind.clone()).or_default().count(rank);
        }
        if rank.is_none_or(|rank| rank > 5) {
            self.misses.push(Miss {
                question: question.question.clone(),
                rank,
                first: found.first().map(|section| section.url.clone()),
            });
        }
    }
}

impl Share {
    /// Sums, until [`Share::divide`].
    fn count(&mut self, rank: Option<usize>) {
        self.questions += 1;
        let Some(rank) = rank.and_then(|rank| u32::try_from(rank).ok()) else {
            return;
        };
        let within = |limit| if rank <= limit { 1.0 } else { 0.0 };
        self.recall_3 += within(3);
        self.recall_5 += within(5);
        self.recall_10 += within(10);
        self.mrr += 1.0 / f64::from(rank);
    }

    fn divide(&mut self) {
        let questions = f64::from(self.questions.max(1));
        for sum in [
            &mut self.recall_3,
            &mut self.recall_5,
            &mut self.recall_10,
            &mut self.mrr,
        ] {
            *sum /= questions;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_question_is_named() {
        let text = "{\"question\": \"a\", \"urls\": [\"x.html#y\"]}\n\n{\"question\": \"b\"}";
        let error = questions(text).unwrap_err();
        assert_eq!(error.line, 3, "{error}");
        assert!(error.reason.contains("urls"), "{error}");
        for (empty, reason) in [
            (
                r#"{"question": "a", "urls": []}"#,
                "line 1: `urls` is empty",
            ),
            (
                r#"{"question": " ", "urls": ["x"]}"#,
                "line 1: `question` is empty",
            ),
        ] {
            assert_eq!(questions(empty).unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn addresses_of_one_section_are_one_place() {
        let book = Url::parse("https://b.example/book/").unwrap();
        let place = |named| place(&address(&book, named));
        let expected = place("x#a-b");
        for named in [
            "x.html#a-b",
            "/book/x/#a-b",
            "https://other.example/book/x/index.html?q#a%2Db",
        ] {
            assert_eq!(place(named), expected, "{named}");
        }
        assert_ne!(place("x"), expected);
        assert_eq!(place("index.html"), place("/book/"));
    }

    #[test]
    fn shares_are_of_all_questions() {
        let mut share = Share::default();
        for rank in [Some(1), Some(4), Some(8), None] {
            share.count(rank);
        }
        share.divide();
        let expected = Share {
            questions: 4,
            recall_3: 0.25,
            recall_5: 0.5,
            recall_10: 0.75,
            mrr: (1.0 + 0.25 + 0.125) / 4.0,
        };
        assert_eq!(share, expected);
    }
}
