//! The route `/chatkit`: a server for OpenAI's ChatKit, on the same turn and store as `/chat`.
//!
//! A thread is a conversation that belongs to a reader ([`crate::reader`]), an item is one of its
//! messages. The wire types are in `wire`, what a reader sends becomes a question in `input`, and a
//! turn becomes events in `stream`. Everything is checked before the first byte of a stream.

mod input;
mod stream;
mod wire;

use std::borrow::Cow;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::chat::timestamp;
use crate::error::{Code, Failure};
use crate::http::{Call, Reply, Route, json};
use crate::question::Question;
use crate::reader::{Issued, Owner};
use crate::session::{self, Author, thread as store};
use crate::turn::{self, Ask};
use input::Said;
use stream::Stream;
use wire::{Content, Empty, Item, Kind, Order, OutputText, Page, Paging, Status, Thread};

/// `POST /chatkit`
pub const ROUTE: Route = Route {
    name: "chatkit",
    methods: &[Method::POST],
    warms: true,
    handler,
};

/// Entries of a page where a client names no number, and the most that it gets.
const PAGE: u8 = 20;
const MAX_PAGE: u8 = 100;

/// The longest title that a reader may give, in characters.
const MAX_TITLE_CHARS: usize = 200;

/// Items of one request that are judged at the most, and the longest id, in characters.
const MAX_JUDGED: usize = 100;
const MAX_ID_CHARS: usize = 100;

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        let request = parse(&call.body)?;
        let params = request.params;
        let reader = Owner::read(&call.headers);
        let chat = Chat { app, call, reader };
        match request.kind.as_str() {
            "threads.create" => chat.create(params).await,
            "threads.add_user_message" => chat.add_user_message(params).await,
            "threads.retry_after_item" => chat.retry_after_item(params).await,
            "threads.get_by_id" => chat.get_by_id(params).await,
            "threads.list" => chat.list_threads(params).await,
            "items.list" => chat.list_items(params).await,
            "threads.update" => chat.update(params).await,
            "threads.delete" => chat.delete(params).await,
            "items.feedback" => chat.feedback(params).await,
            "attachments.create"
            | "attachments.delete"
            | "input.transcribe"
            | "threads.custom_action"
            | "threads.sync_custom_action"
            | "threads.add_client_tool_output"
            | "threads.add_structured_input" => Err(not_supported()),
            _ => Err(Failure::wrong("type", "is not a request of ChatKit's")),
        }
    })
}

/// A request and who sent it.
struct Chat {
    app: Arc<App>,
    call: Call,
    reader: Option<Owner>,
}

impl Chat {
    async fn create(self, params: Value) -> Result<Reply, Failure> {
        let wire::Create { input } = read(params)?;
        let said = Said::parse(input, self.app.ready()?.settings.limits)?;
        let issued = match self.reader {
            Some(_) => None,
            None => Some(Issued::new(&self.call.headers)),
        };
        let ask = Ask {
            question: said.question.clone(),
            key: None,
            reader: self.reader.or(issued.as_ref().map(|issued| issued.owner)),
            thread: Some(said.thread.clone()),
        };
        let events = turn::ask(self.app, &self.call, ask);
        stream::reply(events, Stream::of_new_thread(said, issued)).await
    }

    async fn add_user_message(self, params: Value) -> Result<Reply, Failure> {
        let wire::AddUserMessage { thread_id, input } = read(params)?;
        let mut said = Said::parse(input, self.app.ready()?.settings.limits)?;
        let owner = self.owner()?;
        said.question.session_id = Some(thread_of(&thread_id)?);
        let ask = Ask {
            question: said.question.clone(),
            key: None,
            reader: Some(owner),
            thread: Some(said.thread.clone()),
        };
        let events = turn::ask(self.app, &self.call, ask);
        stream::reply(events, Stream::of_question(said)).await
    }

