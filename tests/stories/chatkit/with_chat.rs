//! The route `/chat` on the same conversations: one with an owner is open only to its owner there,
//! too, and one without an owner stays as it was.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::UNKNOWN;
use crate::harness::chatkit::{Reader, Turn, input};
use crate::harness::model::Script;
use crate::harness::{Reply, Running, World};

/// A request of this reader to `/chat`, with the token in a header or as a cookie.
fn known(request: RequestBuilder, reader: &Reader<'_>, cookie: bool) -> RequestBuilder {
    match &reader.token {
        Some(token) if cookie => request.header("cookie", format!("__Host-reader={token}")),
        Some(token) => request.bearer_auth(token),
        None => request,
    }
}

fn ask(chat: &Running, session: &str, message: &str) -> RequestBuilder {
    let body = json!({ "message": message, "session_id": session });
    chat.request(Method::POST, "/chat").json(&body)
}

fn at(chat: &Running, method: Method, session: &str) -> RequestBuilder {
    chat.request(method, &format!("/chat?session_id={session}"))
}

#[tokio::test]
async fn a_thread_is_unknown_there_to_everybody_but_its_owner() {
    let world = World::new().await;
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let owner = chatkit.reader();
    world.model.next(Script::answer("Classified."));
    let thread = owner.begin("A secret").await.thread;
    for (other, cookie) in [
        (chatkit.stranger(), false),
        (chatkit.reader(), false),
        (chatkit.reader(), true),
        (chatkit.known_as("wrong"), false),
    ] {
        let reply = Reply::of(known(ask(&chat, &thread, "hi"), &other, cookie)).await;
        assert_ne!(reply.field("session_id"), thread);
        let asked = world.model.asked().last().unwrap().messages();
        assert_eq!(asked, ["system", "user: hi"], "not a word of the secret");
        let read = Reply::of(known(at(&chat, Method::GET, &thread), &other, cookie)).await;
        let unknown = Reply::of(known(at(&chat, Method::GET, UNKNOWN), &other, cookie)).await;
        assert_eq!(read.error(), (404, "not_found".into()));
        assert_eq!(read.json()["error"], unknown.json()["error"]);
        let forgotten = Reply::of(known(at(&chat, Method::DELETE, &thread), &other, cookie)).await;
        assert_eq!((forgotten.status, forgotten.text.as_str()), (204, ""));
        assert_eq!(
            owner.texts(&thread).await,
            ["user: A secret", "assistant: Classified."]
        );
    }
    let sessions = "select count(*) from chat_sessions where owner is null";
    assert_eq!(
        world.database.rows(sessions).await,
        [["4"]],
        "those that /chat began have none"
    );
}

