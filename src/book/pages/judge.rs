//! What only the whole book shows: which pages repeat another, and whether the book was built at
//! all.
//!
//! Pure, and over [`Facts`] alone: pages that were not fetched again count like those that were.

use std::collections::{HashMap, HashSet};

use super::{Content, Error, Facts, Skip};

/// One in this many of the pages that should have content may have none.
const EMPTY: usize = 5;

/// The verdict on a book.
#[derive(Debug)]
pub struct Judgement {
    /// For each page, in the order given, why it is left out; `None` keeps it.
    pub skips: Vec<Option<Skip>>,
    /// Pages that should have content.
    pub pages: usize,
    /// Those of them that have none.
    pub without: usize,
}

impl Judgement {
    /// # Errors
    ///
    /// [`Error::Drawn`] where more than a fifth of the pages are empty, [`Error::Empty`] where all
    /// are left out.
    pub fn check(&self) -> Result<(), Error> {
        let (pages, without) = (self.pages, self.without);
        if without * EMPTY > pages {
            return Err(Error::Drawn { without, pages });
        }
        if self.skips.iter().all(Option::is_some) {
            return Err(Error::Empty(self.skips.len()));
        }
        Ok(())
    }
}

/// Judges the pages of a book, in the order in which they were found: the first of two that say
/// the same stays.
#[must_use]
pub fn judge(pages: &[&Facts]) -> Judgement {
    // Where some pages mark their content, a page that does not has none. Where no page does, the
    // generator does not know such elements.
    let marked = pages.iter().any(|page| page.content == Content::Marked);
    let mut seen = Seen::default();
    let mut judgement = Judgement {
        skips: Vec::new(),
        pages: 0,
        without: 0,
    };
    for page in pages {
        let skip = match &page.skip {
            Some(skip) => Some(skip.clone()),
            None if marked && page.content == Content::Body => Some(Skip::NoContent),
            None => seen.repeated(page).map(Skip::Repeats),
        };
        match &skip {
            Some(Skip::Redirect | Skip::NoIndex | Skip::Utility) => {}
            Some(Skip::NoContent) => {
                judgement.pages += 1;
                judgement.without += 1;
            }
            // Without a mark of content, the same sentence on every page is that of a spinner.
            Some(Skip::Repeats(_)) if page.content == Content::Body => {
                judgement.pages += 1;
                judgement.without += 1;
            }
            _ => judgement.pages += 1,
        }
        if skip.is_none() {
            seen.add(page);
        }
        judgement.skips.push(skip);
    }
    judgement
}

/// The chunks of the pages that stay.
#[derive(Default)]
struct Seen<'a> {
    urls: HashSet<&'a str>,
    pages: HashMap<u64, Vec<&'a str>>,
}

impl<'a> Seen<'a> {
    fn add(&mut self, page: &'a Facts) {
        self.urls.insert(&page.url);
        let hashes: HashSet<u64> = page.prints.iter().map(|print| print.hash).collect();
        for hash in hashes {
            self.pages.entry(hash).or_default().push(&page.url);
        }
    }

    /// The one page that has at least three fifths of this page's text, or its address.
    fn repeated(&self, page: &'a Facts) -> Option<String> {
        if self.urls.contains(page.url.as_str()) {
            return Some(page.url.clone());
        }
        let mut shared: HashMap<&str, usize> = HashMap::new();
        for print in &page.prints {
            for other in self.pages.get(&print.hash).into_iter().flatten() {
                *shared.entry(other).or_default() += print.length;
            }
        }
        let whole: usize = page.prints.iter().map(|print| print.length).sum();
        let (other, most) = shared
            .into_iter()
            .max_by_key(|(url, length)| (*length, *url))?;
        (most * 5 >= whole * 3).then(|| other.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::pages::{Print, Validators};

    fn page(url: &str, content: Content, hashes: &[u64]) -> Facts {
        Facts {
            location: url.into(),
            url: url.into(),
            validators: Validators::default(),
            digest: 0,
            content,
            skip: hashes.is_empty().then_some(Skip::NoContent),
            links: Vec::new(),
            translations: Vec::new(),
            prints: hashes
                .iter()
                .map(|hash| Print {
                    hash: *hash,
                    length: 10,
                })
                .collect(),
        }
    }

    #[test]
    fn a_page_that_says_three_fifths_of_another_is_left_out_and_the_first_stays() {
        let pages = [
            page("/a", Content::Marked, &[1, 2, 3, 4]),
            page("/b", Content::Marked, &[1, 2, 3, 8, 9]),
            page("/c", Content::Marked, &[1, 2, 7, 8, 9]),
            page("/a", Content::Marked, &[77]),
        ];
        let skips = judge(&pages.iter().collect::<Vec<_>>()).skips;
        assert_eq!(skips[0], None);
        assert_eq!(skips[1], Some(Skip::Repeats("/a".into())));
        assert_eq!(
            skips[2], None,
            "shares two fifths with /a; /b is out already"
        );
        assert_eq!(
            skips[3],
            Some(Skip::Repeats("/a".into())),
            "the same address twice"
        );
    }

    #[test]
    fn a_book_of_which_more_than_a_fifth_is_empty_is_drawn_in_the_browser() {
        let mut pages: Vec<Facts> = (0..8)
            .map(|n| page(&format!("/{n}"), Content::Marked, &[n]))
            .collect();
        pages.extend((8..10).map(|n| page(&format!("/{n}"), Content::Missing, &[])));
        judge(&pages.iter().collect::<Vec<_>>()).check().unwrap();
        // A page without a mark among pages with one is empty too, whatever its body says.
        pages.push(page("/10", Content::Body, &[10]));
        let error = judge(&pages.iter().collect::<Vec<_>>())
            .check()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("3 of 11 pages have no content: the pages are drawn"),
            "{error}"
        );
    }

    #[test]
    fn a_book_that_marks_nothing_is_its_bodies_unless_they_all_say_the_same() {
        let different: Vec<Facts> = (0..9)
            .map(|n| page(&format!("/{n}"), Content::Body, &[n]))
            .collect();
        judge(&different.iter().collect::<Vec<_>>())
            .check()
            .unwrap();
        let loading: Vec<Facts> = (0..9)
            .map(|n| page(&format!("/{n}"), Content::Body, &[1]))
            .collect();
        let verdict = judge(&loading.iter().collect::<Vec<_>>()).check();
        assert!(matches!(
            verdict,
            Err(Error::Drawn {
                without: 8,
                pages: 9
            })
        ));
    }
}
