//! The AI SDK's own chat, as a page uses it, against `POST /chat`: what it makes of our stream and
//! of our errors.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::output;
use crate::harness::model::{ANSWER, Script};
use crate::harness::site::{QUESTION, SECTION};
use crate::harness::{Running, World, eventually};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outside/ai_sdk");

#[tokio::test]
async fn a_conversation_of_two_turns_is_the_one_that_is_stored() {
    let world = World::new().await;
    let turns = play(&world.chat().await, "conversation").await;
    for turn in &turns {
        assert_eq!(turn["status"], "ready", "{turn:#}");
        assert_eq!(turn["error"], Value::Null, "{turn:#}");
        let whole =
            json!({ "isAbort": false, "isDisconnect": false, "isError": false, "reason": "stop" });
        assert_eq!(turn["finish"], whole, "{turn:#}");
    }
    let messages = turns[1]["messages"].as_array().unwrap();
    let told: Vec<_> = messages.iter().map(text).collect();
    assert_eq!(
        told,
        [
            "user: What is a humanoid robot?",
            &format!("assistant: {ANSWER}"),
            "user: And why?",
            &format!("assistant: {ANSWER}"),
        ]
    );
    assert_eq!(told, world.database.messages().await);
    assert_eq!(world.database.counts().await, (1, 4));
    for answer in [&messages[1], &messages[3]] {
        let text = json!({ "type": "text", "text": ANSWER, "state": "done" });
        assert_eq!(answer["parts"], json!([{ "type": "step-start" }, text]));
        let metadata = &answer["metadata"];
        let usage = json!({ "inputTokens": 42, "outputTokens": 7 });
        assert_eq!(metadata["usage"], usage, "{metadata}");
        let sql = format!(
            "select session_id, state from messages where id = '{}' and created_at = '{}'",
            answer["id"].as_str().unwrap(),
            metadata["timestamp"].as_str().unwrap(),
        );
        let session = metadata["sessionId"].as_str().unwrap();
        let stored = world.database.rows(&sql).await;
        assert_eq!(stored, [[session, "complete"]]);
    }
    let seen = world.model.asked()[1].messages();
    assert_eq!(seen[0], "system");
    assert_eq!(seen[1..], told[..3]);
}

#[tokio::test]
async fn a_selected_passage_reaches_the_model_and_is_stored() {
    let world = World::new().await;
    let turns = play(&world.chat().await, "passage").await;
    assert_eq!(turns[0]["status"], "ready", "{:#}", turns[0]);
    assert_eq!(
        text(&turns[0]["messages"][1]),
        format!("assistant: {ANSWER}")
    );
    let passage = "Bipedal gait is a controlled fall.";
    let seen = world.model.asked_once().messages();
    assert!(seen[1].contains(passage), "{seen:#?}");
    assert!(
        seen[1].ends_with("Question: What does this mean?"),
        "{seen:#?}"
    );
    let sql = "select content, selected_text from messages where role = 'user'";
    let stored = world.database.rows(sql).await;
    assert_eq!(stored, [["What does this mean?", passage]]);
}

#[tokio::test]
async fn sections_that_an_answer_cites_are_sources_of_its_message_and_links_in_its_text() {
    let (world, book) = World::new().await.with_book().await;
    let chat = world.chat().await;
    let answer = "Bend them. [1] Slowly. [1][7] Then walk. [2]";
    world.model.next(Script::answer(answer).byte_by_byte());
    let turns = play(&chat, "sources").await;
    let turn = &turns[0];
    assert_eq!(turn["status"], "ready", "{turn:#}");
    assert_eq!(turn["error"], Value::Null, "{turn:#}");
    let message = &turn["messages"][1];

    let session = message["metadata"]["sessionId"].as_str().unwrap();
    let conversation = chat.get(&format!("/chat?session_id={session}")).await;
    let stored = &conversation.json()["messages"][1];
    let sources = stored["sources"].as_array().unwrap();
    assert_eq!(sources.len(), 2, "{stored:#}");
    let first = format!("{book}walking.html#solution");
    assert_eq!(sources[0]["url"], first);
    let second = sources[1]["url"].as_str().unwrap();

    let link = |number, url: &str| format!("[{number}]({url})");
    let [one, two] = [link(1, &first), link(2, second)];
    let written = format!("Bend them. {one} Slowly. {one} Then walk. {two}");
    assert_eq!(stored["content"], written);
    let parts = message["parts"].as_array().unwrap();
    let text = json!({ "type": "text", "text": written, "state": "done" });
    assert_eq!(parts[..2], [json!({ "type": "step-start" }), text]);
    let shown: Vec<_> = sources.iter().map(as_part).collect();
    assert_eq!(parts[2..], shown);
    assert_eq!(shown[0]["title"], format!("Walking > {SECTION}"));

    // The model is shown its own words, without links and numbers that meant something before.
    let seen = world.model.asked()[1].messages();
    assert_eq!(seen[2], "assistant: Bend them. Slowly. Then walk.");
    let header = world
        .database
        .rows("select page from messages where role = 'user'");
    assert_eq!(
        header.await,
        [["/book/walking.html"], ["/book/walking.html"]]
    );
}

