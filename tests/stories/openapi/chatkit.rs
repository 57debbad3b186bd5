//! What `/chatkit` answers.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use super::document::Place;
use crate::harness::chatkit::{Reader, Turn, input, turn};
use crate::harness::model::{Script, held};
use crate::harness::{PAGE, Reply, UNKNOWN, World};

impl Client<'_> {
    pub(super) async fn chatkit(&mut self, world: &World) {
        self.turns(world).await;
        self.failed_turns(world).await;
        self.threads(world).await;
        self.tokens(world).await;
        self.refused_requests(world).await;
    }

    pub(super) async fn call(
        &mut self,
        reader: &Reader<'_>,
        kind: &str,
        params: Value,
        status: u16,
    ) -> Reply {
        let reply = Reply::of(reader.request(kind, &params)).await;
        assert_eq!(reply.status, status, "{kind} {params} {reply:?}");
        self.contract.check(&Method::POST, "/chatkit", &reply);
        if status == 200 {
            let body = json!({ "type": kind, "params": params });
            self.contract
                .check_request(&Method::POST, "/chatkit", &body);
        }
        reply
    }

    /// A request that is answered with a stream.
    pub(super) async fn events(
        &mut self,
        reader: &Reader<'_>,
        kind: &str,
        params: Value,
    ) -> Vec<Value> {
        let reply = self.call(reader, kind, params, 200).await;
        assert_eq!(reply.header("content-type"), Some("text/event-stream"));
        let frames = reply.text.split_terminator("\n\n");
        let data = frames.map(|frame| frame.strip_prefix("data: ").unwrap());
        data.map(|data| serde_json::from_str(data).unwrap())
            .collect()
    }

    /// A request that is answered with JSON of exactly this schema, one of several for the path.
    pub(super) async fn get(
        &mut self,
        reader: &Reader<'_>,
        kind: &str,
        params: Value,
        schema: &str,
    ) -> Value {
        let reply = self.call(reader, kind, params, 200).await;
        let body = reply.json();
        self.contract.validate(&Place::schema(schema), &body);
        body
    }

    async fn turns(&mut self, world: &World) {
        let chatkit = world.chatkit().await;
        let reader = chatkit.reader();
        let params = json!({ "input": input("hi") });
        let Turn {
            thread, question, ..
        } = turn(&self.events(&reader, "threads.create", params).await);
        let everything = json!({
            "content": [
                { "type": "input_text", "text": "See " },
                {
                    "type": "input_tag", "id": "ch3", "text": "Chapter 3",
                    "data": { "href": "/ch3", "pages": [1, null] }, "group": "Chapters", "interactive": true
                },
                { "type": "input_tag", "id": "ch4", "text": "Chapter 4", "group": null },
            ],
            "attachments": [],
            "quoted_text": "A passage.",
            "inference_options": { "model": "other", "tool_choice": { "id": "search" } },
        });
        let params = json!({ "thread_id": thread, "input": everything });
        self.events(&reader, "threads.add_user_message", params)
            .await;
        let params = json!({ "thread_id": thread });
        self.get(&reader, "threads.get_by_id", params, "Thread")
            .await;

        // A silence is filled with signs of life.
        world.model.next(held());
        let params = json!({ "thread_id": thread, "item_id": question });
        let request = reader.request("threads.retry_after_item", &params);
        let mut response = request.send().await.unwrap();
        let mut bytes = Vec::new();
        let mut released = false;
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
            if !released && String::from_utf8_lossy(&chunk).contains("progress_update") {
                world.model.release();
                released = true;
            }
        }
        let reply = Reply {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: String::from_utf8(bytes).unwrap(),
        };
        self.contract.check(&Method::POST, "/chatkit", &reply);
        let body = json!({ "type": "threads.retry_after_item", "params": params });
        self.contract
            .check_request(&Method::POST, "/chatkit", &body);
    }

    /// Failures that readers should be told of are events.
    async fn failed_turns(&mut self, world: &World) {
        let create = || json!({ "input": input("hi") });
        let chatkit = world.chatkit().await;
        let reader = chatkit.reader();
        for script in [
            Script::refused(),
            Script::begin().words("Half an ").vanish(),
        ] {
            world.model.next(script);
            let events = self.events(&reader, "threads.create", create()).await;
            assert!(events.iter().any(|event| event["allow_retry"] == true));
        }

        let flagging = World::new().await.with("MODERATION", "input");
        flagging.model.flag_everything();
        let chatkit = flagging.chatkit().await;
        let reader = chatkit.reader();
        let events = self.events(&reader, "threads.create", create()).await;
        assert_eq!(events.last().unwrap()["type"], "error");

        let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
        for (name, value) in [("DAILY_BUDGET_USD", "0.001"), ("DATABASE_URL", nowhere)] {
            let world = World::new().await.with(name, value);
            let chatkit = world.chatkit().await;
            let reader = chatkit.reader();
            let events = self.events(&reader, "threads.create", create()).await;
            assert_eq!(events.len(), 1, "{name}");
        }
    }

    async fn threads(&mut self, world: &World) {
        let chatkit = world.chatkit().await;
        let reader = chatkit.reader();
        let Turn { thread, answer, .. } = reader.begin("first").await;
        reader.begin("second").await;

        let none = json!({});
        let list = "threads.list";
        self.get(&chatkit.stranger(), list, none.clone(), "ThreadPage")
            .await;
        self.get(&reader, list, none, "ThreadPage").await;
        let params = json!({ "limit": 1, "order": "asc", "after": null });
        let page = self.get(&reader, list, params, "ThreadPage").await;
        assert_eq!(page["after"], thread);
        let params = json!({ "limit": null, "order": null, "after": page["after"] });
        self.get(&reader, list, params, "ThreadPage").await;

        let params = json!({ "thread_id": thread, "limit": 1 });
        let page = self.get(&reader, "items.list", params, "ThreadItemPage");
        assert_eq!(page.await["after"], answer);
        let params = json!({ "thread_id": thread, "title": "Another title" });
        self.get(&reader, "threads.update", params, "Thread").await;
        let params = json!({ "thread_id": thread, "item_ids": [answer, "x"], "kind": "negative" });
        self.get(&reader, "items.feedback", params, "Done").await;
        let params = json!({ "thread_id": thread });
        for _ in 0..2 {
            self.get(&reader, "threads.delete", params.clone(), "Done")
                .await;
        }
        let schema = self.contract.document["paths"]["/chatkit"]["post"]["responses"]["200"]["content"]
            ["application/json"]["schema"]["anyOf"]
            .as_array()
            .unwrap();
        let schemas = schema.iter().map(|schema| {
            let reference = schema["$ref"].as_str().unwrap();
            reference.rsplit('/').next().unwrap()
        });
        assert_eq!(
            schemas.collect::<BTreeSet<_>>(),
            ["Done", "Thread", "ThreadItemPage", "ThreadPage"].into()
        );
    }

    /// A reader without a token is issued one, in a way that suits their page.
    async fn tokens(&mut self, world: &World) {
        let chatkit = world.chatkit().await;
        let params = json!({ "input": input("hi") });
        for (origin, header) in [(None, "set-cookie"), (Some(PAGE), "x-reader-token")] {
            let request = chatkit.stranger().request("threads.create", &params);
            let request = match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            };
            let reply = Reply::of(request).await;
            assert!(reply.header(header).is_some(), "{reply:?}");
            self.contract.check(&Method::POST, "/chatkit", &reply);
        }
    }

    async fn refused_requests(&mut self, world: &World) {
        let hurried = World::new().await.with("RATE_LIMIT_READS_PER_MINUTE", 1);
        let hurried = hurried.chatkit().await;
        for status in [200, 429] {
            self.call(&hurried.reader(), "threads.list", json!({}), status)
                .await;
        }
        let chatkit = world.chatkit().await;
        let reader = chatkit.reader();
        let Turn { thread, answer, .. } = reader.begin("hi").await;
        for (kind, params, status) in [
            ("threads.rename", json!({}), 400),
            (
                "threads.update",
                json!({ "thread_id": thread, "title": " " }),
                400,
            ),
            (
                "items.list",
                json!({ "thread_id": thread, "after": UNKNOWN }),
                400,
            ),
            (
                "threads.retry_after_item",
                json!({ "thread_id": thread, "item_id": answer }),
                400,
            ),
            (
                "threads.retry_after_item",
                json!({ "thread_id": thread, "item_id": UNKNOWN }),
                404,
            ),
            ("threads.get_by_id", json!({ "thread_id": UNKNOWN }), 404),
        ] {
            self.call(&reader, kind, params, status).await;
        }
        let responses = &self.contract.document["paths"]["/chatkit"]["post"]["responses"];
        let unsupported = responses["501"]["description"].as_str().unwrap().to_owned();
        let unsupported = unsupported.split('`').skip(1).step_by(2);
        assert_eq!(unsupported.clone().count(), 7);
        for kind in unsupported {
            self.call(&reader, kind, json!({}), 501).await;
        }
        self.send(&chatkit, Method::POST, "/chatkit", 415).await;
        self.send(&chatkit, Method::GET, "/api/chatkit", 405).await;
        self.send(&chatkit, Method::POST, "/chatkit/threads", 404)
            .await;

        let nowhere = "postgresql://postgres@127.0.0.1:1/none?sslmode=disable";
        for (name, value, kind) in [
            ("DATABASE_URL", nowhere, "threads.get_by_id"),
            ("OPENAI_API_KEY", "", "threads.add_user_message"),
        ] {
            let world = World::new().await.with(name, value);
            let chatkit = world.chatkit().await;
            let params = json!({ "thread_id": UNKNOWN, "input": input("hi") });
            self.call(&chatkit.reader(), kind, params, 500).await;
        }
    }
}
