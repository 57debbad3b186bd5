//! What a reader sends through ChatKit, parsed into a question and what is stored with it.
//!
//! Pure. Tags are text to the model and to `/chat`; attachments are refused, because nothing here
//! could read them; the model and the tool that a client chooses are stored but never obeyed.

use serde::Serialize;
use serde_json::Value;

use super::wire::{Content, InferenceOptions, Input};
use crate::config::QuestionLimits;
use crate::error::Failure;
use crate::question::{Check, Question};
use crate::session::Stored;

/// The longest content with tags and the longest options, in bytes of JSON: a page of messages may
/// hold a hundred of each.
const MAX_PARTS_BYTES: usize = 16 * 1024;
const MAX_OPTIONS_BYTES: usize = 1024;

const NUL: &str = "must not hold NUL characters";

/// The longest title that is made of a question, in characters.
const TITLE_CHARS: usize = 60;

/// What a reader has said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) question: Question,
    pub(super) content: Vec<Content>,
    pub(super) options: InferenceOptions,
    /// What is stored with the question's text.
    pub(super) stored: Stored,
}

impl Said {
    /// # Errors
    ///
    /// 400 `invalid_request` with every field that is wrong.
    pub(super) fn parse(
        input: Input,
        page: Option<String>,
        limits: QuestionLimits,
    ) -> Result<Self, Failure> {
        let message: String = input.content.iter().map(Content::as_text).collect();
        let mut check = Check::default();
        if !input.attachments.is_empty() {
            check.wrong::<()>("attachments", "attachments are not supported: send text");
        }
        let options = input.inference_options.unwrap_or_default();
        // A single text is checked as the question itself.
        let plain = matches!(input.content[..], [Content::InputText { .. }]);
        let parts = (!plain).then(|| json(&input.content));
        let chosen = (options != InferenceOptions::default()).then(|| json(&options));
        for (field, json, limit) in [
            ("content", &parts, MAX_PARTS_BYTES),
            ("inference_options", &chosen, MAX_OPTIONS_BYTES),
        ] {
            if json.as_ref().is_some_and(|json| json.len() > limit) {
                check.wrong::<()>(field, format!("is larger than {limit} bytes as JSON"));
            }
        }
        if !plain && holds_nul(&input.content) {
            check.wrong::<()>("content", NUL);
        }
        if holds_nul(&options) {
            check.wrong::<()>("inference_options", NUL);
        }
        check.message("content", &message, limits);
        let stored = Stored {
            title: Some(title(&message)),
            parts,
            options: chosen,
        };
        let question = Question {
            selected_text: check.passage("quoted_text", input.quoted_text, limits),
            message,
            conversation: None,
            page,
        };
        check.done(Self {
            question,
            content: input.content,
            options,
            stored,
        })
    }
}

/// A title for a conversation that begins with this question.
fn title(question: &str) -> String {
    let words: Vec<_> = question.split_whitespace().collect();
    let whole = words.join(" ");
    if whole.chars().count() <= TITLE_CHARS {
        return whole;
    }
    // With room for the ellipsis.
    let room = TITLE_CHARS - 1;
    let mut title = String::new();
    for word in words {
        let space = if title.is_empty() { "" } else { " " };
        let longer = format!("{title}{space}{word}");
        if longer.chars().count() > room {
            break;
        }
        title = longer;
    }
    if title.is_empty() {
        title.extend(whole.chars().take(room));
    }
    title + "…"
}

impl Content {
    fn as_text(&self) -> String {
        match self {
            Self::InputText { text } => text.clone(),
            // A blank tag must not make a blank question look like text.
            Self::InputTag { text, .. } if text.trim().is_empty() => text.clone(),
            Self::InputTag { text, .. } => format!("@{text}"),
        }
    }
}

/// PostgreSQL's JSON cannot hold NUL.
fn holds_nul(value: &impl Serialize) -> bool {
    fn any(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains('\0'),
            Value::Array(values) => values.iter().any(any),
            Value::Object(fields) => fields
                .iter()
                .any(|(key, value)| key.contains('\0') || any(value)),
            _ => false,
        }
    }
    serde_json::to_value(value).is_ok_and(|value| any(&value))
}

fn json(value: &impl Serialize) -> String {
    // This cannot fail: they are our own types, whose maps have strings for keys.
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QuestionLimits = QuestionLimits {
        message: 1_000,
        selected_text: 20,
    };

    fn parse(input: &str) -> Result<Said, Failure> {
        Said::parse(serde_json::from_str(input).unwrap(), None, LIMITS)
    }

    fn title(text: &str) -> String {
        let input = serde_json::json!({ "content": [{ "type": "input_text", "text": text }] });
        parse(&input.to_string()).unwrap().stored.title.unwrap()
    }

    #[test]
    fn a_title_is_the_first_question_up_to_a_word() {
        assert_eq!(title("What is inertia?"), "What is inertia?");
        assert_eq!(title("  What\n\nis \t inertia?  "), "What is inertia?");
        let long = title(&"word ".repeat(40));
        assert!(long.ends_with(" word…"), "{long}");
        assert!(long.chars().count() <= TITLE_CHARS, "{long}");
        let one = title(&"🤖".repeat(100));
        assert_eq!(one, format!("{}…", "🤖".repeat(TITLE_CHARS - 1)));
    }

    #[test]
    fn tags_are_text_to_the_model_and_kept_for_the_widget() {
        let said = parse(
            r#"{"content": [{"type": "input_text", "text": "See "},
                {"type": "input_tag", "id": "ch3", "text": "Chapter 3"}],
                "inference_options": {"model": null}}"#,
        );
        let said = said.unwrap();
        assert_eq!(said.question.message, "See @Chapter 3");
        let stored = said.stored;
        assert!(
            stored
                .parts
                .unwrap()
                .contains(r#""id":"ch3","text":"Chapter 3","data":{},"interactive":false"#)
        );
        assert_eq!(stored.options, None);
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let failure = parse(
            r#"{"content": [{"type": "input_tag", "id": "\u0000", "text": "x"}], "attachments": ["a"],
                "quoted_text": "123456789012345678901"}"#,
        )
        .unwrap_err();
        let fields: Vec<_> = failure.details.iter().map(|detail| detail.field).collect();
        assert_eq!(fields, ["attachments", "content", "quoted_text"]);
        for blank in ["[]", r#"[{"type": "input_tag", "id": "x", "text": " "}]"#] {
            assert!(
                parse(&format!(r#"{{"content": {blank}}}"#)).is_err(),
                "{blank}"
            );
        }
    }
}
