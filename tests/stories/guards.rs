//! A stranger cannot run up the bill: paces, counts, the day's budget, and a full instance.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use textbook_chat::config::Settings;
use textbook_chat::guard::Terms;
use textbook_chat::leaving::WhenLeft;
use textbook_chat::pseudonym::Network;
use textbook_chat::question::Question;
use textbook_chat::session::{self, Ask, Outcome, Stored};

use crate::harness::database::operate;
use crate::harness::hot_key::hot_key;
use crate::harness::model::{ANSWER, Script, held, talkative};
use crate::harness::{PAGE, Reply, Running, World, eventually, signal};

/// What the scripted model's usual answer costs, in billionths of a dollar: 42 and 7 tokens at the
/// default prices.
const COST: i64 = 42 * 750 + 7 * 4_500;

async fn ask_from(chat: &Running, address: &str) -> Reply {
    chat.post_with(
        &json!({ "message": "hi" }),
        ("x-vercel-forwarded-for", address),
    )
    .await
}

/// A request for a turn in a new conversation.
fn ask() -> Ask {
    Ask {
        question: Question {
            message: "hi".into(),
            conversation: None,
            selected_text: None,
            page: None,
        },
        key: None,
        network: Network([7; 16]),
        reader: None,
        owned: false,
        retried: None,
        when_left: WhenLeft::Stop,
        stored: Stored::default(),
    }
}

/// When the day's limits begin anew.
async fn seconds_until_midnight(world: &World) -> u64 {
    let left = "select extract(epoch from
        date_trunc('day', now(), 'utc') + interval '1 day' - now())::bigint";
    world.database.rows(left).await[0][0].parse().unwrap()
}

/// What today has cost so far.
async fn spent(world: &World) -> i64 {
    let rows = world
        .database
        .rows("select coalesce(sum(nanos), 0)::bigint from spending")
        .await;
    rows[0][0].parse().unwrap()
}

#[tokio::test]
async fn a_stranger_gets_the_burst_and_then_refusals_that_cost_no_model_call_and_no_sql() {
    let (world, proxy) = World::behind_proxy().await;
    // A pace so slow that no further question comes due in the meantime.
    let world = world.guarded().with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    let chat = world.chat().await;
    for i in 0..30 {
        assert_eq!(
            ask_from(&chat, "203.0.113.7").await.status,
            200,
            "question {i}"
        );
    }
    let refused = ask_from(&chat, "203.0.113.7").await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    let wait = refused.json()["error"]["retry_after"].as_u64().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("retry-after"),
        Some(wait.to_string().as_str())
    );

    let before = proxy.round_trips();
    let started = Instant::now();
    let mut refusals = 0;
    while started.elapsed() < Duration::from_millis(500) {
        assert_eq!(ask_from(&chat, "203.0.113.7").await.status, 429);
        refusals += 1;
    }
    assert!(refusals > 10);
    assert_eq!(proxy.round_trips(), before, "{refusals} refusals");
    assert_eq!(
        ask_from(&chat, "203.0.113.8").await.status,
        200,
        "a neighbour is free to ask"
    );
}

#[tokio::test]
async fn a_refused_question_leaves_no_trace() {
    let world = World::new()
        .await
        .guarded()
        .with("RATE_LIMIT_NETWORK_BURST", 1)
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    // Two instances: one does not know what the other has refused.
    let (chat, other) = (world.chat().await, world.chat().await);
    assert_eq!(ask_from(&chat, "203.0.113.7").await.status, 200);
    let state = "select (select count(*) from chat_sessions), (select count(*) from messages),
        (select count(*) from idempotency_keys), (select sum(nanos) from spending),
        (select string_agg(xmin::text || due, ',') from networks)";
    let before = world.database.rows(state).await;
    for instance in [&chat, &other] {
        let request = instance
            .request(Method::POST, "/chat")
            .json(&json!({ "message": "hi" }));
        let request = request.header("x-vercel-forwarded-for", "203.0.113.7");
        let reply = Reply::of(request.header("idempotency-key", "k1")).await;
        assert_eq!(reply.error(), (429, "rate_limited".into()));
    }
    assert_eq!(
        world.database.rows(state).await,
        before,
        "nothing is written for a refusal"
    );
    assert_eq!(world.model.asked().len(), 1);
}

#[tokio::test]
async fn of_many_at_once_exactly_the_burst_and_the_pace_get_through() {
    hot_key(World::new().await).await;
}

