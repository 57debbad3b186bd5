//! The index of a book: a new version is built beside the one in use, and put in its place when it is
//! complete and nothing speaks against it.
//!
//! Readers see the old version or the new one, never half of either. After an indexing that was cut
//! short, the next one goes on from there: what was read is in the database. Never searches.

use std::collections::{HashMap, HashSet};

use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, sleep};

use super::embed::{self, Embedded, Embedding};
use super::pages::{self, Base, Crawl, Facts, Found, Known, Options, Skip, Source, judge};
use super::store::{self, Version};
use super::versions;
use crate::database::Database;

pub use super::report::{Error, Progress, Report, by_reason};
pub use super::store::LEASE;

/// Raised when the same HTML would be read differently.
const READER: u32 = 1;

/// Pages on their way from the book to the database.
const ON_THE_WAY: usize = 32;

/// The share of the chunks that a new version must keep, in percent.
const KEPT: u64 = 70;

/// What is to be indexed, and how.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Where the pages are read from.
    pub source: &'a Source,
    /// The address at which readers find them.
    pub base: &'a Base,
    /// What is read of them.
    pub options: &'a Options,
    /// Without it, the book is searched by its words alone.
    pub embedding: Option<Embedding<'a>>,
    /// Puts a version in place even if it has lost much.
    pub accept_loss: bool,
    /// When to stop, and leave the rest to the next indexing.
    pub until: Option<Instant>,
}

/// Brings the index up to date.
///
/// # Errors
///
/// The version in use stays as it is. See [`Error`].
pub async fn index(
    database: &Database,
    job: Job<'_>,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Report, Error> {
    let url = job.base.url().as_str();
    let options = options_text(job.options);
    let version = match store::hold(database, url, &options).await? {
        Ok(version) => version,
        Err(until) => return Err(Error::Busy(until)),
    };
    let indexing = Indexing {
        database,
        job,
        url,
        options: &options,
        version: &version,
        progress,
    };
    let result = tokio::select! {
        result = indexing.run() => result,
        error = indexing.keep_hold() => Err(error),
    };
    let hopeless =
        |error: &pages::Error| matches!(error, pages::Error::Drawn { .. } | pages::Error::Empty(_));
    if matches!(&result, Err(Error::Pages(error)) if hopeless(error)) {
        version.drop(database).await?;
    } else {
        version.release(database).await?;
    }
    versions::sweep(database).await?;
    embed::sweep(database).await?;
    result
}

/// The options that decide what is read of a page.
fn options_text(options: &Options) -> String {
    format!("{READER} {:?} {:?}", options.select, options.drop)
}

struct Indexing<'a> {
    database: &'a Database,
    job: Job<'a>,
    url: &'a str,
    options: &'a str,
    version: &'a Version,
    progress: &'a (dyn Fn(Progress) + Sync),
}

/// The pages of the book, as they were found now.
#[derive(Default)]
struct Seen {
    /// In the order in which they were found.
    facts: Vec<Facts>,
    /// The indices of those that had to be read.
    read: Vec<usize>,
}

