//! The walk through a page's content: elements in, sections of blocks out.
//!
//! It follows the tree edge by edge instead of calling itself, so that no depth of nesting can
//! exhaust the stack. It cuts nothing to size and knows no address.

use ego_tree::iter::Edge;
use ego_tree::{NodeId, NodeRef};
use scraper::{ElementRef, Node};

use super::blocks::{Section, Writer};
use super::heading::{Headings, Ids, Open};
use super::rules::{Rules, is_block};
use super::{Heading, code, formula};

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sections: Vec<Section>,
    pub(super) headings: Vec<Heading>,
    /// Headings h2 to h4.
    pub(super) inner: usize,
    /// Those of them that are links to other pages and have no id.
    pub(super) linked: usize,
    /// Characters other than white space.
    pub(super) length: usize,
    /// Those of them that are links to other pages.
    pub(super) link_length: usize,
}

/// Reads the content of a page.
pub(super) fn walk<'a>(content: &[ElementRef<'a>], ids: &Ids<'a>, rules: &Rules) -> Found {
    let mut walk = Walk {
        ids,
        rules,
        found: Found::default(),
        writer: Writer::default(),
        headings: Headings::default(),
        skipped: None,
        heading: None,
        table: None,
        links: 0,
        footnotes: None,
    };
    for root in content {
        for edge in root.traverse() {
            match edge {
                Edge::Close(node) if walk.skipped == Some(node.id()) => walk.skipped = None,
                _ if walk.skipped.is_some() => {}
                Edge::Open(node) => {
                    if let Node::Text(text) = node.value() {
                        walk.text(text);
                    } else if let Some(element) = inner(node, root) {
                        walk.open(element);
                    }
                }
                Edge::Close(node) => {
                    if let Some(element) = inner(node, root) {
                        walk.close(element);
                    }
                }
            }
        }
        walk.writer.end_block();
    }
    Found {
        sections: walk.writer.finish(),
        headings: walk.headings.list,
        ..walk.found
    }
}

/// The element that a node is, unless it is the content itself.
fn inner<'a>(node: NodeRef<'a, Node>, root: &ElementRef<'a>) -> Option<ElementRef<'a>> {
    ElementRef::wrap(node).filter(|element| element != root)
}

struct Walk<'a, 'r> {
    ids: &'r Ids<'a>,
    rules: &'r Rules,
    found: Found,
    writer: Writer,
    headings: Headings<'a>,
    /// The element whose content is skipped.
    skipped: Option<NodeId>,
    heading: Option<Open<'a>>,
    /// The table whose rows are read.
    table: Option<NodeId>,
    /// How many links to other pages are open.
    links: usize,
    /// Footnotes being read, and the headings to return to after them.
    footnotes: Option<(NodeId, Vec<Heading>)>,
}

