//! A page with the ChatKit widget: what it sends, and the events that it gets.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use local::function::Function;
use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::stream::Stream;
use super::{Reply, Running};

/// A reader who uses a function.
pub struct Reader<'a, F = Function> {
    chatkit: &'a Running<F>,
    /// The token that they are known by; `None` before they were given one.
    pub token: Option<String>,
}

/// The ids of a turn.
#[derive(Debug, Clone)]
pub struct Turn {
    pub thread: String,
    pub question: String,
    pub answer: String,
}

impl<F> Running<F> {
    /// A new reader, with a token.
    pub fn reader(&self) -> Reader<'_, F> {
        // 43 characters that stand for 32 bytes.
        let random = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        self.known_as(&format!("{}A", &random[..42]))
    }

    /// The reader with this token.
    pub fn known_as(&self, token: &str) -> Reader<'_, F> {
        Reader {
            chatkit: self,
            token: Some(token.to_owned()),
        }
    }

    /// A reader who has no token yet.
    pub fn stranger(&self) -> Reader<'_, F> {
        Reader {
            chatkit: self,
            token: None,
        }
    }
}

impl<F> Reader<'_, F> {
    /// The token; there must be one.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    /// A request with this body, for the test to complete.
    pub fn send(&self, body: &Value) -> RequestBuilder {
        let request = self.chatkit.request(Method::POST, "/chatkit").json(body);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub fn request(&self, kind: &str, params: &Value) -> RequestBuilder {
        self.send(&json!({ "type": kind, "params": params }))
    }

    pub async fn call(&self, kind: &str, params: &Value) -> Reply {
        Reply::of(self.request(kind, params)).await
    }

    /// The body of a 200 that is not a stream.
    pub async fn json(&self, kind: &str, params: &Value) -> Value {
        let reply = self.call(kind, params).await;
        assert_eq!(reply.status, 200, "{kind} {params} {reply:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        reply.json()
    }

    /// A stream that the test reads event by event.
    pub async fn stream(&self, kind: &str, params: &Value) -> Stream {
        let response = self.request(kind, params).send().await.unwrap();
        Stream::of(response).await
    }

    /// All events of a stream, whose order is checked.
    pub async fn events(&self, kind: &str, params: &Value) -> Vec<Value> {
        let events = self.stream(kind, params).await.events().await;
        sound(&events);
        events
    }

    /// Asks in a new thread.
    pub async fn create(&self, text: &str) -> Vec<Value> {
        let params = json!({ "input": input(text) });
        self.events("threads.create", &params).await
    }

    /// Asks in this thread.
    pub async fn add(&self, thread: &str, text: &str) -> Vec<Value> {
        let params = json!({ "thread_id": thread, "input": input(text) });
        self.events("threads.add_user_message", &params).await
    }

    pub async fn retry(&self, thread: &str, question: &str) -> Vec<Value> {
        let params = json!({ "thread_id": thread, "item_id": question });
        self.events("threads.retry_after_item", &params).await
    }

    /// A question in a new thread, and its answer.
    pub async fn begin(&self, text: &str) -> Turn {
        turn(&self.create(text).await)
    }

    /// A question in this thread, and its answer.
    pub async fn ask(&self, thread: &str, text: &str) -> Turn {
        turn(&self.add(thread, text).await)
    }

    pub async fn get(&self, thread: &str) -> Value {
        let params = json!({ "thread_id": thread });
        self.json("threads.get_by_id", &params).await
    }

    /// The items of a thread, each as `user: …` or `assistant: …`.
    pub async fn texts(&self, thread: &str) -> Vec<String> {
        let thread = self.get(thread).await;
        let items = thread["items"]["data"].as_array().unwrap().iter();
        items.map(text).collect()
    }

    /// The titles of all threads, newest first.
    pub async fn titles(&self) -> Vec<String> {
        let page = self.json("threads.list", &json!({})).await;
        let threads = page["data"].as_array().unwrap().iter();
        threads
            .map(|thread| thread["title"].as_str().unwrap_or("-").to_owned())
            .collect()
    }
}

/// What a reader types, as the widget sends it.
pub fn input(text: &str) -> Value {
    json!({
        "content": [{ "type": "input_text", "text": text }],
        "attachments": [],
        "quoted_text": "",
        "inference_options": {},
    })
}

/// An item as `user: …` or `assistant: …`.
pub fn text(item: &Value) -> String {
    let role = item["type"].as_str().unwrap();
    let parts = item["content"].as_array().unwrap().iter();
    let text: String = parts.map(|part| part["text"].as_str().unwrap()).collect();
    format!("{}: {text}", role.trim_end_matches("_message"))
}

/// The ids of an answered turn.
pub fn turn(events: &[Value]) -> Turn {
    let mut items = events
        .iter()
        .filter(|event| event["type"] == "thread.item.done")
        .map(|event| &event["item"]);
    let (question, answer) = (items.next().unwrap(), items.next());
    let answer = answer.unwrap_or_else(|| panic!("there is no answer: {events:#?}"));
    let id = |value: &Value| value.as_str().unwrap().to_owned();
    Turn {
        thread: id(&question["thread_id"]),
        question: id(&question["id"]),
        answer: id(&answer["id"]),
    }
}

/// The kinds of events; for an update, the kind of the update.
pub fn kinds(events: &[Value]) -> Vec<&str> {
    let kinds = events.iter().map(|event| {
        let update = event["update"]["type"].as_str();
        update.or(event["type"].as_str()).unwrap()
    });
    kinds.collect()
}

const PART_ADDED: &str = "assistant_message.content_part.added";
const DELTA: &str = "assistant_message.content_part.text_delta";
const PART_DONE: &str = "assistant_message.content_part.done";

/// Checks what holds for the events of every stream.
fn sound(events: &[Value]) {
    let report = || format!("{events:#?}");
    let mut open = None;
    let mut written = String::new();
    let mut options = 0;
    let mut failed = false;
    for (event, kind) in events.iter().zip(kinds(events)) {
        assert!(!holds_null(event), "{event}");
        assert!(!failed || kind == "thread.updated", "{}", report());
        if event.get("update").is_some() {
            assert_eq!(Some(&event["item_id"]), open, "{}", report());
        }
        match kind {
            "stream_options" => options += 1,
            "thread.item.added" => open = Some(&event["item"]["id"]),
            DELTA => {
                let delta = event["update"]["delta"].as_str().unwrap();
                assert!(!delta.is_empty(), "{}", report());
                written.push_str(delta);
            }
            PART_DONE => assert_eq!(event["update"]["content"]["text"], written, "{}", report()),
            "thread.item.done" if event["item"]["type"] == "assistant_message" => {
                assert_eq!(Some(&event["item"]["id"]), open, "{}", report());
                assert_eq!(event["item"]["content"][0]["text"], written);
                open = None;
            }
            "error" => failed = true,
            PART_ADDED
            | "thread.created"
            | "thread.updated"
            | "thread.item.done"
            | "thread.item.removed"
            | "assistant_message.content_part.annotation_added"
            | "progress_update" => {}
            kind => panic!("{kind}: {}", report()),
        }
    }
    let alone = events.len() == 1 && failed;
    assert_eq!(options, usize::from(!alone), "{}", report());
}

/// Whether anything is null, which must be left out; what a page puts into a tag is up to the page.
fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(holds_null),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key != "data" && holds_null(value)),
        _ => false,
    }
}

