//! What an answer cites of the book: sources, and the places in the text where they are cited.
//!
//! The model marks a sentence with the number of a source in its prompt. Marks are checked as they
//! stream ([`Marks`]); an answer is stored without them, with its [`Citations`] beside it, and gets
//! links or annotations where it is shown. So the model never reads a number of an earlier turn, and
//! a later version of the book changes no old answer.
//!
//! Pure.

mod bracket;
mod code;
mod marks;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::{Deserialize, Serialize};

pub use marks::{Marks, Piece};

/// What would end a link's address in Markdown.
const IN_MARKDOWN: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'(')
    .add(b')')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'"')
    // It would end a table's cell.
    .add(b'|');

/// A section of the book that an answer cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Counts an answer's sources from 1, in the order in which they are first cited.
    pub id: usize,
    /// The page's title.
    pub title: String,
    /// The headings above the text, outermost first; none for the page itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The address of the section.
    pub url: String,
}

/// A place in an answer where a source is cited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// After so many characters of the text.
    pub at: usize,
    /// The [`Source::id`].
    pub source: usize,
}

/// What an answer cites, and how well the book could answer: kept with an answer for which the book
/// was searched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Citations {
    /// Those that are cited.
    pub sources: Vec<Source>,
    /// In the order of the text.
    pub marks: Vec<Mark>,
    /// How many sections the model was shown.
    pub found: usize,
    /// The model says that they do not hold the answer.
    #[serde(default)]
    pub uncovered: bool,
}

impl Citations {
    /// Those of a text that is shorter than what was read.
    #[must_use]
    pub fn within(&self, text: &str) -> Self {
        let length = text.chars().count();
        let mut within = self.clone();
        within.marks.retain(|mark| mark.at <= length);
        let cited = |source: &Source| within.marks.iter().any(|mark| mark.source == source.id);
        within.sources.retain(cited);
        within
    }

    /// The answer as Markdown, with a link to its section wherever a source is cited.
    #[must_use]
    pub fn linked<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.marks.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut linked = String::with_capacity(text.len());
        for part in self.parts(text) {
            match part {
                Part::Text(text) => linked.push_str(text),
                Part::Cited(source) => linked.push_str(&link(source, linked.chars().next_back())),
            }
        }
        Cow::Owned(linked)
    }

    /// The answer cut where it cites something.
    #[must_use]
    pub fn parts<'a>(&'a self, text: &'a str) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        let (mut rest, mut passed) = (text, 0);
        for mark in &self.marks {
            let ahead = mark.at.saturating_sub(passed);
            let end = rest.char_indices().nth(ahead).map_or(rest.len(), |it| it.0);
            let (before, after) = rest.split_at(end);
            if !before.is_empty() {
                parts.push(Part::Text(before));
            }
            (rest, passed) = (after, passed.max(mark.at));
            let cited = self.sources.iter().find(|source| source.id == mark.source);
            parts.extend(cited.map(Part::Cited));
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest));
        }
        parts
    }
}

/// A part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Its text, never empty.
    Text(&'a str),
    /// A source is cited here.
    Cited(&'a Source),
}

/// A citation as a Markdown link, after a text that ends with `last`: words and numbers that follow
/// one another stay apart.
#[must_use]
pub fn link(source: &Source, last: Option<char>) -> String {
    let space = match last {
        Some(last) if !last.is_whitespace() => " ",
        _ => "",
    };
    let url = utf8_percent_encode(&source.url, IN_MARKDOWN);
    format!("{space}[{}]({url})", source.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(id: usize, url: &str) -> Source {
        Source {
            id,
            title: "Walking".into(),
            section: None,
            url: url.into(),
        }
    }

    #[test]
    fn links_stand_where_sources_are_cited_and_nothing_can_break_out_of_them() {
        let citations = Citations {
            sources: vec![
                source(1, "https://b.example/zmp_(2)#a b"),
                source(2, "https://b.example/توازن"),
            ],
            marks: [(6, 1), (6, 2), (13, 1), (99, 2), (3, 7)]
                .map(|(at, source)| Mark { at, source })
                .into(),
            ..Citations::default()
        };
        assert_eq!(
            citations.linked("Übend.\n- So ☂. And"),
            "Übend. [1](https://b.example/zmp_%282%29#a%20b) [2](https://b.example/%D8%AA%D9%88%D8%A7%D8%B2%D9%86)\
             \n- So ☂ [1](https://b.example/zmp_%282%29#a%20b). And [2](https://b.example/%D8%AA%D9%88%D8%A7%D8%B2%D9%86)"
        );
        assert_eq!(Citations::default().linked("As it is."), "As it is.");
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let citations = Citations {
            sources: vec![source(1, "https://b.example/")],
            marks: vec![Mark { at: 3, source: 1 }],
            found: 4,
            uncovered: true,
        };
        let json = serde_json::to_string(&citations).unwrap();
        assert_eq!(serde_json::from_str::<Citations>(&json).unwrap(), citations);
    }
}
