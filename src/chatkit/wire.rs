//! ChatKit's wire types, as far as a text chat needs them: requests in, objects and events out.
//!
//! Null fields are left out, empty ones are not. Unknown fields are ignored. Follows
//! `openai-chatkit` 1.6.5, <https://openai.github.io/chatkit-python>.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::session;

/// A JSON object, and not an array of its values, which serde would accept as well.
struct Object<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        let value = T::deserialize(Value::Object(fields));
        value.map(Self).map_err(D::Error::custom)
    }
}

pub(super) fn object<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Object::deserialize(deserializer).map(|object| object.0)
}

fn maybe_object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let object = Option::<Object<T>>::deserialize(deserializer)?;
    Ok(object.map(|object| object.0))
}

fn objects<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|object| object.0).collect())
}

/// A request: its type decides what `params` hold.
#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) params: Value,
}

#[derive(Deserialize)]
pub(super) struct Create {
    #[serde(deserialize_with = "object")]
    pub(super) input: Input,
}

#[derive(Deserialize)]
pub(super) struct AddUserMessage {
    pub(super) thread_id: String,
    #[serde(deserialize_with = "object")]
    pub(super) input: Input,
}

#[derive(Deserialize)]
pub(super) struct RetryAfterItem {
    pub(super) thread_id: String,
    pub(super) item_id: String,
}

#[derive(Deserialize)]
pub(super) struct ThreadId {
    pub(super) thread_id: String,
}

#[derive(Deserialize)]
pub(super) struct ListThreads {
    #[serde(flatten)]
    pub(super) paging: Paging,
}

#[derive(Deserialize)]
pub(super) struct ListItems {
    pub(super) thread_id: String,
    #[serde(flatten)]
    pub(super) paging: Paging,
}

#[derive(Deserialize)]
pub(super) struct Paging {
    /// As a float, so that every form of an integer that JSON allows is accepted.
    pub(super) limit: Option<f64>,
    pub(super) order: Option<Order>,
    pub(super) after: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    Asc,
    Desc,
}

#[derive(Deserialize)]
pub(super) struct Update {
    pub(super) thread_id: String,
    pub(super) title: String,
}

#[derive(Deserialize)]
pub(super) struct Feedback {
    pub(super) thread_id: String,
    pub(super) item_ids: Vec<String>,
    pub(super) kind: session::Feedback,
}

/// What a reader sends.
#[derive(Deserialize)]
pub(super) struct Input {
    #[serde(deserialize_with = "objects")]
    pub(super) content: Vec<Content>,
    #[serde(default)]
    pub(super) attachments: Vec<Value>,
    pub(super) quoted_text: Option<String>,
    #[serde(default, deserialize_with = "maybe_object")]
    pub(super) inference_options: Option<InferenceOptions>,
}

/// A part of a question.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Content {
    InputText {
        text: String,
    },
    InputTag {
        id: String,
        text: String,
        #[serde(default)]
        data: Map<String, Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<String>,
        #[serde(default)]
        interactive: bool,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct InferenceOptions {
    #[serde(
        default,
        deserialize_with = "maybe_object",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ToolChoice {
    pub(super) id: String,
}

#[derive(Serialize)]
pub(super) struct Thread {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    pub(super) id: Uuid,
    pub(super) created_at: String,
    pub(super) status: Status,
    pub(super) metadata: Empty,
    pub(super) items: Page<Item>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Status {
    Active,
}

/// `{}`
#[derive(Serialize)]
pub(super) struct Empty {}

/// Part of a list; `after` is present if there is more.
#[derive(Serialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    pub(super) has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<Uuid>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    UserMessage {
        id: Uuid,
        thread_id: Uuid,
        created_at: String,
        content: Vec<Content>,
        /// Always empty.
        attachments: [(); 0],
        #[serde(skip_serializing_if = "Option::is_none")]
        quoted_text: Option<String>,
        inference_options: InferenceOptions,
    },
    AssistantMessage {
        id: Uuid,
        thread_id: Uuid,
        created_at: String,
        content: Vec<OutputText<'static>>,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename = "output_text")]
pub(super) struct OutputText<'a> {
    pub(super) annotations: Vec<Annotation>,
    pub(super) text: Cow<'a, str>,
}

/// A citation: a source, and after how many characters of the text it is cited.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "annotation")]
pub(super) struct Annotation {
    pub(super) source: Cited,
    pub(super) index: usize,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "url")]
pub(super) struct Cited {
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
    pub(super) url: String,
}

/// An event of a stream.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum StreamEvent<'a> {
    #[serde(rename = "thread.created")]
    ThreadCreated { thread: Thread },
    #[serde(rename = "thread.updated")]
    ThreadUpdated { thread: Thread },
    #[serde(rename = "thread.item.added")]
    ItemAdded { item: Item },
    #[serde(rename = "thread.item.updated")]
    ItemUpdated {
        item_id: Uuid,
        update: ItemUpdate<'a>,
    },
    #[serde(rename = "thread.item.done")]
    ItemDone { item: Item },
    #[serde(rename = "thread.item.removed")]
    ItemRemoved { item_id: Uuid },
    #[serde(rename = "stream_options")]
    StreamOptions { stream_options: StreamOptions },
    #[serde(rename = "error")]
    Error {
        code: &'static str,
        message: Cow<'a, str>,
        allow_retry: bool,
    },
}

#[derive(Serialize)]
pub(super) struct StreamOptions {
    pub(super) allow_cancel: bool,
}

/// How an answer grows; it has one part, with index 0.
#[derive(Serialize)]
#[serde(tag = "type")]
pub(super) enum ItemUpdate<'a> {
    #[serde(rename = "assistant_message.content_part.added")]
    PartAdded {
        content_index: u8,
        content: OutputText<'a>,
    },
    #[serde(rename = "assistant_message.content_part.text_delta")]
    TextDelta { content_index: u8, delta: &'a str },
    #[serde(rename = "assistant_message.content_part.annotation_added")]
    AnnotationAdded {
        content_index: u8,
        annotation_index: usize,
        annotation: Annotation,
    },
    #[serde(rename = "assistant_message.content_part.done")]
    PartDone {
        content_index: u8,
        content: OutputText<'a>,
    },
}
