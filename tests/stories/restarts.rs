//! PostgreSQL is restarted while readers ask.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use local::postgres::Server;
use reqwest::Method;
use serde_json::json;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::sleep;

use crate::harness::database::migrate;
use crate::harness::model::Script;
use crate::harness::{Proxy, Reply, World, signal};

const READERS: usize = 16;

/// Starts the server of a folder; that it is at another port each time is the proxy's business.
async fn start(folder: &Path) -> Server {
    let folder = folder.to_owned();
    let server = spawn_blocking(move || Server::persistent(&folder));
    server.await.unwrap().unwrap()
}

/// How PostgreSQL is shut down.
#[derive(Debug, Clone, Copy)]
enum Shutdown {
    /// It ends its connections in an orderly way.
    Fast,
    /// It dies, and recovers when it starts again.
    Immediate,
}

async fn is_noticed_by_no_reader(shutdown: Shutdown) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = start(folder).await;
    server.create_database("restarted", None).unwrap();
    let url = server.url("restarted");
    spawn_blocking(move || migrate(&url).unwrap())
        .await
        .unwrap();
    let proxy = Proxy::before(server.port()).await;
    let world = World::new().await.with(
        "DATABASE_URL",
        server.url_at(proxy.port, "restarted") + "?sslmode=disable",
    );
    let slow = Script::begin().wait(Duration::from_millis(300));
    let slow = slow.words("At last.").finish("stop").done();
    world.model.always(slow);
    let chat = Arc::new(world.chat().await);
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let (chat, done) = (Arc::clone(&chat), Arc::clone(&done));
        readers.spawn(async move {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                asked += 1;
                let body = json!({ "message": format!("question {asked} of {reader}") });
                let began = Instant::now();
                loop {
                    let ask = chat.request(Method::POST, "/chat").json(&body);
                    let ask = ask.header("idempotency-key", format!("{reader}-{asked}"));
                    let reply = Reply::of(ask).await;
                    if reply.status == 200 {
                        break;
                    }
                    // A question is not begun where the database stays away for more than three
                    // seconds; its key is not taken for as long as a lease.
                    let known = [(500, "database_error"), (409, "in_progress")];
                    let (status, code) = reply.error();
                    assert!(known.contains(&(status, &*code)), "{shutdown:?} {reply:?}");
                    let waited = began.elapsed();
                    assert!(waited < Duration::from_secs(20), "{shutdown:?} {reply:?}");
                    sleep(Duration::from_millis(100)).await;
                }
            }
            asked
        });
    }
    sleep(Duration::from_millis(700)).await;
    if let Shutdown::Immediate = shutdown {
        let id = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
        signal(id.lines().next().unwrap().parse().unwrap(), "QUIT");
    }
    spawn_blocking(move || server.stop()).await.unwrap();
    let server = start(folder).await;
    proxy.lead_to(server.port());
    sleep(Duration::from_millis(1_500)).await;
    done.store(true, Ordering::SeqCst);
    let asked: usize = readers.join_all().await.into_iter().sum();
    let stored = "select count(*), count(distinct reply_to) from messages where role = 'assistant'";
    let stored = server.sql("restarted", stored).unwrap();
    assert_eq!(stored, format!("{asked}|{asked}"));
    let open = "select count(*) from idempotency_keys k
        where not exists (select from messages m where m.id = k.answer_id)";
    assert_eq!(server.sql("restarted", open).unwrap(), "0");
    // Whatever was paid for was stored: nothing was asked of the model twice.
    assert_eq!(world.model.asked().len(), asked);
    drop(chat);
    spawn_blocking(move || server.stop()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_restarts_loses_no_answer_and_locks_no_key() {
    is_noticed_by_no_reader(Shutdown::Fast).await;
}

#[tokio::test]
async fn a_database_that_crashes_loses_no_answer_and_locks_no_key() {
    is_noticed_by_no_reader(Shutdown::Immediate).await;
}