#[tokio::test]
async fn a_conversation_has_a_pace_of_its_own() {
    let world = World::new().await.guarded();
    let chat = world.chat().await;
    let session = chat.ask("0").await.field("session_id");
    for i in 1..5 {
        assert_eq!(chat.ask_in(&session, &i.to_string()).await.status, 200);
    }
    let refused = chat.ask_in(&session, "too fast").await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    let wait = refused.json()["error"]["retry_after"].as_u64().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    assert_eq!(chat.ask("another conversation").await.status, 200);
}

#[tokio::test]
async fn a_conversation_that_has_rested_has_saved_up_no_questions() {
    let world = World::new().await;
    let world = world.with("RATE_LIMIT_CONVERSATION_PER_MINUTE", 2);
    let chat = world.chat().await;
    let session = chat.ask("0").await.field("session_id");
    let rest = "update chat_sessions set due = due - interval '1 hour'";
    world.database.rows(rest).await;
    for status in [200, 200, 429] {
        assert_eq!(chat.ask_in(&session, "hi").await.status, status);
    }
}

#[tokio::test]
async fn a_network_has_a_count_for_the_day_that_survives_a_restart() {
    let world = World::new()
        .await
        .guarded()
        .with("RATE_LIMIT_NETWORK_PER_DAY", 2);
    for _ in 0..2 {
        assert_eq!(
            ask_from(&world.chat().await, "2001:db8:1:2::3")
                .await
                .status,
            200
        );
    }
    let chat = world.chat().await;
    let refused = ask_from(&chat, "2001:db8:1:2:ffff::9").await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    let wait = refused.json()["error"]["retry_after"].as_u64().unwrap();
    let left = seconds_until_midnight(&world).await;
    assert!((left..=left + 60).contains(&wait), "{wait} of {left}");
    assert_eq!(ask_from(&chat, "2001:db8:1:3::3").await.status, 200);
}

#[tokio::test]
async fn of_two_that_looked_at_once_the_last_question_of_a_limit_goes_to_one() {
    let limits = ["PER_DAY", "BURST", "PER_MINUTE"];
    for values in [["2", "", "0"], ["0", "2", "1"]] {
        let mut world = World::new().await.guarded();
        for (limit, value) in limits.iter().zip(values) {
            world.set(&format!("RATE_LIMIT_NETWORK_{limit}"), value);
        }
        let chats = [world.chat().await, world.chat().await];
        assert_eq!(ask_from(&chats[0], "203.0.113.7").await.status, 200);
        // Both see that there is one left, and wait for the row.
        let lock = world.database.lock("select from networks for update").await;
        let asks = chats
            .map(|chat| tokio::spawn(async move { ask_from(&chat, "203.0.113.7").await.status }));
        world.database.are_waiting(2).await;
        lock.release().await;
        let mut statuses = Vec::new();
        for ask in asks {
            statuses.push(ask.await.unwrap());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 429], "{values:?}");
        let asked = world.database.rows("select asked from networks").await;
        assert_eq!(asked, [["2"]], "{values:?}");
    }
}

#[tokio::test]
async fn of_two_that_looked_at_once_the_last_question_of_a_conversation_goes_to_one() {
    let world = World::new().await;
    let world = world.with("RATE_LIMIT_CONVERSATION_PER_MINUTE", 2);
    let chats = [world.chat().await, world.chat().await];
    let session = chats[0].ask("hi").await.field("session_id");
    let lock = "select from chat_sessions for update";
    let lock = world.database.lock(lock).await;
    let asks = chats.map(|chat| {
        let session = session.clone();
        tokio::spawn(async move { chat.ask_in(&session, "hi").await.status })
    });
    world.database.are_waiting(2).await;
    lock.release().await;
    let mut statuses = Vec::new();
    for ask in asks {
        statuses.push(ask.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 429]);
}

#[tokio::test]
async fn requests_without_an_address_share_a_limit_and_addresses_are_stored_nowhere() {
    let world = World::new()
        .await
        .guarded()
        .with("RATE_LIMIT_NETWORK_BURST", 2)
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 1);
    let chat = world.chat().await;
    for status in [200, 200, 429] {
        assert_eq!(
            chat.post_with(
                &json!({ "message": "hi" }),
                ("x-forwarded-for", "198.51.100.1")
            )
            .await
            .status,
            status
        );
    }
    assert_eq!(ask_from(&chat, "203.0.113.77").await.status, 200);
    let rows = world
        .database
        .rows("select length(network) from networks")
        .await;
    assert_eq!(rows, [["16"], ["16"]]);
    assert!(
        !chat.raw_log().contains("203.0.113.77"),
        "{}",
        chat.raw_log()
    );
}

