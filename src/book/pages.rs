//! A textbook, read from its built pages.
//!
//! The HTML is the only source: whatever generator wrote it, its addresses and anchors are right by
//! construction. Nothing here knows a database, an embedding or a setting's name; what is read is
//! handed back, and the caller decides what to store.
//!
//! ```text
//! read.rs            the whole book at once, with the verdict
//! crawl.rs           which pages there are: sitemap (listed.rs) or links; then every page as it comes
//!   ├ source.rs      where pages come from: a folder, or the web (web.rs: limits, hops, validators)
//!   ├ sitemap.rs     the addresses that a sitemap holds
//!   ├ page.rs        one page: its facts, its chunks, or why it gives none
//!   │   ├ head.rs    what it says about itself, and its links
//!   │   ├ rules.rs   what of it is text: all selectors are here
//!   │   ├ walk.rs    elements → text (heading.rs: anchors, code.rs, formula.rs)
//!   │   ├ blocks.rs  text → blocks → sections (line.rs: white space)
//!   │   └ split.rs   sections → pieces of about 350 tokens
//!   └ judge.rs       what only the whole book shows: repeats, pages drawn in the browser
//! address.rs         paths below the book's base; nothing else makes or compares an address
//! ```

mod address;
mod blocks;
mod code;
mod crawl;
mod formula;
mod head;
mod heading;
mod judge;
mod line;
mod listed;
mod page;
mod read;
mod rules;
mod sitemap;
mod source;
mod split;
mod walk;
mod web;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use address::Base;
pub(super) use address::stem;
pub use crawl::{Crawl, Found, Known, crawl};
pub use judge::{Judgement, judge};
pub use page::{Unreadable, parse};
pub use read::{Reading, read};
pub use rules::Rules;
pub use source::Source;
pub use split::tokens;
pub use web::Web;

/// A piece of a section: what is searched, and what an answer cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// [`Facts::url`] with the percent-encoded anchor; the caller puts the site's origin in front.
    pub url: String,
    /// The page's title.
    pub title: String,
    /// The headings above the text, outermost first, without the page's title.
    pub trail: Vec<String>,
    /// Blocks with an empty line between them, code in fences.
    pub text: String,
    /// The `lang` of the page; often that of the whole site instead.
    pub lang: String,
    /// The path of the page.
    pub page: String,
    /// The id that leads to the section, as it is written in the page; without one, the page itself.
    pub anchor: Option<String>,
    /// Counts the chunks of a page from 0.
    pub position: usize,
    /// See [`tokens`].
    pub tokens: usize,
}

/// A heading of a page's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Heading {
    /// 1 to 6.
    pub level: u8,
    /// Its text, without a permalink; cut at 300 characters.
    pub text: String,
    /// The id that leads to it, if it has one of its own.
    pub anchor: Option<String>,
}

/// What is remembered about a page between two readings, small enough to be stored with it: an
/// unchanged page is not fetched again, but still counts in the verdict on the book.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The path by which it was asked for.
    pub location: String,
    /// The path by which it is linked.
    pub url: String,
    /// What the server calls this version of it.
    #[serde(default)]
    pub validators: Validators,
    /// The first eight bytes of the SHA-256 of its HTML; 0 where it is not known.
    #[serde(default)]
    pub digest: u64,
    /// How its content was found.
    pub content: Content,
    /// Why it gives no chunks, for a reason that lies in the page itself.
    pub skip: Option<Skip>,
    /// The paths of the book that it links to.
    pub links: Vec<String>,
    /// The same page in other languages.
    pub translations: Vec<String>,
    /// Fingerprints of the chunks that another page might repeat.
    pub prints: Vec<Print>,
}

/// What a server calls a version of a page, for the next request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The header `ETag`.
    pub etag: Option<String>,
    /// The header `Last-Modified`.
    pub last_modified: Option<String>,
}

/// How the content of a page was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// By an element that marks it.
    Marked,
    /// Nothing marks it, so it is the whole body: right only in a book that marks none at all.
    Body,
    /// There is none.
    Missing,
}

/// The fingerprint of a chunk's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Print {
    /// The first eight bytes of the text's SHA-256.
    pub hash: u64,
    /// The text's length in characters.
    pub length: usize,
}

