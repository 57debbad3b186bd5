//! The model's marks, checked as they stream.
//!
//! `[2]`, `[2, 3]`, `[2-4]`, `[[2]]`, `【2】` and `【2†…】` cite sources by the numbers that the prompt
//! gave them; `[none]` says that the sources do not hold the answer. None of them reaches a reader:
//! a known number becomes a citation, an unknown one disappears. In code they are code. A list with
//! a 0 is no mark but an interval or an index.
//!
//! Held back are a mark until it is complete, and the spaces before one, which go with it.

use super::bracket::Bracket;
use super::code::Code;
use super::{Citations, Mark, Source};

/// A longer text in brackets is no mark.
const LONGEST_MARK: usize = 60;

/// The longest address that a model adds to a mark, in bytes.
const LONGEST_ADDRESS: usize = 500;

/// More spaces than this are not held back.
const MOST_SPACES: usize = 20;

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text, never empty.
    Text(String),
    /// This source is cited here.
    Cited(Source),
}

/// Whether `(…)` after a mark holds an address rather than words.
fn is_address(text: &str) -> bool {
    text.contains("://") || ["(/", "(#", "(www."].iter().any(|it| text.starts_with(it))
}

/// Reads an answer, and knows what it has cited so far.
#[derive(Debug)]
pub struct Marks {
    /// What the model was shown, in the order of its numbers.
    shown: Vec<Source>,
    citations: Citations,
    /// The characters of text so far.
    length: usize,
    /// Whether a reader sees anything yet.
    visible: bool,
    code: Code,
    last: Option<char>,
    /// Spaces that may stand before a mark.
    spaces: usize,
    /// What may become a mark.
    held: String,
    /// What may be an address that the model has added to a mark: `(…)`.
    address: Option<String>,
    /// A mark has just ended.
    after_mark: bool,
}

impl Marks {
    /// For an answer to a prompt with these sources; their ids do not matter.
    #[must_use]
    pub fn new(shown: Vec<Source>) -> Self {
        let citations = Citations {
            found: shown.len(),
            ..Citations::default()
        };
        Self {
            shown,
            citations,
            length: 0,
            visible: false,
            code: Code::default(),
            last: None,
            spaces: 0,
            held: String::new(),
            address: None,
            after_mark: false,
        }
    }

    /// What has been cited so far.
    #[must_use]
    pub fn citations(&self) -> &Citations {
        &self.citations
    }

    /// Reads the next piece of the answer; returns what of it a reader may see.
    pub fn read(&mut self, text: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for c in text.chars() {
            self.next(c, &mut pieces);
        }
        pieces
    }

    /// The rest of an answer that has ended. A mark that was cut in the middle disappears.
    pub fn end(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let held = std::mem::take(&mut self.held);
        let is_cut_mark = held.contains(char::is_alphanumeric);
        let address = self.address.take().unwrap_or_default();
        // Half an address is as wrong as a whole one.
        let is_cut_address = address.contains('/');
        if !is_cut_mark && !is_cut_address {
            self.release_spaces(&mut pieces);
            for c in address.chars().chain(held.chars()) {
                self.put(c, &mut pieces);
            }
        }
        pieces
    }

    fn next(&mut self, c: char, pieces: &mut Vec<Piece>) {
        if let Some(address) = &mut self.address {
            address.push(c);
            if c == ')' && is_address(address) {
                self.address = None;
            } else if c == ')' || c.is_whitespace() || address.len() > LONGEST_ADDRESS {
                // The mark has ended long ago, so that this is read as any other text.
                for c in self.address.take().unwrap_or_default().chars() {
                    self.next(c, pieces);
                }
            }
            return;
        }
        if !self.held.is_empty() {
            self.held.push(c);
            match Bracket::of(&self.held) {
                Bracket::Unknown if self.held.len() <= LONGEST_MARK => {}
                Bracket::Numbers(numbers) => self.cite(&numbers, pieces),
                Bracket::None => {
                    self.citations.uncovered = true;
                    self.forget_mark();
                }
                Bracket::Unknown | Bracket::Text => self.release_mark(pieces),
            }
            return;
        }
        if std::mem::take(&mut self.after_mark) && c == '(' {
            self.address = Some(c.into());
            return;
        }
        let is_code = self.code.read(c);
        if !is_code && c == ' ' && self.spaces < MOST_SPACES {
            self.spaces += 1;
        } else if !is_code
            && matches!(c, '[' | '【')
            && (self.last != Some('\\') || self.spaces > 0)
        {
            self.held.push(c);
        } else {
            self.release_spaces(pieces);
            self.put(c, pieces);
        }
    }

