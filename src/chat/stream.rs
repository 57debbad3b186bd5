//! A turn as the AI SDK's UI message stream, version 1: server-sent events of JSON parts.
//!
//! One text part per message. Optional fields are left out, never null, and every part has a type
//! that the protocol knows: the SDK's client fails on anything else.
//! Protocol: <https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol>

use http::{HeaderName, HeaderValue, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use crate::citation::link;
use crate::http::{Call, Reply};
use crate::llm::Usage;
use crate::sse::{self, EventStream, HEADERS, Protocol};
use crate::time::timestamp;
use crate::turn::{self, Event};

/// The id of a message's only text part.
const TEXT: &str = "text";

const VERSION: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-vercel-ai-ui-message-stream"),
    HeaderValue::from_static("v1"),
);

/// Streams a turn once its first piece is there; a failure before that is an ordinary error with
/// its status.
pub(super) async fn reply(mut events: Receiver<Event>, call: &Call) -> Reply {
    let first = loop {
        match events.recv().await.unwrap_or_else(turn::vanished) {
            Event::Failed(failure) => return call.turn_failed(&failure),
            Event::QuestionStored { .. } => {}
            first => break first,
        }
    };
    let mut reply =
        Response::new(EventStream::new(first, events, UiMessageStream::default()).boxed());
    reply.headers_mut().extend(HEADERS);
    reply.headers_mut().extend([VERSION]);
    reply
}

/// A part of the stream: the kinds that a text answer needs.
#[derive(Serialize)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
enum Part<'a> {
    Start {
        message_id: Uuid,
        message_metadata: StartMetadata,
    },
    StartStep,
    TextStart {
        id: &'a str,
    },
    TextDelta {
        id: &'a str,
        delta: &'a str,
    },
    SourceUrl {
        source_id: String,
        url: &'a str,
        title: String,
    },
    TextEnd {
        id: &'a str,
    },
    FinishStep,
    Finish {
        finish_reason: &'a str,
        message_metadata: FinishMetadata,
    },
    Error {
        error_text: &'a str,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StartMetadata {
    session_id: Uuid,
}

#[derive(Serialize)]
struct FinishMetadata {
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Tokens>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_tokens: Option<u64>,
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            output_tokens: usage.completion_tokens,
        }
    }
}

/// The protocol, and what of the answer it must remember.
#[derive(Default)]
struct UiMessageStream {
    /// The last character of the text so far.
    last: Option<char>,
    /// How many sources it was told of.
    sources: usize,
}

impl Protocol for UiMessageStream {
    const HEARTBEAT: &'static [u8] = sse::COMMENT;

    fn encode(&mut self, event: &Event, frames: &mut Vec<u8>) {
        let mut write = |part: Part<'_>| sse::json(&part, frames);
        match event {
            Event::QuestionStored { .. } => {}
            Event::AnswerBegan {
                conversation,
                answer_id,
                ..
            } => {
                write(Part::Start {
                    message_id: *answer_id,
                    message_metadata: StartMetadata {
                        session_id: *conversation,
                    },
                });
                write(Part::StartStep);
                write(Part::TextStart { id: TEXT });
            }
            Event::Text(delta) => {
                self.last = delta.chars().next_back();
                write(Part::TextDelta { id: TEXT, delta });
            }
            Event::Cited(source) => {
                // Sources are numbered as they are first cited.
                if source.id > self.sources {
                    self.sources = source.id;
                    let title = [Some(source.title.as_str()), source.section.as_deref()];
                    write(Part::SourceUrl {
                        source_id: source.id.to_string(),
                        url: &source.url,
                        title: title.into_iter().flatten().collect::<Vec<_>>().join(" > "),
                    });
                }
                let link = link(source, self.last);
                self.last = link.chars().next_back();
                write(Part::TextDelta {
                    id: TEXT,
                    delta: &link,
                });
            }
            Event::AnswerStored {
                stored_at,
                finish_reason,
                usage,
                ..
            } => {
                write(Part::TextEnd { id: TEXT });
                write(Part::FinishStep);
                write(Part::Finish {
                    finish_reason: reason(finish_reason),
                    message_metadata: FinishMetadata {
                        timestamp: timestamp(*stored_at),
                        usage: usage.map(Into::into),
                    },
                });
                sse::data("[DONE]", frames);
            }
            Event::Failed(failure) => write(Part::Error {
                error_text: &failure.message,
            }),
        }
    }
}

/// OpenAI's reason why the model stopped, in the SDK's words.
fn reason(finish_reason: &str) -> &'static str {
    match finish_reason {
        "stop" => "stop",
        "length" => "length",
        "content_filter" => "content-filter",
        "tool_calls" => "tool-calls",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Failure};

    fn frames(event: &Event) -> String {
        let mut frames = Vec::new();
        UiMessageStream::default().encode(event, &mut frames);
        String::from_utf8(frames).unwrap()
    }

    #[test]
    fn a_turn_is_written_as_the_protocol_has_it() {
        let id = Uuid::nil();
        assert_eq!(
            frames(&Event::AnswerBegan {
                conversation: id,
                answer_id: id,
                began_at: chrono::DateTime::UNIX_EPOCH,
            }),
            "data: {\"type\":\"start\",\"messageId\":\"00000000-0000-0000-0000-000000000000\",\"messageMetadata\":{\"sessionId\":\"00000000-0000-0000-0000-000000000000\"}}\n\n\
             data: {\"type\":\"start-step\"}\n\n\
             data: {\"type\":\"text-start\",\"id\":\"text\"}\n\n"
        );
        assert_eq!(
            frames(&Event::Text("a\n\n\"b\" 🤖".into())),
            "data: {\"type\":\"text-delta\",\"id\":\"text\",\"delta\":\"a\\n\\n\\\"b\\\" 🤖\"}\n\n"
        );
        let finished = Event::AnswerStored {
            stored_at: "2026-11-20T12:00:00Z".parse().unwrap(),
            finish_reason: "content_filter".into(),
            usage: None,
            sources: None,
        };
        assert_eq!(
            frames(&finished),
            "data: {\"type\":\"text-end\",\"id\":\"text\"}\n\n\
             data: {\"type\":\"finish-step\"}\n\n\
             data: {\"type\":\"finish\",\"finishReason\":\"content-filter\",\"messageMetadata\":{\"timestamp\":\"2026-11-20T12:00:00.000000Z\"}}\n\n\
             data: [DONE]\n\n"
        );
        let failed = Event::Failed(Failure::new(Code::LlmError, "Try again."));
        assert_eq!(
            frames(&failed),
            "data: {\"type\":\"error\",\"errorText\":\"Try again.\"}\n\n"
        );
    }
}
