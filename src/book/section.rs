//! What a search has found as sections: pieces of one address belong together.

use std::collections::HashMap;

use tokio_postgres::Row;
use url::Url;

use super::search::Query;
use crate::prompt::SOURCE_BYTES_PER_CHAR;

/// A section of the book, or what of it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its whole address.
    pub url: String,
    /// The page's title.
    pub title: String,
    /// The headings above the text, outermost first, without the page's title.
    pub trail: Vec<String>,
    /// Its pieces in the order of the page; `[…]` stands for what was left out between two of them.
    pub text: String,
    /// The `lang` of the page.
    pub lang: String,
    /// The path of the page.
    pub page: String,
}

impl Section {
    /// Its headings in one line, outermost first; none for the page itself.
    #[must_use]
    pub fn headings(&self) -> Option<String> {
        (!self.trail.is_empty()).then(|| self.trail.join(BETWEEN_HEADINGS))
    }

    /// How many characters of it a reader of title, headings and text has to read.
    #[must_use]
    pub fn chars(&self) -> usize {
        let headings = self.headings().unwrap_or_default();
        [&self.title, &headings, &self.text]
            .iter()
            .map(|it| it.chars().count())
            .sum()
    }
}

/// What stands between a section's headings in one line.
const BETWEEN_HEADINGS: &str = " > ";

/// A piece that was found.
struct Piece<'a> {
    position: i32,
    text: &'a str,
}

/// The rows as sections, in the order of each section's first row.
pub(super) fn join(query: &Query<'_>, rows: &[Row]) -> Vec<Section> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<(&Row, Vec<Piece<'_>>)> = Vec::new();
    let mut left = query.max_chars;
    let mut left_bytes = query.max_chars.saturating_mul(SOURCE_BYTES_PER_CHAR);
    for row in rows {
        let Some(text) = row.get::<_, Option<&str>>("content") else {
            continue;
        };
        let piece = Piece {
            position: row.get("position"),
            text,
        };
        let known = places.get(row.get::<_, &str>("url")).copied();
        // A further piece may need a sign for the gap before it.
        let beside = match known {
            Some(_) => GAP.into(),
            None => headings(row),
        };
        let chars = piece.text.chars().count() + beside.chars().count();
        let rest = left.checked_sub(chars);
        let (Some(rest), Some(rest_bytes)) = (
            rest,
            left_bytes.checked_sub(piece.text.len() + beside.len()),
        ) else {
            continue;
        };
        (left, left_bytes) = (rest, rest_bytes);
        if let Some(place) = known {
            found[place].1.push(piece);
        } else {
            places.insert(row.get("url"), found.len());
            found.push((row, vec![piece]));
        }
    }
    let sections = found.into_iter().map(|(row, pieces)| Section {
        url: absolute(query.book, row.get("url")),
        title: row.get("title"),
        trail: row.get("trail"),
        text: text(pieces),
        lang: row.get("lang"),
        page: row.get("page"),
    });
    sections.collect()
}

/// What a reader of a section's title and headings has to read.
fn headings(row: &Row) -> String {
    let trail: Vec<&str> = row.get("trail");
    row.get::<_, String>("title") + &trail.join(BETWEEN_HEADINGS)
}

/// Stands for what was left out between two pieces.
const GAP: &str = "\n\n[…]\n\n";

/// The pieces in the order of the page.
fn text(mut pieces: Vec<Piece<'_>>) -> String {
    pieces.sort_by_key(|piece| piece.position);
    let mut text = String::new();
    let mut next = None;
    for piece in pieces {
        match next {
            None => {}
            Some(next) if next == piece.position => text.push_str("\n\n"),
            Some(_) => text.push_str(GAP),
        }
        text.push_str(piece.text);
        next = Some(piece.position + 1);
    }
    text
}

/// The address of a path of the book.
fn absolute(book: &Url, path: &str) -> String {
    // A path that a page gave for itself leads nowhere else, even if it begins with two slashes.
    format!("{}{path}", book.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_follow_each_other_are_one_text() {
        let piece = |position, text| Piece { position, text };
        assert_eq!(text(vec![piece(3, "b"), piece(2, "a")]), "a\n\nb");
        assert_eq!(text(vec![piece(2, "a"), piece(4, "c")]), "a\n\n[…]\n\nc");
    }
}