#[tokio::test]
async fn every_limit_can_be_switched_off() {
    let world = World::new()
        .await
        .with("DAILY_BUDGET_USD", 0)
        .with("MAX_TURNS_IN_FLIGHT", 0);
    let chat = world.chat().await;
    let session = chat.ask("hi").await.field("session_id");
    for _ in 0..40 {
        assert_eq!(chat.ask_in(&session, "hi").await.status, 200);
    }
    let networks = "select count(*) from networks";
    assert_eq!(world.database.rows(networks).await, [["0"]]);
    assert_eq!(spent(&world).await, 41 * COST, "what it costs is known");
    assert!(chat.raw_log().contains("DAILY_BUDGET_USD is 0"));
}

#[tokio::test]
async fn a_turn_is_charged_what_it_used_and_one_that_died_what_it_might_have() {
    let world = World::new().await;
    let chat = world.chat().await;
    chat.ask("hi").await;
    assert_eq!(spent(&world).await, COST);

    // Refused by the provider: nothing was used, however often it is tried.
    for _ in 0..2 {
        world.model.next(Script::refused());
        let reply = chat
            .post_with(&json!({ "message": "hi" }), ("idempotency-key", "k1"))
            .await;
        assert_eq!(reply.status, 500);
        assert_eq!(spent(&world).await, COST);
    }

    // A stopped answer is charged what the whole one might have cost, with the prompt that was sent.
    world.model.next(talkative());
    let mut stream = chat.stream(&json!({ "message": "hi" })).await;
    stream.text("word0 ").await;
    let reserved = spent(&world).await - COST;
    assert!(reserved > 800 * 4_500, "{reserved}");
    drop(stream);
    let stopped = "select 1 from messages where state = 'cancelled'";
    eventually(async || (!world.database.rows(stopped).await.is_empty()).then_some(()))
        .await
        .unwrap();

    world.model.next(Script::silence());
    let request = chat
        .request(Method::POST, "/chat")
        .json(&json!({ "message": "hi" }));
    tokio::spawn(request.send());
    world.model.was_asked(5).await;
    signal(chat.function.pid(), "KILL");
    let stopped = spent(&world).await - COST - reserved;
    assert!(
        800 * 4_500 < stopped && stopped <= reserved,
        "{stopped} of {reserved}"
    );
}

#[tokio::test]
async fn when_the_days_budget_is_spent_everybody_is_told_to_come_back_tomorrow() {
    // Two reservations of about 0.005 dollars.
    let world = World::new().await.with("DAILY_BUDGET_USD", "0.012");
    let chat = world.chat().await;
    world
        .model
        .always(Script::begin().words("No usage ").hold());
    let mut streams = Vec::new();
    for _ in 0..2 {
        streams.push(chat.stream(&json!({ "message": "hi" })).await);
    }
    for instance in [&chat, &world.chat().await] {
        let refused = instance.ask("hi").await;
        assert_eq!(refused.error(), (503, "budget_exhausted".into()));
        let wait = refused.json()["error"]["retry_after"].as_u64().unwrap();
        assert!(wait <= 24 * 60 * 60, "{wait}");
    }
    assert_eq!(world.database.counts().await, (2, 2));
    // Tomorrow. The same instance has not remembered the refusal for the whole day.
    world
        .database
        .rows("update spending set day = day - 1")
        .await;
    world.model.always(Script::answer(ANSWER));
    let again = eventually(async || (chat.ask("hi").await.status == 200).then_some(()));
    again.await.expect("it still refuses");
}

#[tokio::test]
async fn that_the_budget_is_spent_is_remembered_for_a_moment_and_no_longer() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.with("DAILY_BUDGET_USD", "0.05");
    let chat = world.chat().await;
    let all = "insert into spending select (now() at time zone 'utc')::date, 0, 50000000";
    world.database.rows(all).await;
    assert_eq!(chat.ask("hi").await.error().0, 503);
    let before = proxy.round_trips();
    let again = chat.ask("hi").await;
    assert_eq!(again.error(), (503, "budget_exhausted".into()));
    assert_eq!(proxy.round_trips(), before);
    let left = seconds_until_midnight(&world).await;
    let wait = again.json()["error"]["retry_after"].as_u64().unwrap();
    assert!((left..=left + 60).contains(&wait), "{wait} of {left}");
    // What was reserved is settled.
    world.database.rows("delete from spending").await;
    let again = eventually(async || (chat.ask("hi").await.status == 200).then_some(()));
    again.await.expect("it still refuses");
}

