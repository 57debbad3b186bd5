//! Headings: which ones a text belongs under, and the id that leads to each.
//!
//! An id leads to the first element that has it, so a second one is no anchor. Generators put it
//! on the heading, into it, on the section around it, or on an empty element just before it.

use std::collections::{HashMap, HashSet};

use ego_tree::NodeId;
use scraper::{ElementRef, Html};

use super::Heading;

/// Characters that are kept of a heading: it is in the trail of every chunk below it.
const LONGEST: usize = 300;

/// Where each id of a page leads.
#[derive(Debug)]
pub(super) struct Ids<'a>(HashMap<&'a str, NodeId>);

impl<'a> Ids<'a> {
    pub(super) fn of(html: &'a Html) -> Self {
        let mut first = HashMap::new();
        for element in html.root_element().descendent_elements() {
            for id in named(element) {
                first.entry(id).or_insert(element.id());
            }
        }
        Self(first)
    }

    /// An id that leads to this element.
    pub(super) fn to(&self, element: ElementRef<'a>) -> Option<&'a str> {
        named(element).find(|id| self.0.get(id) == Some(&element.id()))
    }
}

/// The id of an element, and its name if it is an anchor of the old kind.
fn named(element: ElementRef<'_>) -> impl Iterator<Item = &str> {
    let name = element
        .attr("name")
        .filter(|_| element.value().name() == "a");
    element
        .attr("id")
        .into_iter()
        .chain(name)
        .filter(|id| !id.is_empty())
}

/// A heading whose text is being read.
#[derive(Debug)]
pub(super) struct Open<'a> {
    pub(super) level: u8,
    pub(super) own: Option<&'a str>,
    pub(super) inner: Option<&'a str>,
    around: Option<&'a str>,
    before: Option<&'a str>,
    /// Characters read before it, and those of them in links.
    pub(super) seen: (usize, usize),
}

/// An element around the text whose id its first heading may take.
#[derive(Debug)]
struct Around<'a> {
    node: NodeId,
    id: Option<&'a str>,
    headed: bool,
}

/// The headings of a page, as a walk through it meets them.
#[derive(Debug, Default)]
pub(super) struct Headings<'a> {
    /// All of them.
    pub(super) list: Vec<Heading>,
    /// Those around the text that comes next, outermost first.
    trail: Vec<Heading>,
    around: Vec<Around<'a>>,
    before: Option<&'a str>,
    taken: HashSet<&'a str>,
}

impl<'a> Headings<'a> {
    /// A section or a division begins.
    pub(super) fn enter(&mut self, node: NodeId, id: Option<&'a str>) {
        self.around.push(Around {
            node,
            id,
            headed: false,
        });
    }

    pub(super) fn leave(&mut self, node: NodeId) {
        if self.around.last().is_some_and(|around| around.node == node) {
            self.around.pop();
        }
    }

    /// An empty element with this id comes before what follows; text between them cancels it.
    pub(super) fn precede(&mut self, id: Option<&'a str>) {
        self.before = id;
    }

    pub(super) fn open(
        &mut self,
        level: u8,
        own: Option<&'a str>,
        seen: (usize, usize),
    ) -> Open<'a> {
        let mut id = None;
        // Whatever encloses an element that already has a heading has one too.
        for around in self
            .around
            .iter_mut()
            .rev()
            .take_while(|around| !around.headed)
        {
            around.headed = true;
            id = id.or(around.id);
        }
        Open {
            level,
            own,
            inner: None,
            around: id,
            before: self.before.take(),
            seen,
        }
    }

    /// The heading ends. The first h1 is the page's title, and the page is its anchor.
    pub(super) fn close(&mut self, open: &Open<'a>, text: &str) -> &Heading {
        let candidates = [open.own, open.inner, open.around, open.before];
        let taken = &mut self.taken;
        let anchor = candidates.into_iter().flatten().find(|id| taken.insert(id));
        let heading = Heading {
            level: open.level,
            text: text.chars().take(LONGEST).collect(),
            anchor: anchor.map(str::to_owned),
        };
        let title = heading.level == 1 && self.list.iter().all(|before| before.level != 1);
        self.trail.retain(|above| above.level < heading.level);
        self.trail.push(Heading {
            anchor: heading.anchor.clone().filter(|_| !title),
            ..heading.clone()
        });
        self.list.push(heading);
        &self.list[self.list.len() - 1]
    }

    /// The texts of the headings around the text that comes next.
    pub(super) fn trail(&self) -> Vec<String> {
        self.trail
            .iter()
            .map(|heading| heading.text.clone())
            .collect()
    }

    /// The anchor of the text that comes next: that of the nearest heading with one.
    pub(super) fn anchor(&self) -> Option<String> {
        self.trail
            .iter()
            .rev()
            .find_map(|heading| heading.anchor.clone())
    }

    /// Leaves all headings, for what belongs to the page as a whole.
    pub(super) fn set_aside(&mut self) -> Vec<Heading> {
        std::mem::take(&mut self.trail)
    }

    /// Goes back to the headings that were set aside.
    pub(super) fn resume(&mut self, trail: Vec<Heading>) {
        self.trail = trail;
    }
}
