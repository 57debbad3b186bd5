//! Which parts of a page are its text: every selector and kind of element that this module knows.
//!
//! The lists were measured on the output of twelve generators and themes; the fixtures in
//! `tests/stories/book` fail without them. A site's own come on top, from [`Options`].

use scraper::{ElementRef, Html, Selector};

use super::{Content, Error, Options};

/// Elements that mark the content, the most telling first. `main` alone would be wrong for
/// `MkDocs` Material, whose `main` holds the sidebar too.
const CONTENT: [&str; 4] = [".theme-doc-markdown", "article", "[role=main]", "main"];

/// What is not text: controls, navigation, what is written twice. `hidden` is not among them,
/// because tabs are hidden with it; nor is a `p` that is hidden from screen readers, which is a
/// note's title, nor a heading for them alone, which is that of the footnotes.
const STRIP: &str = "script, style, noscript, template, svg, button, nav, footer, \
    [aria-hidden=true]:not(p), .sr-only:not(h2), .linenos, .lang, .toctree-wrapper, \
    .theme-doc-version-badge, .navheader, .navfooter";

const FORMULA: &str = ".katex, mjx-container, math, script[type^=\"math/tex\"]";

const FOOTNOTES: &str = "[role=doc-endnotes], section.footnotes, div.footnotes, div.footnote, \
    aside.footnote-list, aside.footnote, .footnote-definition";

/// The selectors of a book, ready to be matched.
#[derive(Debug)]
pub struct Rules {
    select: Vec<Selector>,
    own: bool,
    strip: Selector,
    drop: Vec<Selector>,
    formula: Selector,
    footnotes: Selector,
}

impl Rules {
    /// The known rules and those of the options.
    ///
    /// # Errors
    ///
    /// When one is not a CSS selector: the first of them.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let own = !options.select.is_empty();
        Ok(Self {
            select: if own {
                selectors(&options.select)?
            } else {
                selectors(&CONTENT)?
            },
            own,
            strip: selector(STRIP)?,
            drop: selectors(&options.drop)?,
            formula: selector(FORMULA)?,
            footnotes: selector(FOOTNOTES)?,
        })
    }

    /// The elements that hold the text of a page.
    ///
    /// A known selector counts if it has exactly one outermost match: two articles are a list. One
    /// that the operator wrote counts with all of its matches.
    pub(super) fn content<'a>(&self, html: &'a Html) -> (Content, Vec<ElementRef<'a>>) {
        for selector in &self.select {
            let matches = outermost(html, selector);
            if matches.len() == 1 || (self.own && !matches.is_empty()) {
                return (Content::Marked, matches);
            }
        }
        let body = html
            .root_element()
            .child_elements()
            .find(|child| child.value().name() == "body");
        match body {
            Some(body) if !self.own => (Content::Body, vec![body]),
            _ => (Content::Missing, Vec::new()),
        }
    }

    pub(super) fn strips(&self, element: &ElementRef) -> bool {
        self.strip.matches(element)
            || self.drop.iter().any(|drop| drop.matches(element))
            || is_mark(element)
    }

    pub(super) fn is_formula(&self, element: &ElementRef) -> bool {
        self.formula.matches(element)
    }

    pub(super) fn are_footnotes(&self, element: &ElementRef) -> bool {
        self.footnotes.matches(element)
    }
}

/// Whether an element ends the line before it.
pub(super) fn is_block(name: &str) -> bool {
    matches!(
        name,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "center"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "header"
            | "hgroup"
            | "hr"
            | "label"
            | "legend"
            | "li"
            | "main"
            | "menu"
            | "ol"
            | "option"
            | "p"
            | "pre"
            | "section"
            | "select"
            | "summary"
            | "table"
            | "tbody"
            | "td"
            | "tfoot"
            | "th"
            | "thead"
            | "tr"
            | "ul"
    )
}

fn selector(text: &str) -> Result<Selector, Error> {
    Selector::parse(text).map_err(|_| Error::Selector(text.into()))
}

fn selectors(texts: &[impl AsRef<str>]) -> Result<Vec<Selector>, Error> {
    texts.iter().map(|text| selector(text.as_ref())).collect()
}

/// The matches that are not inside another match.
fn outermost<'a>(html: &'a Html, selector: &Selector) -> Vec<ElementRef<'a>> {
    let mut found: Vec<ElementRef<'a>> = Vec::new();
    for element in html.select(selector) {
        // In the order of the document, only the last one found can enclose the next.
        let inside = found
            .last()
            .is_some_and(|last| element.ancestors().any(|node| node.id() == last.id()));
        if !inside {
            found.push(element);
        }
    }
    found
}

/// Whether a link within the page is a symbol and not text: a permalink, the way back from a
/// footnote, the number of a footnote.
fn is_mark(element: &ElementRef) -> bool {
    let within = element
        .attr("href")
        .is_some_and(|href| href.starts_with('#'));
    if element.value().name() != "a" || !within {
        return false;
    }
    let number = element.attr("role") == Some("doc-noteref")
        || element
            .parent()
            .and_then(ElementRef::wrap)
            .is_some_and(|parent| is_sup(&parent))
        || element.child_elements().any(|child| is_sup(&child));
    let sign = |c: char| !c.is_alphanumeric() || (number && c.is_numeric());
    element.text().all(|text| text.chars().all(sign))
        && element
            .descendent_elements()
            .all(|inner| inner.value().name() != "img")
}

fn is_sup(element: &ElementRef) -> bool {
    element.value().name() == "sup"
}
