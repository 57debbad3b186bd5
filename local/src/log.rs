//! What is printed of requests: a line for each, made of what its function has logged.
//!
//! Owns the form of that line, and which of the functions' words are worth a line of their own. With
//! `LOG_FORMAT=json` their log is printed as it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::Method;
use launch::say;
use local::gateway::{End, Event};
use serde::Deserialize;
use tokio::{runtime::Handle, time::sleep};

/// The functions' lines come by another way than their answers, and may arrive a little later.
const GRACE: Duration = Duration::from_millis(50);

pub(crate) struct Log {
    json: bool,
    runtime: Handle,
    /// The requests under way, by their ids.
    open: Mutex<HashMap<String, Request>>,
}

/// What has been logged of a request.
#[derive(Default)]
pub(crate) struct Request {
    /// Milliseconds of each kind of work, in the order of their first lines.
    spent: Vec<(&'static str, u64)>,
    /// Of the prompt, and of the answer.
    tokens: Option<(u64, u64)>,
    /// What an owner should know.
    pub(crate) notes: Vec<Note>,
}

pub(crate) struct Note {
    message: String,
    detail: String,
}

/// A line of a function's log: of its many fields, those that are used here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    level: String,
    message: String,
    request_id: Option<String>,
    duration_ms: u64,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    variable: Option<String>,
    code: Option<String>,
    problem: Option<String>,
    cause: Option<String>,
    reason: Option<String>,
    fields: Option<String>,
    outcome: Option<String>,
}

impl Log {
    /// Within a Tokio runtime.
    pub(crate) fn new(json: bool) -> Arc<Self> {
        Arc::new(Self {
            json,
            runtime: Handle::current(),
            open: Mutex::default(),
        })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Request>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that a function has written.
    pub(crate) fn line(&self, function: &str, text: &str) {
        let parsed = serde_json::from_str::<Line>(text);
        match parsed {
            Ok(line) if !self.json && !["debug", "trace"].contains(&line.level.as_str()) => {
                self.words(function, line);
            }
            // Where the function listens is nobody's business.
            Err(_) if !self.json && text.starts_with("Dev server listening") => {}
            _ => say(&format!("{function:>8} | {text}")),
        }
    }

    fn words(&self, function: &str, line: Line) {
        let mut open = self.open();
        if let Some(request) = line.request_id.as_ref().and_then(|id| open.get_mut(id)) {
            request.take(line);
            return;
        }
        drop(open);
        // A wrong setting is told with the start, once for all functions.
        if line.is_warning() && line.variable.is_none() {
            say(&format!("! {function}: {}", Note::from(line)));
        }
    }

    /// What the gateway tells of a request.
    pub(crate) fn event(self: &Arc<Self>, event: &Event<'_>) {
        match event {
            Event::Began(id) => self.begin(id),
            Event::Ended {
                id,
                method,
                path,
                status,
                duration,
                end,
            } => {
                let left = match end {
                    End::Whole => "",
                    End::Left => ", its reader has left",
                    End::BrokenOff => ", and its function has ended before that",
                };
                let head = format!("{method} {path} {status} {} ms{left}", duration.as_millis());
                let (json, preflight) = (self.json, **method == Method::OPTIONS);
                let (log, id) = (Arc::clone(self), (*id).to_owned());
                self.runtime.spawn(async move {
                    let request = log.ended(&id).await;
                    // A preflight says something only where it is refused.
                    if !json && (!preflight || !request.notes.is_empty()) {
                        say(&(head + &request.to_string()));
                    }
                });
            }
        }
    }

    pub(crate) fn begin(&self, id: &str) {
        self.open().insert(id.to_owned(), Request::default());
    }

    /// What was logged of a request that has ended.
    pub(crate) async fn ended(&self, id: &str) -> Request {
        sleep(GRACE).await;
        self.open().remove(id).unwrap_or_default()
    }
}

impl Line {
    fn is_warning(&self) -> bool {
        ["warn", "error"].contains(&self.level.as_str())
    }
}

impl From<Line> for Note {
    fn from(line: Line) -> Self {
        let details = [
            line.outcome,
            line.code,
            line.fields,
            line.problem,
            line.cause,
            line.reason,
        ];
        let details: Vec<String> = details.into_iter().flatten().collect();
        Self {
            message: line.message,
            detail: details.join(": "),
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { message, detail } = self;
        match detail.as_str() {
            "" => write!(f, "{message}"),
            detail => write!(f, "{message}: {detail}"),
        }
    }
}

impl Request {
    fn take(&mut self, line: Line) {
        let kind = match line.message.as_str() {
            "database" => "database",
            "model call" => "model",
            "embedding" => "embedding",
            "moderation" => "moderation",
            _ => {
                // A refusal is no warning, and still the answer to "why?".
                if line.is_warning() || line.code.is_some() {
                    self.notes.push(line.into());
                }
                return;
            }
        };
        if let (Some(prompt), Some(completion)) = (line.prompt_tokens, line.completion_tokens) {
            let (before, after) = self.tokens.unwrap_or_default();
            self.tokens = Some((before + prompt, after + completion));
        }
        match self.spent.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, spent)) => *spent += line.duration_ms,
            None => self.spent.push((kind, line.duration_ms)),
        }
    }

    /// What was said about `subject`.
    pub(crate) fn detail(&self, subject: &str) -> Option<&str> {
        let mut about = self.notes.iter().filter(|it| it.message.contains(subject));
        about.next().map(|note| note.detail.as_str())
    }
}

/// What follows the request's head: where its time went, and a line for each note.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let spent = self.spent.iter().map(|(kind, ms)| format!("{kind} {ms}"));
        let tokens = self
            .tokens
            .map(|(prompt, completion)| format!("{prompt}→{completion} tokens"));
        let parts: Vec<String> = spent.chain(tokens).collect();
        if !parts.is_empty() {
            write!(f, " ({})", parts.join(", "))?;
        }
        for note in &self.notes {
            write!(f, "\n  ! {note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: &[&str]) -> String {
        let mut request = Request::default();
        for line in lines {
            request.take(serde_json::from_str(line).unwrap_or_default());
        }
        request.to_string()
    }

    #[test]
    fn a_turn_is_told_by_where_its_time_and_its_tokens_went() {
        let told = request(&[
            r#"{"level":"info","statement":"begin","duration_ms":20,"message":"database"}"#,
            r#"{"level":"info","way":"words","duration_ms":4,"message":"search"}"#,
            r#"{"level":"info","duration_ms":573,"prompt_tokens":279,"completion_tokens":50,"message":"model call"}"#,
            r#"{"level":"info","statement":"finish","duration_ms":11,"message":"database"}"#,
            r#"{"level":"info","status":200,"duration_ms":3,"message":"request"}"#,
        ]);
        assert_eq!(told, " (database 31, model 573, 279→50 tokens)");
    }

    #[test]
    fn what_went_wrong_has_a_line_of_its_own() {
        let told = request(&[
            r#"{"level":"info","duration_ms":9,"outcome":"failed","message":"model call"}"#,
            r#"{"level":"error","code":"configuration_error","cause":"OPENAI_API_KEY: the provider refuses it","message":"request failed"}"#,
        ]);
        assert_eq!(
            told,
            " (model 9)\n  ! request failed: configuration_error: OPENAI_API_KEY: the provider refuses it"
        );
        let told = request(&[
            r#"{"level":"info","code":"invalid_request","fields":"message","message":"request refused"}"#,
        ]);
        assert_eq!(told, "\n  ! request refused: invalid_request: message");
    }
}
