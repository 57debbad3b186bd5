//! The route `/refresh`: brings the book's index up to date.
//!
//! Called by the platform's cron jobs every night, and by an owner after a deployment of the book. It
//! stops in time and says what is left; the next call continues. Without the secret, a caller learns
//! nothing.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::time::Instant;

use crate::app::{App, Ready};
use crate::book::pages::{Source, Web};
use crate::book::{Embedding, index};
use crate::caller;
use crate::config::BookSettings;
use crate::error::{Code, Failure, chain};
use crate::http::{Call, Reply, Route, json};

/// `GET /refresh`: Vercel's cron jobs use GET.
pub const ROUTE: Route = Route {
    name: "refresh",
    methods: &[Method::GET],
    warms: false,
    handler,
};

/// The time left for an indexing to store what it has read.
const MARGIN: Duration = Duration::from_secs(15);

/// The body of a 200.
#[derive(Serialize)]
struct Refreshed {
    /// If false, call again to continue.
    done: bool,
    /// Pages in the index; until it is done, the pages compared so far.
    pages: u64,
    /// Pages that are still to be asked for, as far as they are known.
    left: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
}

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        let started = Instant::now();
        let ready = app.ready()?;
        authorize(&call.headers, &ready.settings.book)?;
        let accept_loss = call.parameter("accept_loss").as_deref() == Some("1");
        let until = started + ready.settings.book.refresh_time.saturating_sub(MARGIN);
        let report = refresh(ready, accept_loss, until).await?;
        for (reason, pages) in index::by_reason(&report.problems) {
            let (first, pages) = (pages.first(), pages.len());
            tracing::warn!(first, pages, reason, "pages of the book cannot be read");
        }
        tracing::info!(
            done = report.done,
            pages = report.pages,
            left = report.left,
            new = report.new,
            changed = report.changed,
            gone = report.gone,
            skipped = report.skipped.len(),
            problems = report.problems.len(),
            embedded = report.embedded,
            warning = report.warning,
            "the book"
        );
        let body = Refreshed {
            done: report.done,
            pages: report.pages,
            left: report.left,
            warning: report.warning,
        };
        Ok(json(StatusCode::OK, &body))
    })
}

/// Vercel sends `CRON_SECRET` as a bearer token.
fn authorize(headers: &HeaderMap, book: &BookSettings) -> Result<(), Failure> {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().as_bytes())
    });
    let Some(secret) = &book.cron_secret else {
        return Err(unauthorized("CRON_SECRET is not set"));
    };
    match token {
        Some(token) if caller::same(token, secret.expose_secret().as_bytes()) => Ok(()),
        Some(_) => Err(unauthorized("the secret is wrong")),
        None => Err(unauthorized("the request has no secret")),
    }
}

fn unauthorized(cause: &'static str) -> Failure {
    Failure::new(
        Code::Unauthorized,
        "Send the secret of CRON_SECRET, as `authorization: Bearer …`.",
    )
    .because(cause)
}

async fn refresh(
    ready: &Ready,
    accept_loss: bool,
    until: Instant,
) -> Result<index::Report, Failure> {
    let book = &ready.settings.book;
    let base = book.base.as_ref().ok_or_else(|| {
        Failure::new(
            Code::ConfigurationError,
            "There is no book: set BOOK_URL to the address of its first page.",
        )
        .because("BOOK_URL is not set")
    })?;
    let web = Web::new(base).map_err(|error| Failure::internal(chain(&error)))?;
    let embedding = book.embedding_model.as_deref().map(|name| Embedding {
        model: &ready.model,
        name,
        price: book.embedding_price,
        max_cost: book.max_cost,
    });
    let job = index::Job {
        source: &Source::Web(web),
        base,
        options: &book.options,
        embedding,
        accept_loss,
        until: Some(until),
    };
    let report = index::index(&ready.database, job, &|_| ()).await;
    report.map_err(|error| match error {
        index::Error::Database(error) => error.into(),
        index::Error::Busy(_) | index::Error::TakenOver => {
            Failure::new(Code::InProgress, error.to_string()).retry_after(index::LEASE)
        }
        // Only for the owner, who has the secret: it names pages and numbers.
        error => Failure::new(Code::BookError, error.to_string()).because(chain(&error)),
    })
}
