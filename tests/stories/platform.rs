//! The platform's side: its socket, on which a function says when an invocation has ended.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;

use crate::harness::model::{held_halfway, talkative};
use crate::harness::{Running, World, eventually};

/// The host's end of the socket.
struct Host {
    path: PathBuf,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    fn start(name: &str) -> Self {
        let path = format!("textbook-chat-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(path);
        let listener = UnixListener::bind(&path).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut messages = BufReader::new(stream).split(0);
                while let Ok(Some(message)) = messages.next_segment().await {
                    heard
                        .lock()
                        .unwrap()
                        .push(serde_json::from_slice(&message).unwrap());
                }
            }
        });
        Self { path, said }
    }

    /// Waits until the invocation has ended.
    async fn ended(&self, invocation: &str) {
        let ended = eventually(async || {
            let said = self.said.lock().unwrap();
            let mut ends = said.iter().filter(|message| message["type"] == "end");
            ends.find(|end| end["payload"]["context"]["invocationId"] == invocation)
                .map(|_| ())
        });
        ended.await.expect("the invocation never ends");
    }

    fn has_ended(&self) -> bool {
        let said = self.said.lock().unwrap();
        said.iter().any(|message| message["type"] == "end")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn on_platform(name: &str) -> (World, Host, Running) {
    let host = Host::start(name);
    let world = World::new()
        .await
        .with("VERCEL_IPC_PATH", host.path.display());
    let chat = world.chat().await;
    (world, host, chat)
}

fn invocation(id: &str) -> [(&str, &str); 2] {
    [
        ("x-vercel-internal-invocation-id", id),
        ("x-vercel-internal-request-id", "1"),
    ]
}

#[tokio::test]
async fn an_invocation_ends_after_the_answer_of_a_stream_is_stored() {
    let (world, host, chat) = on_platform("stream").await;
    world.model.next(held_halfway());
    let mut stream = chat
        .stream_with(&json!({ "message": "hi" }), &invocation("one"))
        .await;
    assert!(!host.has_ended());
    world.model.release();
    stream.text("At last.").await;
    host.ended("one").await;
    assert_eq!(world.database.messages().await.len(), 2);
}

#[tokio::test]
async fn an_invocation_ends_after_the_answer_of_a_json_turn_is_stored() {
    let (world, host, chat) = on_platform("json").await;
    let request = chat
        .request(reqwest::Method::POST, "/chat")
        .json(&json!({ "message": "hi" }));
    let headers = invocation("one");
    let request = headers.into_iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let ask = tokio::spawn(request.send());
    host.ended("one").await;
    assert_eq!(world.database.messages().await.len(), 2);
    assert_eq!(ask.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn an_invocation_whose_reader_has_left_ends_after_what_was_written_is_stored() {
    let (world, host, chat) = on_platform("left").await;
    world.model.next(talkative());
    let mut stream = chat
        .stream_with(&json!({ "message": "hi" }), &invocation("one"))
        .await;
    stream.text("word0 ").await;
    assert!(!host.has_ended());
    drop(stream);
    host.ended("one").await;
    let states = world
        .database
        .rows("select state from messages order by seq")
        .await;
    assert_eq!(states, [["complete"], ["cancelled"]]);
}

#[tokio::test]
async fn the_lines_of_a_request_go_to_the_platform_under_their_invocation() {
    let (_world, host, chat) = on_platform("log").await;
    let stream = chat
        .stream_with(&json!({ "message": "hi" }), &invocation("one"))
        .await;
    stream.rest().await;
    host.ended("one").await;
    let said = host.said.lock().unwrap();
    let lines = said
        .iter()
        .filter(|message| message["type"] == "log")
        .count();
    assert!(lines >= 4, "{said:#?}");
    let strangers = said
        .iter()
        .filter(|message| message["type"] == "log")
        .filter(|line| line["payload"]["context"]["invocationId"] != "one");
    assert_eq!(strangers.count(), 0);
    assert!(
        !chat.raw_log().contains("model call"),
        "nor to standard output as well"
    );
}
