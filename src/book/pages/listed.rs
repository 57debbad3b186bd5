//! The pages that a sitemap lists.

use super::address::folder as folder_of;
use super::crawl::{Reader, problem};
use super::sitemap::{self, Sitemap};
use super::source::Answer;
use super::{Error, Problem};

/// Sitemaps that an index may name.
const SITEMAPS: usize = 50;

/// Where sitemaps are: the usual name, and Starlight's.
const NAMES: [&str; 2] = ["sitemap.xml", "sitemap-index.xml"];

/// What a sitemap says of the book.
pub(super) enum Listed {
    /// Its pages.
    Pages(Vec<String>),
    /// There is none, or it lists none of the book's pages.
    Nothing,
    /// The same, but for the book's own address, which it lists as that of a page.
    AsPage,
}

/// Whether a sitemap that is not this book's cannot be read today nor tomorrow.
fn is_lasting(reason: &str) -> bool {
    reason.starts_with("it is redirected") || reason.starts_with("the server answers 401")
}

impl Reader<'_> {
    /// The pages that the sitemap lists, if there is one.
    pub(super) async fn listed(&self, problems: &mut Vec<Problem>) -> Result<Listed, Error> {
        for name in NAMES {
            let path = format!("{}{name}", self.base.path());
            let locations = match self.locations(&path, problems).await? {
                Some(Sitemap::Pages(locations)) => locations,
                Some(Sitemap::Index(sitemaps)) => self.index(&path, &sitemaps, problems).await?,
                None => continue,
            };
            let pages = self.below(&path, &locations);
            return match locations.into_iter().next() {
                Some(first) if pages.is_empty() => {
                    let base = self.base.path().to_owned();
                    Err(Error::OtherBase { base, first })
                }
                _ => Ok(Listed::Pages(pages)),
            };
        }
        if self.source.reaches_above() {
            self.listed_above().await
        } else {
            Ok(Listed::Nothing)
        }
    }

    /// Those of the addresses in a sitemap that lie below the book's.
    fn below(&self, sitemap: &str, locations: &[String]) -> Vec<String> {
        let named = |location: &String| self.base.named(sitemap, location);
        locations.iter().filter_map(named).collect()
    }

    /// The pages of the book among those that a sitemap in a folder above lists: a generator writes one
    /// for its whole site, of which the book may be a part. What is wrong with its text is not this book's.
    async fn listed_above(&self) -> Result<Listed, Error> {
        let mut problems = Vec::new();
        let mut listed = Listed::Nothing;
        for folder in self.base.above() {
            for name in NAMES {
                let path = format!("{folder}{name}");
                let locations = match self.locations(&path, &mut problems).await {
                    Ok(Some(Sitemap::Pages(locations))) => locations,
                    // It may be there tomorrow, and the pages that only it lists must not go today.
                    Err(Error::Sitemap(_, reason)) if !is_lasting(&reason) => {
                        return Err(Error::Sitemap(path, reason));
                    }
                    _ => continue,
                };
                // Of one that is cut off, the book's pages may be missing.
                if locations.len() > self.options.limits.pages || !problems.is_empty() {
                    return Ok(Listed::Nothing);
                }
                let pages = self.below(&path, &locations);
                // Some name nothing of a part of the site but its front page, which links to the rest.
                if pages.iter().any(|page| folder_of(page) != self.base.path()) {
                    return Ok(Listed::Pages(pages));
                }
                if locations.iter().any(|it| self.base.is_page_at(&path, it)) {
                    listed = Listed::AsPage;
                }
            }
        }
        Ok(listed)
    }

    /// What all the sitemaps of an index hold.
    async fn index(
        &self,
        path: &str,
        sitemaps: &[String],
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<String>, Error> {
        let mut locations = Vec::new();
        let sitemaps = self.below(path, sitemaps);
        for sitemap in sitemaps.into_iter().take(SITEMAPS) {
            match self.locations(&sitemap, problems).await? {
                Some(Sitemap::Pages(more)) => locations.extend(more),
                _ => problems.push(problem(&sitemap, "it is no sitemap".into())),
            }
        }
        Ok(locations)
    }

    /// What a sitemap holds; `None` where there is none.
    async fn locations(
        &self,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Sitemap>, Error> {
        let limits = &self.options.limits;
        let body = match self.source.get(self.base, path, None, limits).await {
            Ok(Answer::Found(body)) => body,
            Ok(_) => return Ok(None),
            Err(reason) => return Err(Error::Sitemap(path.into(), reason)),
        };
        if body.cut {
            let bytes = limits.bytes;
            let reason = format!("it is larger than {bytes} bytes: what follows is not read");
            problems.push(problem(path, reason));
        }
        // One more than are read, so that the limit is noticed.
        Ok(sitemap::parse(&body.text, limits.pages + 1))
    }
}