impl Indexing<'_> {
    async fn run(&self) -> Result<Report, Error> {
        let (database, job) = (self.database, self.job);
        let active = versions::active(database, self.url).await?;
        let before = match &active {
            Some(active) => versions::pages(database, active.id).await?,
            None => Vec::new(),
        };
        let digests: HashMap<String, u64> = before
            .iter()
            .map(|page| (page.facts.location.clone(), page.facts.digest))
            .collect();
        let same_options = active.as_ref().is_some_and(|it| it.options == self.options);
        let mut known: HashMap<String, Facts> = HashMap::new();
        // A page that repeats another one has no chunks to take over.
        let taken = before.into_iter().filter(|it| same_options && !it.skipped);
        known.extend(taken.map(|it| (it.facts.location.clone(), it.facts)));
        let mut settled = Vec::new();
        let mut begun = HashSet::new();
        for page in versions::pages(database, self.version.id).await? {
            begun.insert(page.facts.location.clone());
            if page.fresh {
                settled.push(page.facts);
            } else {
                known.insert(page.facts.location.clone(), page.facts);
            }
        }

        let known: Vec<Facts> = known.into_values().collect();
        let (found, pages) = mpsc::channel(ON_THE_WAY);
        let crawl = async {
            // Dropped at the end, which ends the storing.
            let found = found;
            let known = Known {
                before: &known,
                settled: &settled,
            };
            pages::crawl(job.source, job.base, job.options, known, job.until, &found).await
        };
        let from = active.as_ref().map(|active| active.id);
        let (crawl, seen) = tokio::join!(crawl, self.store(pages, from, &begun));
        let (Crawl { problems, left }, seen) = (crawl?, seen?);
        let mut report = Report {
            left,
            problems,
            ..Report::default()
        };
        let is_new = |facts: &&Facts| !digests.contains_key(&facts.location);
        report.new = seen.facts.iter().filter(is_new).count();
        // A page that repeats another one is read each time, and need not have changed.
        let has_changed = |facts: &&Facts| {
            let before = digests.get(&facts.location);
            before.is_some_and(|digest| *digest != facts.digest || !same_options)
        };
        let read = seen.read.iter().map(|at| &seen.facts[*at]);
        report.changed = read.filter(has_changed).count();
        if left > 0 {
            report.pages = seen.facts.len() as u64;
            return Ok(report);
        }

        let locations: Vec<String> = seen.facts.iter().map(|it| it.location.clone()).collect();
        let there: HashSet<&String> = locations.iter().collect();
        report.gone = digests.keys().filter(|it| !there.contains(it)).count();
        report.skipped = self.judge(&seen.facts, &locations).await?;

        let nothing_new = report.new + report.changed + report.gone == 0;
        let before = active.as_ref().map_or(0, |it| it.chunks);
        let as_good = active.filter(|_| nothing_new && settled.is_empty() && same_options);
        if let Some(active) = as_good {
            // It may still lack vectors.
            report.embed(self.embed(active.id).await?);
            versions::checked(database, active.id).await?;
            self.version.drop(database).await?;
        } else {
            let now = self.version.count(database).await?;
            if !job.accept_loss && loses_much(before, now) {
                self.version.expire(database).await?;
                return Err(Error::Lost { before, now });
            }
            report.embed(self.embed(self.version.id).await?);
            if report.left == 0 && !self.version.activate(database).await? {
                return Err(Error::TakenOver);
            }
        }
        report.done = report.left == 0;
        if let Some(active) = versions::active(database, self.url).await? {
            (report.pages, report.chunks) = (active.pages, active.chunks);
        }
        Ok(report)
    }

    /// Stores pages as they come.
    async fn store(
        &self,
        mut pages: Receiver<Found>,
        from: Option<i64>,
        begun: &HashSet<String>,
    ) -> Result<Seen, Error> {
        let mut seen = Seen::default();
        let mut some = Vec::new();
        while pages.recv_many(&mut some, ON_THE_WAY).await > 0 {
            let (mut new, mut unchanged) = (Vec::new(), Vec::new());
            for found in some.drain(..) {
                seen.facts.push(found.facts().clone());
                match found {
                    Found::New(page) => {
                        seen.read.push(seen.facts.len() - 1);
                        new.push(page);
                    }
                    Found::Unchanged(facts) if !begun.contains(&facts.location) => {
                        unchanged.push(facts);
                    }
                    Found::Unchanged(_) | Found::Settled(_) => {}
                }
            }
            let puts = new.iter().map(|page| self.version.put(self.database, page));
            for held in futures_util::future::join_all(puts).await {
                if !held? {
                    return Err(Error::TakenOver);
                }
            }
            if let Some(from) = from.filter(|_| !unchanged.is_empty()) {
                self.version.copy(self.database, from, &unchanged).await?;
            }
            (self.progress)(Progress::Read(seen.facts.len()));
        }
        Ok(seen)
    }

    /// Leaves out the pages that are no part of the text, as only the whole book shows.
    async fn judge(
        &self,
        facts: &[Facts],
        locations: &[String],
    ) -> Result<Vec<(String, Skip)>, Error> {
        let judgement = judge(&facts.iter().collect::<Vec<_>>());
        judgement.check()?;
        let skips = facts.iter().zip(judgement.skips);
        let skipped: Vec<(&Facts, Skip)> = skips
            .filter_map(|(facts, skip)| Some((facts, skip?)))
            .collect();
        let by_others: Vec<(String, String)> = skipped
            .iter()
            .filter(|(facts, _)| facts.skip.is_none())
            .map(|(facts, skip)| (facts.location.clone(), skip.to_string()))
            .collect();
        self.version
            .skip(self.database, &by_others, locations)
            .await?;
        let named = |(facts, skip): (&Facts, Skip)| (facts.url.clone(), skip);
        Ok(skipped.into_iter().map(named).collect())
    }

    async fn embed(&self, version: i64) -> Result<Embedded, Error> {
        let Some(embedding) = self.job.embedding else {
            return Ok(Embedded::default());
        };
        let progress = |done, all| (self.progress)(Progress::Embedded(done, all));
        let until = self.job.until;
        Ok(embed::embed(self.database, version, embedding, until, &progress).await?)
    }

    /// Renews the lease from time to time; returns when another indexing has taken over.
    async fn keep_hold(&self) -> Error {
        loop {
            sleep(store::LEASE / 3).await;
            match self.version.renew(self.database).await {
                Ok(true) => {}
                Ok(false) => return Error::TakenOver,
                // The lease outlives two such failures.
                Err(error) => tracing::warn!(%error, "the book's lease could not be renewed"),
            }
        }
    }
}

/// Whether a version has lost so much that it is more likely a mistake.
pub(super) fn loses_much(before: u64, now: u64) -> bool {
    now * 100 < before * KEPT
}

impl versions::Active {
    /// Whether its pages were read as these options would have them read now.
    #[must_use]
    pub fn is_read_with(&self, options: &Options) -> bool {
        self.options == options_text(options)
    }
}
