//! The part of OpenAI's request that is read, and the shapes of its usage and errors.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) messages: Vec<Message>,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream: bool,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) stream_options: StreamOptions,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default, deserialize_with = "nullable")]
    pub(super) include_usage: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) role: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) content: Content,
}

/// A message's content is one text, or a list of parts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    #[serde(default)]
    text: String,
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Message {
    pub(super) fn text(&self) -> String {
        match &self.content {
            Content::Text(text) => text.clone(),
            Content::Parts(parts) => parts
                .iter()
                .map(|part| part.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
        }
    }
}

/// A null stands for an absent field.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names are OpenAI's")]
pub(super) struct Usage {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
}

impl Usage {
    /// Four characters a token is OpenAI's own rule of thumb.
    pub(super) fn count(messages: &[Message], answer: &str) -> Self {
        let tokens = |text: &str| text.chars().count().div_ceil(4);
        let prompt_tokens = messages.iter().map(|message| tokens(&message.text())).sum();
        let completion_tokens = tokens(answer);
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
        }
    }
}

pub(super) fn error(status: StatusCode, message: &str, code: Option<&str>) -> Response {
    let error =
        json!({ "message": message, "type": "invalid_request_error", "param": null, "code": code });
    (status, Json(json!({ "error": error }))).into_response()
}
