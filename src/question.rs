//! What a reader sent, parsed into a type that cannot be invalid.
//!
//! Pure: nothing is touched, asked or stored before a whole [`Question`] stands here. Texts are
//! kept exactly as they were sent, never trimmed or cut.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::config::Limits;
use crate::error::{Detail, Failure};

/// A valid question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Not blank, at most [`Limits::message`] characters, without NUL.
    pub message: String,
    /// The conversation that the reader names; unknown ones get a new id later.
    pub session_id: Option<Uuid>,
    /// The passage that the question is about: not blank, at most [`Limits::selected_text`]
    /// characters, without NUL.
    pub selected_text: Option<String>,
}

impl Question {
    /// Parses the body of `POST /chat`.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` with every field that is wrong, all at once.
    pub fn parse(body: &[u8], limits: Limits) -> Result<Self, Failure> {
        let value: Value = serde_json::from_slice(body).map_err(|error| {
            Failure::invalid("The body is not valid JSON.", Vec::new()).because(Position {
                line: error.line(),
                column: error.column(),
            })
        })?;
        let Value::Object(mut fields) = value else {
            return Err(Failure::invalid(
                "The body must be a JSON object with a \"message\".",
                Vec::new(),
            ));
        };

        let mut wrong = Wrong(Vec::new());
        let message = wrong.message(&mut fields, limits.message);
        let session_id = wrong.session_id(&mut fields);
        let selected_text = wrong.selected_text(&mut fields, limits.selected_text);
        wrong.unless(Self {
            message,
            session_id,
            selected_text,
        })
    }

    /// Checks texts that come in other fields than those of `POST /chat`, beside what is `wrong`
    /// already; in no conversation yet.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` with every field that is wrong, all at once.
    pub fn check(
        (message_field, message): (&'static str, String),
        (passage_field, passage): (&'static str, Option<String>),
        limits: Limits,
        wrong: Vec<Detail>,
    ) -> Result<Self, Failure> {
        let mut wrong = Wrong(wrong);
        wrong.check_message(message_field, &message, limits.message);
        let selected_text =
            passage.and_then(|text| wrong.passage(passage_field, text, limits.selected_text));
        wrong.unless(Self {
            message,
            session_id: None,
            selected_text,
        })
    }
}

/// Where the JSON broke; the parser's own words could quote the reader.
#[derive(Debug, thiserror::Error)]
#[error("invalid JSON at line {line}, column {column}")]
struct Position {
    line: usize,
    column: usize,
}

/// Reads one field after the other and keeps what is wrong.
struct Wrong(Vec<Detail>);

impl Wrong {
    fn message(&mut self, fields: &mut Map<String, Value>, limit: usize) -> String {
        match fields.remove("message") {
            Some(Value::String(text)) => {
                self.check_message("message", &text, limit);
                text
            }
            None | Some(Value::Null) => self.add("message", "is required"),
            Some(_) => self.add("message", "must be a string"),
        }
    }

    fn session_id(&mut self, fields: &mut Map<String, Value>) -> Option<Uuid> {
        match fields.remove("session_id") {
            None | Some(Value::Null) => None,
            // What is not a UUID cannot be a conversation of ours: it is unknown, like any other.
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => self.add("session_id", "must be a string or null"),
        }
    }

    fn selected_text(&mut self, fields: &mut Map<String, Value>, limit: usize) -> Option<String> {
        match fields.remove("selected_text") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => self.passage("selected_text", text, limit),
            Some(_) => self.add("selected_text", "must be a string or null"),
        }
    }

    fn check_message(&mut self, field: &'static str, text: &str, limit: usize) {
        if text.trim().is_empty() {
            self.add::<()>(field, "must not be blank");
        }
        self.check_text(field, text, limit);
    }

    /// A blank one is none.
    fn passage(&mut self, field: &'static str, text: String, limit: usize) -> Option<String> {
        self.check_text(field, &text, limit);
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// The question, unless anything is wrong with it.
    fn unless(self, question: Question) -> Result<Question, Failure> {
        if self.0.is_empty() {
            Ok(question)
        } else {
            Err(Failure::invalid("The request is not valid.", self.0))
        }
    }

    fn check_text(&mut self, field: &'static str, text: &str, limit: usize) {
        let length = text.chars().count();
        if length > limit {
            let message = format!("is {length} characters long; the limit is {limit}");
            self.0.push(Detail { field, message });
        }
        if text.contains('\0') {
            self.add::<()>(field, "must not hold NUL characters");
        }
    }

    /// Returns a placeholder, which the caller never gets to see.
    fn add<T: Default>(&mut self, field: &'static str, message: &str) -> T {
        self.0.push(Detail {
            field,
            message: message.into(),
        });
        T::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        message: 10,
        selected_text: 20,
    };

    fn parse(body: &str) -> Result<Question, Failure> {
        Question::parse(body.as_bytes(), LIMITS)
    }

    fn wrong_fields(body: &str) -> Vec<String> {
        let details = parse(body).unwrap_err().details;
        details
            .iter()
            .map(|d| format!("{} {}", d.field, d.message))
            .collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let body = format!(
            r#"{{"message": "{}\u0000", "session_id": 7, "selected_text": ["x"]}}"#,
            "é".repeat(11)
        );
        assert_eq!(
            wrong_fields(&body),
            [
                "message is 12 characters long; the limit is 10",
                "message must not hold NUL characters",
                "session_id must be a string or null",
                "selected_text must be a string or null",
            ]
        );
    }

    #[test]
    fn a_message_is_a_string_that_is_not_blank() {
        assert_eq!(wrong_fields("{}"), ["message is required"]);
        assert_eq!(
            wrong_fields(r#"{"message": null}"#),
            ["message is required"]
        );
        assert_eq!(
            wrong_fields(r#"{"message": 1}"#),
            ["message must be a string"]
        );
        let blank = r#"{"message": " \n\u00a0\u3000"}"#;
        assert_eq!(wrong_fields(blank), ["message must not be blank"]);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let ten = "🤖".repeat(10);
        let question = parse(&format!(r#"{{"message": "{ten}"}}"#)).unwrap();
        assert_eq!(question.message, ten);
    }

    #[test]
    fn what_is_no_uuid_names_no_conversation() {
        for id in ["null", r#""""#, r#""not-a-uuid""#, r#""'; drop table""#] {
            let question = parse(&format!(r#"{{"message": "hi", "session_id": {id}}}"#)).unwrap();
            assert_eq!(question.session_id, None, "{id}");
        }
    }

    #[test]
    fn a_blank_passage_is_none_and_unknown_fields_are_ignored() {
        let body = r#"{"message": " hi ", "selected_text": " \t", "model": "other"}"#;
        let question = parse(body).unwrap();
        assert_eq!(question.selected_text, None);
        assert_eq!(question.message, " hi ", "a text is kept as it was sent");
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused() {
        for body in ["", "{", "[]", "\"hi\"", "{\"message\": \"\\ud800\"}"] {
            let failure = parse(body).unwrap_err();
            assert_eq!(failure.code.as_str(), "invalid_request", "{body}");
        }
    }
}
