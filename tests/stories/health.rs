//! The health of a deployment.

use reqwest::Method;
use serde_json::json;

use crate::harness::{Database, Reply, World};

#[tokio::test]
async fn a_function_that_runs_is_healthy_whatever_its_settings_are() {
    let mut world = World::new().await;
    for name in ["OPENAI_API_KEY", "DATABASE_URL", "CORS_ORIGINS"] {
        world.set(name, "");
    }
    let health = world.health().await;
    for path in ["/health", "/api/health"] {
        let reply = health.get(path).await;
        assert_eq!(
            (reply.status, reply.text.as_str()),
            (200, r#"{"status":"healthy"}"#)
        );
        assert!(reply.header("x-request-id").is_some());
    }
    let reply = health.get("/health?check=ready").await;
    assert_eq!(reply.status, 503);
    assert_eq!(
        reply.json(),
        json!({ "status": "unhealthy", "checks": { "settings": "failed", "database": "unknown" } })
    );
}

#[tokio::test]
async fn it_is_ready_when_its_settings_and_its_tables_are_there() {
    let mut world = World::new().await.with("BOOK_TITLE", "Robots");
    let reply = world.health().await.get("/health?check=ready").await;
    assert_eq!(reply.status, 200);
    let ready = json!({
        "status": "healthy",
        "checks": { "settings": "ok", "database": "ok" },
        "book": { "title": "Robots" },
    });
    assert_eq!(reply.json(), ready);
    let empty = Database::empty().await;
    world.set("DATABASE_URL", &empty.url);
    let reply = world.health().await.get("/health?check=ready").await;
    assert_eq!(reply.status, 503);
    let database = reply.json()["checks"]["database"].clone();
    assert!(
        database.as_str().unwrap().contains("are not installed"),
        "{database}"
    );
    world.set(
        "DATABASE_URL",
        "postgresql://postgres@127.0.0.1:1/none?sslmode=disable",
    );
    let reply = world.health().await.get("/health?check=ready").await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["checks"]["database"], "failed");
}

#[tokio::test]
async fn it_knows_get_and_head_alone() {
    let world = World::new().await;
    let health = world.health().await;
    let reply = Reply::of(health.request(Method::HEAD, "/health")).await;
    assert_eq!((reply.status, reply.text.as_str()), (200, ""));
    let reply = Reply::of(health.request(Method::POST, "/health")).await;
    assert_eq!(reply.error(), (405, "method_not_allowed".into()));
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
}

#[tokio::test]
async fn a_page_that_introduces_the_chat_is_told_the_book() {
    let world = World::new().await.with("BOOK_TITLE", "Robots");
    let world = world.with("BOOK_URL", "https://book.example/docs");
    let health = world.health().await;
    let book = health.get("/health?check=ready").await.json()["book"].clone();
    let expected = json!({ "title": "Robots", "url": "https://book.example/docs/" });
    assert_eq!(book, expected);
    assert_eq!(
        health.get("/health").await.json(),
        json!({ "status": "healthy" })
    );
}