    /// A mark is complete: its spaces go, and what it names is cited.
    fn cite(&mut self, numbers: &[usize], pieces: &mut Vec<Piece>) {
        for number in numbers {
            let Some(shown) = self.shown.get(number - 1) else {
                continue;
            };
            let sources = &mut self.citations.sources;
            let known = sources.iter().find(|source| source.url == shown.url);
            let source = known.cloned().unwrap_or_else(|| {
                let id = sources.len() + 1;
                let source = Source {
                    id,
                    ..shown.clone()
                };
                sources.push(source.clone());
                source
            });
            let mark = Mark {
                at: self.length,
                source: source.id,
            };
            // Twice in one place says nothing more.
            let here = self.citations.marks.iter().rev();
            let mut here = here.take_while(|it| it.at == mark.at);
            if !here.any(|it| *it == mark) {
                self.citations.marks.push(mark);
                pieces.push(Piece::Cited(source));
                self.visible = true;
            }
        }
        self.forget_mark();
        self.after_mark = true;
    }

    fn forget_mark(&mut self) {
        self.held.clear();
        self.spaces = 0;
    }

    /// What was held is no mark; another one may begin in it.
    fn release_mark(&mut self, pieces: &mut Vec<Piece>) {
        self.release_spaces(pieces);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.chars();
        if let Some(bracket) = rest.next() {
            self.put(bracket, pieces);
        }
        for c in rest {
            self.next(c, pieces);
        }
    }

    fn release_spaces(&mut self, pieces: &mut Vec<Piece>) {
        for _ in 0..std::mem::take(&mut self.spaces) {
            self.put(' ', pieces);
        }
    }

