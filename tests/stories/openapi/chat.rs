//! What `/chat` answers.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::Client;
use crate::harness::model::{Script, held};
use crate::harness::{Reply, Running, UNKNOWN, World};

impl Client<'_> {
    pub(super) async fn chat(&mut self, world: &World) {
        self.questions(world).await;
        self.unanswered_questions(world).await;
        self.refusals(world).await;
        self.conversations(world).await;
    }

    pub(super) async fn ask(&mut self, chat: &Running, body: &Value, status: u16) -> Reply {
        let ask = |request: RequestBuilder| request.json(body);
        self.send_with(chat, Method::POST, "/chat", status, ask)
            .await
    }

    pub(super) async fn stream(&mut self, chat: &Running, message: &str) {
        let ask = |request: RequestBuilder| {
            request
                .header("accept", "text/event-stream")
                .json(&json!({ "message": message }))
        };
        self.send_with(chat, Method::POST, "/api/chat", 200, ask)
            .await;
    }

    async fn questions(&mut self, world: &World) {
        let chat = world.chat().await;
        let body = json!({ "message": "hi", "selected_text": "A passage." });
        self.ask(&chat, &body, 200).await;
        self.ask(&chat, &json!({ "session_id": 7 }), 400).await;
        self.send(&chat, Method::POST, "/chat", 415).await;
        self.stream(&chat, "hi").await;
        let broken = Script::begin().words("Half an ").vanish();
        world.model.next(broken);
        self.stream(&chat, "hi").await;

        let with_key = |message: &str| {
            let body = json!({ "message": message });
            move |request: RequestBuilder| request.header("idempotency-key", "k1").json(&body)
        };
        world.model.next(held());
        let asked = world.model.asked().len();
        let first = tokio::spawn(Reply::of(with_key("hi")(
            chat.request(Method::POST, "/chat"),
        )));
        world.model.was_asked(asked + 1).await;
        self.send_with(&chat, Method::POST, "/chat", 409, with_key("hi"))
            .await;
        world.model.release();
        assert_eq!(first.await.unwrap().status, 200);
        self.send_with(&chat, Method::POST, "/chat", 422, with_key("bye"))
            .await;
        self.send_with(&chat, Method::POST, "/chat", 200, with_key("hi"))
            .await;
    }

    async fn unanswered_questions(&mut self, world: &World) {
        let chat = world.chat().await;
        let question = json!({ "message": "hi" });
        world.model.next(Script::refusal(400, "", "context_length"));
        let reply = self.ask(&chat, &question, 500).await;
        assert!(reply.json()["session_id"].is_string(), "{reply:?}");
        let hasty = world.chat_with("LLM_TIMEOUT_MS", 100).await;
        world.model.next(Script::silence());
        self.ask(&hasty, &question, 500).await;

        let session = chat.ask("hi").await.field("session_id");
        world.model.next(held());
        let asked = world.model.asked().len();
        let body = json!({ "message": "And?", "session_id": session });
        let answer = tokio::spawn(Reply::of(chat.request(Method::POST, "/chat").json(&body)));
        world.model.was_asked(asked + 1).await;
        let path = format!("/chat?session_id={session}");
        self.send(&chat, Method::DELETE, &path, 204).await;
        world.model.release();
        let reply = answer.await.unwrap();
        assert_eq!(reply.status, 404);
        self.contract.check(&Method::POST, "/chat", &reply);
    }

    async fn refusals(&mut self, world: &World) {
        let question = json!({ "message": "hi" });
        let paced = world.chat_with("RATE_LIMIT_NETWORK_PER_DAY", 1).await;
        self.ask(&paced, &question, 200).await;
        self.ask(&paced, &question, 429).await;
        let hurried = world.chat_with("RATE_LIMIT_READS_PER_MINUTE", 2).await;
        let nobody = format!("/chat?session_id={UNKNOWN}");
        for (method, status) in [
            (Method::GET, 404),
            (Method::DELETE, 204),
            (Method::GET, 429),
            (Method::DELETE, 429),
        ] {
            self.send(&hurried, method, &nobody, status).await;
        }
        let poor = world.chat_with("DAILY_BUDGET_USD", "0.001").await;
        self.ask(&poor, &question, 503).await;
        let full = world.chat_with("MAX_TURNS_IN_FLIGHT", 1).await;
        world.model.next(held());
        let asked = world.model.asked().len();
        let first = tokio::spawn(Reply::of(
            full.request(Method::POST, "/chat").json(&question),
        ));
        world.model.was_asked(asked + 1).await;
        self.ask(&full, &question, 503).await;
        world.model.release();
        assert_eq!(first.await.unwrap().status, 200);
        let flagging = World::new().await.with("MODERATION", "input");
        flagging.model.flag_everything();
        self.ask(&flagging.chat().await, &question, 400).await;
    }

    async fn conversations(&mut self, world: &World) {
        let chat = world.chat().await;
        let body = json!({ "message": "hi", "selected_text": "A passage." });
        let session = chat.post(&body).await.field("session_id");
        let path = format!("/chat?session_id={session}");
        self.send(&chat, Method::GET, &path, 200).await;
        self.send(&chat, Method::GET, "/api/chat", 400).await;
        self.send(&chat, Method::DELETE, "/chat", 400).await;
        let unknown = |request: RequestBuilder| request.header("idempotency-key", "unknown");
        self.send_with(&chat, Method::DELETE, "/chat", 404, unknown)
            .await;
        self.send(&chat, Method::DELETE, &path, 204).await;
        self.send(&chat, Method::GET, &path, 404).await;

        let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
        for (name, value) in [("DATABASE_URL", nowhere), ("OPENAI_API_KEY", "")] {
            let chat = world.chat_with(name, value).await;
            self.ask(&chat, &json!({ "message": "hi" }), 500).await;
            self.send(&chat, Method::GET, &path, 500).await;
            self.send(&chat, Method::DELETE, &path, 500).await;
        }
        self.send(&chat, Method::PUT, "/chat", 405).await;
        self.send(&chat, Method::GET, "/chats", 404).await;
    }
}