#[tokio::test]
async fn the_budget_is_not_overshot_by_many_at_once() {
    let world = World::new()
        .await
        .with("DAILY_BUDGET_USD", "0.05")
        .with("DATABASE_POOL_SIZE", 4);
    world.model.always(Script::begin().words("Wait ").hold());
    let chat = world.chat().await;
    let asks = (0..32).map(|_| {
        let request = chat
            .request(Method::POST, "/chat")
            .json(&json!({ "message": "hi" }));
        tokio::spawn(request.header("accept", "text/event-stream").send())
    });
    let asks: Vec<_> = asks.collect();
    let mut admitted = Vec::new();
    for ask in asks {
        let response = ask.await.unwrap().unwrap();
        if response.status() == 200 {
            admitted.push(response);
        } else {
            assert_eq!(response.status(), 503);
        }
    }
    let spent = spent(&world).await;
    let each = spent / i64::try_from(admitted.len()).unwrap();
    assert!(spent <= 50_000_000, "{spent} by {}", admitted.len());
    assert!(spent > 50_000_000 - each, "{spent} by {}", admitted.len());
}

#[tokio::test]
async fn an_instance_that_is_full_says_so_at_once() {
    let world = World::new().await.with("MAX_TURNS_IN_FLIGHT", 2);
    world.model.always(held());
    let chat = world.chat().await;
    let turns: Vec<_> = (0..2)
        .map(|_| {
            let request = chat
                .request(Method::POST, "/chat")
                .json(&json!({ "message": "hi" }));
            tokio::spawn(Reply::of(request))
        })
        .collect();
    world.model.was_asked(2).await;
    let refused = chat.ask("hi").await;
    assert_eq!(refused.error(), (503, "overloaded".into()));
    assert_eq!(refused.header("retry-after"), Some("2"));
    world.model.release();
    world.model.release();
    for turn in turns {
        assert_eq!(turn.await.unwrap().status, 200);
    }
    world.model.always(Script::answer(ANSWER));
    let room = eventually(async || (chat.ask("hi").await.status == 200).then_some(()));
    room.await.unwrap();
}

#[tokio::test]
async fn a_page_may_read_how_long_to_wait() {
    let world = World::new()
        .await
        .with("RATE_LIMIT_NETWORK_PER_MINUTE", 1)
        .with("RATE_LIMIT_NETWORK_BURST", 1);
    let chat = world.chat().await;
    chat.ask("hi").await;
    let refused = chat
        .post_with(&json!({ "message": "hi" }), ("origin", PAGE))
        .await;
    assert_eq!(refused.status, 429);
    let exposed = refused.header("access-control-expose-headers").unwrap();
    assert!(exposed.contains("retry-after"), "{exposed}");
}

#[tokio::test]
async fn all_guards_cost_no_round_trip() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.guarded().chat().await;
    let session = chat.ask("warm up").await.field("session_id");
    for (key, round_trips) in [("k1", 2), ("k1", 1)] {
        let before = proxy.round_trips();
        let body = json!({ "message": "hi", "session_id": session });
        assert_eq!(
            chat.post_with(&body, ("idempotency-key", key)).await.status,
            200
        );
        assert_eq!(proxy.round_trips() - before, round_trips);
    }
}

#[tokio::test]
async fn a_statement_that_runs_twice_charges_once() {
    let (world, proxy) = World::behind_proxy().await;
    let mut world = world.guarded();
    world.set("RATE_LIMIT_NETWORK_PER_DAY", 500);
    let chat = world.chat().await;
    for (i, key) in [(1, None), (2, Some("k1"))] {
        chat.ask("warm up").await;
        let charged = "select sum(asked) from networks";
        let before: i64 = world.database.rows(charged).await[0][0].parse().unwrap();
        let cost = spent(&world).await;
        proxy.lose_next_reply();
        let mut request = chat
            .request(Method::POST, "/chat")
            .json(&json!({ "message": i.to_string() }));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        assert_eq!(Reply::of(request).await.status, 200);
        let after: i64 = world.database.rows(charged).await[0][0].parse().unwrap();
        assert_eq!(after, before + 1, "{key:?}");
        assert_eq!(spent(&world).await, cost + COST, "{key:?}");
    }
}

