//! Answers that stream: the first words at once, the rest as it comes.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::model::{Script, held, held_halfway};
use crate::harness::stream::told;
use crate::harness::{World, eventually, question};

/// Four megabytes of text that are twenty-four as JSON, more than twice what a busy kernel buffers
/// for two connections, in few enough pieces to be read fast.
fn long_text() -> String {
    format!("{} ", "\u{1}".repeat(4095)).repeat(PIECES)
}

const PIECES: usize = 1_000;

#[tokio::test]
async fn an_answer_streams_word_by_word_and_ends_when_it_is_stored() {
    let world = World::new().await;
    let chat = world.chat().await;
    world
        .model
        .next(Script::answer("A robot built like a person. 🤖"));
    let stream = chat.stream(&question()).await;
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("connection", "keep-alive"),
        ("x-vercel-ai-ui-message-stream", "v1"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(stream.header(name), Some(value), "{name}");
    }
    let parts = stream.rest().await;
    assert!(
        parts
            .iter()
            .filter(|part| part["type"] == "text-delta")
            .count()
            >= 3,
        "{parts:#?}"
    );
    assert!(
        !parts.iter().any(|part| part.to_string().contains("null")),
        "{parts:#?}"
    );
    let finish = &parts[parts.len() - 2];
    assert_eq!(finish["finishReason"], "stop");
    let metadata = &finish["messageMetadata"];
    assert_eq!(
        metadata["usage"],
        json!({ "inputTokens": 42, "outputTokens": 7 })
    );
    let told = told(&parts);
    assert_eq!(told.text, "A robot built like a person. 🤖");
    let stored = world
        .database
        .rows(&format!(
            "select id, session_id, content, state from messages where created_at = {}",
            metadata["timestamp"].to_string().replace('"', "'")
        ))
        .await;
    assert_eq!(
        stored,
        [[
            told.answer_id,
            told.session_id.clone(),
            told.text,
            "complete".into()
        ]]
    );

    let body = json!({ "message": "And?", "session_id": told.session_id });
    let again = crate::harness::stream::told(&chat.stream(&body).await.rest().await);
    assert_eq!(again.session_id, told.session_id);
}

#[tokio::test]
async fn the_first_words_come_while_the_model_still_speaks() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(held_halfway());
    let mut stream = chat.stream(&question()).await;
    stream.text("At ").await;
    assert_eq!(
        world.database.messages().await.len(),
        1,
        "only the question is stored"
    );
    world.model.release();
    stream.text("last.").await;
    let rest = stream.rest().await;
    assert_eq!(rest.last().unwrap(), "[DONE]");
    assert_eq!(world.database.messages().await.len(), 2);
}

#[tokio::test]
async fn no_words_wait_until_the_words_before_are_acknowledged() {
    let world = World::new().await;
    let chat = world.chat().await;
    let body = question().to_string();
    let request = format!(
        "POST /chat HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    // One connection, because on a new one the kernel acknowledges at once.
    let address = chat.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..21 {
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut response = Vec::new();
        let mut first = None;
        while !response.ends_with(b"\r\n0\r\n\r\n") {
            assert!(connection.read_buf(&mut response).await.unwrap() > 0);
            first.get_or_insert_with(Instant::now);
        }
        times.push(first.unwrap().elapsed());
    }
    // Linux acknowledges after 40 ms if it has nothing to send back.
    times.sort();
    assert!(times[10] < Duration::from_millis(35), "{times:?}");
}

#[tokio::test]
async fn what_goes_wrong_before_the_first_word_is_an_ordinary_error() {
    let world = World::new().await;
    let chat = world.chat().await;
    let accept = ("accept", "text/event-stream");
    let reply = chat.post_with(&json!({}), accept).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
    world.model.next(Script::refused());
    let reply = chat.post_with(&question(), accept).await;
    assert_eq!(reply.error(), (500, "configuration_error".into()));
    world.model.next(Script::begin().done());
    let reply = chat.post_with(&question(), accept).await;
    assert_eq!(reply.error(), (500, "llm_error".into()));
}

#[tokio::test]
async fn what_goes_wrong_after_the_first_word_is_an_error_part_for_people() {
    let world = World::new().await;
    let chat = world.chat().await;
    for script in [
        Script::begin().words("Half an ").vanish(),
        Script::begin().words("Half an ").done(),
        Script::begin().words("Half an ").event("{broken").done(),
        Script::begin()
            .words("Half an ")
            .chunk(&json!({ "error": { "message": "secret" } }))
            .done(),
    ] {
        world.model.next(script);
        let parts = chat.stream(&question()).await.rest().await;
        let last = parts.last().unwrap();
        assert_eq!(last["type"], "error");
        let text = last["errorText"].as_str().unwrap();
        assert!(text.contains("Your question is saved"), "{text}");
        let stored = world
            .database
            .rows("select role from messages order by seq desc limit 1")
            .await;
        assert_eq!(stored, [["user"]], "half an answer is none");
    }
    let failed = chat.logged("request failed").await;
    assert_eq!(failed["code"], "llm_error");
    assert!(failed["request_id"].is_string());
}

#[tokio::test]
async fn a_long_silence_is_filled_with_comments() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words("Hm ").hold());
    let mut stream = chat.stream(&question()).await;
    stream.text("Hm ").await;
    assert_eq!(stream.frame().await.unwrap(), ": keep-alive");
}

