//! Reading a conversation again, and deleting it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::model::{ANSWER, held, talkative};
use crate::harness::{PAGE, Reply, Running, UNKNOWN, World, eventually};

async fn read(chat: &Running, query: &str) -> Reply {
    chat.get(&format!("/chat?{query}")).await
}

async fn forget(chat: &Running, session: &str) -> Reply {
    Reply::of(chat.request(Method::DELETE, &format!("/chat?session_id={session}"))).await
}

#[tokio::test]
async fn a_page_that_reloads_reads_its_conversation_in_order() {
    let world = World::new().await;
    let chat = world.chat().await;
    let first = chat
        .post(&json!({ "message": "What?", "selected_text": "A passage." }))
        .await;
    let session = first.field("session_id");
    let second = chat.ask_in(&session, "And?").await;
    let reply = read(&chat, &format!("session_id={session}")).await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert_eq!(body["session_id"], session);
    let messages = body["messages"].as_array().unwrap();
    let plain: Vec<_> = messages
        .iter()
        .map(|message| {
            let mut message = message.as_object().unwrap().clone();
            uuid::Uuid::parse_str(message.remove("id").unwrap().as_str().unwrap()).unwrap();
            assert!(
                message
                    .remove("created_at")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .ends_with('Z')
            );
            if message["role"] == "assistant" {
                let question = message.remove("reply_to").unwrap();
                assert!(
                    messages
                        .iter()
                        .any(|m| m["id"] == question && m["role"] == "user")
                );
            }
            Value::Object(message)
        })
        .collect();
    assert_eq!(
        plain,
        [
            json!({ "role": "user", "content": "What?", "selected_text": "A passage.", "state": "complete" }),
            json!({ "role": "assistant", "content": ANSWER, "state": "complete" }),
            json!({ "role": "user", "content": "And?", "state": "complete" }),
            json!({ "role": "assistant", "content": ANSWER, "state": "complete" }),
        ]
    );
    assert_eq!(messages[3]["created_at"], second.field("timestamp"));
}

#[tokio::test]
async fn a_long_conversation_is_read_page_by_page_from_its_end() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("0").await.field("session_id");
    let more = format!(
        "insert into messages (id, session_id, role, content)
         select gen_random_uuid(), '{session}', 'user', i from generate_series(1, 118) i"
    );
    world.database.rows(&more).await;
    let mut contents = Vec::new();
    let mut before = String::new();
    loop {
        let page = read(&chat, &format!("session_id={session}{before}"))
            .await
            .json();
        let page = page["messages"].as_array().unwrap().clone();
        assert!(page.len() <= 50);
        let Some(first) = page.first() else { break };
        before = format!("&before={}", first["id"].as_str().unwrap());
        let texts = page
            .iter()
            .map(|message| message["content"].as_str().unwrap().to_owned());
        contents.splice(0..0, texts);
        assert!(contents.len() <= 120, "pages overlap");
    }
    let expected = ["0".to_owned(), ANSWER.to_owned()];
    let expected: Vec<_> = expected
        .into_iter()
        .chain((1..=118).map(|i| i.to_string()))
        .collect();
    assert_eq!(contents, expected);
}

#[tokio::test]
async fn a_message_of_another_conversation_is_no_place_to_read_from() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("one").await.field("session_id");
    let other = chat.ask("two").await.field("session_id");
    let page = read(&chat, &format!("session_id={other}")).await.json();
    let before = page["messages"][0]["id"].as_str().unwrap();
    let page = read(&chat, &format!("session_id={session}&before={before}")).await;
    assert_eq!(page.json()["messages"], json!([]));
}

#[tokio::test]
async fn a_conversation_that_is_not_there_is_not_found() {
    let world = World::new().await;
    let chat = world.chat().await;
    for id in [UNKNOWN, "not-a-uuid", ""] {
        let reply = read(&chat, &format!("session_id={id}")).await;
        assert_eq!(reply.error(), (404, "not_found".into()), "{id}");
    }
    let reply = chat.get("/chat").await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
    let session = chat.ask("hi").await.field("session_id");
    let reply = read(&chat, &format!("session_id={session}&before=x")).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_conversation_that_is_forgotten_is_gone_with_all_that_belongs_to_it() {
    let world = World::new().await;
    let chat = world.chat().await;
    let kept = chat.ask("kept").await.field("session_id");
    let body = json!({ "message": "forgotten" });
    let session = chat
        .post_with(&body, ("idempotency-key", "k1"))
        .await
        .field("session_id");
    let reply = forget(&chat, &session).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    assert_eq!(
        read(&chat, &format!("session_id={session}")).await.status,
        404
    );
    assert_eq!(world.database.counts().await, (1, 2));
    let keys = world
        .database
        .rows("select count(*) from idempotency_keys")
        .await;
    assert_eq!(keys, [["0"]]);
    assert_eq!(read(&chat, &format!("session_id={kept}")).await.status, 200);
    assert_eq!(
        forget(&chat, &session).await.status,
        204,
        "it is gone already"
    );
    assert_ne!(
        chat.ask_in(&session, "new").await.field("session_id"),
        session
    );
    assert_eq!(chat.get("/chat?x=1").await.status, 400);
}

#[tokio::test]
async fn what_is_forgotten_while_it_is_answered_stays_forgotten() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("hi").await.field("session_id");
    world.model.next(held());
    let ask = chat.ask_in(&session, "Still there?");
    let leave = async {
        world.model.was_asked(2).await;
        forget(&chat, &session).await;
        world.model.release();
    };
    let (reply, ()) = tokio::join!(ask, leave);
    assert_eq!(reply.error(), (404, "not_found".into()));
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn a_listed_page_may_read_and_forget_and_a_stranger_may_not() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("hi").await.field("session_id");
    let request = |origin: &'static str| {
        let path = format!("/chat?session_id={session}");
        Reply::of(chat.request(Method::GET, &path).header("origin", origin))
    };
    assert_eq!(
        request(PAGE).await.header("access-control-allow-origin"),
        Some(PAGE)
    );
    assert_eq!(request("https://evil.example").await.status, 403);
}

