//! What a thread is called: by its first question, until its reader says otherwise.

use serde_json::json;

use super::{create, read, read_until};
use crate::harness::World;
use crate::harness::chatkit::Turn;
use crate::harness::model::held;

#[tokio::test]
async fn a_title_is_the_first_question_cut_at_a_word() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let sixty = format!("{}end!!", "word ".repeat(11));
    assert_eq!(sixty.len(), 60);
    let family = "👩‍👩‍👧‍👦";
    for (question, title) in [
        ("What is inertia?".to_owned(), "What is inertia?".to_owned()),
        (
            "  What \n\t is\u{3000}it? \r\n".into(),
            "What is it?".into(),
        ),
        (sixty.clone(), sixty.clone()),
        (format!("{sixty}\n"), sixty.clone()),
        (
            format!("{sixty} More"),
            format!("{}…", "word ".repeat(11).trim_end()),
        ),
        (
            "What about C++ & <b>tags</b>?".into(),
            "What about C++ & <b>tags</b>?".into(),
        ),
        ("日本語は何ですか".into(), "日本語は何ですか".into()),
        (format!("{family} {family}"), format!("{family} {family}")),
    ] {
        let events = reader.create(&question).await;
        assert_eq!(events[4]["thread"]["title"], title, "{question:?}");
        assert_eq!(reader.titles().await[0], title);
    }
    // Without the end of a word to cut at, and with an emoji of several characters.
    for question in [
        "x".repeat(500),
        "🤖".repeat(300),
        family.repeat(50),
        "é ".repeat(200),
        "ab ".repeat(900),
    ] {
        let events = reader.create(&question).await;
        let title = events[4]["thread"]["title"].as_str().unwrap();
        let beginning = title.strip_suffix('…').unwrap();
        assert!(question.starts_with(beginning), "{title}");
        let length = title.chars().count();
        assert!((50..=60).contains(&length), "{length}: {title}");
        let next = question[beginning.len()..].chars().next().unwrap();
        assert!(next == ' ' || !question.contains(' '), "{title}");
        assert_eq!(reader.titles().await[0], title);
    }
}

#[tokio::test]
async fn a_title_that_its_reader_has_given_stays() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let Turn {
        thread, question, ..
    } = reader.begin("First").await;
    let params = json!({ "thread_id": thread, "title": "Mine" });
    assert_eq!(
        reader.json("threads.update", &params).await["title"],
        "Mine"
    );
    let added = reader.add(&thread, "Second").await;
    let retried = reader.retry(&thread, &question).await;
    for event in [added, retried].concat() {
        assert_ne!(event["type"], "thread.updated");
    }
    assert_eq!(reader.titles().await, ["Mine"]);

    // Also while the first question is being answered.
    world.model.next(held());
    let mut stream = create(&reader, "Slow").await;
    let thread = read(&mut stream, 3).await[0]["thread"]["id"].clone();
    let params = json!({ "thread_id": thread, "title": "Mine, too" });
    reader.json("threads.update", &params).await;
    world.model.release();
    read_until(&mut stream, "At last.").await;
    stream.events().await;
    assert_eq!(reader.titles().await, ["Mine, too", "Mine"]);
    let again = reader.get(thread.as_str().unwrap()).await;
    assert_eq!(again["title"], "Mine, too");
}

#[tokio::test]
async fn a_title_has_one_to_two_hundred_characters() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let thread = reader.begin("hi").await.thread;
    for title in [
        "x".to_owned(),
        "🤖".repeat(200),
        "'; drop table messages; --".into(),
    ] {
        let params = json!({ "thread_id": thread, "title": title });
        assert_eq!(reader.json("threads.update", &params).await["title"], title);
        assert_eq!(reader.get(&thread).await["title"], title);
    }
    let long = "é".repeat(201);
    for title in [
        json!(""),
        json!(" \n\u{3000}"),
        json!(long),
        json!("a\u{0}b"),
        json!(null),
        json!(7),
        json!(["x"]),
    ] {
        let params = json!({ "thread_id": thread, "title": title });
        let reply = reader.call("threads.update", &params).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()), "{title}");
    }
    assert_eq!(reader.titles().await, ["'; drop table messages; --"]);
}
