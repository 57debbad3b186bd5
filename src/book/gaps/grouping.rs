//! Groups questions by the words that they share, and says of each group what an owner reads.
//!
//! Pure. Never decides whether a question was answered well: the answer's citations say that.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::ops::AddAssign;

use serde::Serialize;

use crate::citation::Citations;

/// So many shared words always bring a question into a group; of fewer, half of its words must be.
const SHARED: usize = 2;

/// Questions of a group that are told; the others are counted.
const QUESTIONS: usize = 5;

/// Pages of a group that are told; the others are counted.
const PAGES: usize = 5;

/// The most words in a group's name.
const NAME_WORDS: usize = 3;

/// Questions that share words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The words that most of them share; none for a question that shares too few with others.
    pub words: Vec<String>,
    /// How often they were asked, in all.
    pub asked: usize,
    /// The pages on which they were asked most often, at most five.
    pub pages: Vec<OnPage>,
    /// How often they were asked on further pages.
    pub elsewhere: usize,
    /// The questions that were asked most often, at most five.
    pub questions: Vec<Question>,
    /// How many further questions there are.
    pub more: usize,
}

/// How often readers asked on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnPage {
    /// Its path; none where it is not known.
    pub page: Option<String>,
    /// How often.
    pub asked: usize,
}

/// A question in a reader's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The text in one line.
    pub question: String,
    /// How often it was asked.
    pub asked: usize,
    /// Why it counts as not answered.
    #[serde(flatten)]
    pub why: Why,
}

/// Why a question counts as not answered, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Why {
    /// No section was found for it.
    pub nothing_found: usize,
    /// The model says that the sections do not hold the answer.
    pub not_covered: usize,
    /// The answer cites none of the sections.
    pub nothing_cited: usize,
}

/// A question that was not answered.
#[derive(Debug)]
pub(super) struct Unanswered {
    pub(super) text: String,
    why: Why,
    pages: BTreeMap<Option<String>, usize>,
    /// Its words as they are reduced, and as it has them.
    pub(super) words: BTreeMap<String, String>,
}

/// A group that is growing.
#[derive(Default)]
struct Growing {
    questions: Vec<Unanswered>,
    /// How many of its questions have a word.
    words: BTreeMap<String, usize>,
}

impl Why {
    /// Of an answer that cites this; none if it rests on the book.
    pub(super) fn of(citations: &Citations) -> Option<Self> {
        let mut why = Self::default();
        let reason = if citations.found == 0 {
            &mut why.nothing_found
        } else if citations.uncovered {
            &mut why.not_covered
        } else if citations.sources.is_empty() {
            &mut why.nothing_cited
        } else {
            return None;
        };
        *reason = 1;
        Some(why)
    }

    fn times(self) -> usize {
        self.nothing_found + self.not_covered + self.nothing_cited
    }
}

impl AddAssign for Why {
    fn add_assign(&mut self, other: Self) {
        self.nothing_found += other.nothing_found;
        self.not_covered += other.not_covered;
        self.nothing_cited += other.nothing_cited;
    }
}

impl Unanswered {
    /// Never asked so far, and without words.
    pub(super) fn new(text: String) -> Self {
        Self {
            text,
            why: Why::default(),
            pages: BTreeMap::new(),
            words: BTreeMap::new(),
        }
    }

    /// It was asked once more, on this page.
    pub(super) fn count(&mut self, why: Why, page: Option<String>) {
        self.why += why;
        *self.pages.entry(page).or_default() += 1;
    }
}

