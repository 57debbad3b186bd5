//! Code: the lines of a `pre`, and the language that something around it names.

use ego_tree::iter::Edge;
use scraper::{ElementRef, Node};

use super::rules::{Rules, is_block};

/// The text of a code block, with every line break and every space.
pub(super) fn text(pre: ElementRef, rules: &Rules) -> String {
    let mut text = String::new();
    let mut skipped = None;
    // Where the text stood when an element that is a line by itself began.
    let mut lines = Vec::new();
    for edge in pre.traverse() {
        match edge {
            Edge::Open(node) if skipped.is_none() => match node.value() {
                Node::Text(part) => text.push_str(part),
                Node::Element(element) if node.id() != pre.id() => {
                    if element.name() == "br" {
                        text.push('\n');
                    } else if ElementRef::wrap(node).is_some_and(|inner| rules.strips(&inner)) {
                        skipped = Some(node.id());
                    } else if is_block(element.name()) {
                        lines.push(text.len());
                    }
                }
                _ => {}
            },
            Edge::Close(node) if skipped == Some(node.id()) => skipped = None,
            Edge::Close(node) if skipped.is_none() && node.id() != pre.id() => {
                let block = node
                    .value()
                    .as_element()
                    .is_some_and(|inner| is_block(inner.name()));
                if block && lines.pop().is_some_and(|at| at < text.len()) && !text.ends_with('\n') {
                    text.push('\n');
                }
            }
            _ => {}
        }
    }
    // An empty line before or after the code says nothing.
    let begin = text
        .find(|c: char| !c.is_whitespace())
        .unwrap_or(text.len());
    let begin = text[..begin].rfind('\n').map_or(0, |at| at + 1);
    text.truncate(text.trim_end().len());
    text.split_off(begin.min(text.len()))
}

/// The language as the generator calls it; empty where none is named, or "text".
pub(super) fn language(pre: ElementRef) -> String {
    let around = pre.ancestors().filter_map(ElementRef::wrap).take(4);
    let inside = pre
        .descendent_elements()
        .filter(|inner| inner.value().name() == "code");
    let name = std::iter::once(pre)
        .chain(inside)
        .chain(around)
        .find_map(named)
        .unwrap_or_default();
    let name: String = name
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "+-#_.".contains(*c))
        .take(30)
        .collect();
    match name.as_str() {
        "default" | "none" | "plain" | "plaintext" | "text" | "txt" => String::new(),
        _ => name,
    }
}

fn named(element: ElementRef<'_>) -> Option<&str> {
    let by_class = |class| {
        ["language-", "highlight-"]
            .iter()
            .find_map(|prefix| str::strip_prefix(class, prefix))
    };
    element
        .attr("data-language")
        .or_else(|| element.value().classes().find_map(by_class))
        .filter(|name| !name.is_empty())
}
