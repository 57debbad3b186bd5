//! A reader's question, parsed into a type that cannot be invalid.
//!
//! Pure: nothing is touched, asked or stored before a whole [`Question`] exists. Texts are kept
//! exactly as they were sent, never trimmed or cut.

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::book::search;
use crate::config::QuestionLimits;
use crate::error::{Detail, Failure};

/// A valid question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Not blank, at most [`QuestionLimits::message`] characters, without NUL.
    pub message: String,
    /// The conversation that the reader names; an unknown one gets a new id later.
    pub conversation: Option<Uuid>,
    /// The passage that the question is about: not blank, at most
    /// [`QuestionLimits::selected_text`] characters, without NUL.
    pub selected_text: Option<String>,
    /// The path of the page that the reader is on: at most [`MAX_PAGE_CHARS`] characters, without NUL.
    pub page: Option<String>,
}

/// The longest address of a reader's page, in characters.
pub const MAX_PAGE_CHARS: usize = 2_000;

impl Question {
    /// Parses the body of `POST /chat`.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` with every field that is wrong, all at once.
    pub fn parse(body: &[u8], limits: QuestionLimits) -> Result<Self, Failure> {
        let expected = "The body must be a JSON object with a \"message\".";
        let mut fields = object(body, expected)?;
        let mut check = Check::default();
        let message = check.required(&mut fields, "message");
        if let Some(message) = &message {
            check.message("message", message, limits);
        }
        let conversation = check.optional(&mut fields, "session_id");
        let passage = check.optional(&mut fields, "selected_text");
        let selected_text = check.passage("selected_text", passage, limits);
        let page = check.optional(&mut fields, "page");
        let page = check.page("page", page);
        check.done(Self {
            message: message.unwrap_or_default(),
            // What is not a UUID cannot be one of our conversations: it is unknown, like any other.
            conversation: conversation.and_then(|id| id.parse().ok()),
            selected_text,
            page,
        })
    }

    /// For tests elsewhere: a question that is in no conversation yet.
    #[cfg(test)]
    pub(crate) fn of(message: &str, selected_text: Option<&str>) -> Self {
        Self {
            message: message.into(),
            conversation: None,
            selected_text: selected_text.map(Into::into),
            page: None,
        }
    }
}

/// The fields of a body that must be a JSON object; another one is told what was `expected`.
///
/// # Errors
///
/// 400 `invalid_request` for any other body.
pub fn object(body: &[u8], expected: &'static str) -> Result<Map<String, Value>, Failure> {
    let value = serde_json::from_slice(body).map_err(|error| {
        Failure::invalid("The body is not valid JSON.", Vec::new()).because(Position {
            line: error.line(),
            column: error.column(),
        })
    })?;
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(Failure::invalid(expected, Vec::new())),
    }
}

/// Where the JSON broke; the parser's own words could quote the reader.
#[derive(Debug, thiserror::Error)]
#[error("invalid JSON at line {line}, column {column}")]
struct Position {
    line: usize,
    column: usize,
}

/// Collects everything that is wrong with a request, field by field.
#[derive(Debug, Default)]
pub struct Check(Vec<Detail>);

impl Check {
    /// Notes what is wrong with a field, which therefore has no value.
    pub fn wrong<T>(&mut self, field: &'static str, message: impl Into<String>) -> Option<T> {
        let message = message.into();
        self.0.push(Detail { field, message });
        None
    }

    /// Takes a field that must be a string.
    pub fn required(
        &mut self,
        fields: &mut Map<String, Value>,
        field: &'static str,
    ) -> Option<String> {
        match fields.remove(field) {
            Some(Value::String(text)) => Some(text),
            None | Some(Value::Null) => self.wrong(field, "is required"),
            Some(_) => self.wrong(field, "must be a string"),
        }
    }

    /// Checks a question's text.
    pub fn message(&mut self, field: &'static str, text: &str, limits: QuestionLimits) {
        if text.trim().is_empty() {
            self.wrong::<()>(field, "must not be blank");
        }
        self.text(field, text, limits.message);
    }

    /// Checks a selected passage; a blank one counts as none.
    pub fn passage(
        &mut self,
        field: &'static str,
        text: Option<String>,
        limits: QuestionLimits,
    ) -> Option<String> {
        let text = text?;
        self.text(field, &text, limits.selected_text);
        Some(text).filter(|text| !text.trim().is_empty())
    }

    /// Checks the address of the reader's page; what is kept is its path.
    pub fn page(&mut self, field: &'static str, address: Option<String>) -> Option<String> {
        let address = address?;
        self.text(field, &address, MAX_PAGE_CHARS);
        Some(search::path(&address).to_owned()).filter(|path| !path.is_empty())
    }

    /// The checked value, unless anything is wrong.
    ///
    /// # Errors
    ///
    /// 400 `invalid_request` with every field that is wrong.
    pub fn done<T>(self, value: T) -> Result<T, Failure> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(Failure::invalid("The request is not valid.", self.0))
        }
    }

    fn optional(&mut self, fields: &mut Map<String, Value>, field: &'static str) -> Option<String> {
        match fields.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(text),
            Some(_) => self.wrong(field, "must be a string or null"),
        }
    }

    fn text(&mut self, field: &'static str, text: &str, limit: usize) {
        let length = text.chars().count();
        if length > limit {
            let message = format!("is {length} characters long; the limit is {limit}");
            self.wrong::<()>(field, message);
        }
        if text.contains('\0') {
            self.wrong::<()>(field, "must not hold NUL characters");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: QuestionLimits = QuestionLimits {
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
            assert_eq!(question.conversation, None, "{id}");
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
    fn of_the_readers_page_the_path_is_kept() {
        let page = |page: &str| {
            let body = format!(r#"{{"message": "hi", "page": {page}}}"#);
            parse(&body).unwrap().page
        };
        for known in [
            "https://b.example/docs/zmp?user=ada#stability",
            "/docs/zmp#stability",
            " /docs/zmp ",
        ] {
            assert_eq!(page(&format!("{known:?}")).as_deref(), Some("/docs/zmp"));
        }
        assert_eq!(page(r#""https://b.example""#).as_deref(), Some("/"));
        for nowhere in ["null", r#""""#, r##""#top""##] {
            assert_eq!(page(nowhere), None, "{nowhere}");
        }
        let long = format!(r#"{{"message": "hi", "page": "/{}"}}"#, "x".repeat(2_000));
        assert_eq!(
            wrong_fields(&long),
            ["page is 2001 characters long; the limit is 2000"]
        );
        assert_eq!(
            wrong_fields(r#"{"message": "hi", "page": 7}"#),
            ["page must be a string or null"]
        );
    }

    #[test]
    fn a_body_that_is_no_json_object_is_refused() {
        for body in ["", "{", "[]", "\"hi\"", "{\"message\": \"\\ud800\"}"] {
            let failure = parse(body).unwrap_err();
            assert_eq!(failure.code.as_str(), "invalid_request", "{body}");
        }
    }
}
