//! The text of one block, with white space as a browser shows it.
//!
//! Knows nothing of elements: `walk` says what is written.

/// A block under way.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    /// White space was read since the last character.
    space: bool,
    /// Signs that go before the next character, if one comes: `^`, a backtick.
    before: String,
}

impl Line {
    /// Appends text; white space of any length is one space.
    ///
    /// U+200C is not white space: Persian and Urdu words are written with it.
    pub(super) fn write(&mut self, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}') {
                self.space();
            } else if !c.is_control() {
                self.begin();
                self.text.push(c);
            }
        }
    }

    /// Appends text that stays as it is.
    pub(super) fn write_verbatim(&mut self, text: &str) {
        self.begin();
        self.text.push_str(text);
    }

    pub(super) fn space(&mut self) {
        self.space = true;
    }

    pub(super) fn newline(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.space = false;
    }

    /// The sign goes before the next character, if one comes before it is closed.
    pub(super) fn open(&mut self, sign: char) {
        self.before.push(sign);
    }

    /// Ends what `open` began, with the sign once more if it is one of a pair.
    pub(super) fn close(&mut self, sign: char, pair: bool) {
        if self.before.ends_with(sign) {
            self.before.pop();
        } else if pair && !self.text.is_empty() {
            self.text.push(sign);
        }
    }

    /// The next cell of a row.
    pub(super) fn cell(&mut self) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push('|');
        self.space = true;
    }

    /// Takes the text, and leaves an empty line.
    pub(super) fn take(&mut self) -> String {
        let line = std::mem::take(self);
        if line.text.ends_with('\n') {
            return line.text.trim_end().to_owned();
        }
        line.text
    }

    fn begin(&mut self) {
        if self.space && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
        self.space = false;
        self.text.push_str(&self.before);
        self.before.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn white_space_is_one_space_and_a_joiner_is_none() {
        let mut line = Line::default();
        line.write(" a \n\t b\u{a0}c\u{200b}");
        line.write("می\u{200c}روم ");
        assert_eq!(line.take(), "a b c می\u{200c}روم");
    }

    #[test]
    fn signs_stand_only_where_something_follows() {
        let mut line = Line::default();
        line.write("10");
        line.open('^');
        line.write("3");
        line.close('^', false);
        line.write(" is ");
        line.open('`');
        line.close('`', true);
        line.open('`');
        line.write("x ");
        line.close('`', true);
        line.write(" y");
        assert_eq!(line.take(), "10^3 is `x` y");
    }
}
