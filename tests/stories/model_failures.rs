//! The model fails, in every way it can: the reader is told, the question stays, nothing is stored
//! as an answer, and the next turn works.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::model::{Script, nobody};
use crate::harness::{API_KEY, Running, World, eventually};

/// Plays one script; checks that the turn fails with `code` and leaves no trace but the question.
async fn fails(world: &World, script: Script, code: &str) {
    fails_within(world, &world.chat().await, script, code).await;
}

/// The same for a function with its own time limits; everything else uses the usual ones.
async fn fails_within(world: &World, hasty: &Running, script: Script, code: &str) {
    let chat = world.chat().await;
    let session = chat.ask("before").await.field("session_id");
    world.model.next(script);
    let reply = hasty.ask_in(&session, "the question").await;
    assert_eq!(reply.error(), (500, code.into()), "{reply:?}");
    assert_eq!(reply.json()["session_id"], session);
    let message = reply.json()["error"]["message"].to_string();
    assert!(message.contains("Your question is saved"), "{message}");
    assert!(!reply.text.contains(API_KEY), "{reply:?}");
    assert!(!hasty.raw_log().contains(API_KEY), "{}", hasty.raw_log());
    let messages = world.database.messages().await;
    assert_eq!(messages.last().unwrap(), "user: the question");
    let again = chat.ask_in(&session, "again").await;
    assert_eq!(again.status, 200);
    assert!(
        world
            .model
            .asked()
            .last()
            .unwrap()
            .messages()
            .contains(&"user: the question".to_owned()),
        "the question is part of the conversation"
    );
}

#[tokio::test]
async fn it_refuses_the_key() {
    let world = World::new().await;
    let script = Script::refused();
    fails(&world, script, "configuration_error").await;
}

/// Attempt and status of each call, from the log, once it has this many.
async fn attempts(chat: &Running, count: usize) -> Vec<(u64, u64)> {
    let found = eventually(async || Some(calls(chat)).filter(|calls| calls.len() >= count));
    found.await.unwrap_or_else(|| calls(chat))
}

fn calls(chat: &Running) -> Vec<(u64, u64)> {
    let log = chat.raw_log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["message"] == "model call")
        .map(|line| {
            (
                line["attempt"].as_u64().unwrap(),
                line["status"].as_u64().unwrap_or(0),
            )
        })
        .collect()
}

#[tokio::test]
async fn what_may_go_better_is_asked_twice_more() {
    let page = Script::status(429, "content-type: text/html\r\n", "<html>slow down</html>");
    let stories = [
        (Script::refusal(429, "requests", "rate_limit_exceeded"), 429),
        (page, 429),
        (Script::status(429, "retry-after: soon\r\n", ""), 429),
        (Script::status(500, "", "<html>oh no</html>"), 500),
        (Script::status(503, "", ""), 503),
        (Script::default().vanish(), 0),
        (Script::begin().vanish(), 0),
    ]
    .map(async |(script, status)| {
        let world = World::new().await;
        let chat = world.chat().await;
        world.model.next(script.clone());
        assert_eq!(chat.ask("hi").await.status, 200);
        assert_eq!(attempts(&chat, 2).await, [(1, status), (2, 200)]);
        for _ in 0..3 {
            world.model.next(script.clone());
        }
        assert_eq!(chat.ask("hi").await.error(), (500, "llm_error".into()));
        assert_eq!(
            attempts(&chat, 5).await[2..],
            [(1, status), (2, status), (3, status)]
        );
        assert_eq!(chat.ask("hi").await.status, 200);
    });
    futures_util::future::join_all(stories).await;
}

#[tokio::test]
async fn what_will_not_go_better_is_not_asked_again() {
    let world = World::new().await;
    for (status, code, told) in [
        (400, "context_length", "llm_error"),
        (401, "invalid_api_key", "configuration_error"),
        (429, "insufficient_quota", "configuration_error"),
    ] {
        let chat = world.chat().await;
        world.model.next(Script::refusal(status, "", code));
        assert_eq!(chat.ask("hi").await.error(), (500, told.into()));
        assert_eq!(attempts(&chat, 1).await, [(1, status.into())]);
    }
}

#[tokio::test]
async fn what_only_the_owner_can_mend_is_told_the_reader_as_such_and_the_log_by_its_setting() {
    let world = World::new().await;
    for (status, code, setting) in [
        (401, "invalid_api_key", "OPENAI_API_KEY"),
        (403, "", "OPENAI_API_KEY"),
        (404, "model_not_found", "OPENAI_MODEL"),
        (429, "insufficient_quota", "OPENAI_API_KEY"),
    ] {
        let chat = world.chat().await;
        world.model.next(Script::refusal(status, "", code));
        let reply = chat.ask("hi").await;
        assert_eq!(reply.error(), (500, "configuration_error".into()));
        assert!(reply.json()["session_id"].is_string(), "{}", reply.text);
        assert!(!reply.text.contains("OPENAI"), "{}", reply.text);
        let cause = chat.logged("request failed").await["cause"].clone();
        assert!(cause.as_str().unwrap().starts_with(setting), "{cause}");
    }
}

