//! What `/chat` and `/chatkit` answer from the book: sources, links to them and annotations.

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use crate::harness::chatkit::{input, turn};
use crate::harness::model::Script;
use crate::harness::site::{QUESTION, SECTION};
use crate::harness::{Reply, World};

impl Client<'_> {
    pub(super) async fn book(&mut self) {
        let (world, book) = World::new().await.with_book().await;
        world.model.always(Script::answer("Bend them. [1]"));
        let url = format!("{book}walking.html#solution");
        let source = json!({ "id": 1, "title": "Walking", "section": SECTION, "url": url });
        let linked = format!("Bend them. [1]({url})");
        self.cited_in_chat(&world, &source, &linked).await;
        self.cited_in_chatkit(&world, &source).await;
    }

    async fn cited_in_chat(&mut self, world: &World, source: &Value, linked: &str) {
        let chat = world.chat().await;
        let body = json!({ "message": QUESTION, "page": "/book/walking.html?theme=dark#task" });
        self.contract.check_request(&Method::POST, "/chat", &body);
        let answer = self.ask(&chat, &body, 200).await.json();
        assert_eq!(answer["response"], linked);
        assert_eq!(answer["sources"], json!([source]));
        let path = format!(
            "/chat?session_id={}",
            answer["session_id"].as_str().unwrap()
        );
        let conversation = self.send(&chat, Method::GET, &path, 200).await.json();
        assert_eq!(conversation["messages"][1]["content"], linked);
        assert_eq!(conversation["messages"][1]["sources"], json!([source]));

        self.stream(&chat, QUESTION).await;
        // Searched, and nothing found; not searched.
        let body = json!({ "message": "Zzzyx?", "page": null });
        self.contract.check_request(&Method::POST, "/chat", &body);
        let answer = self.ask(&chat, &body, 200).await.json();
        assert_eq!(answer["sources"], json!([]));
        let body = json!({ "message": QUESTION, "selected_text": "A passage." });
        let answer = self.ask(&chat, &body, 200).await.json();
        assert_eq!(answer["sources"], Value::Null);

        let body = json!({ "message": QUESTION, "page": "x".repeat(2_001) });
        self.ask(&chat, &body, 400).await;
    }

    async fn cited_in_chatkit(&mut self, world: &World, source: &Value) {
        let chatkit = world.chatkit().await;
        let reader = chatkit.reader();
        let params = json!({ "input": input(QUESTION) });
        let events = self.events(&reader, "threads.create", params.clone()).await;
        let source = json!({
            "type": "url", "title": "Walking", "description": SECTION, "url": source["url"],
        });
        let annotation = json!({ "type": "annotation", "source": source, "index": 10 });
        let done = &events.last().unwrap()["item"]["content"][0];
        assert_eq!(done["text"], "Bend them.");
        assert_eq!(done["annotations"], json!([annotation]));
        let params_of_thread = json!({ "thread_id": turn(&events).thread });
        let thread = self.get(&reader, "threads.get_by_id", params_of_thread, "Thread");
        let stored = thread.await["items"]["data"][1]["content"][0].take();
        assert_eq!(&stored, done);

        let request = reader.request("threads.create", &params);
        let reply = Reply::of(request.header("x-page", "x".repeat(2_001))).await;
        assert_eq!(reply.status, 400);
        self.contract.check(&Method::POST, "/chatkit", &reply);
    }
}
