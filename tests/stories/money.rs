//! What a day has cost is known to the billionth, whatever becomes of turns; and of those that died,
//! about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use textbook_chat::database::functions::Functions;

use crate::harness::model::{Script, nobody};
use crate::harness::{Database, Running, World, signal};

/// What the scripted model's usual answer costs, in billionths of a dollar: 42 and 7 tokens at the
/// default prices.
const COST: i64 = 42 * 750 + 7 * 4_500;

/// What an answer of all tokens costs.
const LONGEST_ANSWER: i64 = 800 * 4_500;

async fn number(database: &Database, sql: &str) -> i64 {
    database.rows(sql).await[0][0].parse().unwrap()
}

async fn spent(world: &World) -> i64 {
    let sum = "select coalesce(sum(nanos), 0)::bigint from spending";
    number(&world.database, sum).await
}

/// How many turns have a reservation.
async fn reserving(world: &World) -> i64 {
    number(&world.database, "select count(*) from reservations").await
}

async fn sweep(world: &World) {
    let sweep = Functions::current().call("select {turn}.sweep(now())");
    world.database.rows(&sweep).await;
}

/// Every lease is over.
async fn pass_leases(world: &World) {
    let pass = "update reservations set ends_at = now() - interval '1 second'";
    world.database.rows(pass).await;
}

/// Begins a turn that the model never answers, and kills its instance; returns what it had reserved.
async fn die(world: &World, chat: Running) -> i64 {
    let (before, asked) = (spent(world).await, world.model.asked().len());
    world.model.next(Script::silence());
    let request = chat.request(Method::POST, "/chat");
    tokio::spawn(request.json(&json!({ "message": "hi" })).send());
    world.model.was_asked(asked + 1).await;
    signal(chat.function.pid(), "KILL");
    spent(world).await - before
}

/// The usual answer, held back before its first word.
fn held_with_usage() -> Script {
    let usage = json!({ "prompt_tokens": 42, "completion_tokens": 7 });
    let script = Script::begin().hold().words("At last.").finish("stop");
    script
        .chunk(&json!({ "choices": [], "usage": usage }))
        .done()
}

#[tokio::test]
async fn what_a_day_has_cost_is_known_without_a_budget_and_never_falls() {
    let world = World::new().await.with("DAILY_BUDGET_USD", 5);
    let (with, without) = (
        world.chat().await,
        world.chat_with("DAILY_BUDGET_USD", 0).await,
    );
    with.ask("hi").await;
    for turns in 2..=20 {
        assert_eq!(without.ask("hi").await.status, 200);
        assert_eq!(spent(&world).await, turns * COST);
    }
    world.model.next(Script::refused());
    assert_eq!(without.ask("hi").await.status, 500);
    assert_eq!(spent(&world).await, 20 * COST);
    assert_eq!(reserving(&world).await, 0);
}

#[tokio::test]
async fn a_model_that_could_not_be_connected_to_has_cost_nothing() {
    let (_socket, nobody) = nobody();
    let world = World::new().await.with("OPENAI_BASE_URL", &nobody);
    for moderation in ["off", "input"] {
        let chat = world.chat_with("MODERATION", moderation).await;
        assert_eq!(chat.ask("hi").await.error(), (500, "llm_error".into()));
        assert_eq!(spent(&world).await, 0, "MODERATION={moderation}");
        let tried = chat.logged("model call").await;
        assert!(tried["error"].to_string().contains("connected"), "{tried}");
    }
    assert_eq!(reserving(&world).await, 0);
}

#[tokio::test]
async fn an_end_of_a_turn_that_runs_twice_settles_once() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    chat.ask("warm up").await;
    let refusal = "HTTP/1.1 401 Scripted\r\ncontent-length: 0\r\n\r\n";
    let mut expected = COST;
    for (script, cost, status) in [
        (held_with_usage(), COST, 200),
        (Script::silence().write(refusal), 0, 500),
        (held_with_usage(), COST, 200),
    ] {
        let asked = world.model.asked().len();
        world.model.next(script);
        let loss = async {
            world.model.was_asked(asked + 1).await;
            proxy.lose_next_reply();
            world.model.release();
        };
        let (reply, ()) = tokio::join!(chat.ask("hi"), loss);
        assert_eq!(reply.status, status);
        expected += cost;
        assert_eq!(spent(&world).await, expected);
    }
    assert_eq!(reserving(&world).await, 0);
}

