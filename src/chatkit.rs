//! The route `/chatkit`: a server for OpenAI's ChatKit, on the same turn and store as `/chat`.
//!
//! This module has the table of its requests, and handles those that are turns. A thread is a
//! conversation that belongs to a reader ([`crate::reader`]); an item is one of its messages. The
//! wire types are in `wire`; `input` turns what a reader sends into a question; `stream` turns the
//! events of a turn into ChatKit's; `keeping` answers the requests that are not turns; `show` turns
//! what is stored into ChatKit's objects. Everything is checked before the first byte of a stream.

mod input;
mod keeping;
mod show;
mod stream;
mod wire;

use std::sync::Arc;

use chrono::Utc;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::caller;
use crate::error::{Code, Failure};
use crate::http::{Call, Reply, Route};
use crate::leaving::WhenLeft;
use crate::question::{Check, Question};
use crate::reader::{Issued, Reader};
use crate::session::{Ask, Author, Stored, owned};
use crate::turn;
use input::Said;
use stream::Stream;

/// The header with the address of the page that the reader is on.
const PAGE: &str = "x-page";

/// `POST /chatkit`
pub const ROUTE: Route = Route {
    name: "chatkit",
    methods: &[Method::POST],
    warms: true,
    handler,
};

fn handler(app: Arc<App>, mut call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        let request = request(&call.take_body())?;
        let params = request.params;
        let reader = Reader::of(&call.headers);
        let page = page(&call.headers)?;
        let asked = Asked {
            app,
            call,
            reader,
            page,
        };
        match request.kind.as_str() {
            "threads.create" => asked.create(params).await,
            "threads.add_user_message" => asked.add_user_message(params).await,
            "threads.retry_after_item" => asked.retry_after_item(params).await,
            "threads.get_by_id" => asked.get_by_id(params).await,
            "threads.list" => asked.list_threads(params).await,
            "items.list" => asked.list_items(params).await,
            "threads.update" => asked.update(params).await,
            "threads.delete" => asked.delete(params).await,
            "items.feedback" => asked.feedback(params).await,
            "attachments.create"
            | "attachments.delete"
            | "input.transcribe"
            | "threads.custom_action"
            | "threads.sync_custom_action"
            | "threads.add_client_tool_output"
            | "threads.add_structured_input" => Err(not_supported()),
            _ => Err(Failure::wrong("type", "is not a ChatKit request")),
        }
    })
}

/// A request, the reader that sent it, and the page that they are on.
struct Asked {
    app: Arc<App>,
    call: Call,
    reader: Option<Reader>,
    page: Option<String>,
}

impl Asked {
    async fn create(self, params: Value) -> Result<Reply, Failure> {
        let wire::Create { input } = parse(params)?;
        let said = self.said(input)?;
        let issued = match self.reader {
            Some(_) => None,
            None => Some(Issued::new(&self.call.headers)),
        };
        let reader = self.reader.or(issued.as_ref().map(|issued| issued.reader));
        let ask = Ask {
            reader,
            ..self.ask(said.question.clone(), said.stored.clone())?
        };
        Ok(self.turn(ask, Stream::of_new_thread(said, issued)).await)
    }

    async fn add_user_message(self, params: Value) -> Result<Reply, Failure> {
        let wire::AddUserMessage { thread_id, input } = parse(params)?;
        let mut said = self.said(input)?;
        self.reader()?;
        said.question.conversation = Some(conversation(&thread_id)?);
        let ask = self.ask(said.question.clone(), said.stored.clone())?;
        Ok(self.turn(ask, Stream::of_question(said)).await)
    }

    async fn retry_after_item(self, params: Value) -> Result<Reply, Failure> {
        let wire::RetryAfterItem { thread_id, item_id } = parse(params)?;
        let reader = self.reader()?;
        let conversation = conversation(&thread_id)?;
        let item = item_id.parse().map_err(|_| no_item())?;
        let stream = Stream::of_retry();
        // Its place is given back before the turn begins.
        let stored = owned::message(&*self.database()?, &reader, conversation, item).await;
        let (message, selected_text) = match stored {
            Ok(Some((Author::User, message, passage))) => (message, passage),
            Ok(Some((Author::Assistant, ..))) => {
                return Err(Failure::wrong("item_id", "must be a question's id"));
            }
            Ok(None) => return Err(no_item()),
            // The reader should be shown it, like anything else that goes wrong with a turn.
            Err(error) => {
                return Ok(stream::reply(turn::failed(error.into()), stream, &self.call).await);
            }
        };
        let question = Question {
            message,
            conversation: Some(conversation),
            selected_text,
            page: self.page.clone(),
        };
        let ask = Ask {
            retried: Some(item),
            ..self.ask(question, Stored::default())?
        };
        Ok(self.turn(ask, stream).await)
    }

    fn said(&self, input: wire::Input) -> Result<Said, Failure> {
        let limits = self.app.ready()?.settings.question_limits;
        Said::parse(input, self.page.clone(), limits)
    }

    /// A turn in one of the reader's own conversations.
    fn ask(&self, question: Question, stored: Stored) -> Result<Ask, Failure> {
        let names = &self.app.ready()?.settings.pseudonyms;
        Ok(Ask {
            question,
            key: None,
            network: caller::network(self.call.address, names, Utc::now()),
            reader: self.reader,
            owned: true,
            retried: None,
            when_left: WhenLeft::Stop,
            stored,
        })
    }

    async fn turn(self, ask: Ask, stream: Stream) -> Reply {
        let events = turn::ask(self.app, &self.call.background, ask);
        stream::reply(events, stream, &self.call).await
    }

    /// Without a token there are no conversations.
    fn reader(&self) -> Result<Reader, Failure> {
        self.reader.ok_or_else(Failure::no_conversation)
    }
}

/// The page that the reader is on. Browsers send addresses in ASCII.
fn page(headers: &HeaderMap) -> Result<Option<String>, Failure> {
    let page = headers.get(PAGE).map(HeaderValue::as_bytes);
    let page = page.map(|page| String::from_utf8_lossy(page).into_owned());
    let mut check = Check::default();
    let page = check.page(PAGE, page);
    check.done(page)
}

fn request(body: &[u8]) -> Result<wire::Request, Failure> {
    let request = serde_json::from_slice::<Value>(body).and_then(wire::object);
    request.map_err(|_| {
        let message = "The body must be a JSON object with a \"type\" and \"params\".";
        Failure::invalid(message, Vec::new())
    })
}

fn parse<T: DeserializeOwned>(params: Value) -> Result<T, Failure> {
    // The parser's message may quote the request: it goes back to the sender, and nowhere else.
    wire::object(params)
        .map_err(|error: serde_json::Error| Failure::wrong("params", error.to_string()))
}

fn conversation(id: &str) -> Result<Uuid, Failure> {
    id.parse().map_err(|_| Failure::no_conversation())
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