#[tokio::test]
async fn the_provider_knows_a_conversation_by_a_name_that_tells_nothing() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("one").await.field("session_id");
    chat.ask_in(&session, "two").await;
    chat.ask("somebody else").await;
    let names: Vec<_> = world
        .model
        .asked()
        .iter()
        .map(|asked| asked.body["safety_identifier"].clone())
        .collect();
    assert_eq!(names[0], names[1]);
    assert_ne!(names[0], names[2]);
    let name = names[0].as_str().unwrap();
    assert_eq!(name.len(), 32);
    assert!(!name.contains(&session.replace('-', "")[..12]));
}

#[tokio::test]
async fn a_flagged_question_is_refused_before_a_word_is_passed_on_and_not_kept() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    let session = chat.ask("harmless").await.field("session_id");
    assert_eq!(world.model.moderated()[0]["input"], json!(["harmless"]));

    world.model.flag_everything();
    for stream in [false, true] {
        let accept = if stream { "text/event-stream" } else { "*/*" };
        let body =
            json!({ "message": "harmful", "session_id": session, "selected_text": "passage" });
        let refused = chat.post_with(&body, ("accept", accept)).await;
        assert_eq!(refused.error(), (400, "content_refused".into()));
        let new = chat
            .post_with(&json!({ "message": "harmful" }), ("accept", accept))
            .await;
        assert_eq!(new.error(), (400, "content_refused".into()));
    }
    for _ in 0..2 {
        let body = json!({ "message": "harmful", "session_id": session });
        let refused = chat.post_with(&body, ("idempotency-key", "k1")).await;
        assert_eq!(refused.error(), (400, "content_refused".into()));
    }
    assert_eq!(
        world.model.moderated()[1]["input"],
        json!(["passage", "harmful"])
    );
    assert_eq!(world.database.counts().await, (1, 2));
    assert!(!chat.raw_log().contains("harmful"));
}

#[tokio::test]
async fn a_question_without_a_verdict_is_neither_answered_nor_kept() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    world.model.fail_moderation();
    let refused = chat.ask("who knows").await;
    assert_eq!(refused.error(), (500, "llm_error".into()));
    assert_eq!(world.database.counts().await, (0, 0));
    // The model ran beside it, and may be billed.
    assert!(spent(&world).await > 0);
    world.model.next(Script::refused());
    assert_eq!(
        chat.ask("who knows").await.error(),
        (500, "llm_error".into())
    );
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn a_turn_that_is_stopped_before_the_verdict_keeps_no_question() {
    let world = World::new().await.with("MODERATION", "input");
    world.model.always(Script::silence());
    world.model.hold_moderation();
    let chat = world.chat().await;
    let request = chat.request(Method::POST, "/chat");
    let turn = tokio::spawn(Reply::of(request.json(&json!({ "message": "hi" }))));
    world.model.was_asked(1).await;
    let ended = chat.function.terminate(Duration::from_secs(10)).await;
    assert!(ended.unwrap().success());
    assert_eq!(turn.await.unwrap().status, 500);
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn what_is_asked_while_a_question_is_taken_back_is_not_lost() {
    let world = World::new().await;
    let settings = Settings::from_variables(world.settings().iter().cloned()).unwrap();
    let database = textbook_chat::database::Database::new(settings.database.clone());
    let begun = session::begin(&database, &ask(), 100, &Terms::of(&settings)).await;
    let Ok(Outcome::Begun(turn)) = begun else {
        panic!("{begun:?}");
    };
    // Another turn in the same conversation has just stored its question.
    let second = format!(
        "update chat_sessions set updated_at = now();
         insert into messages (id, session_id, role, content)
         values (gen_random_uuid(), '{}', 'user', 'second')",
        turn.conversation
    );
    let second = world.database.lock(&second).await;
    let commit = async {
        world.database.is_waited_for().await;
        second.commit().await;
    };
    let (refused, ()) = tokio::join!(session::refuse(&database, &turn, None), commit);
    refused.unwrap();
    assert_eq!(world.database.messages().await, ["user: second"]);
}

#[tokio::test]
async fn without_moderation_no_verdict_is_asked_for() {
    let world = World::new().await;
    world.chat().await.ask("hi").await;
    assert_eq!(world.model.moderated().len(), 0);
}

#[tokio::test]
async fn the_ready_check_tells_callers_their_own_address() {
    let world = World::new()
        .await
        .with("CLIENT_IP_HEADER", "cf-connecting-ip")
        .with("PROXY_SECRET", "open sesame");
    let health = world.health().await;
    let ask = |proof: &'static str| {
        let request = health
            .request(Method::GET, "/health?check=ready")
            .header("x-vercel-forwarded-for", "203.0.113.7")
            .header("cf-connecting-ip", "198.51.100.1")
            .header("x-proxy-secret", proof);
        Reply::of(request)
    };
    assert_eq!(
        ask("open sesame").await.json()["client_address"],
        "198.51.100.1"
    );
    assert_eq!(ask("guess").await.json()["client_address"], "203.0.113.7");
}

