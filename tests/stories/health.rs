//! The health of a deployment.

use reqwest::Method;
use serde_json::json;

use crate::harness::model::Script;
use crate::harness::{Database, Reply, World};

#[tokio::test]
async fn a_function_that_runs_is_healthy_whatever_its_settings_are() {
    let mut world = World::new().await;
    for name in ["OPENAI_API_KEY", "DATABASE_URL", "CORS_ORIGINS"] {
        world.set(name, "");
    }
    world.set("DATABASE_POOL_SIZE", "secret");
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
    let checks = reply.json()["checks"].clone();
    assert_eq!(checks["database"], "unknown");
    let settings = checks["settings"].as_str().unwrap();
    for name in [
        "OPENAI_API_KEY is missing",
        "DATABASE_URL is",
        "DATABASE_POOL_SIZE must",
    ] {
        assert!(settings.contains(name), "{settings}");
    }
    assert!(!settings.contains("secret"), "{settings}");
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
    let database = reply.json()["checks"]["database"].clone();
    let database = database.as_str().unwrap();
    assert!(database.contains("DATABASE_URL"), "{database}");
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
    let report = health.get("/health?check=ready").await;
    assert_eq!(report.status, 200, "{}", report.text);
    let report = report.json();
    let expected = json!({ "title": "Robots", "url": "https://book.example/docs/" });
    assert_eq!(report["book"], expected);
    let index = report["checks"]["book"].as_str().unwrap();
    assert!(index.contains("book -- index"), "{index}");
    assert_eq!(
        health.get("/health").await.json(),
        json!({ "status": "healthy" })
    );
}

#[tokio::test]
async fn an_owner_is_told_what_the_index_of_the_book_holds() {
    let (world, _book) = World::new().await.with_book().await;
    let report = world.health().await.get("/health?check=ready").await.json();
    assert_eq!(report["checks"]["book"], "ok");
    assert!(report["book"]["pages"].as_u64().unwrap() > 3, "{report}");
    let read_at = report["book"]["read_at"].as_str().unwrap();
    assert!(read_at.ends_with('Z'), "{read_at}");
}

#[tokio::test]
async fn the_model_is_looked_at_where_that_is_asked_for_and_once_a_minute() {
    let world = World::new().await;
    let health = world.health().await;
    let path = "/health?check=ready&model=1";
    world.model.next(Script::refused());
    for _ in 0..3 {
        let report = health.get(path).await;
        assert_eq!(report.status, 503);
        let model = report.json()["checks"]["model"].clone();
        assert_eq!(model, "OPENAI_API_KEY: the provider refuses it");
    }
    let asked = world.model.asked_once();
    assert!(asked.head.starts_with("GET /v1/models/"), "{}", asked.head);
    let unasked = health.get("/health?check=ready").await.json();
    assert_eq!(unasked["checks"].get("model"), None);
    let kind = "content-type: application/json\r\n";
    for (script, verdict, status) in [
        (Script::status(200, kind, "{}"), "ok", 200),
        (
            Script::refusal(404, "", "model_not_found"),
            "OPENAI_MODEL",
            503,
        ),
        (Script::status(404, kind, "{}"), "unknown", 200),
        (Script::status(500, kind, "{}"), "failed", 503),
    ] {
        world.model.next(script);
        let report = world.health().await.get(path).await;
        let model = report.json()["checks"]["model"].clone();
        assert!(model.as_str().unwrap().starts_with(verdict), "{model}");
        assert_eq!(report.status, status, "{verdict}");
    }
}

#[tokio::test]
async fn an_owner_is_told_whether_the_pages_of_a_site_may_call() {
    let world = World::new().await;
    let world = world.with("CORS_ORIGINS", "https://book.example");
    let health = world.health().await;
    for (origin, told) in [
        ("https://book.example", "ok"),
        ("https://other.example", "it is not in CORS_ORIGINS"),
        ("nonsense", "it is not in CORS_ORIGINS"),
    ] {
        let path = format!("/health?check=ready&origin={origin}");
        let report = health.get(&path).await.json();
        assert_eq!(report["checks"]["origin"], told);
        assert_eq!(report["status"], "healthy");
    }
}
