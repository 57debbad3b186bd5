//! The model fails, in every way it can: the reader is told, the question stays and can be retried,
//! and nothing is stored as an answer.

use serde_json::{Value, json};

use super::{failure, ids};
use crate::harness::chatkit::{Reader, kinds};
use crate::harness::model::{ANSWER, Script, nobody};
use crate::harness::{API_KEY, Running, World};

/// Plays the script for a first question, for a second one and for a retry.
async fn fails(world: &World, chatkit: &Running, script: Script) {
    let reader = chatkit.reader();
    world.model.next(script.clone());
    let first = told(chatkit, reader.create("first").await);
    // The title comes all the same, after the error at the latest.
    assert_eq!(
        kinds(&first)
            .iter()
            .filter(|kind| **kind == "thread.updated")
            .count(),
        1
    );
    let [thread, question] = ids(&first);
    assert_eq!(reader.titles().await, ["first"]);
    world.model.next(script.clone());
    told(chatkit, reader.add(thread, "second").await);
    assert_eq!(reader.texts(thread).await, ["user: first", "user: second"]);
    world.model.next(script);
    told(chatkit, reader.retry(thread, question).await);
    assert_eq!(reader.texts(thread).await, ["user: first", "user: second"]);
    answered(&reader, thread, question).await;
}

/// Checks that this is a failure as a reader should see it.
fn told(chatkit: &Running, events: Vec<Value>) -> Vec<Value> {
    let (message, retry) = failure(&events);
    assert!(retry, "{message}");
    assert!(message.contains("Your question is saved"), "{message}");
    let told = json!(events).to_string();
    assert!(!told.contains(API_KEY), "{told}");
    assert!(!chatkit.raw_log().contains(API_KEY));
    events
}

/// Checks that the question has its answer when it is retried.
async fn answered(reader: &Reader<'_>, thread: &str, question: &str) {
    reader.retry(thread, question).await;
    let texts = ["user: first".to_owned(), format!("assistant: {ANSWER}")];
    assert_eq!(reader.texts(thread).await, texts);
}

#[tokio::test]
async fn it_fails_before_its_first_word() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let page = Script::status(200, "content-type: text/html\r\n", "<html>hello</html>");
    for script in [
        Script::refused(),
        Script::refusal(429, "", "insufficient_quota"),
        Script::status(429, "retry-after: 3600\r\n", ""),
        Script::begin().event("{not json").done(),
        Script::begin().done(),
        Script::begin().chunk(&json!({ "choices": [] })).done(),
        Script::answer(""),
        Script::answer(" \n"),
        page,
    ] {
        fails(&world, &chatkit, script).await;
    }
}

#[tokio::test]
async fn it_fails_in_the_middle_of_its_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let begun = || Script::begin().words("Half an");
    let error = json!({ "error": { "message": API_KEY, "type": "server_error" } });
    for script in [
        begun().vanish(),
        begun().end(),
        begun().done(),
        begun().event("{broken").done(),
        begun().chunk(&error).done(),
    ] {
        fails(&world, &chatkit, script).await;
    }
}

#[tokio::test]
async fn it_takes_too_long() {
    let scripts = [
        Script::silence(),
        Script::begin().hold(),
        Script::begin().words("Half").hold(),
    ];
    let stories = scripts.map(async |script| {
        let world = World::new().await;
        let world = world.with("LLM_FIRST_BYTE_TIMEOUT_MS", 200);
        let world = world.with("LLM_TIMEOUT_MS", 400);
        fails(&world, &world.chatkit().await, script).await;
    });
    futures_util::future::join_all(stories).await;
}

#[tokio::test]
async fn nobody_listens() {
    let (_socket, address) = nobody();
    let world = World::new().await.with("OPENAI_BASE_URL", address);
    let chatkit = world.chatkit().await;
    told(&chatkit, chatkit.reader().create("first").await);
    assert_eq!(world.database.messages().await, ["user: first"]);
}