#[tokio::test]
async fn who_stops_an_answer_keeps_what_has_come_and_so_does_the_conversation() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words("Half an ").hold());
    let turns = play(&chat, "stop").await;
    let turn = &turns[0];
    assert_eq!(turn["status"], "ready", "{turn:#}");
    assert_eq!(turn["error"], Value::Null, "{turn:#}");
    assert_eq!(turn["finish"]["isAbort"], true, "{turn:#}");
    let answer = &turn["messages"][1];
    assert_eq!(text(answer), "assistant: Half an ");

    world.model.was_hung_up().await;
    let sql = "select id, session_id, content, state from messages where role = 'assistant'";
    let stored = eventually(async || world.database.rows(sql).await.pop());
    let known = [&answer["id"], &answer["metadata"]["sessionId"]];
    let [id, session] = known.map(|value| value.as_str().unwrap());
    assert_eq!(
        stored.await.expect("it is never stored"),
        [id, session, "Half an ", "cancelled"]
    );
}

#[tokio::test]
async fn an_error_in_the_middle_is_told_in_our_words_and_the_conversation_goes_on() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words("Half an ").vanish());
    let turns = play(&chat, "conversation").await;
    let broken = &turns[0];
    assert_eq!(broken["status"], "error", "{broken:#}");
    assert_eq!(broken["finish"]["isError"], true, "{broken:#}");
    assert_eq!(broken["finish"]["isDisconnect"], false, "{broken:#}");
    let told = broken["error"]["message"].as_str().unwrap();
    assert!(told.ends_with('.'), "{told:?} is not a sentence for people");
    assert!(told.contains("Your question is saved"), "{told}");
    assert_eq!(text(&broken["messages"][1]), "assistant: Half an ");

    let next = &turns[1];
    assert_eq!(next["status"], "ready", "{next:#}");
    assert_eq!(next["error"], Value::Null, "{next:#}");
    assert_eq!(text(&next["messages"][3]), format!("assistant: {ANSWER}"));
    assert_eq!(world.database.counts().await, (1, 3));
}

#[tokio::test]
async fn an_error_before_the_first_word_is_the_error_that_every_client_gets() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::refused());
    let turns = play(&chat, "conversation").await;
    let refused = &turns[0];
    assert_eq!(refused["status"], "error", "{refused:#}");
    let error = &refused["error"];
    assert_eq!(error["name"], "AI_APICallError");
    assert_eq!(error["statusCode"], 500);
    // A page that shows `error.message` has to take our sentence out of it.
    assert_eq!(error["message"], error["responseBody"]);
    let body: Value = serde_json::from_str(error["message"].as_str().unwrap()).unwrap();
    assert_eq!(body["error"]["code"], "configuration_error");
    let told = body["error"]["message"].as_str().unwrap();
    assert!(told.contains("Your question is saved"), "{told}");
    let messages = refused["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 1, "the question stays: {messages:#?}");

    // It also names the conversation, which the next question continues.
    assert_eq!(turns[1]["status"], "ready", "{:#}", turns[1]);
    assert_eq!(world.database.counts().await, (1, 3));
}

/// What the SDK's chat knows after each turn of a scene in `drive.mjs`.
async fn play(chat: &Running, scene: &str) -> Vec<Value> {
    let mut command = Command::new(node());
    command
        .args(["drive.mjs", &chat.url, scene, QUESTION])
        .current_dir(FOLDER)
        .env_clear();
    let told = output(&mut command, Duration::from_mins(1)).await;
    let mut seen: Value = serde_json::from_str(&told).unwrap();
    serde_json::from_value(seen["turns"].take()).unwrap()
}

/// The Node that is installed with the SDK; the machine's may be too old for it.
pub(super) fn node() -> PathBuf {
    let packages = PathBuf::from(FOLDER).join("node_modules");
    let installed = fs::read_dir(&packages).into_iter().flatten();
    // The only package of this name is the platform's. Not `.bin/node`, which npm 9 leaves out.
    let node = installed
        .map(|package| package.unwrap().path())
        .filter(|path| path.file_name().unwrap().as_bytes().starts_with(b"node-"))
        .map(|path| path.join("bin/node"))
        .find(|program| program.exists());
    let complete = packages.join("@ai-sdk/react").exists();
    node.filter(|_| complete).expect(
        "the AI SDK or its Node is not there; run: npm ci --prefix tests/outside/ai_sdk --ignore-scripts",
    )
}

/// A source of ours as a part of the SDK's message.
fn as_part(source: &Value) -> Value {
    let [title, section] = ["title", "section"].map(|name| source[name].as_str());
    let titles: Vec<_> = title.into_iter().chain(section).collect();
    json!({
        "type": "source-url",
        "sourceId": source["id"].to_string(),
        "url": source["url"],
        "title": titles.join(" > "),
    })
}

/// A message of the SDK's as `role: text`.
fn text(message: &Value) -> String {
    let parts = message["parts"].as_array().unwrap().iter();
    let text: String = parts.filter_map(|part| part["text"].as_str()).collect();
    format!("{}: {text}", message["role"].as_str().unwrap())
}
