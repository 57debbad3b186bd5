//! Turns in one thread that run at the same time, and turns that are cut short: what is kept.

use std::time::Duration;

use serde_json::{Value, json};

use super::{add, create, failure, ids, read, read_until, retry};
use crate::harness::chatkit::{Reader, Turn, input};
use crate::harness::model::{ANSWER, Script, held, held_halfway};
use crate::harness::stream::Stream;
use crate::harness::{Reply, World};

/// A retry that waits for its model.
async fn held_retry(world: &World, reader: &Reader<'_>, turn: &Turn) -> Stream {
    let asked = world.model.asked().len();
    world.model.next(held());
    let stream = retry(reader, &turn.thread, &turn.question).await;
    world.model.was_asked(asked + 1).await;
    stream
}

#[tokio::test]
async fn of_two_retries_the_newer_ones_answer_stays() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    let older = held_retry(&world, &reader, &turn).await;
    world.model.next(Script::answer("Newer."));
    reader.retry(&turn.thread, &turn.question).await;
    world.model.release();
    let (message, _) = failure(&older.events().await);
    assert!(message.contains("answered again"), "{message}");
    let texts = ["user: hi", "assistant: Newer."];
    assert_eq!(reader.texts(&turn.thread).await, texts);

    // Also if the older one is faster.
    let older = held_retry(&world, &reader, &turn).await;
    let newer = held_retry(&world, &reader, &turn).await;
    world.model.release();
    world.model.release();
    older.events().await;
    newer.events().await;
    let texts = ["user: hi", "assistant: At last."];
    assert_eq!(reader.texts(&turn.thread).await, texts);
}

#[tokio::test]
async fn where_the_newer_of_two_retries_fails_the_older_ones_answer_is_kept() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    let older = held_retry(&world, &reader, &turn).await;
    world.model.next(Script::refused());
    failure(&reader.retry(&turn.thread, &turn.question).await);
    world.model.release();
    let events = older.events().await;
    assert_eq!(events.last().unwrap()["type"], "thread.item.done");
    let texts = ["user: hi", "assistant: At last."];
    assert_eq!(reader.texts(&turn.thread).await, texts);
}

#[tokio::test]
async fn a_retry_whose_question_is_deleted_at_that_moment_asks_the_model_nothing() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    // The retry sees the question, and waits for its conversation.
    let delete = "select from chat_sessions for update; delete from messages";
    let deletion = world.database.lock(delete).await;
    let params = json!({ "thread_id": turn.thread, "item_id": turn.question });
    let retry = reader.call("threads.retry_after_item", &params);
    let rest = async {
        world.database.is_waited_for().await;
        deletion.commit().await;
    };
    let (reply, ()) = tokio::join!(retry, rest);
    assert_eq!(reply.error(), (404, "not_found".into()));
    assert_eq!(world.model.asked().len(), 1);
}

#[tokio::test]
async fn a_turn_that_goes_on_beside_its_retry_leaves_no_second_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(held());
    let mut first = create(&reader, "hi").await;
    let told = read(&mut first, 3).await;
    world.model.was_asked(1).await;
    let [thread, question] = ids(&told);
    world.model.next(Script::answer("Newer."));
    reader.retry(thread, question).await;
    world.model.release();
    failure(&first.events().await);
    let texts = ["user: hi", "assistant: Newer."];
    assert_eq!(reader.texts(thread).await, texts);
}

#[tokio::test]
async fn an_answer_to_a_question_that_a_retry_has_deleted_is_not_kept() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let first = reader.begin("one").await;
    world.model.next(held());
    let mut second = add(&reader, &first.thread, "two").await;
    read(&mut second, 2).await;
    world.model.was_asked(2).await;
    world.model.next(Script::answer("Newer."));
    reader.retry(&first.thread, &first.question).await;
    world.model.release();
    let (_, retry) = failure(&second.events().await);
    assert!(!retry, "there is nothing to try again");
    let texts = ["user: one", "assistant: Newer."];
    assert_eq!(reader.texts(&first.thread).await, texts);
}

#[tokio::test]
async fn an_answer_that_comes_while_its_question_is_replaced_goes_with_it() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let first = reader.begin("one").await;
    world.model.next(held());
    let second = add(&reader, &first.thread, "two").await;
    world.model.was_asked(2).await;
    let retry = held_retry(&world, &reader, &first).await;
    world.model.release();
    let events = second.events().await;
    assert_eq!(events.last().unwrap()["type"], "thread.item.done");
    assert_eq!(reader.texts(&first.thread).await.len(), 4);
    world.model.release();
    retry.events().await;
    let texts = ["user: one", "assistant: At last."];
    assert_eq!(reader.texts(&first.thread).await, texts);
}

#[tokio::test]
async fn an_earlier_questions_answer_that_comes_during_a_retry_is_not_lost() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(held());
    let mut first = create(&reader, "one").await;
    let told = read(&mut first, 3).await;
    world.model.was_asked(1).await;
    let [thread, _] = ids(&told);
    let second = reader.ask(thread, "two").await;
    let retry = held_retry(&world, &reader, &second).await;
    world.model.release();
    first.events().await;
    world.model.release();
    retry.events().await;
    let answer = "assistant: At last.";
    let texts = ["user: one", "user: two", answer, answer];
    assert_eq!(reader.texts(thread).await, texts);
}

#[tokio::test]
async fn a_retry_that_an_ending_instance_cuts_short_keeps_the_old_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin("hi").await;
    world.model.next(held_halfway());
    let mut retry = retry(&reader, &turn.thread, &turn.question).await;
    read_until(&mut retry, "At ").await;
    let token = reader.token().to_owned();
    let ended = chatkit.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success());
    failure(&retry.events().await);
    let another = world.chatkit().await;
    let reader = another.known_as(&token);
    let texts = ["user: hi".to_owned(), format!("assistant: {ANSWER}")];
    assert_eq!(reader.texts(&turn.thread).await, texts);
}

#[tokio::test]
async fn a_reader_who_is_refused_is_given_no_token() {
    let world = World::new().await.with("RATE_LIMIT_NETWORK_PER_DAY", 1);
    let chatkit = world.chatkit().await;
    let params: Value = json!({ "input": input("hi") });
    let first = Reply::of(chatkit.stranger().request("threads.create", &params)).await;
    assert!(first.header("set-cookie").is_some());
    let second = Reply::of(chatkit.stranger().request("threads.create", &params)).await;
    assert!(second.text.contains("\"error\""), "{second:?}");
    assert_eq!(second.header("set-cookie"), None);
}
