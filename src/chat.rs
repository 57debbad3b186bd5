//! The turn: a reader's question in, a grounded and remembered answer out.
//!
//! Written once, read top to bottom; only this module composes the steps. The question is
//! committed before the model is asked, and stays when the model fails. The answer is committed
//! before the reader gets it. No database connection is held while the model speaks.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::app::{App, Ready};
use crate::error::Failure;
use crate::http::{Call, Reply, Route, json};
use crate::question::Question;
use crate::session::{self, Turn};
use crate::{prompt, retrieval};

/// `POST /chat`
pub const ROUTE: Route = Route {
    name: "chat",
    methods: &[Method::POST],
    handler,
};

/// The body of a 200.
#[derive(Debug, Serialize)]
struct Answer {
    response: String,
    session_id: Uuid,
    timestamp: String,
}

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        let question = Question::parse(&call.body, app.ready()?.settings.limits)?;
        // A task of its own, which the platform waits for: a turn that has begun is finished and
        // stored, even if its reader has left or the instance is being stopped.
        let (report, answer) = oneshot::channel();
        let turn = async move {
            let _ = report.send(answer_question(&app, &question).await);
        };
        call.background.wait_until(turn.instrument(Span::current()));
        let answer = answer
            .await
            .map_err(|_| Failure::internal("the turn panicked"))??;
        Ok(json(StatusCode::OK, &answer))
    })
}

async fn answer_question(app: &App, question: &Question) -> Result<Answer, Failure> {
    let Ready {
        settings, database, ..
    } = app.ready()?;
    let history_messages = match question.selected_text {
        Some(_) => 0,
        None => settings.history_messages,
    };
    let turn = session::begin(database, question, history_messages).await?;
    Span::current().record("session_id", tracing::field::display(turn.session_id));
    ask_model(app.ready()?, question, &turn)
        .await
        // The question is stored: who asks again can do so in the same conversation.
        .map_err(|failure| failure.in_session(turn.session_id))
}

async fn ask_model(app: &Ready, question: &Question, turn: &Turn) -> Result<Answer, Failure> {
    let passages = if question.selected_text.is_some() {
        Vec::new()
    } else {
        retrieval::search(question).await?
    };
    // Random for the request, and known to nobody who wrote one of its texts.
    let mark = Uuid::new_v4().simple().to_string();
    let messages = prompt::build(
        &app.settings.book_title,
        &turn.history,
        &passages,
        question,
        &mark,
    );

    let mut stream = app.model.ask(&messages).await?;
    let mut response = String::new();
    while let Some(text) = stream.next().await? {
        response.push_str(&text);
    }
    // PostgreSQL's text cannot hold it, and no reader misses it.
    response.retain(|c| c != '\0');

    let stored_at = session::finish(&app.database, turn, &response).await?;
    Ok(Answer {
        response,
        session_id: turn.session_id,
        timestamp: timestamp(stored_at),
    })
}

/// ISO 8601 in UTC, with PostgreSQL's microseconds.
fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
