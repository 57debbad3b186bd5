//! The token that a reader is known by: when it is issued, how it is sent, what is stored of it.

use reqwest::RequestBuilder;
use serde_json::json;

use super::UNKNOWN;
use crate::harness::chatkit::{Reader, input, turn};
use crate::harness::{PAGE, Reply, Running, World};

/// What a reader without a token sends.
fn create(chatkit: &Running) -> RequestBuilder {
    let params = json!({ "input": input("hi") });
    chatkit.stranger().request("threads.create", &params)
}

/// The token that came with a reply, as a cookie or in a header.
fn issued(reply: &Reply) -> (Option<String>, Option<String>) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert!(cookies.len() <= 1, "{cookies:?}");
    let cookie = reply.header("set-cookie").map(|cookie| {
        let token = cookie.strip_prefix("__Host-reader=");
        let token = token.and_then(|rest| {
            rest.strip_suffix("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=34560000")
        });
        token.unwrap_or_else(|| panic!("{cookie}")).to_owned()
    });
    let header = reply.header("x-reader-token").map(str::to_owned);
    for token in [&cookie, &header].into_iter().flatten() {
        let base64url = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        assert!(token.len() == 43 && token.chars().all(base64url), "{token}");
    }
    (cookie, header)
}

#[tokio::test]
async fn a_reader_without_a_token_gets_one_once_in_a_way_that_suits_their_page() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let mut tokens = Vec::new();
    let same_site = |origin: &'static str| {
        let request = create(&chatkit).header("origin", origin);
        let (_, host) = origin.split_once("://").unwrap();
        request
            .header("x-forwarded-host", host)
            .header("x-forwarded-proto", "https")
    };
    for request in [
        create(&chatkit),
        same_site("https://site.example"),
        // On the list, but also the site itself.
        same_site(PAGE),
    ] {
        let (cookie, header) = issued(&Reply::of(request).await);
        assert_eq!(header, None);
        tokens.push(cookie.unwrap());
    }
    let elsewhere = ["https://book-git-main-team.vercel.app", PAGE];
    for origin in elsewhere {
        let reply = Reply::of(create(&chatkit).header("origin", origin)).await;
        let (cookie, header) = issued(&reply);
        assert_eq!(cookie, None);
        tokens.push(header.unwrap());
    }
    let mut different = tokens.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 5);

    for token in &tokens {
        let reader = chatkit.known_as(token);
        assert_eq!(reader.titles().await, ["hi"]);
        let params = json!({ "input": input("more") });
        for request in [
            reader.request("threads.create", &params),
            reader
                .request("threads.create", &params)
                .header("origin", PAGE),
        ] {
            assert_eq!(issued(&Reply::of(request).await), (None, None));
        }
        assert_eq!(reader.titles().await, ["more", "more", "hi"]);
    }
}

#[tokio::test]
async fn only_a_thread_that_is_begun_brings_a_token() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let stranger = chatkit.stranger();
    for (kind, params, status) in [
        ("threads.list", json!({}), 200),
        ("threads.delete", json!({ "thread_id": UNKNOWN }), 200),
        ("threads.get_by_id", json!({ "thread_id": UNKNOWN }), 404),
        ("items.list", json!({ "thread_id": UNKNOWN }), 404),
        (
            "threads.update",
            json!({ "thread_id": UNKNOWN, "title": "x" }),
            404,
        ),
        (
            "threads.add_user_message",
            json!({ "thread_id": UNKNOWN, "input": input("x") }),
            404,
        ),
        ("threads.create", json!({ "input": input(" ") }), 400),
    ] {
        for origin in [None, Some(PAGE)] {
            let mut request = stranger.request(kind, &params);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let reply = Reply::of(request).await;
            assert_eq!(reply.status, status, "{kind} {reply:?}");
            assert_eq!(reply.header("set-cookie"), None, "{kind}");
            assert_eq!(reply.header("x-reader-token"), None, "{kind}");
        }
    }
    let nothing = stranger.json("threads.list", &json!({})).await;
    assert_eq!(nothing, json!({ "data": [], "has_more": false }));
}

