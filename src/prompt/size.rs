//! The size of a prompt: the one place that knows it, for reserving a turn's cost and for checking
//! `MAX_PROMPT_CHARS`.

use super::{PERSONA, SELECTED_PASSAGE};
use crate::question::Question;

/// The most characters that the instructions and the fences of a prompt take: what
/// `MAX_PROMPT_CHARS` must hold besides a question and its passage. The rest is for the book's
/// title.
pub const INSTRUCTION_CHARS: usize = 4_000;

/// The most bytes that a message takes besides its texts: fence lines and the words around them.
pub const MESSAGE_BYTES: usize = 150;

/// The most bytes that a character takes.
pub const BYTES_PER_CHAR: usize = 4;

const _: () =
    assert!(PERSONA.len() + SELECTED_PASSAGE.len() + MESSAGE_BYTES + 1_000 <= INSTRUCTION_CHARS);

/// The most bytes that the prompt of a question takes without its history; `passages` is what
/// retrieval may add to it.
#[must_use]
pub fn bytes_without_history(book_title: &str, question: &Question, passages: usize) -> usize {
    let texts = [
        PERSONA,
        SELECTED_PASSAGE,
        book_title,
        &question.message,
        question.selected_text.as_deref().unwrap_or_default(),
    ];
    let bytes: usize = texts.iter().map(|text| text.len()).sum();
    bytes + MESSAGE_BYTES + passages
}

#[cfg(test)]
mod tests {
    use super::super::{build, past_message};
    use super::*;
    use crate::session::{Author, PastMessage};

    #[test]
    fn the_reservation_holds_what_a_prompt_takes() {
        let mark = "0123456789abcdef0123456789abcdef";
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
            let bytes = past_message(&message, mark).content.len();
            assert!(bytes <= MESSAGE_BYTES, "{bytes}");
        }
        let question = Question::of("What?", Some("A passage."));
        let messages = build("The Book", &[], &[], &question, mark, 48_000);
        let bytes: usize = messages.iter().map(|message| message.content.len()).sum();
        assert!(bytes <= bytes_without_history("The Book", &question, 0));
    }
}
