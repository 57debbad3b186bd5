//! Whether the function runs, and whether it could answer.
//!
//! `GET /health` touches nothing, so that a monitor wakes no database. `GET /health?check=ready`
//! also checks the settings and asks the database whether its tables are there.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Serialize;

use crate::app::App;
use crate::client;
use crate::database::Statement;
use crate::error::{Failure, chain};
use crate::http::{Call, Reply, Route, json};

/// `GET /health`
pub const ROUTE: Route = Route {
    name: "health",
    methods: &[Method::GET, Method::HEAD],
    // A monitor wakes no database.
    warms: false,
    handler,
};

const CHECK: Statement = Statement {
    name: "health",
    // The newest that the functions need.
    sql: "select to_regclass('message_feedback') is not null",
};

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_address: Option<IpAddr>,
}

#[derive(Serialize)]
struct Checks {
    settings: &'static str,
    database: &'static str,
}

fn handler(app: Arc<App>, call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        if call.parameter("check").as_deref() != Some("ready") {
            let status = "healthy";
            let health = Health {
                status,
                checks: None,
                client_address: None,
            };
            return Ok(json(StatusCode::OK, &health));
        }
        let settings = if app.ready().is_ok() { "ok" } else { "failed" };
        let database = check_database(&app).await;
        let healthy = settings == "ok" && database == "ok";
        let (status, word) = if healthy {
            (StatusCode::OK, "healthy")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
        };
        let checks = Some(Checks { settings, database });
        // So that an owner behind a proxy can see whether it is their own.
        let proxy = app
            .ready()
            .ok()
            .and_then(|ready| ready.settings.proxy.as_ref());
        let client_address = client::address(&call.headers, call.platform_address, proxy);
        Ok(json(
            status,
            &Health {
                status: word,
                checks,
                client_address,
            },
        ))
    })
}

async fn check_database(app: &App) -> &'static str {
    let Ok(ready) = app.ready() else {
        return "unknown";
    };
    match ready.database.query(&CHECK, &[]).await {
        Ok(rows) if rows.first().is_some_and(|row| row.get(0)) => "ok",
        Ok(_) => "migrations missing",
        Err(error) => {
            tracing::warn!(cause = chain(&error), "the database is not ready");
            "failed"
        }
    }
}
