//! The text of a `.env` file, variable by variable, each with its line.
//!
//! Owns the words for what is malformed; never quotes a value, which may be a key. Also compiled into
//! `cargo dev`, which reads the file before anything else is built: it uses `dotenvy` alone.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// A variable of the file, and where it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    /// The variable.
    pub(crate) name: String,
    /// Without its quotes.
    pub(crate) value: String,
}

/// The variables of `text`, as far as it is well formed; where it is not, line, variable and remedy.
pub(crate) fn variables(text: &str) -> impl Iterator<Item = Result<Line, String>> {
    // Some editors begin a file with this mark.
    let text = text.trim_start_matches('\u{feff}');
    let read = Rc::new(Cell::new(0));
    let lines = OneByOne {
        rest: text.as_bytes(),
        read: Rc::clone(&read),
    };
    let mut file = dotenvy::from_read_iter(lines);
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let before = read.get();
        let variable = file.next()?;
        let number = first_of_variable(text, before);
        let line = variable.map(|(name, value)| Line {
            number,
            name,
            value,
        });
        ended = line.is_err();
        Some(line.map_err(|_| problem(text, number)))
    })
}

/// The line, from 1, at which the next variable begins behind so many lines.
fn first_of_variable(text: &str, behind: usize) -> usize {
    let mut lines = text.lines().enumerate().skip(behind);
    let is_variable =
        |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    lines.find(is_variable).map_or(behind, |(index, _)| index) + 1
}

fn problem(text: &str, number: usize) -> String {
    let line = text.lines().nth(number - 1).unwrap_or_default().trim();
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else {
        return format!(".env line {number}: it is not of the form NAME=value");
    };
    let (name, value) = (name.trim(), value.trim());
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_name) {
        // A key that was pasted without its name may have a `=`.
        return format!(".env line {number}: it does not begin with a variable's name and `=`");
    }
    let remedy = if value.starts_with(['"', '\'']) {
        "close its quotes, and put nothing behind them"
    } else if value.contains('\'') {
        "put \"double quotes\" around its value"
    } else if value.contains(char::is_whitespace) {
        "put quotes around a value with spaces"
    } else {
        "put 'single quotes' around its value"
    };
    format!(".env line {number}, {name}: {remedy}")
}

/// Gives out one line at each reading, and counts them.
struct OneByOne<'t> {
    rest: &'t [u8],
    read: Rc<Cell<usize>>,
}

impl Read for OneByOne<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let line = self.rest.iter().position(|byte| *byte == b'\n');
        let line = line.map_or(self.rest.len(), |end| end + 1);
        let taken = line.min(into.len());
        into[..taken].copy_from_slice(&self.rest[..taken]);
        self.rest = &self.rest[taken..];
        if taken == line && taken > 0 {
            self.read.set(self.read.get() + 1);
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Result<(usize, String, String), String>> {
        let variables = variables(text);
        let parts = variables.map(|line| line.map(|line| (line.number, line.name, line.value)));
        parts.collect()
    }

    fn line(number: usize, name: &str, value: &str) -> (usize, String, String) {
        (number, name.to_owned(), value.to_owned())
    }

    #[test]
    fn each_variable_has_its_line() {
        let text = "\u{feff}# A comment.\n\nA=1\nexport B='two\nlines'\n#C=3\nD=\"4 4\" # four\r\n";
        let expected = [
            line(3, "A", "1"),
            line(4, "B", "two\nlines"),
            line(7, "D", "4 4"),
        ];
        assert_eq!(read(text), expected.map(Ok));
    }

    #[test]
    fn what_is_malformed_is_told_by_line_and_variable_and_never_by_value() {
        for (text, problem) in [
            (
                "A=1\n\nBOOK_TITLE=My hunter2\n",
                ".env line 3, BOOK_TITLE: put quotes around a value with spaces",
            ),
            (
                "A=1\n# it's\nOPENAI_API_KEY=\"sk-hunter2\nB=2\n",
                ".env line 3, OPENAI_API_KEY: close its quotes, and put nothing behind them",
            ),
            (
                "A='b' hunter2",
                ".env line 1, A: close its quotes, and put nothing behind them",
            ),
            (
                r"A=hunter\2",
                ".env line 1, A: put 'single quotes' around its value",
            ),
            (
                "A=Ada's hunter2",
                ".env line 1, A: put \"double quotes\" around its value",
            ),
            (
                "\nsk-hunter2",
                ".env line 2: it is not of the form NAME=value",
            ),
            (
                "sk-hunter2==",
                ".env line 1: it does not begin with a variable's name and `=`",
            ),
        ] {
            let last = read(text).pop();
            assert_eq!(last, Some(Err(problem.to_owned())), "{text}");
        }
    }
}
