//! The route `/chat`: ask, stop an answer, read a conversation again, forget it.
//!
//! The turn itself is in [`crate::turn`]; here its events become a response, whole as JSON or piece
//! by piece (`stream`). Conversations are read and forgotten, and answers stopped, in `keeping`.

mod keeping;
mod stream;

use std::sync::Arc;

use chrono::Utc;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, header};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;
use uuid::Uuid;

use crate::app::App;
use crate::caller;
use crate::citation::{Source, link};
use crate::error::Failure;
use crate::http::{Call, Reply, Route, json};
use crate::idempotency::Key;
use crate::leaving::WhenLeft;
use crate::question::Question;
use crate::reader::Reader;
use crate::session::{Ask, Stored};
use crate::time::timestamp;
use crate::turn::{self, Event};

/// `POST`, `GET` and `DELETE /chat`
pub const ROUTE: Route = Route {
    name: "chat",
    methods: &[Method::GET, Method::POST, Method::DELETE],
    warms: true,
    handler,
};

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        match call.method {
            Method::GET => keeping::read(&app, &call).await,
            Method::DELETE => keeping::delete(&app, &call).await,
            _ => ask(app, call).await,
        }
    })
}

/// A turn, begun in a task of its own; the response listens to it.
async fn ask(app: Arc<App>, mut call: Call) -> Result<Reply, Failure> {
    let settings = &app.ready()?.settings;
    let question = Question::parse(&call.take_body(), settings.question_limits)?;
    let reader = Reader::of(&call.headers);
    let ask = Ask {
        key: Key::of(&call.headers, &question, reader.as_ref())?,
        question,
        network: caller::network(call.address, &settings.pseudonyms, Utc::now()),
        reader,
        owned: false,
        retried: None,
        when_left: WhenLeft::of(&call.headers)?,
        stored: Stored::default(),
    };
    let events = turn::ask(app, &call.background, ask);
    Ok(if accepts_stream(&call.headers) {
        stream::reply(events, &call).await
    } else {
        collect(events, &call).await
    })
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The body of a 200.
#[derive(Debug, Serialize)]
struct AnswerBody {
    response: String,
    session_id: Option<Uuid>,
    timestamp: String,
    /// The sections of the book that are cited; present if the book was searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<Source>>,
}

/// The events of a turn, collected into one response.
async fn collect(mut events: Receiver<Event>, call: &Call) -> Reply {
    let mut response = String::new();
    let mut session_id = None;
    loop {
        match events.recv().await.unwrap_or_else(turn::vanished) {
            Event::QuestionStored { .. } => {}
            Event::AnswerBegan { conversation, .. } => session_id = Some(conversation),
            Event::Text(text) => response.push_str(&text),
            Event::Cited(source) => response += &link(&source, response.chars().next_back()),
            Event::AnswerStored {
                stored_at, sources, ..
            } => {
                let answer = AnswerBody {
                    response,
                    session_id,
                    timestamp: timestamp(stored_at),
                    sources,
                };
                return json(StatusCode::OK, &answer);
            }
            Event::Failed(failure) => return call.turn_failed(&failure),
        }
    }
}
