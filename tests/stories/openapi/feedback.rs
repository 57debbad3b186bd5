//! What `/feedback` answers.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Client;
use crate::harness::{Running, UNKNOWN, World};

impl Client<'_> {
    pub(super) async fn feedback(&mut self, world: &World) {
        let session = world.chat().await.ask("hi").await.field("session_id");
        let answer = format!(
            "select id from messages where session_id = '{session}' and role = 'assistant'"
        );
        let answer = world.database.rows(&answer).await[0][0].clone();
        let judged = json!({ "session_id": session, "message_id": answer, "kind": "positive" });
        let unknown = json!({ "session_id": session, "message_id": UNKNOWN, "kind": "negative" });
        let feedback = world.feedback().await;
        self.judge(&feedback, &judged, 204).await;
        self.judge(&feedback, &unknown, 404).await;
        self.judge(&feedback, &json!({}), 400).await;
        self.send(&feedback, Method::POST, "/feedback", 415).await;
        let hurried = world.feedback_with("RATE_LIMIT_READS_PER_MINUTE", 1).await;
        self.judge(&hurried, &judged, 204).await;
        self.judge(&hurried, &judged, 429).await;
        let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
        for (name, value) in [("DATABASE_URL", nowhere), ("OPENAI_API_KEY", "")] {
            let feedback = world.feedback_with(name, value).await;
            self.judge(&feedback, &judged, 500).await;
        }
    }

    async fn judge(&mut self, feedback: &Running, body: &Value, status: u16) {
        let judge = |request: RequestBuilder| request.json(body);
        self.send_with(feedback, Method::POST, "/feedback", status, judge)
            .await;
    }
}
