//! Reports of what an indexing has done or would do, for people and as JSON. Prints nothing.

use std::fmt::{Display, Write};

use serde::Serialize;
use textbook_chat::book::index::{Report, by_reason};
use textbook_chat::book::pages::{Problem, Skip};
use textbook_chat::book::plan::Plan;

/// How many addresses are listed per reason; the rest are only counted.
const LISTED: usize = 10;

/// A finished indexing, and the form of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Indexed<'a> {
    url: &'a str,
    #[serde(flatten)]
    report: Report,
    dollars: f64,
}

/// A planned indexing.
#[derive(Debug)]
pub(crate) struct Planned<'a> {
    pub(crate) url: &'a str,
    pub(crate) plan: Plan,
    /// Whether there was a database to compare with.
    pub(crate) compared: bool,
    pub(crate) accept_loss: bool,
    pub(crate) vectors: Vectors<'a>,
}

/// How vectors would be made.
#[derive(Debug)]
pub(crate) struct Vectors<'a> {
    pub(crate) model: Option<&'a str>,
    pub(crate) why_not: Option<String>,
    /// Billionths of a dollar per token.
    pub(crate) price: i64,
    /// Billionths of a dollar.
    pub(crate) max_cost: i64,
}

/// As one line of JSON.
pub(crate) fn line(value: &impl Serialize) -> String {
    // Our own types, whose maps have strings for keys.
    let json = serde_json::to_string(value).unwrap_or_default();
    format!("{json}\n")
}

impl<'a> Indexed<'a> {
    pub(crate) fn new(url: &'a str, report: Report, price: i64) -> Self {
        let dollars = dollars(report.tokens, price);
        Self {
            url,
            report,
            dollars,
        }
    }

    pub(crate) fn text(&self) -> String {
        let Self {
            url,
            report,
            dollars,
        } = self;
        let (pages, chunks) = (report.pages, report.chunks);
        let is_current = report.new + report.changed + report.gone == 0;
        let state = if is_current {
            "is up to date"
        } else {
            "is in place"
        };
        let mut text = format!(
            "The index of {url} {state}: {pages} pages with text, in {chunks} pieces.\n\
             Addresses: {} new, {} changed, {} gone.\n",
            report.new, report.changed, report.gone
        );
        if report.embedded > 0 {
            let (texts, tokens) = (report.embedded, report.tokens);
            let _ = writeln!(
                text,
                "Vectors: {texts} texts embedded, {tokens} tokens, {}.",
                amount(*dollars)
            );
        }
        text += &skipped(&report.skipped);
        text += &problems(&report.problems);
        if let Some(warning) = &report.warning {
            let _ = writeln!(text, "Warning: {warning}.");
        }
        text
    }
}

impl Planned<'_> {
    pub(crate) fn text(&self) -> String {
        let Self { url, plan, .. } = self;
        let mut text = format!(
            "The index of {url} would have {} pages with text, in {} pieces.\n\
             Addresses: {} new, {} changed, {} gone, {} unchanged.\n",
            plan.pages, plan.chunks, plan.new, plan.changed, plan.gone, plan.unchanged
        );
        if !self.compared {
            text += "Without DATABASE_URL there is no index to compare with: all of it is new.\n";
        }
        text += &self.vectors.text(plan);
        text += &skipped(&plan.skipped);
        text += &problems(&plan.problems);
        if let Some(before) = plan.lost.filter(|_| !self.accept_loss) {
            let _ = writeln!(
                text,
                "It would be refused, for the index has {before} pieces now: if so much is to go, \
                 say so (--accept-loss)."
            );
        }
        text += "Nothing was written.\n";
        text
    }
}

impl Vectors<'_> {
    fn text(&self, plan: &Plan) -> String {
        let mut text = String::new();
        if let Some(why) = self.why_not.as_ref().or(plan.warning.as_ref()) {
            let _ = writeln!(text, "Vectors: {why}.");
        }
        if self.model.is_none() || plan.warning.is_some() {
            return text;
        }
        let (texts, tokens) = (plan.texts, plan.tokens);
        let cost = dollars(tokens, self.price);
        let limit = dollars(1, self.max_cost);
        let _ = writeln!(
            text,
            "To embed: {texts} texts, {tokens} tokens, {}.",
            amount(cost)
        );
        if cost > limit {
            let _ = writeln!(
                text,
                "It would be refused, for it may cost ${limit:.2}: raise BOOK_MAX_COST_USD \
                 (--max-cost), leave pages out, or index it without vectors (--no-embed)."
            );
        }
        text
    }
}

/// Pages that were left out, by reason.
fn skipped(skipped: &[(String, Skip)]) -> String {
    let mut reasons: Vec<(String, Vec<String>)> = Vec::new();
    for (url, skip) in skipped {
        let (reason, url) = match skip {
            Skip::Repeats(other) => ("it repeats another page".into(), format!("{url} ({other})")),
            skip => (skip.to_string(), url.clone()),
        };
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, urls)) => urls.push(url),
            None => reasons.push((reason, vec![url])),
        }
    }
    let lists = reasons
        .iter()
        .map(|(reason, urls)| list(&format!("Left out, because {reason}"), urls));
    lists.collect()
}

/// Pages that could not be read, by reason.
pub(crate) fn problems(problems: &[Problem]) -> String {
    let reasons = by_reason(problems).into_iter();
    reasons
        .map(|(reason, urls)| list(&format!("Not read: {reason}"), &urls))
        .collect()
}

fn list(what: &str, urls: &[impl Display]) -> String {
    let mut text = format!("{what} ({}):\n", urls.len());
    for url in urls.iter().take(LISTED) {
        let _ = writeln!(text, "  {url}");
    }
    if urls.len() > LISTED {
        let _ = writeln!(text, "  and {} more", urls.len() - LISTED);
    }
    text
}

fn amount(dollars: f64) -> String {
    if dollars > 0.0 && dollars < 0.01 {
        return "less than $0.01".into();
    }
    format!("about ${dollars:.2}")
}

#[expect(clippy::cast_precision_loss, reason = "a sum for people")]
fn dollars(tokens: u64, nanos: i64) -> f64 {
    tokens as f64 * nanos as f64 / 1e9
}
