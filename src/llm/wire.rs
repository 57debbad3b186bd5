//! The wire: what is sent to Chat Completions and what is read of a streamed answer.
//!
//! Types of our own, because async-openai's fail on values that are newer than they are: unknown
//! fields are ignored, and whatever may be missing is optional.

use serde::{Deserialize, Serialize};

use crate::prompt::Message;

/// What is asked.
#[derive(Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) messages: &'a [Message<'a>],
    pub(super) stream: bool,
    pub(super) stream_options: StreamOptions,
    pub(super) max_completion_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_effort: Option<&'a str>,
    pub(super) safety_identifier: &'a str,
}

#[derive(Serialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: bool,
}

/// What is read of a `chat.completion.chunk`.
#[derive(Deserialize)]
pub(super) struct Chunk {
    pub(super) choices: Option<Vec<Choice>>,
    pub(super) usage: Option<Usage>,
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    pub(super) delta: Option<Delta>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
    pub(super) refusal: Option<String>,
}

/// What the provider counts, in tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: Option<u64>,
    /// In the answer, including the reasoning before it.
    pub completion_tokens: Option<u64>,
}

/// What is asked to be embedded.
#[derive(Serialize)]
pub(super) struct Embedding<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [&'a str],
    pub(super) dimensions: usize,
    pub(super) encoding_format: &'static str,
}

/// What is read of the answer.
#[derive(Deserialize)]
pub(super) struct Embedded {
    pub(super) data: Vec<Vector>,
    pub(super) usage: Option<Usage>,
}

#[derive(Deserialize)]
pub(super) struct Vector {
    pub(super) index: usize,
    pub(super) embedding: Vec<f32>,
}

/// What the moderation is asked.
#[derive(Serialize)]
pub(super) struct Moderation<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [&'a str],
}

/// What is read of its answer.
#[derive(Deserialize)]
pub(super) struct Verdict {
    pub(super) results: Vec<TextVerdict>,
}

#[derive(Deserialize)]
pub(super) struct TextVerdict {
    pub(super) flagged: bool,
}
