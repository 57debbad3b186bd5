//! ChatKit's official Python package, only its types, against `POST /chatkit`: its requests, and
//! whether it knows every response and event and would have written the same.
//!
//! `drive.py` is the reader: it checks the events of each turn in their order and what is read
//! again later. What it does not see, the database and the model, is checked here.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{output, target};
use crate::harness::model::{ANSWER, Asked, Script};
use crate::harness::site::{QUESTION, SECTION};
use crate::harness::{PAGE, Running, World};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outside/chatkit_sdk");

#[tokio::test]
async fn a_conversation_of_two_turns_is_the_one_that_is_stored() {
    conversation("conversation").await;
}

#[tokio::test]
async fn what_a_request_leaves_unset_may_be_left_out() {
    conversation("terse").await;
}

async fn conversation(scene: &str) {
    let world = World::new().await;
    let seen = play(&world.chatkit().await, scene).await;
    let told = [
        "user: What is a humanoid robot?",
        &format!("assistant: {ANSWER}"),
        "user: And why?",
        &format!("assistant: {ANSWER}"),
    ];
    assert_eq!(seen["told"], json!(told));
    assert_eq!(world.database.messages().await, told);
    let sessions = world.database.rows("select id from chat_sessions").await;
    assert_eq!(sessions, [[seen["thread"].as_str().unwrap()]]);
    let asked = world.model.asked()[1].messages();
    assert_eq!(asked[1..], told[..3]);
}

#[tokio::test]
async fn a_quoted_passage_reaches_the_model_and_once_more_when_its_question_is_retried() {
    let world = World::new().await;
    play(&world.chatkit().await, "passage").await;
    let passage = "Bipedal gait is a controlled fall.";
    let asked = world.model.asked();
    assert_eq!(asked.len(), 3);
    for i in [0, 2] {
        let seen = asked[i].messages();
        assert!(seen[1].contains(passage), "{seen:#?}");
        assert!(
            seen[1].ends_with("Question: What does this mean?"),
            "{seen:#?}"
        );
    }
    let sql = "select content, selected_text from messages where role = 'user'";
    let stored = world.database.rows(sql).await;
    assert_eq!(stored, [["What does this mean?", passage]]);
}

#[tokio::test]
async fn sections_that_an_answer_cites_are_annotations_where_they_are_cited() {
    let (world, book) = World::new().await.with_book().await;
    let answer = "[1] Knees 🦿 bend. [1][7] Then walk. [2]";
    for _ in 0..2 {
        world.model.next(Script::answer(answer).byte_by_byte());
    }
    let seen = play(&world.chatkit().await, "sources").await;
    // The space after the first mark belongs to the text: a link stands before it elsewhere.
    assert_eq!(seen["text"], " Knees 🦿 bend. Then walk.");
    let annotations = seen["annotations"].as_array().unwrap();
    let indexes: Vec<_> = annotations.iter().map(|it| it["index"].clone()).collect();
    assert_eq!(indexes, [0, 14, 25]);
    let source = json!({
        "type": "url",
        "title": "Walking",
        "description": SECTION,
        "url": format!("{book}walking.html#solution"),
    });
    assert_eq!(annotations[0]["source"], source);
    assert_eq!(annotations[1]["source"], source);
    assert_ne!(annotations[2]["source"], source);
    let sql = "select distinct page from messages where role = 'user'";
    assert_eq!(world.database.rows(sql).await, [["/book/walking.html"]]);
}

#[tokio::test]
async fn a_question_comes_back_as_it_was_typed() {
    let world = World::new().await;
    let answer = "Zwei\r\nZeilen, data: \u{2028} \u{85} \"😀\" \\ </script>\n\n- 1\n- 2 \n";
    world.model.always(Script::answer(answer));
    play(&world.chatkit().await, "texts").await;
}

#[tokio::test]
async fn tags_come_back_as_they_were_sent_and_the_model_reads_their_text() {
    let world = World::new().await;
    play(&world.chatkit().await, "tags").await;
    let asked = world.model.asked();
    let [first, second] = [0, 1].map(|i| asked[i].messages().pop().unwrap());
    assert!(first.starts_with("user: Explain "), "{first}");
    assert!(first.ends_with("Chapter 3"), "{first}");
    assert!(second.ends_with("Walking"), "{second}");
}

#[tokio::test]
async fn inference_options_come_back_and_choose_no_other_model() {
    let world = World::new().await.with("OPENAI_MODEL", "gpt-9");
    let seen = play(&world.chatkit().await, "inference").await;
    let options = json!({ "model": "gpt-0", "tool_choice": { "id": "search" } });
    assert_eq!(seen["options"], options);
    let asked = world.model.asked_once();
    assert_eq!(asked.body["model"], "gpt-9");
    assert_eq!(asked.body["tools"], Value::Null);
}

#[tokio::test]
async fn a_list_of_threads_is_read_page_by_page_in_both_orders() {
    let world = World::new().await;
    play(&world.chatkit().await, "pages_of_threads").await;
}

#[tokio::test]
async fn a_long_thread_is_read_page_by_page_in_both_orders() {
    let world = World::new().await;
    play(&world.chatkit().await, "pages_of_items").await;
}