#[tokio::test]
async fn a_providers_wish_to_wait_is_obeyed_if_the_turn_has_the_time() {
    let world = World::new().await;
    let chat = world.chat().await;
    world
        .model
        .next(Script::status(429, "retry-after: 1\r\n", ""));
    let started = Instant::now();
    assert_eq!(chat.ask("hi").await.status, 200);
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    world
        .model
        .next(Script::status(429, "retry-after: 3600\r\n", ""));
    let started = Instant::now();
    assert_eq!(chat.ask("hi").await.error(), (500, "llm_error".into()));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(attempts(&chat, 3).await, [(1, 429), (2, 200), (1, 429)]);
}

#[tokio::test]
async fn it_says_nothing() {
    let world = World::new().await;
    let hasty = world.chat_with("LLM_FIRST_BYTE_TIMEOUT_MS", 200).await;
    fails_within(&world, &hasty, Script::silence(), "llm_timeout").await;
}

#[tokio::test]
async fn it_begins_and_never_says_a_word() {
    let world = World::new().await;
    let hasty = world.chat_with("LLM_FIRST_BYTE_TIMEOUT_MS", 200).await;
    fails_within(&world, &hasty, Script::begin().hold(), "llm_timeout").await;
}

#[tokio::test]
async fn it_stops_in_the_middle_of_its_answer() {
    let world = World::new().await;
    let hasty = world.chat_with("LLM_TIMEOUT_MS", 400).await;
    fails_within(
        &world,
        &hasty,
        Script::begin().words("Half an").hold(),
        "llm_timeout",
    )
    .await;
}

#[tokio::test]
async fn it_is_cut_off_in_the_middle_of_its_answer() {
    let world = World::new().await;
    fails(
        &world,
        Script::begin().words("Half an").vanish(),
        "llm_error",
    )
    .await;
}

#[tokio::test]
async fn its_stream_ends_properly_but_without_a_finish_reason() {
    let world = World::new().await;
    fails(&world, Script::begin().words("Half an").end(), "llm_error").await;
    fails(&world, Script::begin().words("Half an").done(), "llm_error").await;
}

#[tokio::test]
async fn it_answers_something_that_is_no_json() {
    let world = World::new().await;
    fails(
        &world,
        Script::begin().event("{not json").done(),
        "llm_error",
    )
    .await;
    let page = Script::status(200, "content-type: text/html\r\n", "<html>hello</html>");
    fails(&world, page, "llm_error").await;
}

#[tokio::test]
async fn it_answers_with_no_choices_or_no_text() {
    let world = World::new().await;
    let empty = Script::begin().chunk(&json!({ "choices": [] })).done();
    fails(&world, empty, "llm_error").await;
    fails(&world, Script::answer(""), "llm_error").await;
    fails(&world, Script::answer(" \n"), "llm_error").await;
}

#[tokio::test]
async fn it_reports_an_error_in_the_middle_of_its_answer() {
    let world = World::new().await;
    let error = json!({ "error": { "message": API_KEY, "type": "server_error" } });
    let script = Script::begin().words("Half an").chunk(&error).done();
    fails(&world, script, "llm_error").await;
}

#[tokio::test]
async fn the_first_question_of_a_conversation_can_be_asked_again_in_it() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::refused());
    let failed = chat.ask("the question").await;
    let failed = failed.json();
    let session = failed["session_id"].as_str().unwrap();
    assert_eq!(
        chat.ask_in(session, "again").await.field("session_id"),
        session
    );
}

#[tokio::test]
async fn nobody_listens() {
    let (_socket, address) = nobody();
    let world = World::new().await.with("OPENAI_BASE_URL", address);
    let chat = world.chat().await;
    let reply = chat.ask("the question").await;
    assert_eq!(reply.error(), (500, "llm_error".into()));
    assert_eq!(world.database.messages().await, ["user: the question"]);
}

#[tokio::test]
async fn it_keeps_the_connection_open_after_a_whole_answer() {
    let world = World::new().await;
    let script = Script::begin().words("A whole answer.").finish("stop");
    world.model.next(script.wait(Duration::from_secs(20)));
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.field("response"), "A whole answer.");
}

#[tokio::test]
async fn values_that_are_newer_than_we_are_do_no_harm() {
    let world = World::new().await;
    let script = Script::begin()
        .chunk(&json!({ "object": "new.thing", "service_tier": "warp", "choices": [{ "index": 0, "delta": { "content": "Fine.", "thoughts": [1] }, "finish_reason": null }] }))
        .chunk(&json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "enlightened" }] }))
        .done();
    world.model.next(script);
    assert_eq!(
        world.chat().await.ask("hi").await.field("response"),
        "Fine."
    );
}

#[tokio::test]
async fn an_answer_longer_than_the_cap_is_given_as_far_as_it_goes() {
    let world = World::new().await.with("MAX_COMPLETION_TOKENS", 3);
    world
        .model
        .next(Script::begin().words("As far as").finish("length").done());
    let reply = world.chat().await.ask("hi").await;
    assert_eq!(reply.field("response"), "As far as");
    assert_eq!(world.model.asked_once().body["max_completion_tokens"], 3);
}