/// The same with the pieces of an answer joined, because where they are cut is not promised.
pub fn joined(events: &[Value]) -> Vec<Value> {
    let delta = |event: &Value| {
        let text = event["update"]["delta"].as_str();
        text.map(str::to_owned)
    };
    let mut joined: Vec<Value> = Vec::new();
    for event in events {
        match (joined.last().and_then(delta), delta(event)) {
            (Some(before), Some(more)) => {
                joined.last_mut().unwrap()["update"]["delta"] = (before + &more).into();
            }
            _ => joined.push(event.clone()),
        }
    }
    joined
}

/// Names in place of ids and times, so that an exchange can be written down: `{THREAD_1}`,
/// `{ITEM_1}` and so on in order of appearance, and `{TS}`.
#[derive(Default)]
pub struct Names {
    known: HashMap<String, String>,
    threads: usize,
    items: usize,
}

impl Names {
    pub fn of(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(values) => values.iter().map(|value| self.of(value)).collect(),
            Value::Object(fields) => self.object(fields),
            value => value.clone(),
        }
    }

    /// The events of a stream, with its pieces joined.
    pub fn told(&mut self, events: &[Value]) -> Value {
        self.of(&joined(events).into())
    }

    fn object(&mut self, fields: &Map<String, Value>) -> Value {
        let is_thread = fields.contains_key("status");
        // A page's cursor refers to an entry of the page.
        let mut keys: Vec<_> = fields.keys().collect();
        keys.sort_by_key(|key| key.as_str() == "after");
        let named = keys.into_iter().map(|key| {
            let value = &fields[key];
            let named = match (key.as_str(), value) {
                ("thread_id", Value::String(id)) => self.thread(id),
                // A tag's id comes from the page.
                ("id", Value::String(id)) if Uuid::parse_str(id).is_err() => id.clone(),
                ("id", Value::String(id)) if is_thread => self.thread(id),
                ("id" | "item_id", Value::String(id)) => self.item(id),
                ("after", Value::String(id)) => self.known[id].clone(),
                ("created_at", Value::String(time)) => {
                    check_time(time);
                    "{TS}".to_owned()
                }
                (_, value) => return (key.clone(), self.of(value)),
            };
            (key.clone(), named.into())
        });
        Value::Object(named.collect())
    }

    fn thread(&mut self, id: &str) -> String {
        Uuid::parse_str(id).unwrap();
        let known = self.known.entry(id.to_owned()).or_insert_with(|| {
            self.threads += 1;
            format!("{{THREAD_{}}}", self.threads)
        });
        known.clone()
    }

    fn item(&mut self, id: &str) -> String {
        Uuid::parse_str(id).unwrap();
        let known = self.known.entry(id.to_owned()).or_insert_with(|| {
            self.items += 1;
            format!("{{ITEM_{}}}", self.items)
        });
        known.clone()
    }
}

/// UTC with microseconds, which browsers and PostgreSQL read as the same moment.
fn check_time(time: &str) {
    let parsed: DateTime<Utc> = time.parse().unwrap();
    let form = parsed.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    assert_eq!(time, form);
}