#[tokio::test]
async fn a_retry_replaces_the_answer_and_everything_after_it() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    for answer in ["One.", "Two.", "Three.", "Four.", "Five."] {
        world.model.next(Script::answer(answer));
    }
    let seen = play(&chatkit, "retry").await;
    let told = ["user: What is a humanoid robot?", "assistant: Five."];
    assert_eq!(seen["told"], json!(told));
    assert_eq!(world.database.messages().await, told);
    let asked: Vec<_> = world.model.asked().iter().map(Asked::messages).collect();
    // The answer that is to be replaced is not shown, nor what came after it.
    assert_eq!(asked[3], asked[2]);
    assert_eq!(asked[4], asked[0]);
    assert_eq!(asked.len(), 5);
}

#[tokio::test]
async fn a_retry_that_fails_keeps_the_old_answer() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(Script::answer(ANSWER));
    world.model.next(Script::refused());
    play(&chatkit, "failing_retry").await;
    let told = world.database.messages().await;
    assert_eq!(told[1..], [format!("assistant: {ANSWER}")]);
}

#[tokio::test]
async fn a_thread_is_renamed_and_keeps_the_readers_title() {
    let world = World::new().await;
    play(&world.chatkit().await, "rename").await;
}

#[tokio::test]
async fn a_deleted_thread_is_gone_and_may_be_deleted_again() {
    let world = World::new().await;
    let seen = play(&world.chatkit().await, "delete").await;
    let sessions = world.database.rows("select id from chat_sessions").await;
    assert_eq!(sessions, [[seen["left"].as_str().unwrap()]]);
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn the_last_feedback_on_an_item_is_kept_also_on_one_that_was_never_stored() {
    let world = World::new().await;
    let seen = play(&world.chatkit().await, "feedback").await;
    let sql = "select session_id, item_id, kind from message_feedback order by kind";
    let stored = world.database.rows(sql).await;
    let [thread, answer] = ["thread", "answer"].map(|name| seen[name].as_str().unwrap());
    assert_eq!(
        stored,
        [[thread, answer, "negative"], [thread, "cki_0", "positive"]]
    );
}

#[tokio::test]
async fn an_error_before_the_first_word_leaves_the_question_which_is_retried() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(Script::refused());
    world.model.next(Script::refused());
    let seen = play(&chatkit, "early_error").await;
    let told = seen["message"].as_str().unwrap();
    assert!(told.contains("Your question is saved"), "{told}");
    assert_eq!(world.database.counts().await, (1, 3));
}

#[tokio::test]
async fn an_error_in_the_middle_leaves_the_question_which_is_retried() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(Script::begin().words("Half an ").vanish());
    let seen = play(&chatkit, "late_error").await;
    let told = seen["message"].as_str().unwrap();
    assert!(told.contains("Your question is saved"), "{told}");
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn who_stops_an_answer_finds_what_has_come_and_goes_on() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    world.model.next(Script::begin().words("Half an ").hold());
    let seen = play(&chatkit, "stop").await;
    world.model.was_hung_up().await;
    let sql = "select id, session_id, content from messages where state = 'cancelled'";
    let stored = world.database.rows(sql).await;
    let [answer, thread] = ["answer", "thread"].map(|name| seen[name].as_str().unwrap());
    assert_eq!(stored, [[answer, thread, "Half an "]]);
    let asked = world.model.asked()[1].messages();
    assert!(asked[2].starts_with("assistant: Half an "), "{asked:#?}");
}

#[tokio::test]
async fn a_long_silence_is_filled_with_progress() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let late = Script::begin().wait(Duration::from_secs(4)).words(ANSWER);
    world.model.next(late.finish("stop").done());
    play(&chatkit, "silence").await;
}

#[tokio::test]
async fn who_asks_too_fast_is_told_so_in_the_stream_and_nothing_is_kept() {
    let world = World::new().await;
    let world = world.with("RATE_LIMIT_CONVERSATION_PER_MINUTE", 1);
    let seen = play(&world.chatkit().await, "too_fast").await;
    let told = seen["message"].as_str().unwrap();
    assert!(told.contains("second") || told.contains("minute"), "{told}");
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn a_question_that_the_moderation_flags_is_taken_back() {
    let world = World::new().await.with("MODERATION", "input");
    world.model.flag_everything();
    play(&world.chatkit().await, "unfit").await;
    assert_eq!(world.database.counts().await, (1, 0));
}

#[tokio::test]
async fn another_readers_threads_are_unknown() {
    let world = World::new().await;
    play(&world.chatkit().await, "strangers").await;
    assert_eq!(world.model.asked().len(), 3);
    assert_eq!(world.database.counts().await, (3, 6));
}

#[tokio::test]
async fn what_a_text_chat_has_no_use_for_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    play(&world.chatkit().await, "refusals").await;
    assert_eq!(world.model.asked().len(), 1);
    assert_eq!(world.database.counts().await, (1, 2));
}

/// What a scene in `drive.py` has to tell once it has come to its end.
async fn play(chatkit: &Running, scene: &str) -> Value {
    let mut command = Command::new(python());
    command
        .args(["drive.py", &chatkit.url, PAGE, scene, QUESTION])
        .current_dir(FOLDER)
        .env_clear()
        .env("PYTHONUTF8", "1");
    let told = output(&mut command, Duration::from_mins(1)).await;
    serde_json::from_str(&told).unwrap()
}

/// The Python that `.ci/run` installs the package for.
fn python() -> PathBuf {
    let python = target().join("chatkit-sdk/bin/python");
    assert!(
        python.exists(),
        "the package is not there; run: python3 -m venv target/chatkit-sdk && target/chatkit-sdk/bin/pip install --no-deps --requirement tests/outside/chatkit_sdk/requirements.txt"
    );
    python
}