#[tokio::test]
async fn a_turn_that_died_is_charged_when_its_lease_is_over_what_others_have_cost() {
    let world = World::new().await;
    let reserved = die(&world, world.chat().await).await;
    sweep(&world).await;
    assert_eq!(spent(&world).await, reserved, "it may still live");
    pass_leases(&world).await;
    sweep(&world).await;
    // Nothing is known of what turns cost: its prompt, at a token for each byte.
    assert_eq!(spent(&world).await, reserved - LONGEST_ANSWER);
    assert_eq!(reserving(&world).await, 0);
    sweep(&world).await;
    assert_eq!(spent(&world).await, reserved - LONGEST_ANSWER);

    // One whose prompt is the same, and which is answered.
    let chat = world.chat().await;
    let before = spent(&world).await;
    chat.ask("hi").await;
    assert_eq!(spent(&world).await, before + COST);
    // A refusal says nothing about what answers cost.
    world.model.next(Script::refused());
    chat.ask("hi").await;
    assert_eq!(die(&world, chat).await, reserved);
    pass_leases(&world).await;
    sweep(&world).await;
    let charged = spent(&world).await - before - COST;
    assert_eq!(charged, COST);
}

#[tokio::test]
async fn a_turn_that_died_is_charged_no_more_than_it_had_reserved() {
    let world = World::new().await;
    let reserved = die(&world, world.chat().await).await;
    let dear = "update spending set settled_reserved = 1, settled_cost = 2";
    world.database.rows(dear).await;
    pass_leases(&world).await;
    sweep(&world).await;
    assert_eq!(reserving(&world).await, 0);
    assert_eq!(spent(&world).await, reserved);
}

#[tokio::test]
async fn a_history_is_reserved_for_as_far_as_a_prompt_can_hold_it() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("hi").await.field("session_id");
    // Two million bytes, each of which may be a token; a prompt has 48,000 characters.
    let long = "update messages set content = repeat('word ', 400000) where role = 'assistant'";
    world.database.rows(long).await;
    world.model.next(held_with_usage());
    let reserved = async {
        world.model.was_asked(2).await;
        let reserved = "select nanos from reservations";
        let reserved = number(&world.database, reserved).await;
        world.model.release();
        reserved
    };
    let (reply, reserved) = tokio::join!(chat.ask_in(&session, "hi"), reserved);
    assert_eq!(reply.status, 200);
    let history = 4 * 48_000 * 750;
    assert!((history..2 * history).contains(&reserved), "{reserved}");
}

#[tokio::test]
async fn a_turn_that_outlives_its_lease_is_not_settled_again() {
    let world = World::new().await;
    let chat = world.chat().await;
    chat.ask("hi").await;
    world.model.next(held_with_usage());
    let outlive = async {
        world.model.was_asked(2).await;
        pass_leases(&world).await;
        sweep(&world).await;
        assert_eq!(spent(&world).await, 2 * COST);
        world.model.release();
    };
    let (reply, ()) = tokio::join!(chat.ask("hi"), outlive);
    assert_eq!(reply.status, 200);
    assert_eq!(spent(&world).await, 2 * COST);
}

#[tokio::test]
async fn a_turn_whose_conversation_is_forgotten_meanwhile_is_settled() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(held_with_usage());
    let forget = async {
        world.model.was_asked(1).await;
        world.database.rows("delete from chat_sessions").await;
        world.model.release();
    };
    let (reply, ()) = tokio::join!(chat.ask("hi"), forget);
    assert_eq!(reply.error(), (404, "not_found".into()));
    assert_eq!(reserving(&world).await, 0);
    assert_eq!(spent(&world).await, COST);
}

