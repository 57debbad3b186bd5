//! The route `/feedback`: what a reader thinks of an answer of `/chat`.
//!
//! ChatKit's own requests say the same ([`crate::chatkit`]), and it is stored in the same place.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Code, Failure};
use crate::http::{Call, Reply, Route, no_content};
use crate::question::{self, Check};
use crate::reader::Reader;
use crate::session::{self, Feedback};

/// `POST /feedback`
pub const ROUTE: Route = Route {
    name: "feedback",
    methods: &[Method::POST],
    warms: false,
    handler,
};

fn handler(app: Arc<App>, mut call: Call) -> BoxFuture<'static, Result<Reply, Failure>> {
    Box::pin(async move {
        let ready = app.ready()?;
        let database = ready.reading(call.address)?;
        let judged = Judged::parse(&call.take_body())?;
        let (Some(conversation), Some(answer)) = (judged.conversation, judged.answer) else {
            return Err(no_answer());
        };
        let reader = Reader::of(&call.headers);
        if session::judge_answer(&database, reader, conversation, answer, judged.feedback).await? {
            Ok(no_content())
        } else {
            Err(no_answer())
        }
    })
}

/// An answer, and what is thought of it. What is not a UUID is the id of none of ours.
struct Judged {
    conversation: Option<Uuid>,
    answer: Option<Uuid>,
    feedback: Feedback,
}

impl Judged {
    fn parse(body: &[u8]) -> Result<Self, Failure> {
        let message =
            "The body must be a JSON object with \"session_id\", \"message_id\" and \"kind\".";
        let mut fields = question::object(body, message)?;
        let mut check = Check::default();
        let conversation = check.required(&mut fields, "session_id");
        let answer = check.required(&mut fields, "message_id");
        let kind = check.required(&mut fields, "kind");
        let feedback = kind.and_then(|kind| {
            let known = serde_json::from_value(Value::String(kind)).ok();
            known.or_else(|| check.wrong("kind", "must be positive or negative"))
        });
        check.done(Self {
            conversation: conversation.and_then(|id| id.parse().ok()),
            answer: answer.and_then(|id| id.parse().ok()),
            // Without one, the request is refused.
            feedback: feedback.unwrap_or(Feedback::Negative),
        })
    }
}

fn no_answer() -> Failure {
    Failure::new(
        Code::NotFound,
        "There is no such conversation, or no such answer in it.",
    )
}
