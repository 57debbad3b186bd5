//! The platform's side: its socket, on which a function says when an invocation has ended.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixListener;
use tokio::sync::oneshot;

use crate::harness::model::{Script, held_halfway, talkative};
use crate::harness::{Reply, Running, World, eventually};

/// The host's end of the socket.
struct Host {
    path: PathBuf,
    said: Arc<Mutex<Vec<Value>>>,
}

impl Host {
    fn start(name: &str) -> Self {
        Self::reading(name, std::future::ready(()))
    }

    /// A host that does not read before `begin` is over.
    fn reading(name: &str, begin: impl Future<Output = ()> + Send + 'static) -> Self {
        let path = format!("textbook-chat-{}-{name}.sock", std::process::id());
        let path = std::env::temp_dir().join(path);
        let listener = UnixListener::bind(&path).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            let mut begin = Some(begin);
            while let Ok((stream, _)) = listener.accept().await {
                if let Some(begin) = begin.take() {
                    begin.await;
                }
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
        let ended = eventually(async || self.says_that_it_ended(invocation).then_some(()));
        ended.await.expect("the invocation never ends");
    }

    fn says_that_it_ended(&self, invocation: &str) -> bool {
        let said = self.said.lock().unwrap();
        let mut ends = said.iter().filter(|message| message["type"] == "end");
        ends.any(|end| end["payload"]["context"]["invocationId"] == invocation)
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
    on_platform_of(Host::start(name)).await
}

async fn on_platform_of(host: Host) -> (World, Host, Running) {
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
async fn an_invocation_goes_on_until_its_reader_has_the_last_word() {
    let (world, host, chat) = on_platform("unread").await;
    // As many pieces as may wait, and more than sockets hold.
    let piece = format!("{} ", "long".repeat(32 * 1024));
    world.model.next(Script::answer(&piece.repeat(25)));
    let unread = chat
        .stream_unread(&json!({ "message": "hi" }), &invocation("one"))
        .await;
    let stored = async || (world.database.messages().await.len() == 2).then_some(());
    eventually(stored).await.expect("it is never stored");
    let another = chat
        .stream_with(&json!({ "message": "hi" }), &invocation("two"))
        .await;
    another.rest().await;
    host.ended("two").await;
    assert!(!host.says_that_it_ended("one"), "most of it is unread");
    drop(unread);
    host.ended("one").await;
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

#[tokio::test]
async fn a_host_that_does_not_read_holds_up_no_turn() {
    let (read, begin) = oneshot::channel();
    let host = Host::reading("silent", async { drop(begin.await) });
    let (_world, host, chat) = on_platform_of(host).await;
    for i in 0..200 {
        let id = format!("turn {i}");
        let request = chat
            .request(reqwest::Method::POST, "/chat")
            .json(&json!({ "message": "hi" }));
        let headers = invocation(&id);
        let request = headers.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let reply = tokio::time::timeout(Duration::from_secs(5), Reply::of(request));
        reply
            .await
            .unwrap_or_else(|_| panic!("turn {i} waits"))
            .field("response");
    }
    read.send(()).unwrap();
    host.ended("turn 199").await;
}

/// Sends so many requests with ids so long that the socket does not hold their ends; each is answered.
/// Returns the id of the last.
async fn more_than_the_socket_holds(chat: &Running) -> String {
    const LENGTH: usize = 16 * 1024;
    let most = std::fs::read_to_string("/proc/sys/net/core/wmem_max").unwrap();
    // The kernel doubles what is asked for, which is 8 MiB at most.
    let holds = 2 * most.trim().parse::<usize>().unwrap().min(8 << 20);
    let long = "x".repeat(LENGTH);
    let mut id = String::new();
    for i in 0..holds / LENGTH + 50 {
        id = format!("{i} {long}");
        let request = chat.request(reqwest::Method::GET, "/chat");
        let headers = invocation(&id);
        let request = headers.into_iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        });
        let reply = tokio::time::timeout(Duration::from_secs(5), Reply::of(request));
        let reply = reply.await.unwrap_or_else(|_| panic!("reader {i} waits"));
        assert_eq!(reply.status, 400);
    }
    id
}

/// The runtime says on the socket that an invocation has ended, from the thread that serves everybody.
#[tokio::test]
async fn a_host_that_reads_no_end_of_an_invocation_holds_up_no_reader_either() {
    let (read, begin) = oneshot::channel();
    let host = Host::reading("endless", async { drop(begin.await) });
    let (_world, host, chat) = on_platform_of(host).await;
    let last = more_than_the_socket_holds(&chat).await;
    read.send(()).unwrap();
    host.ended(&last).await;
}

#[tokio::test]
async fn an_instance_whose_host_reads_nothing_ends_in_time() {
    let (_read, begin) = oneshot::channel::<()>();
    let host = Host::reading("deaf", async { drop(begin.await) });
    let (world, _host, chat) = on_platform_of(host).await;
    more_than_the_socket_holds(&chat).await;
    world.model.next(held_halfway());
    let mut stream = chat
        .stream_with(&json!({ "message": "hi" }), &invocation("one"))
        .await;
    stream.text("At ").await;
    let ended = chat.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success());
    let states = world
        .database
        .rows("select state from messages order by seq")
        .await;
    assert_eq!(states, [["complete"], ["cancelled"]]);
}
