//! The pages that a sitemap lists.

use super::crawl::{Reader, problem};
use super::sitemap::{self, Sitemap};
use super::source::Answer;
use super::{Error, Problem};

/// Sitemaps that an index may name.
const SITEMAPS: usize = 50;

/// Where sitemaps are: the usual name, and Starlight's.
const NAMES: [&str; 2] = ["sitemap.xml", "sitemap-index.xml"];

/// The folder that a path lies in, which may itself end with a slash.
fn folder_of(path: &str) -> String {
    let path = path.trim_end_matches('/');
    path[..=path.rfind('/').unwrap_or_default()].to_owned()
}

impl Reader<'_> {
    /// The pages that the sitemap lists, if there is one.
    pub(super) async fn listed(
        &self,
        problems: &mut Vec<Problem>,
    ) -> Result<Option<Vec<String>>, Error> {
        for name in NAMES {
            let path = format!("{}{name}", self.base.path());
            let locations = match self.locations(&path, problems).await? {
                Some(Sitemap::Pages(locations)) => locations,
                Some(Sitemap::Index(sitemaps)) => self.index(&path, &sitemaps, problems).await?,
                None => continue,
            };
            let named = |location: &String| self.base.named(&path, location);
            let pages: Vec<String> = locations.iter().filter_map(named).collect();
            return match locations.into_iter().next() {
                Some(first) if pages.is_empty() => {
                    let base = self.base.path().to_owned();
                    Err(Error::OtherBase { base, first })
                }
                _ => Ok(Some(pages)),
            };
        }
        self.listed_above().await
    }

    /// The pages of the book among those that a sitemap in a folder above lists: a generator writes one
    /// for its whole site, of which the book may be a part. What is wrong with it is not this book's.
    async fn listed_above(&self) -> Result<Option<Vec<String>>, Error> {
        let mut problems = Vec::new();
        for folder in self.base.above() {
            for name in NAMES {
                let path = format!("{folder}{name}");
                let found = self.locations(&path, &mut problems).await;
                let Ok(Some(Sitemap::Pages(locations))) = found else {
                    continue;
                };
                // Of one that is cut off, the book's pages may be missing.
                if locations.len() > self.options.limits.pages || !problems.is_empty() {
                    return Ok(None);
                }
                let named = |location: &String| self.base.named(&path, location);
                let pages: Vec<String> = locations.iter().filter_map(named).collect();
                if !pages.is_empty() {
                    return Ok(Some(pages));
                }
                let names_base = |location: &String| self.base.is_page_at(&path, location);
                if locations.iter().any(names_base) {
                    return Err(Error::IsPage {
                        page: self.base.path().trim_end_matches('/').to_owned(),
                        folder: self.base.at(&folder_of(self.base.path())).to_string(),
                    });
                }
            }
        }
        Ok(None)
    }

    /// What all the sitemaps of an index hold.
    async fn index(
        &self,
        path: &str,
        sitemaps: &[String],
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<String>, Error> {
        let mut locations = Vec::new();
        let sitemaps = sitemaps
            .iter()
            .filter_map(|sitemap| self.base.named(path, sitemap));
        for sitemap in sitemaps.take(SITEMAPS) {
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