/// Why a page gives no chunks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// A `meta refresh`.
    #[error("it sends the reader to another page")]
    Redirect,
    /// `meta robots` with `noindex` or `none`.
    #[error("it is marked noindex")]
    NoIndex,
    /// Search, 404 and the like.
    #[error("its name says that it is no page of the text (404, search, genindex, print, toc)")]
    Utility,
    /// No content element, or no text in it.
    #[error("it has no content")]
    NoContent,
    /// Headings that are links to other pages: tags, categories, a blog's list.
    #[error("it lists other pages")]
    Listing,
    /// More than four fifths of its text are links.
    #[error("nearly all of it is links")]
    Links,
    /// At least three fifths of its text are on this page already.
    #[error("it repeats {0}")]
    Repeats(String),
}

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page {
    /// What to remember about it.
    pub facts: Facts,
    /// Its first h1, or the title in its head.
    pub title: String,
    /// All headings of the content, in order.
    pub headings: Vec<Heading>,
    /// In the order of the page.
    pub chunks: Vec<Chunk>,
}

/// A page that could not be read; the others were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The path that was asked for.
    pub url: String,
    /// One line for the operator.
    pub reason: String,
}

/// What an operator may say about a book.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// CSS selectors of the content, in place of the known ones: the first that matches counts,
    /// with everything it matches.
    pub select: Vec<String>,
    /// CSS selectors of what is left out, besides what is known not to be text.
    pub drop: Vec<String>,
    /// Only pages whose path begins with one of these; `*` stands for any characters.
    pub include: Vec<String>,
    /// No pages whose path begins with one of these; `*` stands for any characters.
    pub exclude: Vec<String>,
    /// What a reading may cost at most.
    pub limits: Limits,
}

/// What a reading may cost at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pages that are asked for.
    pub pages: usize,
    /// Bytes of a page, or of a sitemap.
    pub bytes: usize,
    /// From a request to the last byte of its response, redirects included.
    pub page_time: Duration,
    /// For the whole book.
    pub whole_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pages: 3_000,
            bytes: 5_000_000,
            page_time: Duration::from_secs(30),
            whole_time: Duration::from_mins(30),
        }
    }
}

/// Why there is no book to put in place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an address below which pages can lie.
    #[error("the book's address {0} {1}")]
    Address(String, &'static str),
    /// Not a CSS selector.
    #[error("{0:?} is not a CSS selector")]
    Selector(String),
    /// The HTTP client cannot be made.
    #[error("the HTTP client cannot be set up")]
    SetUp(#[source] reqwest::Error),
    /// There may be a sitemap: without it, pages that no page links to would be taken for deleted.
    #[error("the sitemap {0} cannot be read: {1}")]
    Sitemap(String, String),
    /// No sitemap and no first page.
    #[error(
        "there is no sitemap.xml, and the page at the book's address cannot be read: {0}. The address \
         must be the folder that the book's pages lie in, as readers see it"
    )]
    NoFirstPage(String),
    /// The sitemap lists the pages of another folder.
    #[error(
        "none of the pages in sitemap.xml lies below {base}; the first is {first}: \
         the book's address must end with the folder that the site is built for"
    )]
    OtherBase {
        /// The path of the book's address.
        base: String,
        /// The path of a page.
        first: String,
    },
    /// Every page failed.
    #[error(
        "none of {0} pages can be read; the first is {1}: {2}. If the pages are read from a folder, \
         it must be what lies at the book's address"
    )]
    NoPage(usize, String, String),
    /// Every page was skipped.
    #[error("no page has any text: {0} were asked for")]
    Empty(usize),
    /// The built pages are empty.
    #[error(
        "{without} of {pages} pages have no content: the pages are drawn in the browser (a login \
         wall or a loading gate around the whole site does that), so there is nothing to read. \
         Either let the gate through while the site is built, for Docusaurus \
         `if (isLoading && typeof window !== 'undefined')` in src/theme; or build a copy without \
         the gate (without src/theme) and read that folder: its addresses are the same"
    )]
    Drawn {
        /// Pages without content.
        without: usize,
        /// Pages that should have some.
        pages: usize,
    },
    /// [`Limits::whole_time`] has run out.
    #[error("the book could not be read in {} s", .0.as_secs())]
    OutOfTime(Duration),
}
