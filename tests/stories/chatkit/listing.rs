//! Reading threads and their items again.

use serde_json::{Value, json};

use super::UNKNOWN;
use super::shapes::{answer, question, thread};
use crate::harness::World;
use crate::harness::chatkit::{Names, Reader, text};
use crate::harness::model::Script;

/// A thread of three turns, whose items have names.
async fn long(reader: &Reader<'_>) -> (String, Names) {
    let thread = reader.begin("1").await.thread;
    for i in 2..=3 {
        reader.ask(&thread, &i.to_string()).await;
    }
    let mut names = Names::default();
    names.of(&reader.get(&thread).await);
    (thread, names)
}

#[tokio::test]
async fn a_thread_is_read_with_its_items_oldest_first() {
    let world = World::new().await;
    world.model.always(Script::answer("So."));
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let (id, mut names) = long(&reader).await;
    let items = json!({
        "data": [
            question("{ITEM_1}", "1"), answer("{ITEM_2}", "So."),
            question("{ITEM_3}", "2"), answer("{ITEM_4}", "So."),
            question("{ITEM_5}", "3"), answer("{ITEM_6}", "So."),
        ],
        "has_more": false,
    });
    let read = names.of(&reader.get(&id).await);
    assert_eq!(read, thread(Some("1"), &items));
}

#[tokio::test]
async fn items_are_listed_newest_first_or_oldest_first_and_page_by_page() {
    let world = World::new().await;
    world.model.always(Script::answer("So."));
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let (thread, mut names) = long(&reader).await;
    let list = async |more: Value, names: &mut Names| {
        let mut params = json!({ "thread_id": thread });
        params
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        names.of(&reader.json("items.list", &params).await)
    };
    let newest = list(json!({}), &mut names).await;
    let texts: Vec<_> = newest["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let expected = [
        "assistant: So.",
        "user: 3",
        "assistant: So.",
        "user: 2",
        "assistant: So.",
        "user: 1",
    ];
    assert_eq!(texts, expected);
    assert_eq!(newest["has_more"], false);

    let two = list(json!({ "order": "asc", "limit": 2 }), &mut names).await;
    let expected = json!({
        "data": [question("{ITEM_1}", "1"), answer("{ITEM_2}", "So.")],
        "has_more": true,
        "after": "{ITEM_2}",
    });
    assert_eq!(two, expected);
    let first = reader.get(&thread).await["items"]["data"][1]["id"].clone();
    let more = json!({ "order": "asc", "limit": 2, "after": first });
    let expected = json!({
        "data": [question("{ITEM_3}", "2"), answer("{ITEM_4}", "So.")],
        "has_more": true,
        "after": "{ITEM_4}",
    });
    assert_eq!(list(more, &mut names).await, expected);
    let three = list(json!({ "order": "desc", "limit": 3 }), &mut names).await;
    let expected = json!({
        "data": [answer("{ITEM_6}", "So."), question("{ITEM_5}", "3"), answer("{ITEM_4}", "So.")],
        "has_more": true,
        "after": "{ITEM_4}",
    });
    assert_eq!(three, expected);
}

#[tokio::test]
async fn threads_are_listed_without_their_items_renamed_and_deleted() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let list = async |params: Value| reader.json("threads.list", &params).await;
    assert_eq!(
        list(json!({})).await,
        json!({ "data": [], "has_more": false })
    );

    let first = reader.begin("What is inertia?").await.thread;
    let second = reader.begin("Explain this line").await.thread;
    let row = |id: &str, title: &str| {
        json!({
            "id": id, "title": title, "created_at": "{TS}", "status": { "type": "active" },
            "metadata": {}, "items": { "data": [], "has_more": false },
        })
    };
    let (newer, older) = (
        row("{THREAD_1}", "Explain this line"),
        row("{THREAD_2}", "What is inertia?"),
    );
    let all = list(json!({ "limit": 9999, "order": "desc" })).await;
    let expected = json!({ "data": [newer, older], "has_more": false });
    let mut names = Names::default();
    assert_eq!(names.of(&all), expected);
    assert_eq!(all["data"][0]["id"], second);
    let one = list(json!({ "limit": 1 })).await;
    let expected = json!({ "data": [newer], "has_more": true, "after": "{THREAD_1}" });
    assert_eq!(names.of(&one), expected);
    let other = list(json!({ "limit": 1, "after": one["after"] })).await;
    let expected = json!({ "data": [older], "has_more": false });
    assert_eq!(names.of(&other), expected);
    let oldest = list(json!({ "limit": 1, "order": "asc" })).await;
    assert_eq!(oldest["data"][0]["id"], first);

    let params = json!({ "thread_id": first, "title": "Renamed thread" });
    let renamed = reader.json("threads.update", &params).await;
    assert_eq!(names.of(&renamed), row("{THREAD_2}", "Renamed thread"));
    let params = json!({ "thread_id": first, "item_ids": [UNKNOWN], "kind": "positive" });
    assert_eq!(reader.json("items.feedback", &params).await, json!({}));

    let params = json!({ "thread_id": first });
    for _ in 0..2 {
        assert_eq!(reader.json("threads.delete", &params).await, json!({}));
    }
    let gone = reader.call("threads.get_by_id", &params).await;
    assert_eq!(gone.error(), (404, "not_found".into()));
    assert_eq!(reader.titles().await, ["Explain this line"]);
    assert_eq!(world.database.counts().await, (1, 2));
}
