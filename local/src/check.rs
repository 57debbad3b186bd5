//! What is wrong with a stack that has started: the functions' own `/health?check=ready`, in words for a
//! terminal.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use launch::{settings, variables::Variables};
use local::gateway::Functions;
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::log::{Log, Request};

/// How long looking may take; the functions' own limits are shorter.
const LIMIT: Duration = Duration::from_secs(10);
/// The id of the request.
const ID: &str = "dev1::start";

#[derive(Deserialize)]
struct Health {
    checks: Map<String, Value>,
}

/// The problems, a line each, in the order in which they are mended. The model is asked only where it
/// is not the offline one.
pub(crate) async fn problems(
    functions: &Functions,
    log: &Arc<Log>,
    variables: &Variables,
    asks_model: bool,
) -> Vec<String> {
    log.begin(ID);
    let health = look(functions, asks_model).await;
    let logged = log.ended(ID).await;
    let mut problems = match health {
        Ok(health) => words(&health, &logged, variables),
        Err(error) => vec![format!("the function `health` does not answer: {error:#}")],
    };
    problems.extend(settings::slips(variables));
    problems
}

async fn look(functions: &Functions, asks_model: bool) -> Result<Health> {
    let url = functions.url("health").await?;
    let model = if asks_model { "&model=1" } else { "" };
    let client = Client::builder().no_proxy().timeout(LIMIT).build()?;
    let request = client
        .get(format!("{url}/health?check=ready{model}"))
        .header("x-vercel-id", ID);
    let body = request.send().await?.bytes().await?;
    Ok(serde_json::from_slice(&body)?)
}

fn words(health: &Health, logged: &Request, variables: &Variables) -> Vec<String> {
    let mut words = Vec::new();
    for subject in ["settings", "database", "model", "book"] {
        let said = health.checks.get(subject).and_then(Value::as_str);
        let Some(said) = said.filter(|said| *said != "ok" && !said.starts_with("unknown")) else {
            continue;
        };
        match (subject, logged.detail(subject)) {
            ("settings", _) => words.extend(each(said, variables)),
            // It is being read just now.
            ("book", _) if said.starts_with("there is no index of it yet") => {}
            (_, Some(why)) if said.ends_with("the log says why") => {
                words.push(format!("{subject}: {why}"));
            }
            _ => words.extend(each(said, variables)),
        }
    }
    words
}

/// `A is wrong; B is missing`, a line each, with the lines of `.env`.
fn each(said: &str, variables: &Variables) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for piece in said.split("; ") {
        let name = piece.split([' ', ':']).next().unwrap_or_default();
        let is_variable = |c: char| c.is_ascii_uppercase() || c == '_';
        if !name.is_empty() && name.chars().all(is_variable) {
            lines.push(variables.place(name) + &piece[name.len()..]);
        } else if let Some(last) = lines.last_mut() {
            last.push_str("; ");
            last.push_str(piece);
        } else {
            lines.push(piece.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_that_is_wrong_has_a_line() {
        let said = "DATABASE_POOL_SIZE must be a number; at most 64; CORS_ORIGINS is missing";
        assert_eq!(
            each(said, &Variables::default()),
            [
                "DATABASE_POOL_SIZE must be a number; at most 64",
                "CORS_ORIGINS is missing"
            ]
        );
        assert_eq!(
            each(
                "OPENAI_API_KEY: the provider refuses it",
                &Variables::default()
            ),
            ["OPENAI_API_KEY: the provider refuses it"]
        );
    }
}