impl<'a> Walk<'a, '_> {
    fn open(&mut self, element: ElementRef<'a>) {
        let id = self.ids.to(element);
        if let Some(heading) = &mut self.heading {
            heading.inner = heading.inner.or(id);
        }
        if self.rules.is_formula(&element) {
            return self.formula(element);
        }
        let name = element.value().name();
        if matches!(name, "a" | "span") && id.is_some() && element.text().all(is_blank) {
            self.headings.precede(id);
        }
        if self.rules.strips(&element) {
            self.skipped = Some(element.id());
            return;
        }
        if self.footnotes.is_none() && self.rules.are_footnotes(&element) {
            self.writer.end_block();
            self.footnotes = Some((element.id(), self.headings.set_aside()));
            self.begin_section();
        }
        if is_block(name) {
            self.writer.end_block();
        }
        let writer = &mut self.writer;
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.begin_heading(name, id),
            "pre" if !writer.is_in_line() => self.code(element),
            "a" if leads_away(&element) => self.links += 1,
            "code" if !writer.is_in_heading() => writer.line.open('`'),
            "sup" => writer.line.open('^'),
            "br" if writer.is_in_line() => writer.line.space(),
            "br" => writer.line.newline(),
            "img" => self.image(element),
            "section" | "div" => self.headings.enter(element.id(), id),
            "ul" | "menu" => writer.begin_list(None),
            "ol" => {
                let start = element.attr("start").and_then(|start| start.parse().ok());
                writer.begin_list(Some(start.unwrap_or(1)));
            }
            "li" => writer.begin_item(),
            "dd" => writer.begin_definition(),
            "table" if self.table.is_none() && is_of_rows(&element) => {
                self.table = Some(element.id());
                writer.begin_table();
            }
            "td" | "th" => writer.begin_cell(),
            _ => {}
        }
    }

    fn close(&mut self, element: ElementRef<'a>) {
        let name = element.value().name();
        let writer = &mut self.writer;
        match name {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => return self.end_heading(),
            "a" if leads_away(&element) => self.links = self.links.saturating_sub(1),
            "code" if !writer.is_in_heading() => writer.line.close('`', true),
            "sup" => writer.line.close('^', false),
            "tr" => writer.end_row(),
            _ if is_block(name) => writer.end_block(),
            _ => {}
        }
        match name {
            "section" | "div" => self.headings.leave(element.id()),
            "ul" | "menu" | "ol" => writer.end_list(),
            "li" | "dd" => writer.end_item(),
            "table" if self.table == Some(element.id()) => {
                self.table = None;
                writer.end_table();
            }
            _ => {}
        }
        if let Some((_, trail)) = self.footnotes.take_if(|(node, _)| *node == element.id()) {
            self.writer.end_block();
            self.headings.resume(trail);
            self.begin_section();
        }
    }

    fn text(&mut self, text: &str) {
        let length = count(text);
        self.found.length += length;
        if self.links > 0 {
            self.found.link_length += length;
        }
        if length > 0 {
            self.headings.precede(None);
        }
        self.writer.line.write(text);
    }

    fn formula(&mut self, element: ElementRef<'a>) {
        self.skipped = Some(element.id());
        let Some((text, display)) = formula::text(element) else {
            return;
        };
        self.headings.precede(None);
        self.found.length += count(&text);
        let alone = display && !self.writer.is_in_line();
        if alone {
            self.writer.end_block();
        }
        self.writer.line.write_verbatim(&text);
        if alone {
            self.writer.end_block();
        }
    }

    fn image(&mut self, element: ElementRef<'a>) {
        if let Some(alt) = element.attr("alt").filter(|alt| !is_blank(alt)) {
            self.text(&format!("[image: {}]", alt.trim()));
        }
    }

    fn code(&mut self, pre: ElementRef<'a>) {
        self.skipped = Some(pre.id());
        let text = code::text(pre, self.rules);
        if !text.is_empty() {
            self.headings.precede(None);
            self.found.length += count(&text);
            self.writer.code(text, code::language(pre));
        }
    }

    fn begin_heading(&mut self, name: &str, id: Option<&'a str>) {
        let level = name.bytes().last().map_or(1, |digit| digit - b'0');
        let seen = (self.found.length, self.found.link_length);
        self.heading = Some(self.headings.open(level, id, seen));
        self.writer.begin_heading();
    }

    fn end_heading(&mut self) {
        let text = self.writer.end_heading();
        let Some(open) = self.heading.take().filter(|_| !text.is_empty()) else {
            return;
        };
        let length = self.found.length - open.seen.0;
        let is_link = self.found.link_length - open.seen.1 == length;
        let heading = self.headings.close(&open, &text);
        if (2..=4).contains(&heading.level) {
            self.found.inner += 1;
            self.found.linked += usize::from(is_link && heading.anchor.is_none());
        }
        self.begin_section();
    }

    fn begin_section(&mut self) {
        self.writer
            .begin_section(self.headings.trail(), self.headings.anchor());
    }
}

/// Characters other than white space.
fn count(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

fn leads_away(link: &ElementRef) -> bool {
    link.attr("href").is_some_and(|href| !href.starts_with('#'))
}

/// Whether a table holds data. One with code, headings or tables in it is only layout.
fn is_of_rows(table: &ElementRef) -> bool {
    let layout = ["pre", "table", "h1", "h2", "h3", "h4", "h5", "h6"];
    table
        .descendent_elements()
        .filter(|inner| inner.id() != table.id())
        .all(|inner| !layout.contains(&inner.value().name()))
}