#[tokio::test]
async fn turns_that_died_do_not_close_the_chat_for_the_day() {
    // Two reservations of about 0.005 dollars.
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.012");
    for _ in 0..2 {
        die(&world, world.chat().await).await;
    }
    let chat = world.chat().await;
    assert_eq!(
        chat.ask("hi").await.error(),
        (503, "budget_exhausted".into())
    );
    pass_leases(&world).await;
    assert_eq!(chat.ask("hi").await.status, 200);
}

#[tokio::test]
async fn a_question_that_is_too_big_for_the_rest_refuses_itself_alone_and_counts() {
    let world = World::new()
        .await
        .with("DAILY_BUDGET_USD", "0.05")
        .with("RATE_LIMIT_NETWORK_BURST", 2)
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    let chat = world.chat().await;
    let big = json!({ "message": "What is it?", "selected_text": "🤖".repeat(20_000) });
    for (status, code) in [
        (503, "budget_exhausted"),
        (503, "budget_exhausted"),
        (429, "rate_limited"),
    ] {
        let refused = chat
            .post_with(&big, ("x-vercel-forwarded-for", "203.0.113.7"))
            .await;
        assert_eq!(refused.error(), (status, code.into()));
        assert!(refused.json()["error"]["retry_after"].is_u64());
    }
    assert_eq!(world.database.counts().await, (0, 0));
    let neighbour = chat
        .post_with(
            &json!({ "message": "hi" }),
            ("x-vercel-forwarded-for", "203.0.113.8"),
        )
        .await;
    assert_eq!(neighbour.status, 200);
    assert_eq!(world.model.asked().len(), 1);
}

#[tokio::test]
async fn a_question_that_is_too_big_does_not_touch_its_conversation() {
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.05");
    let chat = world.chat().await;
    let session = chat.ask("hi").await.field("session_id");
    let conversation = "select updated_at, due, title from chat_sessions";
    let before = world.database.rows(conversation).await;
    let big = json!({
        "message": "What is it?", "selected_text": "🤖".repeat(20_000), "session_id": session,
    });
    assert_eq!(chat.post(&big).await.error().0, 503);
    assert_eq!(world.database.rows(conversation).await, before);
    assert_eq!(chat.ask_in(&session, "hi").await.status, 200);
}

#[tokio::test]
async fn a_budget_that_is_spent_to_the_last_billionth_refuses_everybody() {
    let world = World::new()
        .await
        .with("DAILY_BUDGET_USD", "0.05")
        .with("RATE_LIMIT_NETWORK_PER_DAY", 500);
    let all = "insert into spending select (now() at time zone 'utc')::date, 3, 50000000";
    world.database.rows(all).await;
    let refused = world.chat().await.ask("hi").await;
    assert_eq!(refused.error(), (503, "budget_exhausted".into()));
    let message = refused.json()["error"]["message"].to_string();
    assert!(message.contains("come back later"), "{message}");
    assert!(!message.contains("shorter"), "{message}");
    let counted = "select count(*) from networks";
    assert_eq!(world.database.rows(counted).await, [["0"]]);
    let left = "select extract(epoch from date_trunc('day', now(), 'utc') + interval '1 day' - now())::bigint";
    let left = number(&world.database, left).await;
    let wait = refused.json()["error"]["retry_after"].as_i64().unwrap();
    assert!(
        (left..=left + 60).contains(&wait),
        "{wait}, until midnight {left}"
    );
}

#[tokio::test]
async fn a_sweep_waits_for_nothing_that_is_locked_and_settles_none_of_it() {
    let world = World::new().await;
    let reserved = die(&world, world.chat().await).await;
    pass_leases(&world).await;
    // A turn that has outlived its lease may be ending at this moment.
    for table in ["reservations", "spending"] {
        let lock = format!("select from {table} for update");
        let lock = world.database.lock(&lock).await;
        let swept = tokio::time::timeout(Duration::from_secs(10), sweep(&world)).await;
        assert!(swept.is_ok(), "it waits for {table}");
        assert_eq!(spent(&world).await, reserved, "{table}");
        assert_eq!(reserving(&world).await, 1, "{table}");
        lock.release().await;
    }
    sweep(&world).await;
    assert_eq!(reserving(&world).await, 0);
}