#[tokio::test]
async fn a_stopped_answer_is_marked() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(talkative());
    let mut stream = chat.stream(&json!({ "message": "hi" })).await;
    let session = stream.part().await.unwrap()["messageMetadata"]["sessionId"]
        .as_str()
        .unwrap()
        .to_owned();
    stream.text("word0 ").await;
    drop(stream);
    let messages = eventually(async || {
        let page = read(&chat, &format!("session_id={session}")).await.json();
        page["messages"].get(1).cloned()
    });
    assert_eq!(messages.await.unwrap()["state"], "cancelled");
}

#[tokio::test]
async fn a_conversation_can_be_named_in_a_header_which_no_address_has() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("What?").await.field("session_id");
    let named = |method, path: &str, id: &str| {
        let request = chat.request(method, path).header("x-session-id", id);
        Reply::of(request)
    };
    let reply = named(Method::GET, "/chat", &session).await;
    assert_eq!(reply.json()["messages"].as_array().unwrap().len(), 2);
    let first = reply.json()["messages"][1]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let earlier = named(Method::GET, &format!("/chat?before={first}"), &session).await;
    assert_eq!(earlier.json()["messages"].as_array().unwrap().len(), 1);
    let same = format!("/chat?session_id={session}");
    assert_eq!(named(Method::GET, &same, &session).await.status, 200);
    let other = named(Method::GET, &same, UNKNOWN).await;
    assert_eq!(other.status, 404, "the header counts");
    let nobody = chat.get("/chat").await;
    assert_eq!(nobody.error(), (400, "invalid_request".into()));
    assert_eq!(nobody.json()["error"]["details"][0]["field"], "session_id");
    assert_eq!(named(Method::GET, "/chat", "nobody's").await.status, 404);

    assert_eq!(named(Method::DELETE, "/chat", &session).await.status, 204);
    assert_eq!(named(Method::GET, "/chat", &session).await.status, 404);
}

#[tokio::test]
async fn who_reads_too_fast_is_told_to_wait_before_the_database_is_asked() {
    let world = World::new().await.with("RATE_LIMIT_READS_PER_MINUTE", 5);
    let chat = world.chat().await;
    let session = chat.ask("What?").await.field("session_id");
    let from = |address: &'static str, method| {
        let path = format!("/chat?session_id={session}");
        let request = chat.request(method, &path);
        Reply::of(request.header("x-vercel-forwarded-for", address))
    };
    for _ in 0..5 {
        assert_eq!(from("192.0.2.1", Method::GET).await.status, 200);
    }
    let reads = || chat.raw_log().matches("\"statement\":\"read\"").count();
    let logged = eventually(async || (reads() == 5).then_some(()));
    logged.await.expect("they are not logged");
    for method in [Method::GET, Method::DELETE] {
        let refused = from("192.0.2.1", method).await;
        assert_eq!(refused.error(), (429, "rate_limited".into()));
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=12).contains(&wait), "{wait}");
    }
    assert_eq!(reads(), 5);
    // Others read, and the same network asks.
    assert_eq!(from("192.0.2.2", Method::GET).await.status, 200);
    let question = chat.request(Method::POST, "/chat");
    let question = question.header("x-vercel-forwarded-for", "192.0.2.1");
    let asked = Reply::of(question.json(&json!({ "message": "And?" }))).await;
    assert_eq!(asked.status, 200);

    let health = world.health().await;
    for _ in 0..5 {
        assert_eq!(health.get("/health?check=ready").await.status, 200);
    }
    assert_eq!(health.get("/health?check=ready").await.status, 429);
    assert_eq!(health.get("/health").await.status, 200, "a monitor's");
}