#[tokio::test]
async fn a_token_is_sent_as_a_cookie_or_in_a_header_which_wins() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let (one, two) = (chatkit.reader(), chatkit.reader());
    one.begin("one").await;
    two.begin("two").await;
    let titles = async |cookie: Option<String>, bearer: Option<&str>| {
        let mut request = chatkit.stranger().request("threads.list", &json!({}));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let reply = Reply::of(request).await;
        assert_eq!(reply.status, 200);
        let rows = reply.json()["data"].as_array().unwrap().clone();
        let titles = rows
            .iter()
            .map(|row| row["title"].as_str().unwrap().to_owned());
        titles.collect::<Vec<_>>()
    };
    let cookie = |reader: &Reader<'_>| Some(format!("__Host-reader={}", reader.token()));
    assert_eq!(titles(cookie(&one), None).await, ["one"]);
    let among = format!("a=b; __Host-reader={}; theme=dark", one.token());
    assert_eq!(titles(Some(among), None).await, ["one"]);
    assert_eq!(titles(cookie(&one), Some(two.token())).await, ["two"]);
    assert_eq!(titles(None, Some(two.token())).await, ["two"]);
    assert_eq!(
        titles(cookie(&one), Some("nonsense")).await,
        ["one"],
        "as good as none"
    );
    for other in [
        "reader",
        "__host-reader",
        "X__Host-reader",
        "__Host-reader2",
    ] {
        let cookie = format!("{other}={}", one.token());
        assert!(titles(Some(cookie), None).await.is_empty(), "{other}");
    }
}

#[tokio::test]
async fn anything_not_shaped_like_a_token_is_ignored() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let reader = chatkit.reader();
    let token = reader.token();
    let wrong = [
        String::new(),
        token[..42].to_owned(),
        format!("{token}A"),
        format!("{token}="),
        format!("{}+", &token[..42]),
        format!("{}/", &token[..42]),
        format!("{} ", "é".repeat(21)),
        "x".repeat(10_000),
        "null".to_owned(),
        format!("\"{token}\""),
    ];
    for wrong in &wrong {
        let headers = [
            ("authorization", format!("Bearer {wrong}")),
            ("authorization", format!("Basic {token}")),
            ("authorization", wrong.clone()),
            ("cookie", format!("__Host-reader={wrong}")),
            ("cookie", format!("__Host-reader={wrong}; =; ;;")),
        ];
        for (name, value) in &headers {
            let list = chatkit.stranger().request("threads.list", &json!({}));
            let list = Reply::of(list.header(*name, value.as_bytes())).await;
            assert_eq!(list.status, 200, "{name}: {value} {list:?}");
            assert_eq!(list.json(), json!({ "data": [], "has_more": false }));
        }
    }
    for (name, value) in [
        ("authorization", format!("Bearer {}", &token[..42])),
        ("cookie", format!("__Host-reader={token}A")),
    ] {
        let (cookie, _) = issued(&Reply::of(create(&chatkit).header(name, value)).await);
        let cookie = cookie.expect("they get a proper one");
        assert_eq!(chatkit.known_as(&cookie).titles().await, ["hi"]);
    }
}

#[tokio::test]
async fn the_database_holds_a_tokens_hash_alone_and_the_log_nothing_of_it() {
    let world = World::new().await;
    let chatkit = world.chatkit().await;
    let token = issued(&Reply::of(create(&chatkit)).await).0.unwrap();
    let reader = chatkit.known_as(&token);
    let thread = turn(&reader.create("again").await).thread;
    let params = json!({ "thread_id": thread, "item_ids": ["x"], "kind": "positive" });
    reader.json("items.feedback", &params).await;
    let hashed = format!("select distinct owner = sha256('{token}'::bytea) from chat_sessions");
    assert_eq!(world.database.rows(&hashed).await, [["t"]]);
    for table in [
        "chat_sessions",
        "messages",
        "message_feedback",
        "idempotency_keys",
        "networks",
    ] {
        let rows = world
            .database
            .rows(&format!("select t::text from {table} t"))
            .await;
        assert!(!rows.concat().concat().contains(&token), "{table}");
    }
    assert!(!chatkit.raw_log().contains(&token), "{}", chatkit.raw_log());
    assert!(!chatkit.raw_log().contains("__Host-reader"));
}
