//! A question that is answered once more.

use std::time::Duration;

use serde_json::json;

use super::{UNKNOWN, create, failure, ids, read_until, retry};
use crate::harness::chatkit::{Turn, input, kinds, turn};
use crate::harness::model::{ANSWER, Script, held_halfway, talkative};
use crate::harness::{World, eventually};

#[tokio::test]
async fn a_retried_question_gets_a_new_answer_and_what_came_after_it_is_gone() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let mut about = input("What is it?");
    about["quoted_text"] = "A passage.".into();
    let thread = reader.begin("before").await.thread;
    let params = json!({ "thread_id": thread, "input": about });
    let asked = turn(&reader.events("threads.add_user_message", &params).await);
    reader.ask(&thread, "after").await;
    let question = reader.get(&thread).await["items"]["data"][2].clone();

    world.model.next(Script::answer("Something else."));
    let events = reader.retry(&thread, &asked.question).await;
    let expected = [
        "stream_options",
        "thread.item.added",
        "assistant_message.content_part.added",
    ];
    assert_eq!(kinds(&events)[..3], expected);
    assert_eq!(*kinds(&events).last().unwrap(), "thread.item.done");
    let answer = &events.last().unwrap()["item"];
    assert_ne!(answer["id"], asked.answer);
    let items = reader.get(&thread).await["items"]["data"].clone();
    assert_eq!(items.as_array().unwrap().len(), 4);
    assert_eq!(items[2], question);
    assert_eq!(items[3], *answer);

    let calls = world.model.asked();
    let prompts = [calls[1].messages(), calls[3].messages()];
    assert_eq!(prompts[1].len(), 2, "the passage alone, as the first time");
    assert!(prompts[1][1].contains("A passage."), "{prompts:?}");
    let text = "select content from messages where reply_to = (select id from messages where content = 'What is it?')";
    assert_eq!(world.database.rows(text).await, [["Something else."]]);

    // Nothing comes before the first question.
    let first = items[0]["id"].as_str().unwrap();
    reader.retry(&thread, first).await;
    assert_eq!(
        world.model.asked()[4].messages(),
        ["system", "user: before"]
    );
    let answer = format!("assistant: {ANSWER}");
    assert_eq!(reader.texts(&thread).await, ["user: before", &answer]);
    assert_eq!(reader.titles().await, ["before"]);
}

#[tokio::test]
async fn a_question_without_an_answer_can_be_retried() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    world.model.next(Script::refused());
    let events = reader.create("hi").await;
    let [thread, question] = ids(&events);
    reader.retry(thread, question).await;
    let texts = ["user: hi".to_owned(), format!("assistant: {ANSWER}")];
    assert_eq!(reader.texts(thread).await, texts);
}

#[tokio::test]
async fn a_retry_that_fails_keeps_the_old_answer_and_all_that_follows() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("one").await;
    reader.ask(&thread, "two").await;
    let before = reader.get(&thread).await;
    for script in [
        Script::refused(),
        Script::begin().words("Half an ").vanish(),
        Script::begin().words("Half an ").done(),
    ] {
        world.model.next(script);
        let events = reader.retry(&thread, &question).await;
        let (message, retry) = failure(&events);
        assert!(retry, "{message}");
        assert_eq!(events.last().unwrap()["type"], "error");
        assert_eq!(reader.get(&thread).await, before);
    }
    reader.retry(&thread, &question).await;
    assert_eq!(reader.texts(&thread).await.len(), 2);
}

#[tokio::test]
async fn what_a_stopped_retry_has_written_takes_the_old_answers_place() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("one").await;
    reader.ask(&thread, "two").await;
    world.model.next(talkative());
    let mut stream = retry(&reader, &thread, &question).await;
    read_until(&mut stream, "word0 word1 ").await;
    assert_eq!(
        reader.texts(&thread).await.len(),
        4,
        "nothing is deleted yet"
    );
    drop(stream);
    let replaced = eventually(async || {
        let texts = reader.texts(&thread).await;
        (texts.len() == 2).then_some(texts)
    });
    let texts = replaced.await.unwrap();
    assert_eq!(texts[0], "user: one");
    assert!(texts[1].starts_with("assistant: word0 word1 "), "{texts:?}");
}

#[tokio::test]
async fn what_is_asked_while_an_earlier_question_is_retried_is_not_lost() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("one").await;
    world.model.next(held_halfway());
    let mut stream = retry(&reader, &thread, &question).await;
    read_until(&mut stream, "At ").await;
    reader.ask(&thread, "two").await;
    world.model.release();
    stream.events().await;
    let mut texts = reader.texts(&thread).await;
    texts.sort();
    let answer = format!("assistant: {ANSWER}");
    assert_eq!(
        texts,
        [&answer, "assistant: At last.", "user: one", "user: two"]
    );
}

#[tokio::test]
async fn a_reader_who_stops_an_answer_and_asks_again_at_once_finds_only_the_new_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    // The model's next words, by which the function notices that the reader has left, come later
    // than the retry.
    let script = Script::begin().words("Half an ");
    let script = script.wait(Duration::from_secs(1)).words("answer ");
    let script = script.wait(Duration::from_millis(100)).words("is ");
    world
        .model
        .next(script.wait(Duration::from_millis(100)).words("cut ").hold());
    let mut stream = create(&reader, "hi").await;
    let events = read_until(&mut stream, "Half an ").await;
    drop(stream);
    let [thread, question] = ids(&events);
    reader.retry(thread, question).await;
    world.model.was_hung_up().await;
    // The function waits for its turns before it ends.
    let ended = chatkit.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success());
    let expected = ["user: hi".to_owned(), format!("assistant: {ANSWER}")];
    assert_eq!(world.database.messages().await, expected);
}

#[tokio::test]
async fn only_a_question_of_the_thread_can_be_retried() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread,
        question,
        answer,
    } = reader.begin("one").await;
    let other = reader.begin("other").await;
    let calls = world.model.asked().len();
    for (thread, item, expected) in [
        (&thread, UNKNOWN, (404, "not_found")),
        (&thread, "not-a-uuid", (404, "not_found")),
        (&thread, &*thread, (404, "not_found")),
        (&thread, &*other.question, (404, "not_found")),
        (&thread, &*other.answer, (404, "not_found")),
        (&other.thread, &*question, (404, "not_found")),
        // The protocol's own server begins a stream and drops it.
        (&thread, &*answer, (400, "invalid_request")),
    ] {
        let params = json!({ "thread_id": thread, "item_id": item });
        let reply = reader.call("threads.retry_after_item", &params).await;
        assert_eq!(reply.error(), (expected.0, expected.1.into()), "{item}");
    }
    assert_eq!(world.model.asked().len(), calls);
    assert_eq!(world.database.counts().await, (2, 4));
}
