//! Readers who leave, instances that stop, and turns that panic.

use std::time::Duration;

use crate::harness::model::Script;
use crate::harness::{World, eventually, question};

/// Role, text and state of all messages.
async fn stored(world: &World) -> Vec<Vec<String>> {
    let sql = "select role, content, state from messages order by seq";
    world.database.rows(sql).await
}

async fn stored_soon(world: &World, count: usize) -> Vec<Vec<String>> {
    let found = eventually(async || Some(stored(world).await).filter(|rows| rows.len() == count));
    found.await.expect("it is never stored")
}

#[tokio::test]
async fn a_reader_who_leaves_ends_the_models_call_and_what_was_written_is_kept() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words("Half an ").hold());
    let mut stream = chat.stream(&question()).await;
    stream.text("Half an ").await;
    drop(stream);
    let messages = stored_soon(&world, 2).await;
    assert_eq!(messages[1], ["assistant", "Half an ", "cancelled"]);
    world.model.was_hung_up().await;
    let calls = chat.logged("model call").await;
    assert_eq!(calls["outcome"], "cancelled");

    let session = world.database.rows("select id from chat_sessions").await[0][0].clone();
    chat.ask_in(&session, "Go on.").await;
    let seen = world.model.asked().last().unwrap().messages();
    // The model is told that its answer was cut short.
    let cut = "assistant: Half an \n\n[This answer was cut short here.]";
    assert_eq!(seen[2], cut);
}

#[tokio::test]
async fn when_a_reader_leaves_before_anything_visible_came_only_the_question_is_kept() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words(" \n").hold());
    let mut stream = chat.stream(&question()).await;
    stream.text(" \n").await;
    drop(stream);
    world.model.was_hung_up().await;
    chat.logged("model call").await;
    assert_eq!(chat.ask("Next?").await.status, 200);
    assert_eq!(stored(&world).await.len(), 3);
}

#[tokio::test]
async fn an_instance_that_must_stop_marks_what_its_turns_have_written() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::begin().words("Half an ").hold());
    let mut stream = chat.stream(&question()).await;
    stream.text("Half an ").await;
    let stopping = chat.function.terminate(Duration::from_secs(10));
    let began = std::time::Instant::now();
    let (status, parts) = tokio::join!(stopping, stream.rest());
    assert!(status.unwrap().success());
    // The platform kills the process after about half a second.
    assert!(
        began.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        began.elapsed()
    );
    let last = parts.last().unwrap();
    assert_eq!(last["type"], "error");
    assert!(
        last["errorText"].as_str().unwrap().contains("interrupted"),
        "{last}"
    );
    assert_eq!(
        stored(&world).await[1],
        ["assistant", "Half an ", "cancelled"]
    );
}

#[tokio::test]
async fn a_turn_that_has_written_nothing_when_the_instance_must_stop_keeps_its_question() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(Script::silence());
    let body = question();
    let request = chat.request(reqwest::Method::POST, "/chat").json(&body);
    let ask = tokio::spawn(crate::harness::Reply::of(request));
    world.model.was_asked(1).await;
    assert!(
        chat.function
            .terminate(Duration::from_secs(10))
            .await
            .unwrap()
            .success()
    );
    assert_eq!(ask.await.unwrap().error(), (500, "internal_error".into()));
    assert_eq!(stored(&world).await.len(), 1);
}
