//! Whether the function runs, and whether it could answer.
//!
//! `GET /health` touches nothing, so that a monitor wakes no database. `GET /health?check=ready`
//! also checks the settings and asks the database whether it has what this version calls.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Method, StatusCode};
use serde::Serialize;
use tokio_postgres::types::Type;

use crate::app::App;
use crate::database::functions::{self, Functions};
use crate::database::{Parameter, Statement};
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
}

#[derive(Serialize)]
struct Checks {
    settings: &'static str,
    database: Cow<'static, str>,
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
        let ready = app.ready().ok();
        let _place = ready.map(|it| it.reading(call.address)).transpose()?;
        let settings = if app.ready().is_ok() { "ok" } else { "failed" };
        let database = check_database(&app).await;
        let healthy = settings == "ok" && database == "ok";
        let (status, word) = if healthy {
            (StatusCode::OK, "healthy")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "unhealthy")
        };
        let checks = Some(Checks { settings, database });
        Ok(json(
            status,
            &Health {
                status: word,
                checks,
                // So that an owner behind a proxy can see whose it is: theirs, or the proxy's.
                client_address: call.address,
            },
        ))
    })
}

async fn check_database(app: &App) -> Cow<'static, str> {
    let Ok(ready) = app.ready() else {
        return "unknown".into();
    };
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
            "failed".into()
        }
    }
}