    async fn retry_after_item(self, params: Value) -> Result<Reply, Failure> {
        let wire::RetryAfterItem { thread_id, item_id } = read(params)?;
        let owner = self.owner()?;
        let thread = thread_of(&thread_id)?;
        let item = item_id.parse().map_err(|_| no_item())?;
        let stream = Stream::of_retry();
        let database = &self.app.ready()?.database;
        let (message, selected_text) = match store::message(database, &owner, thread, item).await {
            Ok(Some((Author::User, message, passage))) => (message, passage),
            Ok(Some((Author::Assistant, ..))) => {
                return Err(Failure::wrong("item_id", "must be a question's id"));
            }
            Ok(None) => return Err(no_item()),
            Err(error) => return stream::reply(Err(error.into()), stream).await,
        };
        let ask = Ask {
            question: Question {
                message,
                session_id: Some(thread),
                selected_text,
            },
            key: None,
            reader: Some(owner),
            thread: Some(session::InThread {
                title: None,
                parts: None,
                options: None,
                retried: Some(item),
            }),
        };
        let events = turn::ask(self.app, &self.call, ask);
        stream::reply(events, stream).await
    }

    async fn get_by_id(self, params: Value) -> Result<Reply, Failure> {
        let wire::ThreadId { thread_id } = read(params)?;
        let page = store::Page {
            limit: PAGE,
            descending: false,
            after: None,
        };
        let (found, items) = self.read(&thread_id, page).await?;
        let mut thread = thread(found);
        thread.items = items;
        Ok(json(StatusCode::OK, &thread))
    }

    async fn list_items(self, params: Value) -> Result<Reply, Failure> {
        let wire::ListItems { thread_id, paging } = read(params)?;
        let (_, items) = self.read(&thread_id, page(paging)?).await?;
        Ok(json(StatusCode::OK, &items))
    }

    async fn list_threads(self, params: Value) -> Result<Reply, Failure> {
        let wire::ListThreads { paging } = read(params)?;
        let page = page(paging)?;
        let Some(owner) = self.reader else {
            return match page.after {
                None => Ok(json(StatusCode::OK, &no_more::<Thread>())),
                Some(_) => Err(unknown_cursor()),
            };
        };
        let database = &self.app.ready()?.database;
        let found = store::list(database, &owner, page).await?;
        let found = found.map_err(|store::UnknownCursor| unknown_cursor())?;
        let threads = found.rows.into_iter().map(thread).collect();
        let threads = page_of(threads, found.has_more, |thread: &Thread| thread.id);
        Ok(json(StatusCode::OK, &threads))
    }

    async fn update(self, params: Value) -> Result<Reply, Failure> {
        let wire::Update { thread_id, title } = read(params)?;
        let title = title.trim();
        if title.is_empty() || title.chars().count() > MAX_TITLE_CHARS || title.contains('\0') {
            let message = format!("must be 1 to {MAX_TITLE_CHARS} characters, without NUL");
            return Err(Failure::wrong("title", message));
        }
        let (owner, id) = (self.owner()?, thread_of(&thread_id)?);
        let database = &self.app.ready()?.database;
        let renamed = store::rename(database, &owner, id, title).await?;
        let renamed = renamed.ok_or_else(Failure::no_conversation)?;
        Ok(json(StatusCode::OK, &thread(renamed)))
    }

    async fn delete(self, params: Value) -> Result<Reply, Failure> {
        let wire::ThreadId { thread_id } = read(params)?;
        if let (Some(owner), Ok(id)) = (self.reader, thread_id.parse()) {
            store::delete(&self.app.ready()?.database, &owner, id).await?;
        }
        Ok(json(StatusCode::OK, &Empty {}))
    }

    async fn feedback(self, params: Value) -> Result<Reply, Failure> {
        let feedback: wire::Feedback = read(params)?;
        let items = &feedback.item_ids;
        let long = |id: &String| id.chars().count() > MAX_ID_CHARS || id.contains('\0');
        if items.len() > MAX_JUDGED || items.iter().any(long) {
            let message = format!(
                "must be at most {MAX_JUDGED} ids of at most {MAX_ID_CHARS} characters, without NUL"
            );
            return Err(Failure::wrong("item_ids", message));
        }
        let (owner, id) = (self.owner()?, thread_of(&feedback.thread_id)?);
        let kind = match feedback.kind {
            Kind::Positive => "positive",
            Kind::Negative => "negative",
        };
        let database = &self.app.ready()?.database;
        if store::judge(database, &owner, id, items, kind).await? {
            Ok(json(StatusCode::OK, &Empty {}))
        } else {
            Err(Failure::no_conversation())
        }
    }

    /// Who has no token has no conversations.
    fn owner(&self) -> Result<Owner, Failure> {
        self.reader.ok_or_else(Failure::no_conversation)
    }

