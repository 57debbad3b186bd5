//! Whether the function runs, and whether it could answer.
//!
//! `GET /health` touches nothing, so that a monitor wakes no database. `GET /health?check=ready` says
//! all that is missing, in the order in which an owner mends it: settings, the database and what this
//! version calls there, the model if that is asked for, the index of the book. No value of a setting is
//! told.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::app::{App, Ready};
use crate::book::active;
use crate::config::Problems;
use crate::cors::same_site;
use crate::database::functions::{self, Functions};
use crate::database::{Parameter, Statement};
use crate::error::{Failure, chain};
use crate::http::{Call, Reply, Route, json};
use crate::time::timestamp;

/// `GET /health`
pub const ROUTE: Route = Route {
    name: "health",
    methods: &[Method::GET, Method::HEAD],
    // A monitor wakes no database.
    warms: false,
    handler,
};

const CHECK: Statement = Statement::new(
    "health",
    // They are installed after the tables that they need.
    "select to_regnamespace($1) is not null as installed",
);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    book: Option<Book>,
}

/// The book that answers rest on, for a page that introduces the chat.
#[derive(Serialize)]
struct Book {
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// With text, in the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<u64>,
    /// When they were last compared with the book.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_at: Option<String>,
}

/// `ok`, or what is wrong and what to do.
#[derive(Serialize)]
struct Checks {
    settings: Cow<'static, str>,
    database: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Cow<'static, str>>,
    /// Not there without a book.
    #[serde(skip_serializing_if = "Option::is_none")]
    book: Option<Cow<'static, str>>,
    /// Where it is asked for: whether pages of an origin may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'static str>,
}

impl Checks {
    /// While settings are wrong, nothing else can be looked at.
    fn unset(problems: &Problems) -> Self {
        Self {
            settings: problems.to_string().into(),
            database: "unknown".into(),
            model: None,
            book: None,
            origin: None,
        }
    }

    /// Whether a question could be answered. Without an index, it is answered without the book.
    fn are_enough(&self) -> bool {
        let model = self.model.as_deref();
        self.settings == "ok"
            && self.database == "ok"
            && model.is_none_or(|it| it == "ok" || it.starts_with("unknown"))
    }
}

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        if call.parameter("check").as_deref() != Some("ready") {
            let status = "healthy";
            let health = Health {
                status,
                checks: None,
                client_address: None,
                book: None,
            };
            return Ok(json(StatusCode::OK, &health));
        }
        let ready = match app.settled() {
            Ok(ready) => ready,
            Err(problems) => return Ok(report(&call, Checks::unset(problems), None)),
        };
        let _place = ready.reading(call.address)?;
        let database = check_database(ready).await;
        let model = match call.parameter("model").as_deref() {
            Some("1") => Some(ready.model.check().await),
            _ => None,
        };
        let (book, index) = check_book(ready, database == "ok").await;
        let checks = Checks {
            settings: "ok".into(),
            database,
            model,
            book: index,
            origin: check_origin(&app, &call),
        };
        Ok(report(&call, checks, Some(book)))
    })
}

fn report(call: &Call, checks: Checks, book: Option<Book>) -> Reply {
    let (status, word) = if checks.are_enough() {
        (StatusCode::OK, "healthy")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
    };
    let health = Health {
        status: word,
        checks: Some(checks),
        // So that an owner behind a proxy can see whose it is: theirs, or the proxy's.
        client_address: call.address,
        book,
    };
    json(status, &health)
}

/// For an owner who puts the chat into a site.
fn check_origin(app: &App, call: &Call) -> Option<&'static str> {
    let origin = call.parameter("origin")?;
    // Pages of this very site need not be listed.
    let allowed = app.origins().allow(&origin) || same_site(&origin, &call.headers);
    Some(if allowed {
        "ok"
    } else {
        "it is not in CORS_ORIGINS"
    })
}

async fn check_database(ready: &Ready) -> Cow<'static, str> {
    let schema = Functions::current().schema();
    let parameters: [Parameter<'_>; 1] = [(&schema, Type::TEXT)];
    match ready.database.query(&CHECK, &parameters).await {
        Ok(rows) if rows.first().is_some_and(|row| row.get("installed")) => "ok".into(),
        Ok(_) => {
            let problem = functions::missing();
            tracing::warn!(problem, "the database is not ready");
            problem.into()
        }
        Err(error) => {
            tracing::warn!(cause = chain(&error), "the database is not ready");
            "failed: it cannot be reached (DATABASE_URL); the log says why".into()
        }
    }
}

/// The book, and what is wrong with its index.
async fn check_book(ready: &Ready, has_database: bool) -> (Book, Option<Cow<'static, str>>) {
    let settings = &ready.settings;
    let mut book = Book {
        title: settings.book_title.clone(),
        url: None,
        pages: None,
        read_at: None,
    };
    let Some(base) = &settings.book.base else {
        return (book, None);
    };
    let url = base.url().to_string();
    let index = if has_database {
        Some(active(&ready.database, &url).await)
    } else {
        None
    };
    book.url = Some(url);
    let verdict = match index {
        None => "unknown".into(),
        Some(Ok(Some(index))) => {
            book.pages = Some(index.pages);
            book.read_at = Some(timestamp(index.checked_at));
            "ok".into()
        }
        Some(Ok(None)) => "there is no index of it yet: run `cargo run --bin book -- index`".into(),
        Some(Err(error)) => {
            tracing::warn!(cause = chain(&error), "the book's index cannot be read");
            "failed: its index cannot be read; the log says why".into()
        }
    };
    (book, Some(verdict))
}
