//! Reads from the messages what is asked, and the text to answer it from.

use super::{
    notice::without_notice,
    sections::{self, Section},
    wire::Message,
};

/// A question and the text that may hold its answer.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) question: String,
    pub(super) source: Source,
}

#[derive(Debug, PartialEq)]
pub(super) enum Source {
    /// The passage that the question is about, or the ones found for it.
    Passage(String),
    /// What the book was found to say, the likeliest section first, and the question before this
    /// one, which the search has seen too.
    Book {
        sections: Vec<Section>,
        before: Option<String>,
    },
    /// What was said before, oldest first.
    Conversation(Vec<String>),
}

/// `None` if there is no question: the last message is not a user's.
pub(super) fn read(messages: &[Message]) -> Option<Asked> {
    let (last, earlier) = messages.split_last()?;
    if last.role != "user" {
        return None;
    }
    let text = last.text();
    if let Some((sections, question)) = sections::read(&text) {
        let before = earlier.iter().rev().find(|message| message.role == "user");
        let before = before.map(|message| asked_in(&message.text()));
        return Some(Asked {
            question,
            source: Source::Book { sections, before },
        });
    }
    Some(match passage(&text) {
        Some((passage, question)) => Asked {
            question,
            source: Source::Passage(passage),
        },
        None => Asked {
            question: question(&text),
            source: Source::Conversation(conversation(earlier)),
        },
    })
}

/// A message's question, without what it is about.
fn asked_in(text: &str) -> String {
    sections::read(text)
        .map(|(_, question)| question)
        .or_else(|| passage(text).map(|(_, question)| question))
        .unwrap_or_else(|| question(text))
}

fn conversation(messages: &[Message]) -> Vec<String> {
    messages
        .iter()
        .filter_map(|message| match message.role.as_str() {
            // A passage of an earlier question is worth searching; the question itself answers nothing.
            "user" => Some(
                passage(&message.text()).map_or_else(|| message.text(), |(passage, _)| passage),
            ),
            "assistant" => Some(without_notice(&message.text()).to_owned()),
            _ => None,
        })
        .filter(|text| !text.trim().is_empty())
        .collect()
}

/// The passages, and the question after them. A closing line carries the same mark as the opening
/// one, so that nothing inside a passage can end it.
fn passage(text: &str) -> Option<(String, String)> {
    let mut rest: Vec<&str> = text.lines().collect();
    let mut passages = Vec::new();
    let opens = |line: &&str| line.trim_start().starts_with("<passage");
    while let Some(open) = rest.iter().position(opens) {
        let mark = rest[open].split('"').nth(1).unwrap_or_default();
        let closes =
            |line: &&str| line.trim_start().starts_with("</passage") && line.contains(mark);
        let Some(length) = rest[open + 1..].iter().position(closes) else {
            break;
        };
        let close = open + 1 + length;
        passages.push(rest[open + 1..close].join("\n"));
        rest.drain(..=close);
    }
    (!passages.is_empty()).then(|| (passages.join("\n\n"), question(&rest.join("\n"))))
}

/// A message without the word that the backend puts before its question.
pub(super) fn question(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix("Question:")
        .unwrap_or(text)
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::notice::NOTICE;
    use super::*;

    fn read_json(messages: &Value) -> Option<Asked> {
        let messages: Vec<Message> = serde_json::from_value(messages.clone()).ok()?;
        read(&messages)
    }

    #[test]
    fn a_passage_ends_at_the_line_with_its_own_mark() {
        let asked = read_json(&json!([
            { "role": "system", "content": "You are a teacher." },
            { "role": "user", "content": "<passage mark=\"k3J9\">\nOne.\n</passage>\n</passage mark=\"zz\">\nTwo.\n\
                                          </passage mark=\"k3J9\">\n\nQuestion: Which\nnumbers?" },
        ]));
        let passage = "One.\n</passage>\n</passage mark=\"zz\">\nTwo.".to_owned();
        let expected = Asked {
            question: "Which\nnumbers?".to_owned(),
            source: Source::Passage(passage),
        };
        assert_eq!(asked, Some(expected));
    }

    #[test]
    fn several_passages_are_searched_as_one() {
        let asked = read_json(&json!([{
            "role": "user",
            "content": "Passages of the book:\n\n<passage mark=\"a\" source=\"1\">\nOne.\n</passage mark=\"a\">\n\n\
                        <passage mark=\"a\" source=\"2\">\nTwo.\n</passage mark=\"a\">\n\nQuestion: Which?",
        }]));
        assert_eq!(
            asked,
            Some(Asked {
                question: "Which?".to_owned(),
                source: Source::Passage("One.\n\nTwo.".to_owned()),
            })
        );
    }

    #[test]
    fn a_passage_that_is_not_closed_is_an_ordinary_question() {
        let asked = read_json(
            &json!([{ "role": "user", "content": "<passage mark=\"a\">\nWhat is this?" }]),
        );
        assert!(asked.is_some_and(|asked| asked.source == Source::Conversation(Vec::new())));
    }

    #[test]
    fn sections_of_the_book_come_with_the_question_before_without_its_passage() {
        let asked = read_json(&json!([
            { "role": "system", "content": "You are a teacher." },
            { "role": "user", "content": "<passage mark=\"a\">\nIt walks.\n</passage mark=\"a\">\n\nQuestion: How?" },
            { "role": "assistant", "content": "On legs." },
            { "role": "user", "content": "<source mark=\"k3\" number=\"1\" title=\"A\">\nOne.\n</source mark=\"k3\">\n\nQuestion: Why?" },
        ]));
        let section = Section {
            number: 1,
            heading: "A".to_owned(),
            text: "One.".to_owned(),
        };
        let expected = Asked {
            question: "Why?".to_owned(),
            source: Source::Book {
                sections: vec![section],
                before: Some("How?".to_owned()),
            },
        };
        assert_eq!(asked, Some(expected));
    }

    #[test]
    fn a_conversation_is_what_both_said_before_with_the_passages_but_without_the_notice() {
        let asked = read_json(&json!([
            { "role": "system", "content": "You are a teacher." },
            { "role": "user", "content": "<passage mark=\"a\">\nIt walks.\n</passage mark=\"a\">\n\nQuestion: How?" },
            { "role": "assistant", "content": format!("{}\n\nIt walks.", NOTICE) },
            { "role": "user", "content": [{ "type": "text", "text": "My name is Ada." }] },
            { "role": "user", "content": "Who am I?" },
        ]));
        let said = ["It walks.", "It walks.", "My name is Ada."]
            .map(str::to_owned)
            .to_vec();
        let expected = Asked {
            question: "Who am I?".to_owned(),
            source: Source::Conversation(said),
        };
        assert_eq!(asked, Some(expected));
    }

    #[test]
    fn without_a_question_there_is_nothing_to_answer() {
        assert_eq!(read_json(&json!([])), None);
        assert_eq!(
            read_json(&json!([{ "role": "system", "content": "You are a teacher." }])),
            None
        );
    }
}
