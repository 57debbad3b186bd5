//! One page: its HTML in, its facts and chunks out.
//!
//! A plain function: the parsed tree cannot leave its thread, and nothing here waits or makes a
//! request. What only the whole book shows is decided by [`super::judge`].

use scraper::Html;
use sha2::{Digest, Sha256};

use super::address::{self, Base};
use super::head::Head;
use super::heading::Ids;
use super::rules::Rules;
use super::split::{split, tokens};
use super::walk::{Found, walk};
use super::{Chunk, Content, Facts, Heading, Page, Print, Skip, Validators};

/// Pages that generators write beside the book, in its top folder.
const UTILITIES: [&str; 5] = ["404", "search", "genindex", "print", "toc"];

/// Tags that a page may leave open. The parser looks through all open elements at nearly every
/// tag: a megabyte of `<div>` would keep it busy for a quarter of an hour.
const DEEPEST: usize = 1_000;

/// The most chunks of a page. The largest real pages have a few hundred.
const MOST_CHUNKS: usize = 5_000;

/// Why a page's HTML is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Far more elements are open at once than any book has.
    #[error("its elements are nested more than {DEEPEST} deep")]
    Deep,
    /// Far more sections than any page of a book has.
    #[error("it has more than {MOST_CHUNKS} sections")]
    Long,
}

/// Reads a page that was found at the path `location`.
///
/// # Errors
///
/// When it is HTML that no book has.
pub fn parse(html: &str, location: &str, base: &Base, rules: &Rules) -> Result<Page, Unreadable> {
    if is_deep(html) {
        return Err(Unreadable::Deep);
    }
    let html = Html::parse_document(html);
    let head = Head::of(&html, location, base);
    let url = address::canonical(location, head.canonical.as_deref());
    let (mut content, roots) = rules.content(&html);
    let found = walk(&roots, &Ids::of(&html), rules);
    let title = title(&found.headings, head.title.as_deref(), &url);
    let chunks = match head.skip {
        Some(_) => Vec::new(),
        None => chunks(&found, &url, &title, &head.lang)?,
    };
    if content == Content::Body && chunks.is_empty() {
        content = Content::Missing;
    }
    let skip = head.skip.or_else(|| {
        if base.is_top(location) && UTILITIES.contains(&name(location)) {
            Some(Skip::Utility)
        } else if chunks.is_empty() {
            Some(Skip::NoContent)
        } else if found.linked > 0 && found.linked * 2 >= found.inner {
            Some(Skip::Listing)
        } else if found.link_length * 5 > found.length * 4 {
            Some(Skip::Links)
        } else {
            None
        }
    });
    let chunks = if skip.is_some() { Vec::new() } else { chunks };
    let prints = chunks.iter().map(print).collect();
    Ok(Page {
        facts: Facts {
            location: location.into(),
            url,
            validators: Validators::default(),
            digest: 0,
            content,
            skip,
            links: head.links,
            translations: head.translations,
            prints,
        },
        title,
        headings: found.headings,
        chunks,
    })
}

/// The first h1; else the title in the head without the site's name; else the address.
fn title(headings: &[Heading], name: Option<&str>, url: &str) -> String {
    if let Some(heading) = headings.iter().find(|heading| heading.level == 1) {
        return heading.text.clone();
    }
    let name = name.unwrap_or_default();
    let end = [" | ", " - ", " — "]
        .iter()
        .filter_map(|mark| name.rfind(mark))
        .max();
    let name: String = name[..end.unwrap_or(name.len())]
        .trim()
        .chars()
        .take(300)
        .collect();
    if name.is_empty() {
        address::decode(url).into_owned()
    } else {
        name
    }
}

fn chunks(found: &Found, url: &str, title: &str, lang: &str) -> Result<Vec<Chunk>, Unreadable> {
    let mut chunks = Vec::new();
    for section in &found.sections {
        let trail = match section.trail.split_first() {
            Some((first, rest)) if first == title => rest,
            _ => &section.trail,
        };
        for text in split(&section.blocks) {
            if chunks.len() == MOST_CHUNKS {
                return Err(Unreadable::Long);
            }
            chunks.push(Chunk {
                url: address::section(url, section.anchor.as_deref()),
                title: title.into(),
                trail: trail.to_vec(),
                tokens: tokens(&text),
                text,
                lang: lang.into(),
                page: url.into(),
                anchor: section.anchor.clone(),
                position: chunks.len(),
            });
        }
    }
    Ok(chunks)
}

fn print(chunk: &Chunk) -> Print {
    Print {
        hash: hash(&chunk.text),
        length: chunk.text.chars().count(),
    }
}

/// The first eight bytes of a text's SHA-256.
pub(super) fn hash(text: &str) -> u64 {
    let digest = Sha256::digest(text.as_bytes());
    let first = digest.iter().take(8);
    first.fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

fn name(path: &str) -> &str {
    let stem = address::stem(path);
    stem.rsplit('/').next().unwrap_or(stem)
}

/// Whether far more tags are opened than closed somewhere: a guess without a parser, which takes
/// elements that end by themselves for what they are.
fn is_deep(html: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let closes = rest.starts_with('/');
        let tag = rest.strip_prefix('/').unwrap_or(rest);
        let end = tag
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .unwrap_or(tag.len());
        let name = tag[..end].to_ascii_lowercase();
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || ends_by_itself(&name) {
            continue;
        }
        if closes {
            depth = depth.saturating_sub(1);
            continue;
        }
        depth += 1;
        if depth > DEEPEST {
            return true;
        }
        if matches!(name.as_str(), "script" | "style") {
            rest = rest.find("</").map_or("", |at| &rest[at..]);
        }
    }
    false
}

fn ends_by_itself(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
            | "html"
            | "head"
            | "body"
            | "p"
            | "li"
            | "dt"
            | "dd"
            | "option"
            | "optgroup"
            | "tr"
            | "td"
            | "th"
            | "thead"
            | "tbody"
            | "tfoot"
            | "colgroup"
            | "path"
            | "circle"
            | "rect"
            | "line"
            | "polyline"
            | "polygon"
            | "ellipse"
            | "use"
            | "stop"
    )
}
