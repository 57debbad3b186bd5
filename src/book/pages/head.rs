//! What a page says about itself, and where it leads.
//!
//! The whole document is read for that, navigation included; `walk` reads the text.

use std::collections::HashSet;

use scraper::{ElementRef, Html};

use super::Skip;
use super::address::Base;

/// What a page says about itself and others.
#[derive(Default)]
pub(super) struct Head {
    pub(super) title: Option<String>,
    pub(super) lang: String,
    pub(super) canonical: Option<String>,
    pub(super) skip: Option<Skip>,
    pub(super) links: Vec<String>,
    pub(super) translations: Vec<String>,
}

impl Head {
    pub(super) fn of(html: &Html, location: &str, base: &Base) -> Self {
        let root = html.root_element();
        let mut head = Self {
            lang: root.attr("lang").unwrap_or_default().trim().into(),
            ..Self::default()
        };
        let mut links = Links::default();
        let mut translations = Links::default();
        for element in root.descendent_elements() {
            let href = element.attr("href");
            match element.value().name() {
                "a" | "area" => links.add(href.and_then(|href| base.follow(location, href))),
                // An old mdBook's table of contents.
                "iframe" => {
                    links.add(
                        element
                            .attr("src")
                            .and_then(|src| base.follow(location, src)),
                    );
                }
                "link" => {
                    let path = href.and_then(|href| base.named(location, href));
                    match element.attr("rel").unwrap_or_default() {
                        "canonical" => head.canonical = head.canonical.or(path),
                        "alternate" if element.attr("hreflang").is_some() => translations.add(path),
                        "next" => links.add(href.and_then(|href| base.follow(location, href))),
                        _ => {}
                    }
                }
                "meta" => head.meta(element, &mut links, location, base),
                // Pictures have titles too.
                "title" if head.title.is_none() => head.title = Some(words(element)),
                _ => {}
            }
        }
        head.links = links.list;
        head.translations = translations.list;
        head
    }

    fn meta(&mut self, meta: ElementRef, links: &mut Links, location: &str, base: &Base) {
        let content = meta.attr("content").unwrap_or_default();
        let is = |attribute, value: &str| {
            meta.attr(attribute)
                .is_some_and(|is| is.trim().eq_ignore_ascii_case(value))
        };
        if is("http-equiv", "refresh") {
            // "5" alone means: this page again.
            if let Some((_, target)) = content.split_once('=') {
                let target = target.trim().trim_matches(['"', '\'']);
                links.add(base.follow(location, target));
                self.skip = Some(Skip::Redirect);
            }
        } else if is("name", "robots") || is("property", "robots") {
            let hidden = |word: &str| matches!(word.trim(), "noindex" | "none");
            if content.to_ascii_lowercase().split(',').any(hidden) && self.skip.is_none() {
                self.skip = Some(Skip::NoIndex);
            }
        }
    }
}

/// Paths in the order in which they occur, each once.
#[derive(Default)]
struct Links {
    list: Vec<String>,
    seen: HashSet<String>,
}

impl Links {
    fn add(&mut self, path: Option<String>) {
        if let Some(path) = path.filter(|path| !self.seen.contains(path)) {
            self.seen.insert(path.clone());
            self.list.push(path);
        }
    }
}

fn words(element: ElementRef) -> String {
    let text: String = element.text().collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