    async fn read(
        &self,
        thread_id: &str,
        page: store::Page,
    ) -> Result<(store::Thread, Page<Item>), Failure> {
        let (owner, id) = (self.owner()?, thread_of(thread_id)?);
        let database = &self.app.ready()?.database;
        let found = store::read(database, &owner, id, page).await?;
        let found = found.ok_or_else(Failure::no_conversation)?;
        let (thread, items) = found.map_err(|store::UnknownCursor| unknown_cursor())?;
        let shown = items.rows.into_iter().map(|row| item(id, row)).collect();
        Ok((thread, page_of(shown, items.has_more, Item::id)))
    }
}

fn page(paging: Paging) -> Result<store::Page, Failure> {
    let limit = match paging.limit {
        Some(limit) if limit.fract() != 0.0 => {
            return Err(Failure::wrong("limit", "must be an integer"));
        }
        Some(limit) if limit > 0.0 => {
            // The widget asks for 9,999 threads: it gets a page, and is told that there are more.
            let limit = limit.min(MAX_PAGE.into());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an integer from 1 to 100"
            )]
            let limit = limit as u8;
            limit
        }
        _ => PAGE,
    };
    Ok(store::Page {
        limit,
        descending: paging.order != Some(Order::Asc),
        // What is no id of ours is no entry's.
        after: paging.after.map(|id| id.parse().unwrap_or_default()),
    })
}

impl Item {
    fn id(&self) -> Uuid {
        match self {
            Self::UserMessage { id, .. } | Self::AssistantMessage { id, .. } => *id,
        }
    }
}

fn thread(row: store::Thread) -> Thread {
    Thread {
        title: row.title,
        id: row.id,
        created_at: timestamp(row.created_at),
        status: Status::Active,
        metadata: Empty {},
        items: no_more(),
    }
}

fn item(thread_id: Uuid, row: store::Item) -> Item {
    if row.author == Author::Assistant {
        return answer_item(row.id, thread_id, row.created_at, Some(row.content));
    }
    let parts = row.parts.and_then(|json| serde_json::from_str(&json).ok());
    let options = row
        .options
        .and_then(|json| serde_json::from_str(&json).ok());
    Item::UserMessage {
        id: row.id,
        thread_id,
        created_at: timestamp(row.created_at),
        content: parts.unwrap_or_else(|| vec![Content::InputText { text: row.content }]),
        attachments: [],
        quoted_text: row.selected_text,
        inference_options: options.unwrap_or_default(),
    }
}

/// An answer; without a text one that has just begun.
fn answer_item(id: Uuid, thread_id: Uuid, at: DateTime<Utc>, text: Option<String>) -> Item {
    Item::AssistantMessage {
        id,
        thread_id,
        created_at: timestamp(at),
        content: text.map(output).into_iter().collect(),
    }
}

fn output<'a>(text: impl Into<Cow<'a, str>>) -> OutputText<'a> {
    OutputText {
        annotations: [],
        text: text.into(),
    }
}

fn page_of<T>(data: Vec<T>, has_more: bool, id: fn(&T) -> Uuid) -> Page<T> {
    let after = data.last().filter(|_| has_more).map(id);
    Page {
        data,
        has_more,
        after,
    }
}

fn no_more<T>() -> Page<T> {
    Page {
        data: Vec::new(),
        has_more: false,
        after: None,
    }
}

fn parse(body: &[u8]) -> Result<wire::Request, Failure> {
    let request = serde_json::from_slice::<Value>(body).and_then(wire::object);
    request.map_err(|_| {
        let message = "The body must be a JSON object with a \"type\" and \"params\".";
        Failure::invalid(message, Vec::new())
    })
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, Failure> {
    // The parser's words go back to whoever sent what they quote, and nowhere else.
    wire::object(params)
        .map_err(|error: serde_json::Error| Failure::wrong("params", error.to_string()))
}

fn thread_of(id: &str) -> Result<Uuid, Failure> {
    id.parse().map_err(|_| Failure::no_conversation())
}

fn unknown_cursor() -> Failure {
    Failure::wrong("after", "is not an entry of this list")
}

fn no_item() -> Failure {
    Failure::new(Code::NotFound, "There is no such message.")
}

fn not_supported() -> Failure {
    Failure::new(
        Code::NotSupported,
        "This chat takes text alone: no attachments, dictation, tools or actions.",
    )
}
