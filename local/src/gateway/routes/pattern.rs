//! The paths that a `source` of `vercel.json` stands for.
//!
//! Owns the part of Vercel's syntax (path-to-regexp's) that this project uses: text, and groups with a
//! regular expression. Never guesses at the rest.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;

/// Matches whole paths, and knows upper case from lower, as the platform does.
#[derive(Debug)]
pub(super) struct Pattern(Regex);

impl Pattern {
    pub(super) fn new(source: &str) -> Result<Self> {
        ensure!(source.starts_with('/'), "a path begins with /");
        let mut expression = String::from("^");
        let mut rest = source;
        while let Some(start) = rest.find('(') {
            text(&rest[..start], &mut expression)?;
            rest = &rest[start..];
            let end = rest.find(')').context("a group has no end")?;
            let group = &rest[1..end];
            // A bracket within a group may open another one, look around, or be one of a class.
            ensure!(
                !group.is_empty() && !group.contains(['(', '\\']),
                "`cargo dev` supports no brackets and no escapes within a group"
            );
            expression.push_str(&rest[..=end]);
            rest = &rest[end + 1..];
            ensure!(
                !rest.starts_with(['*', '+', '?']),
                "`cargo dev` supports no optional and no repeated groups"
            );
        }
        text(rest, &mut expression)?;
        expression.push('$');
        Ok(Self(Regex::new(&expression)?))
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        self.0.is_match(path)
    }
}

/// Adds what stands between groups, which means itself.
fn text(text: &str, expression: &mut String) -> Result<()> {
    if let Some(sign) = text
        .chars()
        .find(|sign| matches!(sign, ':' | '*' | '+' | '?' | '{' | '}' | ')' | '\\'))
    {
        bail!("`cargo dev` supports text and groups such as (.*), and not `{sign}`");
    }
    expression.push_str(&regex::escape(text));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(source: &str, path: &str) -> bool {
        Pattern::new(source).unwrap().matches(path)
    }

    #[test]
    fn text_stands_for_itself_alone() {
        assert!(matches("/widget.js", "/widget.js"));
        for other in [
            "/widgetxjs",
            "/widget.js/",
            "/widget.js2",
            "/a/widget.js",
            "/Widget.js",
            "/",
        ] {
            assert!(!matches("/widget.js", other), "{other}");
        }
    }

    #[test]
    fn a_group_is_an_expression_for_a_part_of_the_path() {
        let versioned = "/widget/([0-9a-f]{12})/(.*)";
        assert!(matches(versioned, "/widget/0123456789ab/element.js"));
        assert!(matches(versioned, "/widget/0123456789ab/a/b.js"));
        for other in [
            "/widget/dev/element.js",
            "/widget/0123456789a/element.js",
            "/widget/0123456789abc/element.js",
            "/widget/0123456789AB/element.js",
            "/x/widget/0123456789ab/element.js",
        ] {
            assert!(!matches(versioned, other), "{other}");
        }
        assert!(matches("/(.*)", "/"));
        assert!(matches("/(.*)", "/a/b"));
        assert!(matches("/(a|b)", "/b") && !matches("/(a|b)", "/ab"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for source in [
            "widget.js",
            "/:name",
            "/page/:path*",
            "/page{/more}?",
            "/a(.*)?",
            "/a(.*)*",
            "/a?",
            "/a*",
            "/((a))",
            "/(?!api)",
            "/(\\d+)",
            "/()",
            "/(a",
            "/a)",
            "/([0-9)",
            "/\\(a",
        ] {
            assert!(Pattern::new(source).is_err(), "{source}");
        }
    }
}
