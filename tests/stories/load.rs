//! Many readers at once, and an instance that is told to stop.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;

use crate::harness::model::held;
use crate::harness::{Reply, World, eventually, signal};

#[tokio::test]
async fn two_hundred_slow_turns_share_a_pool_of_two() {
    let world = World::new().await.with("DATABASE_POOL_SIZE", 2);
    world.model.always(held());
    let chat = world.chat().await;
    let turns = (0..200).map(|i| {
        let question = format!("question {i}");
        let request = chat.request(Method::POST, "/chat");
        tokio::spawn(Reply::of(request.json(&json!({ "message": question }))))
    });
    let turns: Vec<_> = turns.collect();
    // All of them wait for the model at the same time, and none for a connection.
    world.model.was_asked(200).await;
    let released = Instant::now();
    for _ in 0..200 {
        world.model.release();
    }
    for turn in turns {
        assert_eq!(turn.await.unwrap().field("response"), "At last.");
    }
    assert!(
        released.elapsed() < Duration::from_secs(10),
        "{:?}",
        released.elapsed()
    );
    assert_eq!(world.database.counts().await, (200, 400));
    let most = format!(
        "select count(*) <= 3 from pg_stat_activity where datname = '{}' and backend_type = 'client backend'",
        world.database.name
    );
    // Two of the pool, and this one; an earlier connection may take a while to end.
    let few = eventually(async || (world.database.rows(&most).await == [["t"]]).then_some(()));
    few.await.expect("more connections than the pool may have");
}

#[tokio::test]
async fn a_turn_that_waits_does_not_keep_what_was_sent_beside_its_question() {
    let world = World::new().await;
    world.model.always(held());
    let chat = world.chat().await;
    let kilobytes = || {
        let status = format!("/proc/{}/status", chat.function.pid());
        let status = std::fs::read_to_string(status).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.unwrap().trim().strip_suffix(" kB").unwrap();
        resident.parse::<usize>().unwrap()
    };
    let before = kilobytes();
    let body = json!({ "message": "hi", "padding": "x".repeat(1_000_000) }).to_string();
    for count in 1..=40 {
        let request = chat.request(Method::POST, "/chat").body(body.clone());
        let request = request.header("content-type", "application/json");
        tokio::spawn(Reply::of(request));
        world.model.was_asked(count).await;
    }
    let grown = kilobytes().saturating_sub(before);
    // The HTTP server's own buffer of a connection may hold 400 kB.
    assert!(grown < 32_000, "{grown} kB");
}

#[tokio::test]
async fn a_crowd_may_connect_while_the_instance_is_busy() {
    let world = World::new().await;
    let chat = world.chat().await;
    chat.ask("hi").await;
    // It accepts nobody: connections only get as far as the listener's queue.
    signal(chat.function.pid(), "STOP");
    let address = chat.url.strip_prefix("http://").unwrap();
    let crowd = join_all((0..500).map(|_| TcpStream::connect(address)));
    // Clients that a full queue turns away try again after a second.
    let crowd = tokio::time::timeout(Duration::from_millis(900), crowd).await;
    signal(chat.function.pid(), "CONT");
    assert!(crowd.is_ok_and(|all| all.iter().all(Result::is_ok)));
}

#[tokio::test]
async fn an_instance_that_is_told_to_stop_finishes_the_turns_that_have_begun() {
    let world = World::new().await;
    world.model.always(held());
    let chat = world.chat().await;
    let request = chat.request(Method::POST, "/chat");
    let turn = tokio::spawn(Reply::of(request.json(&json!({ "message": "hi" }))));
    world.model.was_asked(1).await;
    let stopping = tokio::spawn(chat.function.terminate(Duration::from_secs(10)));
    world.model.release();
    assert!(stopping.await.unwrap().unwrap().success());
    assert_eq!(
        world.database.messages().await,
        ["user: hi", "assistant: At last."]
    );
    assert_eq!(turn.await.unwrap().field("response"), "At last.");
}
