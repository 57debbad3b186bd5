//! Deployments of two versions at once: the functions of before the first release, which stand in
//! `public`, and those of today, on the tables of today.

use reqwest::Method;
use serde_json::json;

use crate::harness::chatkit::Turn;
use crate::harness::database::migrate;
use crate::harness::{Database, UNKNOWN, World};

/// The call with which a deployment of before begins a turn; its reader has no token.
fn old_begin(session: &str, question: &str, answer: &str, key: Option<&str>) -> String {
    let key = key.map_or("null, null, null".to_owned(), |key| {
        format!("'{key}'::bytea, 'request'::bytea, interval '1 minute'")
    });
    format!(
        "select outcome, session_id, content from begin_turn(
            '{session}', gen_random_uuid(), '{question}', '{answer}',
            'And now?', null, 10, {key},
            decode('00112233445566778899aabbccddeeff', 'hex'), 30, interval '2 seconds', 500,
            5, interval '12 seconds', 5000000000, 4500000, 750, 192000, 3::smallint, false,
            null, false, null, null, null, null
        )"
    )
}

/// The call with which it ends one.
fn old_finish(session: &str, question: &str, answer: &str) -> String {
    format!(
        "select finish_turn(
            '{answer}', '{session}', 'So.', '{question}', 'complete',
            current_date, 3::smallint, 4500000, 63000, null, null
        ) is not null"
    )
}

fn id(n: usize) -> String {
    format!("0196f3a0-7c1e-7d3a-9b1f-{n:012}")
}

/// A world on a database that was taken over.
async fn taken_over() -> World {
    let database = Database::before_the_first_release().await;
    migrate(&database.url).unwrap();
    let mut world = World::new().await;
    world.set("DATABASE_URL", &database.url);
    world.database = database;
    world
}

#[tokio::test]
async fn what_a_deployment_of_before_has_written_is_kept_and_it_goes_on_writing() {
    let database = Database::before_the_first_release().await;
    let begun = database
        .rows(&old_begin(UNKNOWN, &id(1), &id(2), Some("k1")))
        .await;
    assert_eq!(begun[0][0], "begun");
    let session = begun[0][1].clone();
    let finish = old_finish(&session, &id(1), &id(2));
    assert_eq!(database.rows(&finish).await, [["t"]]);
    // One that is under way meanwhile.
    database
        .rows(&old_begin(&session, &id(3), &id(4), None))
        .await;
    migrate(&database.url).unwrap();
    let finish = old_finish(&session, &id(3), &id(4));
    assert_eq!(database.rows(&finish).await, [["t"]]);
    let history = database
        .rows(&old_begin(&session, &id(5), &id(6), None))
        .await;
    assert_eq!(history.len(), 4, "with all of the past: {history:?}");
    assert!(history.iter().all(|row| row[1] == session));
    let finish = old_finish(&session, &id(5), &id(6));
    assert_eq!(database.rows(&finish).await, [["t"]]);
    let replayed = database
        .rows(&old_begin(UNKNOWN, &id(7), &id(8), Some("k1")))
        .await;
    assert_eq!(replayed, [["answered", &*session, "So."]]);
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
async fn a_deployment_of_before_without_a_token_cannot_go_on_with_what_has_an_owner() {
    let world = taken_over().await;
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

#[tokio::test]
async fn both_versions_take_turns_in_one_conversation_at_once() {
    let world = taken_over().await;
    let chat = world.chat().await;
    let session = chat.ask("first").await.field("session_id");
    let ours = async {
        for n in 0..10 {
            assert_eq!(
                chat.ask_in(&session, &format!("ours {n}")).await.status,
                200
            );
        }
    };
    let theirs = async {
        for n in 0..10 {
            let (question, answer) = (id(100 + 2 * n), id(101 + 2 * n));
            let call = old_begin(&session, &question, &answer, None);
            let unpaced = call.replace("5, interval '12 seconds'", "0, interval '12 seconds'");
            let begun = world.database.rows(&unpaced).await;
            assert!(
                begun
                    .iter()
                    .all(|row| row[0] == "begun" && row[1] == session)
            );
            let finish = old_finish(&session, &question, &answer);
            assert_eq!(world.database.rows(&finish).await, [["t"]]);
        }
    };
    tokio::join!(ours, theirs);
    let messages = world.database.messages().await;
    assert_eq!(messages.len(), 2 + 4 * 10);
    let answered = "select count(*) from messages question join messages answer
        on answer.reply_to = question.id where question.role = 'user'";
    assert_eq!(world.database.rows(answered).await, [["21"]]);
}
