//! The model's marks, as each client is shown what they cite.

use serde_json::{Value, json};

use crate::harness::World;
use crate::harness::model::Script;
use crate::harness::shelf::SECTIONS;
use crate::harness::stream::Stream;

const QUESTION: &str = "Which robot?";

/// What the model writes, what a reader sees (with `<n>` for the link of the nth source), what
/// ChatKit's text is, and where in it which source of the prompt is cited.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(usize, usize)],
);

const CASES: [Case; 13] = [
    ("It tips. [1]", "It tips. <1>", "It tips.", &[(8, 1)]),
    ("It tips [9].", "It tips.", "It tips.", &[]),
    (
        "It tips [2,3].",
        "It tips <1> <2>.",
        "It tips.",
        &[(7, 2), (7, 3)],
    ),
    (
        "Es kippt über 🤖. 【2】 So.",
        "Es kippt über 🤖. <1> So.",
        "Es kippt über 🤖. So.",
        &[(16, 2)],
    ),
    (
        "It tips.[[4]] It walks. [2] It tips. [4]",
        "It tips. <1> It walks. <2> It tips. <1>",
        "It tips. It walks. It tips.",
        &[(8, 4), (18, 2), (27, 4)],
    ),
    ("It tips. [1", "It tips.", "It tips.", &[]),
    (
        "See [link](x) here.",
        "See [link](x) here.",
        "See [link](x) here.",
        &[],
    ),
    (
        "Write `a[1]` so. [1]",
        "Write `a[1]` so. <1>",
        "Write `a[1]` so.",
        &[(16, 1)],
    ),
    (
        "```c\na[1] = 2;\n```\nSo. [1]",
        "```c\na[1] = 2;\n```\nSo. <1>",
        "```c\na[1] = 2;\n```\nSo.",
        &[(22, 1)],
    ),
    (
        "[1](https://evil.example/) leads on.",
        "<1> leads on.",
        " leads on.",
        &[(0, 1)],
    ),
    (
        "Between [0, 1] it tips.",
        "Between [0, 1] it tips.",
        "Between [0, 1] it tips.",
        &[],
    ),
    (
        "[none] The book does not say.",
        "The book does not say.",
        "The book does not say.",
        &[],
    ),
    ("No mark at all.", "No mark at all.", "No mark at all.", &[]),
];

/// The address of each section of the prompt, by its number there.
fn shown(prompt: &str) -> Vec<String> {
    let open = |line: &&str| line.contains("<source mark=");
    let headings = prompt.lines().filter(open).map(|line| {
        let section = SECTIONS.iter().find(|(page, anchor, _)| {
            let title = format!("title=\"On {page}\"");
            let headings = format!("section=\"The {anchor}\"");
            line.contains(&title) && line.contains(&headings) != anchor.is_empty()
        });
        let (page, anchor, _) = section.unwrap();
        let fragment = if anchor.is_empty() { "" } else { "#" };
        format!("https://book.example/docs/{page}{fragment}{anchor}")
    });
    headings.collect()
}

/// The text with a Markdown link for each `<n>`.
fn linked(text: &str, cited: &[String]) -> String {
    let links = cited.iter().enumerate();
    links.fold(text.to_owned(), |text, (i, url)| {
        text.replace(&format!("<{}>", i + 1), &format!("[{}]({url})", i + 1))
    })
}

/// The urls of the sources, in the order of their ids.
fn urls(sources: &Value) -> Vec<String> {
    let sources = sources.as_array().unwrap().iter().enumerate();
    let urls = sources.map(|(i, source)| {
        assert_eq!(source["id"], i + 1);
        assert!(source["title"].as_str().unwrap().starts_with("On "));
        source["url"].as_str().unwrap().to_owned()
    });
    urls.collect()
}

async fn world() -> World {
    World::new().await.with_sections(&SECTIONS).await
}