    fn put(&mut self, c: char, pieces: &mut Vec<Piece>) {
        // An answer that begins with a mark does not begin with what stood between it and the text.
        self.visible |= !c.is_whitespace();
        if !self.visible {
            return;
        }
        self.length += 1;
        self.last = Some(c);
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => pieces.push(Piece::Text(c.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Vec<Source> {
        let sources = (1..=4).map(|number| Source {
            id: 0,
            title: format!("Page {number}"),
            section: None,
            url: format!("https://b.example/{number}"),
        });
        sources.collect()
    }

    /// What a reader sees of an answer that comes in pieces of so many characters, with each citation
    /// as `<id:number in the prompt>`.
    fn seen(answer: &str, size: usize) -> (String, Citations) {
        let mut marks = Marks::new(shown());
        let characters: Vec<char> = answer.chars().collect();
        let mut pieces: Vec<Piece> = characters
            .chunks(size)
            .flat_map(|piece| marks.read(&piece.iter().collect::<String>()))
            .collect();
        pieces.extend(marks.end());
        let pieces = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Cited(source) => {
                format!("<{}:{}>", source.id, &source.url[source.url.len() - 1..])
            }
        });
        (pieces.collect(), marks.citations().clone())
    }

    #[test]
    fn marks_become_citations_and_nothing_else_changes() {
        for (answer, expected) in [
            ("It falls.[2]", "It falls.<1:2>"),
            ("It falls [2].", "It falls<1:2>."),
            (
                "It falls. [2] It rises. [1] So. [2]",
                "It falls.<1:2> It rises.<2:1> So.<1:2>",
            ),
            ("A [9] b [9]. [9]", "A b."),
            ("A [2,3] b [2, 3; 9]", "A<1:2><2:3> b<1:2><2:3>"),
            ("A [2-4] b [1–2]", "A<1:2><2:3><3:4> b<4:1><1:2>"),
            ("A 【2】 b 【3†L1-L2】", "A<1:2> b<2:3>"),
            ("A [[4]] b [[4]x", "A<1:4> b [<1:4>x"),
            ("A [1][1][2]", "A<1:1><2:2>"),
            ("A [1", "A"),
            ("A [", "A ["),
            ("A [1, ", "A"),
            (
                "[link](x) and [1](https://evil.example/1) and [2](see below)",
                "[link](x) and<1:1> and<2:2>(see below)",
            ),
            ("[1](https://evil.exam", "<1:1>"),
            (
                "`a[1]` and ``b ` [1]`` and [1]",
                "`a[1]` and ``b ` [1]`` and<1:1>",
            ),
            (
                "```c\nx = a[1];\n```\nSo. [1]",
                "```c\nx = a[1];\n```\nSo.<1:1>",
            ),
            ("稳定[1](参见图三)。", "稳定<1:1>(参见图三)。"),
            (
                "in [0, 1] and [-1, 1] and [0] and [1.5] and [1997]",
                "in [0, 1] and [-1, 1] and [0] and [1.5] and [1997]",
            ),
            (
                "- [ ] to do\n- [x] done\n- []",
                "- [ ] to do\n- [x] done\n- []",
            ),
            (r"\[1\] is \[ x \]", r"\[1\] is \[ x \]"),
            ("[a[1]", "[a<1:1>"),
            ("Two  \nlines   end ", "Two  \nlines   end "),
            ("[note] [nonesuch] [no", "[note] [nonesuch]"),
        ] {
            for size in [1, 2, 3, 1000] {
                assert_eq!(
                    seen(answer, size).0,
                    expected,
                    "{answer:?} in pieces of {size}"
                );
            }
        }
    }

    #[test]
    fn a_mark_that_the_sources_hold_no_answer_is_taken_out_and_known() {
        let (seen_text, citations) = seen("[none]\n\nThe book does not say. It is blue.", 1);
        assert_eq!(seen_text, "The book does not say. It is blue.");
        assert!(citations.uncovered);
        assert_eq!((citations.found, citations.sources.len()), (4, 0));
        assert!(!seen("The book says so. [1]", 1).1.uncovered);
        assert_eq!(seen("[none]", 1).0, "");
    }

    #[test]
    fn places_are_counted_in_characters_of_the_text_alone() {
        let (_, citations) = seen("[1] Übung 🤖. [2] `x[3]` [3]", 1);
        let places: Vec<_> = citations
            .marks
            .iter()
            .map(|it| (it.at, it.source))
            .collect();
        assert_eq!(places, [(0, 1), (9, 2), (16, 3)]);
        let text = " Übung 🤖. `x[3]`";
        assert!(
            citations
                .linked(text)
                .ends_with("`x[3]` [3](https://b.example/3)")
        );
    }

    #[test]
    fn nothing_is_held_back_but_a_mark_and_the_spaces_before_it() {
        let mut marks = Marks::new(shown());
        let mut seen = String::new();
        let answer = "A wall. [2] `x [1]` [y] (z) [0";
        let mut shown = Vec::new();
        for c in answer.chars() {
            for piece in marks.read(&c.to_string()) {
                match piece {
                    Piece::Text(text) => seen.push_str(&text),
                    Piece::Cited(source) => seen += &["<", &source.id.to_string(), ">"].concat(),
                }
            }
            shown.push(seen.clone());
        }
        assert_eq!(shown[6], "A wall.");
        assert_eq!(shown[9], "A wall.", "a mark is being written");
        assert_eq!(shown[10], "A wall.<1>", "at once");
        assert_eq!(shown[12], "A wall.<1> `");
        assert_eq!(shown[15], "A wall.<1> `x [", "in code nothing is held back");
        assert_eq!(shown[21], "A wall.<1> `x [1]` [y", "this is no mark");
        assert_eq!(seen, "A wall.<1> `x [1]` [y] (z) [0");
    }
}
