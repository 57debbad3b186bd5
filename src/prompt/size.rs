//! The size of a prompt: the one place that knows it, for reserving a turn's cost and for checking
//! `MAX_PROMPT_CHARS`.

use super::sources::NO_SOURCES;
use super::{OUTSIDE_MARKED, OUTSIDE_OFF, PERSONA, SELECTED_PASSAGE, SOURCES};
use crate::question::Question;

/// The most characters that the instructions and the fences of a prompt take: what
/// `MAX_PROMPT_CHARS` must hold besides a question and its passage. The rest is for the book's
/// title.
pub const INSTRUCTION_CHARS: usize = 4_000;

/// The most bytes that a message takes besides its texts: fence lines and the words around them.
pub const MESSAGE_BYTES: usize = 150;

/// The most bytes that a character takes.
pub const BYTES_PER_CHAR: usize = 4;

const _: () = {
    let passage = SELECTED_PASSAGE.len() + MESSAGE_BYTES;
    assert!(PERSONA.len() + passage + 1_000 <= INSTRUCTION_CHARS);
    assert!(PERSONA.len() + SOURCES_INSTRUCTIONS + 1_000 <= INSTRUCTION_CHARS);
};

/// The most bytes of what the model is told about sources.
const SOURCES_INSTRUCTIONS: usize = {
    let outside = [OUTSIDE_MARKED.len(), OUTSIDE_OFF.len()];
    let longer = if outside[0] > outside[1] {
        outside[0]
    } else {
        outside[1]
    };
    SOURCES.len() + longer + NO_SOURCES.len()
};

/// The most bytes that a character of the book's sections takes on average: a search returns no more
/// of a text whose characters take three or four, because its tokens are as many.
pub const SOURCE_BYTES_PER_CHAR: usize = 2;

/// The most bytes that sections of the book add to a prompt: so many sections of so many characters
/// in all, their headings included.
#[must_use]
pub fn bytes_of_sources(sections: usize, max_chars: usize) -> usize {
    let fences = sections.saturating_mul(MESSAGE_BYTES);
    let texts = max_chars.saturating_mul(SOURCE_BYTES_PER_CHAR);
    SOURCES_INSTRUCTIONS.saturating_add(fences.saturating_add(texts))
}

/// The most bytes that the prompt of a question takes without its history; `sources` is what
/// sections of the book add to it.
#[must_use]
pub fn bytes_without_history(book_title: &str, question: &Question, sources: usize) -> usize {
    let texts = [
        PERSONA,
        SELECTED_PASSAGE,
        book_title,
        &question.message,
        question.selected_text.as_deref().unwrap_or_default(),
    ];
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    bytes + MESSAGE_BYTES + sources
}

#[cfg(test)]
mod tests {
    use super::super::{Material, build, past_message};
    use super::*;
    use crate::book::search::Section;
    use crate::config::OutsideKnowledge;
    use crate::session::{Author, PastMessage};

    const MARK: &str = "0123456789abcdef0123456789abcdef";

    fn bytes(question: &Question, sections: Option<&[Section]>) -> usize {
        let material = Material {
            book_title: "The Book",
            outside_knowledge: OutsideKnowledge::Marked,
            history: &[],
            sections,
            question,
            mark: MARK,
            max_chars: 48_000,
        };
        build(&material).bytes()
    }

    #[test]
    fn the_reservation_holds_what_a_prompt_takes() {
        let past = |author, selected_text: Option<&str>, cancelled| PastMessage {
            author,
            content: String::new(),
            selected_text: selected_text.map(Into::into),
            cancelled,
        };
        for message in [
            past(Author::User, Some(""), false),
            past(Author::Assistant, None, true),
        ] {
            let bytes = past_message(&message, MARK).content.len();
            assert!(bytes <= MESSAGE_BYTES, "{bytes}");
        }
        let question = Question::of("What?", Some("A passage."));
        assert!(bytes(&question, None) <= bytes_without_history("The Book", &question, 0));
    }

    #[test]
    fn the_reservation_holds_what_sources_take() {
        let question = Question::of("What?", None);
        for (count, text) in [(0, ""), (8, ""), (8, "توازن روبوٹ")] {
            let section = Section {
                url: String::new(),
                title: text.into(),
                trail: vec![text.into(), text.into()],
                text: text.into(),
                lang: String::new(),
                page: String::new(),
            };
            let sections = vec![section.clone(); count];
            let chars = section.chars() * count;
            let reserved = bytes_of_sources(8, chars);
            let reserved = bytes_without_history("The Book", &question, reserved);
            assert!(bytes(&question, Some(&sections)) <= reserved, "{text}");
        }
    }
}