#[tokio::test]
async fn its_owner_goes_on_with_it_there_reads_it_and_deletes_it() {
    let world = World::new().await;
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let owner = chatkit.reader();
    for cookie in [false, true] {
        let thread = owner.begin("Begun here").await.thread;
        let reply = Reply::of(known(
            ask(&chat, &thread, "Continued there"),
            &owner,
            cookie,
        ))
        .await;
        assert_eq!(reply.field("session_id"), thread);
        let texts = owner.texts(&thread).await;
        assert_eq!(texts[2], "user: Continued there");
        assert_eq!(texts.len(), 4);
        owner.ask(&thread, "And here again").await;
        let read = Reply::of(known(at(&chat, Method::GET, &thread), &owner, cookie)).await;
        assert_eq!(read.status, 200);
        assert_eq!(read.json()["messages"].as_array().unwrap().len(), 6);
        let gone = Reply::of(known(at(&chat, Method::DELETE, &thread), &owner, cookie)).await;
        assert_eq!(gone.status, 204);
        assert!(owner.titles().await.is_empty());
    }
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn what_was_begun_there_is_open_to_anybody_who_knows_its_id_and_is_no_thread() {
    let world = World::new().await;
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let reader = chatkit.reader();
    // Also with a token, which does not matter here.
    for cookie in [false, true] {
        let body = json!({ "message": "hi" });
        let request = chat.request(Method::POST, "/chat").json(&body);
        let reply = Reply::of(known(request, &reader, cookie)).await;
        assert_eq!(reply.header("set-cookie"), None);
        assert_eq!(reply.header("x-reader-token"), None);
        let session = reply.field("session_id");
        for other in [
            chatkit.stranger(),
            chatkit.reader(),
            chatkit.known_as(reader.token()),
        ] {
            let reply = Reply::of(known(ask(&chat, &session, "more"), &other, cookie)).await;
            assert_eq!(reply.field("session_id"), session);
            let read = Reply::of(known(at(&chat, Method::GET, &session), &other, cookie)).await;
            assert_eq!(read.status, 200);
        }
        let page = chat
            .get(&format!("/chat?session_id={session}"))
            .await
            .json();
        let item = page["messages"][0]["id"].as_str().unwrap();
        for (kind, params, status) in [
            ("threads.get_by_id", json!({ "thread_id": session }), 404),
            ("items.list", json!({ "thread_id": session }), 404),
            (
                "threads.update",
                json!({ "thread_id": session, "title": "x" }),
                404,
            ),
            (
                "items.feedback",
                json!({ "thread_id": session, "item_ids": [item], "kind": "positive" }),
                404,
            ),
            (
                "threads.add_user_message",
                json!({ "thread_id": session, "input": input("x") }),
                404,
            ),
            (
                "threads.retry_after_item",
                json!({ "thread_id": session, "item_id": item }),
                404,
            ),
            ("threads.list", json!({ "after": session }), 400),
            ("threads.delete", json!({ "thread_id": session }), 200),
        ] {
            assert_eq!(reader.call(kind, &params).await.status, status, "{kind}");
        }
        assert!(reader.titles().await.is_empty());
        assert_eq!(
            page,
            json!({ "session_id": session, "messages": messages(&chat, &session).await })
        );
        assert_eq!(
            Reply::of(at(&chat, Method::DELETE, &session)).await.status,
            204
        );
    }
    assert_eq!(world.database.counts().await, (0, 0));
}

async fn messages(chat: &Running, session: &str) -> Value {
    chat.get(&format!("/chat?session_id={session}"))
        .await
        .json()["messages"]
        .clone()
}

#[tokio::test]
async fn an_idempotency_key_replays_an_owned_answer_to_its_owner_alone() {
    let world = World::new().await;
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let owner = chatkit.reader();
    let Turn { thread, .. } = owner.begin("Begun here").await;
    let keyed = |reader: &Reader<'_>, key: &str| {
        let request = ask(&chat, &thread, "The same request").header("idempotency-key", key);
        Reply::of(known(request, reader, false))
    };
    let others = [
        chatkit.stranger(),
        chatkit.reader(),
        chatkit.known_as("wrong"),
    ];
    world.model.next(Script::answer("Classified."));
    let first = keyed(&owner, "k1").await;
    assert_eq!(first.field("session_id"), thread);
    assert_eq!(first.field("response"), "Classified.");
    for other in &others {
        let reply = keyed(other, "k1").await;
        assert!(!reply.text.contains("Classified"), "{reply:?}");
        assert!(!reply.text.contains(&thread), "{reply:?}");
    }
    let calls = world.model.asked().len();
    assert_eq!(keyed(&owner, "k1").await.json(), first.json());
    assert_eq!(world.model.asked().len(), calls, "it is replayed");

    // A stranger who uses the key first does not take it away from the owner.
    let strange = keyed(&others[0], "k2").await;
    assert_ne!(strange.field("session_id"), thread);
    let own = keyed(&owner, "k2").await;
    assert!(
        own.status != 200 || own.field("session_id") == thread,
        "{own:?}"
    );

    // A question that failed is not taken up by somebody else.
    world.model.next(Script::refused());
    assert_eq!(keyed(&owner, "k3").await.status, 500);
    let before = owner.texts(&thread).await;
    for other in &others {
        let reply = keyed(other, "k3").await;
        assert!(!reply.text.contains(&thread), "{reply:?}");
    }
    assert_eq!(owner.texts(&thread).await, before);
}

#[tokio::test]
async fn what_its_owner_is_refused_there_tells_nobody_else_that_it_is_there() {
    let world = World::new().await.guarded();
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    let owner = chatkit.reader();
    let thread = owner.begin("0").await.thread;
    for i in 1..5 {
        owner.ask(&thread, &i.to_string()).await;
    }
    // The instance remembers the refusal.
    let refused = Reply::of(known(ask(&chat, &thread, "too fast"), &owner, false)).await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    let other = Reply::of(ask(&chat, &thread, "hi")).await;
    assert_ne!(other.field("session_id"), thread);
}

#[tokio::test]
async fn both_routes_count_against_the_same_limits() {
    let world = World::new()
        .await
        .guarded()
        .with("RATE_LIMIT_NETWORK_BURST", 2);
    let world = world.with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    let (chatkit, chat) = (world.chatkit().await, world.chat().await);
    assert_eq!(chat.ask("hi").await.status, 200);
    let reader = chatkit.reader();
    reader.begin("hi").await;
    assert_eq!(chat.ask("hi").await.error(), (429, "rate_limited".into()));
    let events = reader.create("hi").await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(!super::failure(&events).1);
}
