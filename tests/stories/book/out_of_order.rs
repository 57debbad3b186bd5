//! The book out of order: turns go on, by words where there are words, and the log says what it was.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::embedding::{Mode, vector};
use crate::harness::shelf::SECTIONS;
use crate::harness::{Fault, Proxy, Running, World};

/// What a turn may take here besides what it waits for.
const BUSY: Duration = Duration::from_millis(1_500);

const SEARCH: Duration = Duration::from_secs(1);
const EMBEDDING: Duration = Duration::from_millis(600);

/// Asks, and measures: the prompt's last message, and how long the answer took.
async fn ask(world: &World, chat: &Running, most: Duration) -> String {
    let started = Instant::now();
    let reply = chat.ask("Which robot?").await;
    let took = started.elapsed();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(took < most + BUSY, "{took:?}");
    eprintln!("{took:?}");
    world.model.last_prompt()
}

/// A book whose sections have vectors, by the rule of the harness.
async fn with_vectors() -> World {
    let world = World::new().await.with_sections(&SECTIONS).await;
    let vectors: Vec<_> = SECTIONS
        .iter()
        .map(|(_, _, text)| {
            let numbers: Vec<_> = vector(text).iter().map(f32::to_string).collect();
            let numbers = numbers.join(",");
            format!(
                "(sha256(convert_to('{text}', 'utf8')), 'text-embedding-3-small', '[{numbers}]')"
            )
        })
        .collect();
    let sql = format!(
        "insert into book_vectors (hash, model, vector) values {}",
        vectors.join(", ")
    );
    world.database.rows(&sql).await;
    world.with("EMBEDDING_MODEL", "text-embedding-3-small")
}

/// A function that knows that there are vectors.
async fn knowing(world: &World) -> Running {
    let chat = world.chat().await;
    let knows = crate::harness::eventually(async || {
        chat.raw_log()
            .contains("\"statement\":\"find vectors of model\"")
            .then_some(())
    });
    knows
        .await
        .expect("it looks while it waits for its first request");
    chat
}

#[tokio::test]
async fn a_question_is_embedded_when_its_turn_may_run_and_that_is_paid_for() {
    let world = with_vectors().await;
    let world = world
        .with("PRICE_EMBEDDING_USD_PER_MILLION", 100)
        .with("RATE_LIMIT_CONVERSATION_PER_MINUTE", 2);
    let chat = knowing(&world).await;
    // None of the words of "push back" and of its section is shared but by vectors here.
    let first = chat.ask("push back").await;
    let session = first.field("session_id");
    assert_eq!(world.model.embedded(), ["push back"]);
    assert!(world.model.asked()[0].messages()[1].contains("Ankles push back"));
    // What the provider counts: ten tokens a text, 42 and 7 of the answer.
    let spent = "select sum(nanos) from spending where shard >= 0";
    let cost = 10 * 100_000 + 42 * 750 + 7 * 4_500;
    assert_eq!(world.database.rows(spent).await, [[cost.to_string()]]);
    chat.ask_in(&session, "And why?").await;
    assert_eq!(world.model.embedded()[1], "push back\n\nAnd why?");
    let refused = chat.ask_in(&session, "Again?").await;
    assert_eq!(refused.status, 429);
    assert_eq!(
        world.model.embedded().len(),
        2,
        "nothing is embedded for a question that is refused"
    );
}

#[tokio::test]
async fn an_embedding_that_fails_or_is_late_leaves_it_to_the_words() {
    let world = with_vectors().await;
    let chat = knowing(&world).await;
    for (mode, most) in [
        (Mode::Fails, Duration::ZERO),
        (Mode::Silent, EMBEDDING),
        (Mode::Short, Duration::ZERO),
    ] {
        world.model.embed(mode);
        let prompt = ask(&world, &chat, most).await;
        assert!(prompt.contains("A robot tips over"), "{mode:?}: {prompt}");
        assert_eq!(chat.logged("search").await["outcome"], "ok");
    }
    let log = chat.raw_log();
    assert!(log.contains("the embedding is late"), "{log}");
    assert!(
        log.contains("\"message\":\"embedding\"") && log.contains("\"outcome\":\"failed\""),
        "{log}"
    );
}