#[tokio::test]
async fn every_client_is_shown_the_same_citations_of_an_answer_that_comes_byte_by_byte() {
    let world = world().await;
    let (chat, chatkit) = (world.chat().await, world.chatkit().await);
    for (answer, seen, plain, marks) in CASES {
        world.model.always(Script::answer(answer).byte_by_byte());
        let reply = chat.post(&json!({ "message": QUESTION })).await;
        assert_eq!(reply.status, 200, "{answer} {reply:?}");
        let prompt = world.model.last_prompt();
        let shown = shown(&prompt);
        assert_eq!(shown.len(), 4, "{prompt}");
        let mut cited: Vec<String> = Vec::new();
        for (_, number) in marks {
            let url = &shown[number - 1];
            if !cited.contains(url) {
                cited.push(url.clone());
            }
        }
        let expected = linked(seen, &cited);

        // JSON
        let body = reply.json();
        assert_eq!(body["response"], expected, "{answer}");
        assert_eq!(urls(&body["sources"]), cited, "{answer}");

        // Read again
        let session = reply.field("session_id");
        let page = chat
            .get(&format!("/chat?session_id={session}"))
            .await
            .json();
        assert_eq!(page["messages"][1]["content"], expected, "{answer}");
        assert_eq!(page["messages"][1]["sources"], body["sources"]);
        assert!(page["messages"][0].get("sources").is_none());

        // Stored
        let stored = format!(
            "select content, citations->>'uncovered' from messages
             where session_id = '{session}' and role = 'assistant'"
        );
        let uncovered = answer.starts_with("[none]").to_string();
        assert_eq!(world.database.rows(&stored).await, [[plain, &uncovered]]);

        // The AI SDK's stream
        let parts = chat
            .stream(&json!({ "message": QUESTION }))
            .await
            .rest()
            .await;
        let text: String = parts
            .iter()
            .filter_map(|part| part["delta"].as_str())
            .collect();
        assert_eq!(text, expected, "{answer}");
        let sources = parts.iter().filter(|part| part["type"] == "source-url");
        let sources: Vec<_> = sources.map(|part| part["url"].as_str().unwrap()).collect();
        assert_eq!(sources, cited, "{answer}");

        // ChatKit
        let reader = chatkit.reader();
        let events = reader.create(QUESTION).await;
        let done = events.last().unwrap();
        assert_eq!(done["type"], "thread.item.done", "{done}");
        let content = &done["item"]["content"][0];
        assert_eq!(content["text"], plain, "{answer}");
        let annotations: Vec<_> = content["annotations"].as_array().unwrap().iter().collect();
        let places: Vec<_> = annotations
            .iter()
            .map(|it| (&it["index"], &it["source"]["url"]))
            .collect();
        let expected: Vec<_> = marks
            .iter()
            .map(|(at, number)| (json!(at), json!(shown[number - 1])))
            .collect();
        assert_eq!(
            places,
            expected
                .iter()
                .map(|(at, url)| (at, url))
                .collect::<Vec<_>>(),
            "{answer}"
        );
        let added = events.iter().filter(|event| {
            event["update"]["type"] == "assistant_message.content_part.annotation_added"
        });
        let added: Vec<_> = added.map(|event| &event["update"]["annotation"]).collect();
        assert_eq!(added, annotations, "{answer}");
        let thread = done["item"]["thread_id"].as_str().unwrap();
        let again = reader.get(thread).await;
        assert_eq!(
            again["items"]["data"][1]["content"][0], *content,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn nothing_is_held_back_longer_than_the_mark_takes() {
    let world = world().await;
    let chat = world.chat().await;
    let pieces = [
        ("It tips.", "It tips."),
        (" [1]", " [1](https://book.example/docs/"),
        (" It walks [2", " It walks"),
        ("]. So", " [2](https://book.example/docs/"),
    ];
    let script = pieces.iter().fold(Script::begin(), |script, (piece, _)| {
        let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": piece } }] });
        script.chunk(&chunk).hold()
    });
    world.model.next(script.finish("stop").done());
    let mut stream = chat.stream(&json!({ "message": QUESTION })).await;
    let mut text = String::new();
    for (piece, wanted) in pieces {
        // The model waits: what is not here now is held back.
        let seen = text.len();
        while !text[seen..].contains(wanted) {
            text.push_str(&delta(&mut stream).await);
        }
        assert!(text[seen..].starts_with(wanted), "{piece:?}: {text:?}");
        world.model.release();
    }
    assert!(text.contains("It walks [2]("), "{text}");
}

async fn delta(stream: &mut Stream) -> String {
    let part = stream.part().await.unwrap();
    part["delta"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_model_is_shown_the_conversation_without_numbers_and_links() {
    let world = world().await;
    let chat = world.chat().await;
    world
        .model
        .next(Script::answer("It tips. [1] It walks [3]."));
    let session = chat.ask(QUESTION).await.field("session_id");
    chat.ask_in(&session, "And which other robot?").await;
    let history = world.model.asked()[1].messages();
    assert_eq!(
        history[1..3],
        ["user: Which robot?", "assistant: It tips. It walks."]
    );
}

#[tokio::test]
async fn a_replay_and_a_retry_cite_as_an_answer_does() {
    let world = world().await;
    let chat = world.chat().await;
    world.model.next(Script::answer("It tips. [2] So [2,1]."));
    let body = json!({ "message": QUESTION });
    let first = chat.post_with(&body, ("idempotency-key", "k1")).await;
    let on_a_page = json!({ "message": QUESTION, "page": "/docs/walking" });
    let again = chat.post_with(&on_a_page, ("idempotency-key", "k1")).await;
    assert_eq!(world.model.asked().len(), 1);
    assert_eq!(
        again.text, first.text,
        "and the page is no part of what the key stands for"
    );

    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let turn = reader.begin(QUESTION).await;
    world.model.next(Script::answer("It walks. [3]"));
    reader.retry(&turn.thread, &turn.question).await;
    let thread = reader.get(&turn.thread).await;
    let content = &thread["items"]["data"][1]["content"][0];
    assert_eq!(content["text"], "It walks.");
    assert_eq!(content["annotations"][0]["index"], 9);
}
