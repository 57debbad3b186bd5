//! What readers think of answers.

use serde_json::{Value, json};

use super::UNKNOWN;
use crate::harness::World;
use crate::harness::chatkit::{Reader, Turn};
use crate::harness::model::ANSWER;

async fn say(reader: &Reader<'_>, thread: &str, items: Value, kind: &str) {
    let params = json!({ "thread_id": thread, "item_ids": items, "kind": kind });
    assert_eq!(reader.json("items.feedback", &params).await, json!({}));
}

#[tokio::test]
async fn feedback_is_stored_once_an_item_and_may_change_its_mind() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread,
        question,
        answer,
    } = reader.begin("hi").await;
    let all =
        "select item_id, kind, updated_at > created_at from message_feedback order by item_id";
    say(&reader, &thread, json!([answer]), "positive").await;
    assert_eq!(
        world.database.rows(all).await,
        [[&*answer, "positive", "f"]]
    );
    say(&reader, &thread, json!([answer]), "negative").await;
    assert_eq!(
        world.database.rows(all).await,
        [[&*answer, "negative", "t"]]
    );

    // The widget names all that it has seen, also what was never stored, and some things twice.
    let seen = json!([question, answer, answer, UNKNOWN, "progress_1", "💡", ""]);
    say(&reader, &thread, seen, "positive").await;
    let kinds = "select distinct kind from message_feedback";
    assert_eq!(world.database.rows(kinds).await, [["positive"]]);
    let sessions = "select distinct session_id from message_feedback";
    assert_eq!(world.database.rows(sessions).await, [[&*thread]]);

    // The feedback of a replaced answer stays; deleting the thread deletes it.
    reader.retry(&thread, &question).await;
    let old = format!("select kind from message_feedback where item_id = '{answer}'");
    assert_eq!(world.database.rows(&old).await, [["positive"]]);
    reader
        .json("threads.delete", &json!({ "thread_id": thread }))
        .await;
    assert_eq!(world.database.rows(all).await.len(), 0);
}

#[tokio::test]
async fn feedback_that_meets_the_deletion_of_its_thread_finds_no_thread() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn { thread, answer, .. } = reader.begin("hi").await;
    let deletion = world.database.delete_conversation(&thread).await;
    let params = json!({ "thread_id": thread, "item_ids": [answer], "kind": "positive" });
    let commit = async {
        world.database.is_waited_for().await;
        deletion.commit().await;
    };
    let (reply, ()) = tokio::join!(reader.call("items.feedback", &params), commit);
    assert_eq!(reply.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn the_same_item_in_two_threads_has_two_feedbacks() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let (one, two) = (reader.begin("1").await, reader.begin("2").await);
    say(&reader, &one.thread, json!([one.answer]), "positive").await;
    say(&reader, &two.thread, json!([one.answer]), "negative").await;
    let kinds = "select kind from message_feedback order by kind";
    assert_eq!(
        world.database.rows(kinds).await,
        [["negative"], ["positive"]]
    );
}

#[tokio::test]
async fn feedback_has_its_limits() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("hi").await.thread;
    let ids = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
    say(&reader, &thread, json!(ids(100)), "positive").await;
    say(&reader, &thread, json!(["é".repeat(100)]), "positive").await;
    for (items, kind) in [
        (json!(ids(101)), "positive"),
        (json!(["é".repeat(101)]), "positive"),
        (json!(["a\u{0}b"]), "positive"),
        (json!([7]), "positive"),
        (json!("x"), "positive"),
        (json!(null), "positive"),
        (json!(["x"]), "meh"),
        (json!(["x"]), ""),
    ] {
        let params = json!({ "thread_id": thread, "item_ids": items, "kind": kind });
        let reply = reader.call("items.feedback", &params).await;
        assert_eq!(
            reply.error(),
            (400, "invalid_request".into()),
            "{items} {kind}"
        );
    }
    let count = "select count(*) from message_feedback";
    assert_eq!(world.database.rows(count).await, [["101"]]);
}

#[tokio::test]
async fn a_thread_takes_a_thousand_judgements_and_those_may_still_change() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let full = reader.begin("hi").await.thread;
    let other = reader.begin("hi").await.thread;
    let many = format!(
        "insert into message_feedback (session_id, item_id, kind)
         select '{full}', i, 'negative' from generate_series(1, 1000) i"
    );
    world.database.rows(&many).await;
    say(&reader, &full, json!(["7", "new"]), "positive").await;
    say(&reader, &other, json!(["new"]), "positive").await;
    let positive = format!(
        "select session_id = '{full}', item_id from message_feedback where kind = 'positive'
         order by 2"
    );
    let expected = [["t", "7"], ["f", "new"]];
    assert_eq!(world.database.rows(&positive).await, expected);
}

#[tokio::test]
async fn the_operator_reads_it_with_the_documented_query() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread,
        question,
        answer,
    } = reader.begin("What is inertia?").await;
    say(
        &reader,
        &thread,
        json!([question, answer, "progress_1"]),
        "negative",
    )
    .await;
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/chatkit.md");
    let document = std::fs::read_to_string(document).unwrap();
    let mut queries = document.split("```sql\n").skip(1);
    let query = queries.find(|query| query.contains("message_feedback"));
    let query = query.expect("no query of message_feedback in docs/chatkit.md");
    let query = query.split("```").next().unwrap();
    let rows = world.database.rows(query).await;
    let told: Vec<_> = rows.iter().map(|row| row.join(" ")).collect();
    let whole = ["negative", "What is inertia?", ANSWER];
    let found = told
        .iter()
        .any(|row| whole.iter().all(|part| row.contains(part)));
    assert!(found, "{told:#?}");
}
