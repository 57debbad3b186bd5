//! Goes through a book: finds its pages and reads each.
//!
//! A folder is read like a site, so that a file which nothing leads to (an old edition, a leftover)
//! stays out: the pages of the sitemap or, without one, those that can be reached by links from the
//! first page. Either way, a page's translations count as listed. `listed` reads the sitemap, and
//! `judge` decides which of the pages stay.

use std::collections::{HashMap, HashSet};
use std::mem;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::address::{self, Base};
use super::listed::Listed;
use super::page;
use super::rules::Rules;
use super::source::{Answer, Body, Fault, Source};
use super::{Error, Facts, Options, Page, Problem};

/// Pages that are asked for at once.
pub(super) const AT_ONCE: usize = 8;

/// What is said about a page that is not there.
const NO_PAGE: &str = "there is no such page";

/// What is known about a book before it is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The pages whose chunks the caller has, read with the same options: such a page comes back
    /// without its chunks if it has not changed, or cannot be read at the moment.
    pub before: &'a [Facts],
    /// The pages that an interrupted reading read a moment ago: they are not asked for again.
    pub settled: &'a [Facts],
}

/// A page that was asked for.
#[derive(Debug)]
pub enum Found {
    /// It is new, or has changed.
    New(Box<Page>),
    /// It is as it is known.
    Unchanged(Facts),
    /// It was read a moment ago.
    Settled(Facts),
}

impl Found {
    /// What to remember about it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match self {
            Self::New(page) => &page.facts,
            Self::Unchanged(facts) | Self::Settled(facts) => facts,
        }
    }
}

/// What reading a book gives besides its pages.
#[derive(Debug, Default)]
pub struct Crawl {
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Pages that there was no time for; where links are followed, at least this many.
    pub left: usize,
}

/// Reads the book at `base` from `source`; its pages go to `found` as they come.
///
/// # Errors
///
/// When nothing is found, or time runs out. A page that cannot be read is not an error but a
/// [`Problem`]; nor is it an error when `until` comes before the end.
pub async fn crawl(
    source: &Source,
    base: &Base,
    options: &Options,
    known: Known<'_>,
    until: Option<Instant>,
    found: &Sender<Found>,
) -> Result<Crawl, Error> {
    let rules = Rules::new(options)?;
    let by_location = |facts: &'_ [Facts]| -> HashMap<String, Facts> {
        let each = facts.iter().map(|it| (it.location.clone(), it.clone()));
        each.collect()
    };
    let reader = Reader {
        source,
        base,
        options,
        before: by_location(known.before),
        settled: by_location(known.settled),
        until,
        found,
        rules,
    };
    let time = options.limits.whole_time;
    tokio::time::timeout(time, reader.read())
        .await
        .map_err(|_| Error::OutOfTime(time))?
}

pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) base: &'a Base,
    pub(super) options: &'a Options,
    before: HashMap<String, Facts>,
    settled: HashMap<String, Facts>,
    until: Option<Instant>,
    found: &'a Sender<Found>,
    rules: Rules,
}

/// The outcome of asking for a page.
enum Answered {
    Page(Found),
    /// There is no page at the address.
    NotText,
    Gone,
    Failed(Fault),
    /// There was no time to ask.
    Left,
}

/// The paths that are still to be asked for, each once.
#[derive(Default)]
struct Queue {
    next: Vec<String>,
    seen: HashSet<String>,
}

impl Queue {
    fn add(&mut self, path: &str) {
        if self.seen.insert(address::folder(path).to_owned()) {
            self.next.push(path.to_owned());
        }
    }
}

pub(super) fn problem(url: &str, reason: String) -> Problem {
    let url = url.to_owned();
    Problem { url, reason }
}

