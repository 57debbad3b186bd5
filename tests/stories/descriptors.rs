//! An instance that has few descriptors: more readers at once than it can serve, with and without
//! anything to say.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::harness::model::held;
use crate::harness::{Reply, Running, UNKNOWN, World, eventually};

fn asking(chat: &Running, count: usize) -> Vec<JoinHandle<Reply>> {
    let asking = (0..count).map(|i| {
        let question = format!("question {i}");
        let request = chat.request(Method::POST, "/chat");
        tokio::spawn(Reply::of(request.json(&json!({ "message": question }))))
    });
    asking.collect()
}

async fn serves_what_it_can(world: &World, limit: u32) {
    let chat = world.chat_after(&format!("ulimit -n {limit}")).await;
    let turns = asking(&chat, 60);
    let gets = (0..10).map(|_| {
        let request = chat.request(Method::GET, &format!("/chat?session_id={UNKNOWN}"));
        tokio::spawn(Reply::of(request))
    });
    let gets: Vec<_> = gets.collect();

    // Those that are refused do not wait for those that are served.
    let all = eventually(async || {
        let refused = turns.iter().filter(|turn| turn.is_finished()).count();
        (refused + world.model.asked().len() == 60).then_some(refused)
    });
    let refused = all.await.expect("some neither wait nor are refused");
    assert!((1..60).contains(&refused), "{refused}");
    for get in gets {
        let reply = get.await.unwrap();
        assert!([404, 503].contains(&reply.status), "{reply:?}");
    }
    for _ in 0..60 {
        world.model.release();
    }
    let mut answered = 0;
    for turn in turns {
        let reply = turn.await.unwrap();
        if reply.status == 503 {
            assert_eq!(reply.error(), (503, "overloaded".into()));
            assert_eq!(reply.header("connection"), Some("close"));
        } else {
            assert_eq!(reply.field("response"), "At last.");
            answered += 1;
        }
    }
    assert_eq!(answered + refused, 60);
    assert_eq!(world.database.counts().await, (answered, 2 * answered));
    assert_eq!(
        chat.get("/chat").await.error(),
        (400, "invalid_request".into())
    );
}

#[tokio::test]
async fn more_turns_than_descriptors_are_refused_and_the_others_are_answered() {
    let world = World::new().await.with("MAX_TURNS_IN_FLIGHT", 0);
    world.model.always(held());
    serves_what_it_can(&world, 64).await;
}

#[tokio::test]
async fn a_moderated_turn_takes_a_place_more() {
    let world = World::new().await.with("MODERATION", "input");
    world.model.always(held());
    serves_what_it_can(&world, 64).await;
}

#[tokio::test]
async fn whoever_finds_the_instance_full_is_told_so_whatever_they_ask() {
    let world = World::new().await;
    let chat = world.chat_after("ulimit -n 64").await;
    let address = chat.url.strip_prefix("http://").unwrap();
    let mut silent = Vec::new();
    let refused = loop {
        assert!(silent.len() < 64);
        silent.push(TcpStream::connect(address).await.unwrap());
        let read = chat.request(Method::GET, "/chat");
        let read = Reply::of(read.header("connection", "close"));
        let reply = timeout(Duration::from_secs(10), read).await;
        let reply = reply.expect("nobody is told, and nobody else is accepted");
        if reply.status != 400 {
            break reply;
        }
    };
    assert_eq!(refused.error(), (503, "overloaded".into()));
    drop(silent);
    let room = eventually(async || (chat.get("/chat").await.status == 400).then_some(()));
    room.await.expect("it stays full");
}

#[tokio::test]
async fn connections_that_say_nothing_keep_readers_out_only_while_they_last() {
    let world = World::new().await;
    world.model.next(held());
    let chat = world.chat_after("ulimit -n 64").await;
    let mut turns = asking(&chat, 1);
    world.model.was_asked(1).await;

    let address = chat.url.strip_prefix("http://").unwrap();
    let silent = join_all((0..100).map(|_| TcpStream::connect(address))).await;
    let mut late = asking(&chat, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Whoever was there before is still served.
    world.model.release();
    let turn = turns.remove(0).await.unwrap();
    assert_eq!(turn.field("response"), "At last.");
    assert!(!late[0].is_finished());

    let gone = Instant::now();
    drop(silent);
    let late = timeout(Duration::from_secs(10), late.remove(0)).await;
    late.expect("it is never let in").unwrap().field("response");
    assert!(
        gone.elapsed() < Duration::from_secs(5),
        "{:?}",
        gone.elapsed()
    );
}

/// Something that nobody counts may take them: the instance's own limit is lowered here.
#[tokio::test]
async fn an_instance_that_cannot_accept_keeps_its_turns_and_listens_again() {
    let world = World::new().await;
    world.model.next(held());
    let chat = world.chat_after("ulimit -n 64").await;
    let mut turns = asking(&chat, 1);
    world.model.was_asked(1).await;
    limit_descriptors(&chat, 10);
    let address = chat.url.strip_prefix("http://").unwrap();
    let _ = TcpStream::connect(address).await;
    chat.logged("nobody can be accepted").await;
    world.model.release();
    let turn = turns.remove(0).await.unwrap();
    assert_eq!(turn.field("response"), "At last.");

    limit_descriptors(&chat, 64);
    let listens = eventually(async || TcpStream::connect(address).await.ok());
    listens.await.expect("it never listens again");
    chat.ask("hi").await.field("response");
}

fn limit_descriptors(chat: &Running, limit: u64) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let limit = Rlimit {
        current: Some(limit),
        maximum: Some(64),
    };
    prlimit(Pid::from_raw(chat.function.pid()), Resource::Nofile, limit).unwrap();
}