/// Puts each question into the group with which it shares most words, or into one of its own: first
/// those asked most often and, of these, those with most words, so that the result does not depend
/// on the order in which they come.
pub(super) fn group(mut questions: Vec<Unanswered>) -> Vec<Group> {
    questions.sort_by_cached_key(|it| {
        (
            Reverse(it.why.times()),
            Reverse(it.words.len()),
            it.text.clone(),
        )
    });
    let mut groups: Vec<Growing> = Vec::new();
    // The groups in which any question has a word.
    let mut having: HashMap<String, Vec<usize>> = HashMap::new();
    for question in questions {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for word in question.words.keys() {
            let having = having.get(word).into_iter().flatten();
            for &group in having.filter(|&&it| groups[it].is_about(word)) {
                *shared.entry(group).or_default() += 1;
            }
        }
        let best = shared
            .into_iter()
            .max_by_key(|&(group, shared)| (shared, Reverse(group)))
            .filter(|&(_, shared)| shared >= SHARED || shared * 2 >= question.words.len());
        let best = best.map_or(groups.len(), |(group, _)| group);
        if best == groups.len() {
            groups.push(Growing::default());
        }
        for word in groups[best].add(question) {
            having.entry(word).or_default().push(best);
        }
    }
    let mut groups: Vec<Group> = groups.into_iter().map(Growing::done).collect();
    groups.sort_by(|a, b| {
        let by_text = || a.questions[0].question.cmp(&b.questions[0].question);
        b.asked.cmp(&a.asked).then_with(by_text)
    });
    groups
}

impl Growing {
    /// Whether more than half of its questions have this word: otherwise a group would attract more
    /// and more, the more it holds.
    fn is_about(&self, word: &str) -> bool {
        let having = self.words.get(word).copied().unwrap_or_default();
        having * 2 > self.questions.len()
    }

    /// Adds a question; returns the words that no other one has.
    fn add(&mut self, question: Unanswered) -> Vec<String> {
        let mut new = Vec::new();
        for word in question.words.keys() {
            let having = self.words.entry(word.clone()).or_default();
            *having += 1;
            if *having == 1 {
                new.push(word.clone());
            }
        }
        self.questions.push(question);
        new
    }

    fn done(mut self) -> Group {
        self.questions.sort_by(|a, b| {
            (Reverse(a.why.times()), &a.text).cmp(&(Reverse(b.why.times()), &b.text))
        });
        let mut pages: BTreeMap<&Option<String>, usize> = BTreeMap::new();
        for (page, asked) in self.questions.iter().flat_map(|it| &it.pages) {
            *pages.entry(page).or_default() += asked;
        }
        let pages = pages.into_iter().map(|(page, asked)| OnPage {
            page: page.clone(),
            asked,
        });
        let mut pages: Vec<OnPage> = pages.collect();
        // Stable: by their paths among equals.
        pages.sort_by_key(|page| Reverse(page.asked));
        let asked = pages.iter().map(|page| page.asked).sum();
        pages.truncate(PAGES);
        let told: usize = pages.iter().map(|page| page.asked).sum();
        let words = self.name();
        let more = self.questions.len().saturating_sub(QUESTIONS);
        let questions = self.questions.into_iter().take(QUESTIONS);
        Group {
            words,
            asked,
            pages,
            elsewhere: asked - told,
            questions: questions.map(Question::from).collect(),
            more,
        }
    }

    /// The words that most questions share, each as most of them have it.
    fn name(&self) -> Vec<String> {
        let shared = self.words.iter().filter(|&(_, &having)| having > 1);
        let mut shared: Vec<(&String, &usize)> = shared.collect();
        shared.sort_by_key(|&(_, having)| Reverse(having));
        let shared = shared.into_iter().map(|(word, _)| word).enumerate();
        let words = shared.filter(|&(place, word)| place == 0 || self.is_about(word));
        let words = words.take(NAME_WORDS);
        words.filter_map(|(_, word)| self.form(word)).collect()
    }

    fn form(&self, word: &str) -> Option<String> {
        let mut forms: BTreeMap<&String, usize> = BTreeMap::new();
        for form in self.questions.iter().filter_map(|it| it.words.get(word)) {
            *forms.entry(form).or_default() += 1;
        }
        let most = |&(form, having): &(&String, usize)| (having, Reverse(form.len()));
        forms.into_iter().max_by_key(most).map(|it| it.0.clone())
    }
}

impl From<Unanswered> for Question {
    fn from(question: Unanswered) -> Self {
        Self {
            asked: question.why.times(),
            question: question.text,
            why: question.why,
        }
    }
}

#[cfg(test)]
mod tests;
