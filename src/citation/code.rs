//! Whether a Markdown text that is still being written is inside code.
//!
//! Follows `CommonMark` as far as that can be told from the beginning of a text: an opening run of
//! backticks counts as code until a run of the same length closes it, or the paragraph ends.

/// Where in a text the next character stands.
#[derive(Debug, Default)]
pub(super) struct Code {
    place: Place,
    line: Line,
    /// The run of fence characters that is being read, and its length.
    run: Option<(char, usize)>,
    /// A fence has been closed in this line, if nothing else follows.
    closing: bool,
    /// A fence has been opened in this line.
    opened: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Prose,
    /// Between runs of so many backticks.
    Span(usize),
    /// Between fences of at least so many of these.
    Fence(char, usize),
}

/// What the line holds so far.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum Line {
    /// White space.
    #[default]
    Blank,
    /// That, and marks of lists and quotes: a fence may follow.
    Marked,
    /// Anything else.
    Text,
}

impl Code {
    /// Reads the next character; says whether it belongs to code, or could.
    pub(super) fn read(&mut self, c: char) -> bool {
        if let Some((of, length)) = self.run {
            if of == c {
                self.run = Some((of, length + 1));
                return true;
            }
            self.run = None;
            self.ran(of, length);
        }
        let was_code = self.place != Place::Prose;
        match c {
            '\n' => self.end_line(),
            '`' => self.run = Some((c, 1)),
            '~' if self.line != Line::Text => self.run = Some((c, 1)),
            c if c.is_whitespace() => {}
            c => {
                let marks = matches!(c, '>' | '-' | '*' | '+' | '.' | ')') || c.is_ascii_digit();
                self.closing = false;
                self.line = match self.line {
                    Line::Blank | Line::Marked if marks => Line::Marked,
                    _ => Line::Text,
                };
            }
        }
        was_code || self.run.is_some()
    }

    fn end_line(&mut self) {
        let paragraph_ends = self.line == Line::Blank && matches!(self.place, Place::Span(_));
        if self.closing || paragraph_ends {
            self.place = Place::Prose;
        }
        (self.line, self.closing, self.opened) = (Line::Blank, false, false);
    }

    /// A run has ended.
    fn ran(&mut self, of: char, length: usize) {
        let is_fence = length >= 3 && self.line != Line::Text;
        match self.place {
            // No fence has a backtick in its first line: it was a span.
            Place::Fence('`', open) if self.opened && of == '`' => {
                self.place = if open == length {
                    Place::Prose
                } else {
                    Place::Span(open)
                };
            }
            Place::Fence(by, least) => self.closing = is_fence && of == by && length >= least,
            _ if is_fence => (self.place, self.opened) = (Place::Fence(of, length), true),
            _ if of == '~' => {}
            Place::Prose => self.place = Place::Span(length),
            Place::Span(open) if open == length => self.place = Place::Prose,
            Place::Span(_) => {}
        }
        self.line = Line::Text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with each character of code replaced.
    fn prose(text: &str) -> String {
        let mut code = Code::default();
        let read = |c| {
            if code.read(c) && c != '\n' { '·' } else { c }
        };
        text.chars().map(read).collect()
    }

    #[test]
    fn spans_and_fences_are_code() {
        for (text, expected) in [
            ("a `b` c", "a ··· c"),
            ("a ``b ` c`` d", "a ········· d"),
            ("```rust\na[1]\n```\nb", "·······\n····\n···\nb"),
            ("- x\n\n  ```\n  a\n  ```\n", "- x\n\n  ···\n···\n·····\n"),
            ("~~~\n```\n~~~~\nb", "···\n···\n····\nb"),
            ("```\na\n``` b\n````\nc", "···\n·\n·····\n····\nc"),
            ("1. ```\n   a\n   ```\nb", "1. ···\n····\n······\nb"),
            ("> ```\n> a\n> ```\nb", "> ···\n···\n·····\nb"),
            ("```a``` b", "······· b"),
            ("a ~~b~~ c", "a ~~b~~ c"),
            ("a `b\n\nc", "a ··\n\nc"),
            ("a `b\nc` d", "a ··\n·· d"),
            ("a `b\n```\nc\n```\nd", "a ··\n···\n·\n···\nd"),
        ] {
            assert_eq!(prose(text), expected, "{text:?}");
        }
    }
}
