//! Reads a whole book at once, and says what stays of it, for callers that need all of its text. An
//! indexing takes the pages as they come, from `crawl`.

use tokio::sync::mpsc;

use super::address::Base;
use super::crawl::{AT_ONCE, Found, Known, crawl};
use super::judge::judge;
use super::source::Source;
use super::{Error, Facts, Options, Page, Problem, Skip};

/// A book that was read as a whole.
#[derive(Debug)]
pub struct Reading {
    /// The pages with text that changed, or are new, in the order in which they were found.
    pub pages: Vec<Page>,
    /// The pages that have not changed: the chunks that the caller has stay.
    pub unchanged: Vec<Facts>,
    /// The pages that give nothing, and why.
    pub skipped: Vec<(String, Skip)>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// Reads the book at `base` from `source` and says what stays of it.
///
/// # Errors
///
/// When there is no book to put in place: nothing is found, the pages are drawn in the browser, or
/// time runs out.
pub async fn read(
    source: &Source,
    base: &Base,
    options: &Options,
    known: Known<'_>,
) -> Result<Reading, Error> {
    let (found, mut pages) = mpsc::channel(AT_ONCE);
    let crawl = async {
        // Ends the collecting.
        let found = found;
        crawl(source, base, options, known, None, &found).await
    };
    let collect = async {
        let mut all = Vec::new();
        while let Some(page) = pages.recv().await {
            all.push(page);
        }
        all
    };
    let (crawl, found) = tokio::join!(crawl, collect);
    let judgement = judge(&found.iter().map(Found::facts).collect::<Vec<_>>());
    let problems = crawl?.problems;
    judgement.check()?;
    let mut reading = Reading {
        pages: Vec::new(),
        unchanged: Vec::new(),
        skipped: Vec::new(),
        problems,
    };
    for (found, skip) in found.into_iter().zip(judgement.skips) {
        match (found, skip) {
            (found, Some(skip)) => reading.skipped.push((found.facts().url.clone(), skip)),
            (Found::New(page), None) => reading.pages.push(*page),
            (Found::Unchanged(facts) | Found::Settled(facts), None) => {
                reading.unchanged.push(facts);
            }
        }
    }
    Ok(reading)
}