#[tokio::test]
async fn without_the_extension_the_words_answer() {
    let world = with_vectors().await;
    let chat = knowing(&world).await;
    world
        .database
        .rows("drop extension vector cascade; drop table if exists book_vectors")
        .await;
    for _ in 0..2 {
        let prompt = ask(&world, &chat, Duration::ZERO).await;
        assert!(prompt.contains("A robot tips over"), "{prompt}");
    }
    // An instance that begins now asks for no embedding at all.
    let embedded = world.model.embedded().len();
    let chat = world.chat().await;
    let prompt = ask(&world, &chat, Duration::ZERO).await;
    assert!(prompt.contains("A robot tips over"), "{prompt}");
    assert_eq!(world.model.embedded().len(), embedded);
}

#[tokio::test]
async fn a_search_that_takes_too_long_holds_up_nobody_else_and_its_turn_goes_on() {
    let world = World::new().await.with_sections(&SECTIONS).await;
    let chat = world.chat().await;
    let lock = world.database.connect().await;
    lock.batch_execute("begin; lock table book_chunks in access exclusive mode")
        .await
        .unwrap();
    let slow: Vec<_> = (0..6)
        .map(|_| {
            let request = chat.request(reqwest::Method::POST, "/chat");
            tokio::spawn(request.json(&json!({ "message": "Which robot?" })).send())
        })
        .collect();
    // Meanwhile others are answered.
    let started = Instant::now();
    for _ in 0..10 {
        let passage = json!({ "message": "Which?", "selected_text": "A robot." });
        assert_eq!(chat.post(&passage).await.status, 200);
    }
    let others = started.elapsed() / 10;
    assert!(others < SEARCH / 2, "{others:?}");
    for slow in slow {
        assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    }
    let took = started.elapsed();
    assert!(took < 2 * SEARCH + BUSY, "{took:?}");
    let line = chat.logged("search").await;
    assert_eq!(line["outcome"], "it took too long");
    lock.batch_execute("rollback").await.unwrap();
    let prompt = ask(&world, &chat, Duration::ZERO).await;
    assert!(prompt.contains("A robot tips over"), "{prompt}");
}

#[tokio::test]
async fn without_an_index_turns_are_as_they_were() {
    let world = World::new()
        .await
        .with("BOOK_URL", crate::harness::shelf::BOOK);
    let chat = world.chat().await;
    let prompt = ask(&world, &chat, Duration::ZERO).await;
    assert_eq!(prompt, "user: Which robot?");
}

/// In one flight with the statement that begins the turn: a question that is searched for reaches the
/// model no later than one about a passage, for which nothing is searched.
#[tokio::test]
async fn a_search_by_words_adds_no_round_trip() {
    let proxy = Proxy::start().await;
    let world = World::behind(proxy.port)
        .await
        .with_sections(&SECTIONS)
        .await;
    let chat = world.chat().await;
    ask(&world, &chat, Duration::ZERO).await;
    proxy.fault(Fault::Delay(Duration::from_millis(300)));
    // The shortest of three, for the machine may be busy with something else.
    let mut took = [Duration::MAX; 2];
    for _ in 0..3 {
        for (took, passage) in took.iter_mut().zip([Some("A robot."), None]) {
            let body = json!({ "message": "Which robot?", "selected_text": passage });
            let started = Instant::now();
            let asked = world.model.asked().len();
            let request = chat.request(reqwest::Method::POST, "/chat").json(&body);
            let answer = tokio::spawn(request.send());
            world.model.was_asked(asked + 1).await;
            *took = started.elapsed().min(*took);
            assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        }
    }
    assert!(took[0] >= Duration::from_millis(300), "{took:?}");
    assert!(
        took[1] < took[0].mul_f64(1.6),
        "another trip would double it: {took:?}"
    );
    let prompt = world.model.last_prompt();
    assert!(prompt.contains("<source"), "{prompt}");
}