impl Reader<'_> {
    async fn read(self) -> Result<Crawl, Error> {
        let mut crawl = Crawl::default();
        let mut queue = Queue::default();
        let said = self.listed(&mut crawl.problems).await?;
        let listed = match &said {
            Listed::Pages(paths) => Some(paths),
            _ => None,
        };
        match listed {
            Some(paths) => paths
                .iter()
                .filter(|path| self.wants(path))
                .for_each(|path| queue.add(path)),
            None => queue.add(self.base.path()),
        }
        let (mut asked, mut any) = (0, false);
        while !queue.next.is_empty() {
            let mut paths = mem::take(&mut queue.next);
            let room = self.options.limits.pages - asked;
            if paths.len() > room {
                let pages = asked + room;
                let reason =
                    format!("the book has more than {pages} pages: from here on none is read");
                crawl.problems.push(problem(&paths[room], reason));
                paths.truncate(room);
            }
            asked += paths.len();
            // In order, so that the same book is always read in the same way.
            let mut answers = stream::iter(paths)
                .map(|path| async { (self.page(&path).await, path) })
                .buffered(AT_ONCE);
            while let Some((answer, path)) = answers.next().await {
                let found = match answer {
                    Answered::NotText => continue,
                    Answered::Left => {
                        crawl.left += 1;
                        continue;
                    }
                    Answered::Page(found) => found,
                    Answered::Gone | Answered::Failed(_) if listed.is_none() && asked == 1 => {
                        let reason = match answer {
                            Answered::Failed(reason) => reason,
                            _ => NO_PAGE.into(),
                        };
                        return Err(Error::NoFirstPage(reason));
                    }
                    Answered::Gone => {
                        crawl.problems.push(problem(&path, NO_PAGE.into()));
                        continue;
                    }
                    Answered::Failed(reason) => {
                        crawl.problems.push(problem(&path, reason));
                        match self.before.get(&path) {
                            // It may be back later: what is known about it stays.
                            Some(facts) => Found::Unchanged(facts.clone()),
                            None => continue,
                        }
                    }
                };
                any = true;
                self.follow(found.facts(), listed.is_some(), &mut queue);
                // The first page is read for its links even if it is not wanted itself.
                if self.wants(&found.facts().url) && self.found.send(found).await.is_err() {
                    return Ok(crawl);
                }
            }
        }
        if any && asked == 1 && matches!(said, Listed::AsPage) {
            let reason = "it is the only page that was found: if the book has more, its address must be the \
                          folder that they lie in";
            crawl
                .problems
                .push(problem(self.base.path(), reason.into()));
        }
        if !any && crawl.left == 0 && asked > 0 && !crawl.problems.is_empty() {
            let Problem { url, reason } = crawl.problems.swap_remove(0);
            return Err(Error::NoPage(asked, url, reason));
        }
        Ok(crawl)
    }

    fn follow(&self, facts: &Facts, listed: bool, queue: &mut Queue) {
        let links = facts.links.iter().filter(|_| !listed);
        facts
            .translations
            .iter()
            .chain(links)
            .filter(|path| self.wants(path))
            .for_each(|path| queue.add(path));
    }

    /// Asks for a page and reads it.
    async fn page(&self, path: &str) -> Answered {
        if let Some(facts) = self.settled.get(path) {
            return Answered::Page(Found::Settled(facts.clone()));
        }
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return Answered::Left;
        }
        let known = self.before.get(path);
        let limits = &self.options.limits;
        let validators = known.map(|facts| &facts.validators);
        match (
            self.source.get(self.base, path, validators, limits).await,
            known,
        ) {
            (Err(reason), _) => Answered::Failed(reason),
            (Ok(Answer::NotModified), Some(facts)) => {
                Answered::Page(Found::Unchanged(facts.clone()))
            }
            (Ok(Answer::NotModified), None) => {
                Answered::Failed("the server says that it is not modified, unasked".into())
            }
            (Ok(Answer::NotText), _) => Answered::NotText,
            (Ok(Answer::Missing), _) => Answered::Gone,
            (Ok(Answer::Found(body)), known) => self.read_page(path, body, known),
        }
    }

    fn read_page(&self, location: &str, body: Body, known: Option<&Facts>) -> Answered {
        if body.cut {
            let bytes = self.options.limits.bytes;
            return Answered::Failed(format!("it is larger than {bytes} bytes"));
        }
        let digest = page::hash(&body.text);
        if let Some(known) = known
            && known.digest == digest
        {
            let facts = Facts {
                validators: body.validators,
                ..known.clone()
            };
            return Answered::Page(Found::Unchanged(facts));
        }
        match page::parse(&body.text, &body.path, self.base, &self.rules) {
            Ok(mut page) => {
                location.clone_into(&mut page.facts.location);
                page.facts.validators = body.validators;
                page.facts.digest = digest;
                Answered::Page(Found::New(Box::new(page)))
            }
            Err(error) => Answered::Failed(error.to_string()),
        }
    }

    fn wants(&self, path: &str) -> bool {
        let any =
            |patterns: &[String]| patterns.iter().any(|each| address::begins_like(path, each));
        let Options {
            include, exclude, ..
        } = self.options;
        (include.is_empty() || any(include)) && !any(exclude)
    }
}