#[tokio::test]
async fn a_turn_that_sweeps_takes_some_dead_rows_along_and_nothing_that_is_needed() {
    let world = World::new().await.guarded();
    let dead = "insert into networks
        select decode(md5(i::text), 'hex'), current_date - 2, now(), 1 from generate_series(1, 700) i;
        insert into spending select current_date - 40, i, 1 from generate_series(1, 3) i;
        insert into spending values (current_date - 20, 1, 1);
        insert into reservations
            values (gen_random_uuid(), current_date - 40, 1, 1, 1, now() + interval '1 day');
        insert into chat_sessions (id) values (gen_random_uuid());
        insert into idempotency_keys
            select decode(md5(i::text), 'hex'), '', id, id, id, now(), now() - i * interval '1 hour'
            from chat_sessions, (values (23), (25), (50)) hours (i)";
    world.database.rows(dead).await;
    let settings = Settings::from_variables(world.settings().iter().cloned()).unwrap();
    let database = textbook_chat::database::Database::new(settings.database.clone());
    let left = async || {
        let sql = "select (select count(*) from networks),
            (select count(*) from spending where day < current_date - 1),
            (select count(*) from idempotency_keys),
            (select count(*) from reservations where day < current_date - 1),
            (select count(*) from messages)";
        world.database.rows(sql).await
    };
    for (sweeps, expected) in [
        (0.0, [["701", "4", "3", "1", "1"]]),
        (1.0, [["201", "1", "1", "0", "2"]]),
        (1.0, [["1", "1", "1", "0", "3"]]),
    ] {
        let mut terms = Terms::of(&settings);
        terms.sweeps = sweeps;
        let begun = session::begin(&database, &ask(), 100, &terms)
            .await
            .unwrap();
        assert!(matches!(begun, Outcome::Begun(_)), "{begun:?}");
        assert_eq!(left().await, expected);
    }
}

#[tokio::test]
async fn a_conversation_with_a_new_question_is_not_deleted_though_no_answer_came() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("old").await.field("session_id");
    let age = "update chat_sessions set updated_at = now() - interval '31 days'";
    world.database.rows(age).await;
    world.model.next(Script::refused());
    assert_eq!(chat.ask_in(&session, "new").await.status, 500);
    let said = operate(&world.database.url, &["sweep"], &[("RETENTION_DAYS", "30")]);
    assert!(said.unwrap().contains("Deleted 0 conversation"));
    assert_eq!(world.database.messages().await.len(), 3);
}

#[tokio::test]
async fn the_operator_deletes_what_nobody_has_touched_for_long() {
    let world = World::new().await;
    let chat = world.chat().await;
    let old = chat.ask("old").await.field("session_id");
    let fresh = chat.ask("fresh").await.field("session_id");
    let age = format!(
        "update chat_sessions set updated_at = now() - interval '31 days' where id = '{old}'"
    );
    world.database.rows(&age).await;
    let url = world.database.url.clone();
    let sweep =
        |settings: &'static [(&'static str, &'static str)]| operate(&url, &["sweep"], settings);
    assert!(sweep(&[]).unwrap_err().contains("set RETENTION_DAYS"));
    let said = sweep(&[("RETENTION_DAYS", "30")]).unwrap();
    assert!(said.contains("Deleted 1 conversation"), "{said}");
    let left = world.database.rows("select id from chat_sessions").await;
    assert_eq!(left, [[fresh]]);
    assert_eq!(world.database.messages().await.len(), 2);
}