#[tokio::test]
async fn of_two_at_once_the_last_of_the_budget_goes_to_one() {
    // Room for one reservation of about 0.005 dollars.
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.05");
    world.model.always(Script::begin().words("Wait ").hold());
    let rest = "insert into spending select (now() at time zone 'utc')::date, 0, 42000000";
    world.database.rows(rest).await;
    let lock = world.database.lock("select from spending for update").await;
    let asks = [world.chat().await, world.chat().await].map(|chat| {
        tokio::spawn(async move {
            let request = chat.request(Method::POST, "/chat");
            let request = request.header("accept", "text/event-stream");
            let response = request.json(&json!({ "message": "hi" })).send().await;
            (response.unwrap().status().as_u16(), chat)
        })
    });
    world.database.are_waiting(2).await;
    lock.release().await;
    let mut outcomes = Vec::new();
    for ask in asks {
        outcomes.push(ask.await.unwrap());
    }
    let mut statuses: Vec<_> = outcomes.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
    let spent = spent(&world).await;
    assert!(42_000_000 < spent && spent <= 50_000_000, "{spent}");
}

#[tokio::test]
async fn what_the_books_index_has_cost_does_not_count_against_the_readers_budget() {
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.012");
    let index = "insert into spending select (now() at time zone 'utc')::date, -1, 1000000000";
    world.database.rows(index).await;
    assert_eq!(world.chat().await.ask("hi").await.status, 200);
    assert_eq!(spent(&world).await, 1_000_000_000 + COST);
}

/// Instances are killed under many readers. When the leases are over, the recorded spending is about
/// the real one.
#[tokio::test]
async fn after_many_deaths_the_recorded_spending_is_about_the_real_one() {
    const KILLS: usize = 10;
    const READERS: usize = 32;
    // A prompt of about 1,900 bytes of English, and a word is a token.
    const PROMPT: i64 = 475;
    const WORDS: i64 = 20;
    let world = World::new().await.with("DAILY_BUDGET_USD", 1_000);
    let words = (0..WORDS).fold(Script::begin(), |script, i| {
        let script = script.words(&format!("word{i} "));
        script.wait(Duration::from_millis(5))
    });
    let usage = json!({ "prompt_tokens": PROMPT, "completion_tokens": WORDS });
    let script = words.finish("stop");
    let script = script
        .chunk(&json!({ "choices": [], "usage": usage }))
        .done();
    let whole = i64::try_from(script.length()).unwrap();
    world.model.always(script);

    let (over, http) = (Arc::new(AtomicBool::new(false)), reqwest::Client::new());
    let mut chat = world.chat().await;
    let url = Arc::new(Mutex::new(chat.url.clone()));
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (over, url, http) = (Arc::clone(&over), Arc::clone(&url), http.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let url = format!("{}/chat", url.lock().unwrap());
                    let ask = http.post(url).json(&json!({ "message": "What is it?" }));
                    if ask.send().await.is_err() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();
    for kill in 0..KILLS {
        let asked = world.model.asked().len();
        world.model.was_asked(asked + READERS + 7 * kill % 32).await;
        signal(chat.function.pid(), "KILL");
        chat = world.chat().await;
        url.lock().unwrap().clone_from(&chat.url);
    }
    over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    let died = reserving(&world).await;
    let before = spent(&world).await;
    pass_leases(&world).await;
    while reserving(&world).await > 0 {
        sweep(&world).await;
    }
    let asked = i64::try_from(world.model.asked().len()).unwrap();
    let written = i64::try_from(world.model.written()).unwrap();
    let real = asked * PROMPT * 750 + written * WORDS * 4_500 / whole;
    let recorded = spent(&world).await;
    let figures = format!("{died} of {asked} died: {before}, then {recorded}, really {real}");
    assert!(died >= 10, "{figures}");
    assert!(real <= recorded && recorded <= real * 3 / 2, "{figures}");
}