#[tokio::test]
async fn a_turn_that_its_reader_does_not_accept_as_a_stream_is_json() {
    let world = World::new().await;
    let chat = world.chat().await;
    for (accept, kind) in [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (
            "application/json, text/event-stream;q=0.9",
            "text/event-stream",
        ),
        ("TEXT/event-stream", "text/event-stream"),
    ] {
        let reply = chat.post_with(&question(), ("accept", accept)).await;
        assert_eq!(reply.header("content-type"), Some(kind), "{accept}");
        assert_eq!(reply.header("vary"), Some("origin, accept"));
    }
}

#[tokio::test]
async fn characters_survive_being_cut_anywhere() {
    let world = World::new().await;
    let chat = world.chat().await;
    let text = "Grüße 🤖👩‍👩‍👧 e\u{301} 日本語";
    world.model.next(Script::answer(text).byte_by_byte());
    let told = told(&chat.stream(&question()).await.rest().await);
    assert_eq!(told.text, text);
}

#[tokio::test]
async fn a_reader_who_is_slow_slows_the_model_and_not_the_instance() {
    let world = World::new().await;
    let chat = world.chat().await;
    let script = Script::answer(&long_text());
    let whole = script.length();
    world.model.next(script);
    let mut stream = chat.stream_unread(&question(), &[]).await;
    // Nobody reads now. What the model has written stops growing, far short of the whole: it is
    // what the kernel buffers for two connections.
    let mut last = 0;
    let stalled = eventually(async || {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = std::mem::replace(&mut last, world.model.written());
        (before == last && last > 0).then_some(last)
    });
    let stalled = stalled.await.unwrap();
    assert!(stalled < whole / 2, "{stalled} of {whole} bytes");
    let resident = resident_kib(chat.function.pid());
    assert!(resident < 32 * 1024, "{resident} KiB");
    let mut read = String::new();
    stream.read_to_string(&mut read).await.unwrap();
    assert_eq!(read.matches("\"text-delta\"").count(), PIECES);
    assert!(read.contains("data: [DONE]"));
    assert_eq!(world.database.messages().await.len(), 2);
}

/// An answer that is far longer than what a connection buffers for a client that does not read.
fn endless() -> Script {
    Script::begin().words(&long_text()).hold()
}

#[tokio::test]
async fn a_character_that_cannot_be_stored_is_left_out_of_an_answer() {
    let world = World::new().await;
    let chat = world.chat().await;
    world
        .model
        .next(Script::answer("Half\u{0} an \u{0} answer."));
    let reply = chat.ask("hi").await;
    assert_eq!(reply.field("response"), "Half an  answer.");
    let stored = ["user: hi", "assistant: Half an  answer."];
    assert_eq!(world.database.messages().await, stored);
}

#[tokio::test]
async fn a_reader_who_stops_reading_does_not_hold_the_turn() {
    let world = World::new().await.with("LLM_TIMEOUT_MS", 3_000);
    let chat = world.chat().await;
    world.model.next(endless());
    let stream = chat
        .stream_unread(&question(), &[("idempotency-key", "k1")])
        .await;
    let stored = eventually(async || {
        let messages = world
            .database
            .rows("select state from messages order by seq")
            .await;
        (messages.len() == 2).then_some(messages)
    });
    assert_eq!(stored.await.unwrap()[1], ["cancelled"]);
    let free = "select count(*) from idempotency_keys where running_until < now()";
    let free = eventually(async || (world.database.rows(free).await == [["1"]]).then_some(()));
    free.await.expect("the key stays taken");
    drop(stream);
}

#[tokio::test]
async fn a_reader_who_stops_reading_does_not_hold_an_instance_that_must_stop() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(endless());
    let stream = chat.stream_unread(&question(), &[]).await;
    stream.readable().await.unwrap();
    let ended = chat.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success(), "it had to be killed");
    let states = world
        .database
        .rows("select state from messages order by seq")
        .await;
    assert_eq!(states, [["complete"], ["cancelled"]]);
    drop(stream);
}

fn resident_kib(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_answer_of_a_megabyte_is_streamed_and_stored_whole() {
    let world = World::new().await;
    let chat = world.chat().await;
    let text = "x".repeat(1_000_000);
    world.model.next(Script::answer(&text));
    let told = told(&chat.stream(&question()).await.rest().await);
    assert_eq!(told.text, text);
    world.model.next(Script::answer(&text));
    assert_eq!(chat.post(&question()).await.field("response"), text);
    let stored = world
        .database
        .rows("select count(*) from messages where length(content) = 1000000")
        .await;
    assert_eq!(stored, [["2"]]);
}

#[tokio::test]
async fn two_readers_at_once_get_each_their_own() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(held());
    let body = question();
    let mut first = Box::pin(chat.stream(&body));
    tokio::select! {
        _ = &mut first => panic!("it is held back"),
        () = world.model.was_asked(1) => {}
    }
    let second = told(&chat.stream(&question()).await.rest().await);
    world.model.release();
    let first = told(&first.await.rest().await);
    assert_eq!(first.text, "At last.");
    assert_ne!(first.session_id, second.session_id);
}
