//! The migration that brought owners: what was there before stays as it was, and functions of the
//! version before go on.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::json;

use super::UNKNOWN;
use crate::harness::chatkit::Turn;
use crate::harness::database::migrations;
use crate::harness::{Database, World};

/// The call that a function of the version before begins a turn with.
fn old_begin(session: &str, question: &str, answer: &str, key: Option<&str>) -> String {
    let key = key.map_or("null, null, null".to_owned(), |key| {
        format!("'{key}'::bytea, 'request'::bytea, interval '1 minute'")
    });
    format!(
        "select outcome, session_id, content from begin_turn(
            '{session}', gen_random_uuid(), '{question}', '{answer}',
            'And now?', null, 10, {key},
            decode('00112233445566778899aabbccddeeff', 'hex'), 30, interval '2 seconds', 500,
            5, interval '12 seconds', 5000000000, 4500000, 750, 192000, 3::smallint, false
        )"
    )
}

/// The call that it ends one with.
fn old_finish(session: &str, question: &str, answer: &str) -> String {
    format!(
        "select finish_turn(
            '{answer}', '{session}', 'So.', '{question}', 'complete',
            current_date, 3::smallint, 4500000, 63000
        ) is not null"
    )
}

fn id(n: usize) -> String {
    format!("0196f3a0-7c1e-7d3a-9b1f-{n:012}")
}

#[tokio::test]
async fn it_keeps_what_the_version_before_has_written_which_goes_on_writing() {
    let database = Database::empty().await;
    let files = migrations();
    let apply = async |file: &Path| database.rows(&fs::read_to_string(file).unwrap()).await;
    for file in &files[..3] {
        apply(file).await;
    }
    let begun = database
        .rows(&old_begin(UNKNOWN, &id(1), &id(2), Some("k1")))
        .await;
    assert_eq!(begun[0][0], "begun");
    let session = begun[0][1].clone();
    assert_eq!(
        database.rows(&old_finish(&session, &id(1), &id(2))).await,
        [["t"]]
    );
    // One that is under way meanwhile.
    database
        .rows(&old_begin(&session, &id(3), &id(4), None))
        .await;
    for file in &files[3..] {
        apply(file).await;
    }
    assert_eq!(
        database.rows(&old_finish(&session, &id(3), &id(4))).await,
        [["t"]]
    );
    let history = database
        .rows(&old_begin(&session, &id(5), &id(6), None))
        .await;
    assert_eq!(history.len(), 4, "with all of the past: {history:?}");
    assert!(history.iter().all(|row| row[1] == session));
    assert_eq!(
        database.rows(&old_finish(&session, &id(5), &id(6))).await,
        [["t"]]
    );
    let replayed = database
        .rows(&old_begin(UNKNOWN, &id(7), &id(8), Some("k1")))
        .await;
    assert_eq!(replayed, [["answered", &*session, "So."]]);
    let owners = "select count(*) from chat_sessions where owner is not null";
    assert_eq!(database.rows(owners).await, [["0"]]);
    assert_eq!(database.messages().await.len(), 6);

    // The new functions go on with it.
    let mut world = World::new().await;
    world.set("DATABASE_URL", &database.url);
    let (chat, chatkit) = (world.chat().await, world.chatkit().await);
    let reply = chat.ask_in(&session, "And today?").await;
    assert_eq!(reply.field("session_id"), session);
    assert_eq!(world.model.asked_once().messages().len(), 8);
    let page = chat
        .get(&format!("/chat?session_id={session}"))
        .await
        .json();
    assert_eq!(page["messages"].as_array().unwrap().len(), 8);
    let reader = chatkit.reader();
    let params = json!({ "thread_id": session });
    assert_eq!(reader.call("threads.get_by_id", &params).await.status, 404);
    reader.begin("New").await;
    assert_eq!(reader.titles().await, ["New"]);
}

#[tokio::test]
async fn a_function_of_the_version_before_cannot_go_on_with_what_has_an_owner() {
    let world = World::new().await;
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("A secret").await;
    let body = json!({ "message": "Another", "session_id": thread });
    let request = chat.request(Method::POST, "/chat").json(&body);
    let request = request
        .header("idempotency-key", "k1")
        .bearer_auth(reader.token());
    assert_eq!(request.send().await.unwrap().status(), 200);
    let before = reader.get(&thread).await;

    let begun = world
        .database
        .rows(&old_begin(&thread, &id(1), &id(2), None))
        .await;
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0][0], "begun");
    assert_ne!(begun[0][1], thread, "it is unknown to it");
    assert_eq!(begun[0][2], "-", "not a word of the past");
    let session = &begun[0][1];
    assert_eq!(
        world
            .database
            .rows(&old_finish(session, &id(1), &id(2)))
            .await,
        [["t"]]
    );
    let owner = format!("select owner from chat_sessions where id = '{session}'");
    assert_eq!(world.database.rows(&owner).await, [["-"]]);

    // Not by a question in it either, nor by the key of one.
    let row = world
        .database
        .rows(&old_begin(UNKNOWN, &question, &id(4), None))
        .await;
    assert!(
        row.iter().all(|row| row[1] != thread && row[2] == "-"),
        "{row:?}"
    );
    let key = "select encode(key, 'escape') from idempotency_keys";
    let key = world.database.rows(key).await[0][0].replace('\'', "''");
    let row = world
        .database
        .rows(&old_begin(UNKNOWN, &id(5), &id(6), Some(&key)))
        .await;
    assert!(
        row.iter().all(|row| row[1] != thread && row[2] == "-"),
        "{row:?}"
    );
    assert_eq!(reader.get(&thread).await, before);
}
