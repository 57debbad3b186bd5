//! Pages of other sites, and the site's own.

use reqwest::Method;
use serde_json::json;

use crate::harness::{PAGE, Reply, Running, World};

async fn ask_from(chat: &Running, origin: &str) -> Reply {
    chat.post_with(&json!({ "message": "hi" }), ("origin", origin))
        .await
}

#[tokio::test]
async fn a_listed_page_may_ask_and_may_read_the_answer_and_the_errors() {
    let world = World::new().await;
    let chat = world.chat().await;
    for origin in [PAGE, "https://book-git-main-team.vercel.app"] {
        let reply = ask_from(&chat, origin).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
        assert_eq!(reply.header("vary"), Some("origin, accept"));
        assert_eq!(
            reply.header("access-control-expose-headers"),
            Some("x-request-id, retry-after, x-reader-token")
        );
        let reply = chat.post_with(&json!({}), ("origin", origin)).await;
        assert_eq!(reply.status, 400);
        assert_eq!(reply.header("access-control-allow-origin"), Some(origin));
    }
}

#[tokio::test]
async fn a_page_that_is_not_listed_is_refused_before_anything_is_touched() {
    let world = World::new().await;
    let chat = world.chat().await;
    for origin in [
        "https://evil.example",
        "null",
        "http://book.example",
        "https://team.vercel.app",
    ] {
        let reply = ask_from(&chat, origin).await;
        assert_eq!(
            reply.error(),
            (403, "origin_not_allowed".into()),
            "{origin}"
        );
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(world.model.asked().len(), 0);
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn the_sites_own_page_may_ask_without_being_listed() {
    let world = World::new().await;
    let chat = world.chat().await;
    let request = chat
        .request(Method::POST, "/chat")
        .json(&json!({ "message": "hi" }))
        .header("origin", "https://site.example")
        .header("x-forwarded-host", "site.example")
        .header("x-forwarded-proto", "https");
    assert_eq!(Reply::of(request).await.status, 200);
    let own = chat.url.clone();
    assert_eq!(ask_from(&chat, &own).await.status, 200);
}

#[tokio::test]
async fn a_preflight_tells_a_listed_page_what_it_may_send_and_others_nothing() {
    let world = World::new().await;
    let chat = world.chat().await;
    let preflight = |origin: &'static str| {
        let request = chat
            .request(Method::OPTIONS, "/chat")
            .header("origin", origin);
        Reply::of(request.header("access-control-request-method", "POST"))
    };
    let reply = preflight(PAGE).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some(PAGE));
    assert_eq!(
        reply.header("access-control-allow-methods"),
        Some("GET, POST, DELETE, OPTIONS")
    );
    assert_eq!(
        reply.header("access-control-allow-headers"),
        Some(
            "content-type, idempotency-key, authorization, x-session-id, x-when-left, x-page, \
             accept-language, chatkit-frame-instance-id, chatkit-device-id"
        )
    );
    let reply = preflight("https://evil.example").await;
    assert_eq!(reply.error(), (403, "origin_not_allowed".into()));
    let shared = reply
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control"));
    assert_eq!(shared.count(), 0, "{reply:?}");
}
