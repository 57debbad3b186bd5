//! Text into blocks, blocks into sections: what a list, a row, a definition looks like.
//!
//! Knows no elements (`walk` says what begins and ends) and cuts nothing to size.

use std::mem;

use super::line::Line;

/// What stands under one heading.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) trail: Vec<String>,
    pub(super) anchor: Option<String>,
    pub(super) blocks: Vec<Block>,
}

/// A paragraph, an item, a row, a code block.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What a block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// An empty line goes before it.
    Prose,
    /// An item of a list: on the line after the one before.
    Item,
    /// A row of a table: on the line after the one before.
    Row,
    /// A definition: on the line after its term.
    Definition,
    /// Code in this language, without its fences.
    Code(String),
}

/// Writes the sections of a page, one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// The block under way.
    pub(super) line: Line,
    sections: Vec<Section>,
    section: Section,
    /// The lists around it, each with the number of its next item if they are numbered.
    lists: Vec<Option<u32>>,
    /// What the next block begins with, and the kind that this gives it.
    marker: Option<(String, Kind)>,
    /// In a table of rows: the cells of its row so far.
    cells: Option<usize>,
    in_heading: bool,
}

impl Writer {
    /// Whether all text now goes into one line: a heading's, or a row's.
    pub(super) fn is_in_line(&self) -> bool {
        self.in_heading || self.cells.is_some()
    }

    pub(super) fn is_in_heading(&self) -> bool {
        self.in_heading
    }

    /// Ends the block under way. Within a heading or a row, what would be a block is just a word.
    pub(super) fn end_block(&mut self) {
        if self.in_heading || self.cells.is_some_and(|cells| cells > 0) {
            return self.line.space();
        }
        let text = self.line.take();
        if !text.is_empty() {
            let (marker, kind) = self.marker.take().unwrap_or((String::new(), Kind::Prose));
            self.push(marker + &text, kind);
        }
    }

    pub(super) fn code(&mut self, text: String, language: String) {
        self.marker = None;
        self.push(text, Kind::Code(language));
    }

    pub(super) fn begin_list(&mut self, first: Option<u32>) {
        self.lists.push(first);
    }

    pub(super) fn end_list(&mut self) {
        self.lists.pop();
    }

    pub(super) fn begin_item(&mut self) {
        let indent = "  ".repeat(self.lists.len().clamp(1, 10) - 1);
        let bullet = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{}.", *number - 1)
            }
            _ => "-".into(),
        };
        self.marker = Some((format!("{indent}{bullet} "), Kind::Item));
    }

    pub(super) fn begin_definition(&mut self) {
        self.marker = Some((": ".into(), Kind::Definition));
    }

    /// Ends an item or a definition.
    pub(super) fn end_item(&mut self) {
        self.marker = None;
    }

    pub(super) fn begin_table(&mut self) {
        self.cells = Some(0);
    }

    pub(super) fn end_table(&mut self) {
        self.cells = None;
    }

    pub(super) fn begin_cell(&mut self) {
        if let Some(cells) = &mut self.cells {
            if *cells > 0 {
                self.line.cell();
            }
            *cells += 1;
        }
    }

    pub(super) fn end_row(&mut self) {
        let Some(cells) = &mut self.cells else {
            return self.end_block();
        };
        *cells = 0;
        let text = self.line.take();
        if text.chars().any(|c| c != '|' && c != ' ') {
            self.push(text, Kind::Row);
        }
    }

    pub(super) fn begin_heading(&mut self) {
        self.in_heading = true;
    }

    /// The heading's text.
    pub(super) fn end_heading(&mut self) -> String {
        self.in_heading = false;
        self.line.take()
    }

    /// What is written from here on belongs under these headings. A section without text is
    /// dropped.
    pub(super) fn begin_section(&mut self, trail: Vec<String>, anchor: Option<String>) {
        let next = Section {
            trail,
            anchor,
            blocks: Vec::new(),
        };
        let ended = mem::replace(&mut self.section, next);
        if !ended.blocks.is_empty() {
            self.sections.push(ended);
        }
    }

    /// All that was written.
    pub(super) fn finish(mut self) -> Vec<Section> {
        self.end_block();
        self.begin_section(Vec::new(), None);
        self.sections
    }

    fn push(&mut self, text: String, kind: Kind) {
        self.section.blocks.push(Block { text, kind });
    }
}
