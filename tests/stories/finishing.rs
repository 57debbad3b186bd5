//! Answers that are finished for a reader who has left, because their page is being loaded anew; and
//! how they are stopped.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::model::Script;
use crate::harness::stream::{Stream, told};
use crate::harness::{Reply, Running, UNKNOWN, World, eventually, question};

const FINISH: (&str, &str) = ("x-when-left", "finish");

/// The key of the requests.
const KEY: (&str, &str) = ("idempotency-key", "k1");

/// The model says so many words, one each 20 ms: a reader who leaves meanwhile is noticed at once.
fn talking(words: usize) -> Script {
    (0..words).fold(Script::begin(), |script, i| {
        let script = script.words(&format!("word{i} "));
        script.wait(Duration::from_millis(20))
    })
}

fn spoken(words: usize) -> String {
    let words: Vec<_> = (0..words).map(|i| format!("word{i} ")).collect();
    words.concat()
}

/// Asks, and reads the beginning of the answer.
async fn begin(chat: &Running) -> Stream {
    let mut stream = chat.stream_with(&question(), &[KEY, FINISH]).await;
    stream.text("word0 ").await;
    stream
}

/// Asks, and leaves when the answer has begun; returns once this has been noticed.
async fn leave(chat: &Running) {
    drop(begin(chat).await);
    chat.logged("the reader has left; the answer is being finished")
        .await;
}

/// The same request again, to be told at once or to be replayed.
async fn again(chat: &Running) -> Reply {
    let request = chat.request(Method::POST, "/chat").json(&question());
    Reply::of(request.header(KEY.0, KEY.1).header(FINISH.0, FINISH.1)).await
}

async fn stop(instance: &Running, key: &str) -> Reply {
    let request = instance.request(Method::DELETE, "/chat");
    Reply::of(request.header(KEY.0, key)).await
}

/// Text and state of the answer, once it is stored.
async fn answer(world: &World) -> (String, String) {
    let sql = "select content, state from messages where role = 'assistant'";
    let stored = eventually(async || world.database.rows(sql).await.pop());
    let stored = stored.await.expect("it is never stored");
    (stored[0].clone(), stored[1].clone())
}

/// Checks that the answer ends about a second after it was told to, and what is left then.
async fn ends_soon(world: &World) {
    let told_to = Instant::now();
    let (text, state) = answer(world).await;
    assert!(
        told_to.elapsed() < Duration::from_secs(2),
        "{:?}",
        told_to.elapsed()
    );
    assert_eq!(state, "cancelled");
    assert!(spoken(200).starts_with(&text) && text.len() > 5, "{text}");
    world.model.was_hung_up().await;
    is_settled(world).await;
}

/// Nothing is reserved for it any more, and its key is free.
async fn is_settled(world: &World) {
    let open = "select from reservations union all
        select from idempotency_keys where running_until > now()";
    let settled = async || world.database.rows(open).await.is_empty().then_some(());
    eventually(settled).await.expect("the turn stays open");
}

/// How often the instance has asked whether the answer is to end.
fn questions(chat: &Running) -> usize {
    chat.raw_log()
        .matches(r#""statement":"is called off""#)
        .count()
}

#[tokio::test]
async fn an_answer_is_finished_and_stored_whole_although_its_reader_has_left() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    chat.ask("warm up").await;
    let forget = "delete from chat_sessions";
    world.database.rows(forget).await;

    let before = proxy.round_trips();
    world.model.next(talking(100).finish("stop").done());
    let began = Instant::now();
    leave(&chat).await;
    let answered = answer(&world).await;
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    assert_eq!(answered, (spoken(100), "complete".into()));
    assert_eq!(chat.logged("model call").await["outcome"], "ok");
    let reserved = "select from reservations";
    assert!(world.database.rows(reserved).await.is_empty());

    // At once, and once a second; nothing else is asked but what every turn asks.
    let asked = questions(&chat);
    assert!(asked >= 1, "{asked}");
    assert!(asked <= seconds + 1, "{asked} in {seconds} s");
    // One more may have been under way when the answer was whole.
    let others = proxy.round_trips() - before - asked;
    assert!((2..=3).contains(&others), "{others}");
    let replayed = again(&chat).await;
    assert_eq!(replayed.field("response"), spoken(100));
}

#[tokio::test]
async fn while_the_reader_stays_nothing_is_asked() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    chat.ask("warm up").await;
    let before = proxy.round_trips();
    world.model.next(talking(70).finish("stop").done());
    let stream = begin(&chat).await;
    stream.rest().await;
    assert_eq!(proxy.round_trips() - before, 2);
    assert_eq!(questions(&chat), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_listens_to_is_stopped_from_another_instance_within_a_second() {
    let world = World::new().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    world.model.next(talking(200).finish("stop").done());
    leave(&chat).await;
    let reply = stop(&other, "k1").await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    ends_soon(&world).await;

    // The key is free: the same request is answered anew.
    assert_eq!(again(&other).await.status, 200);
    assert_eq!(world.database.counts().await, (1, 3));
    assert_eq!(stop(&other, "k1").await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn a_reader_who_stops_an_answer_and_then_leaves_is_noticed_at_once() {
    let world = World::new().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    world.model.next(talking(200).finish("stop").done());
    let stream = begin(&chat).await;
    assert_eq!(stop(&other, "k1").await.status, 204);
    drop(stream);
    ends_soon(&world).await;
    assert_eq!(questions(&chat), 1);
}

#[tokio::test]
async fn deleting_the_conversation_ends_the_answer_that_nobody_listens_to() {
    let world = World::new().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    world.model.next(talking(200).finish("stop").done());
    leave(&chat).await;
    let session = world.database.rows("select id from chat_sessions").await[0][0].clone();
    let request = other.request(Method::DELETE, "/chat");
    let reply = Reply::of(request.header("x-session-id", session)).await;
    assert_eq!(reply.status, 204);
    let told_to = Instant::now();
    world.model.was_hung_up().await;
    assert!(
        told_to.elapsed() < Duration::from_secs(2),
        "{:?}",
        told_to.elapsed()
    );
    is_settled(&world).await;
    assert_eq!(world.database.counts().await, (0, 0));
}

#[tokio::test]
async fn the_same_request_is_told_that_the_answer_is_being_written_and_then_gets_it() {
    let (world, proxy) = World::behind_proxy().await;
    let (chat, other) = (world.chat().await, world.chat().await);
    other.ask("warm up").await;
    let rest = talking(40).hold().words("and the rest.");
    world.model.next(rest.finish("stop").done());
    leave(&chat).await;
    for instance in [&chat, &other] {
        let reply = again(instance).await;
        assert_eq!(reply.error(), (409, "in_progress".into()));
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    // The instance that writes it knows without asking anybody.
    let (round_trips, asked) = (proxy.round_trips(), questions(&chat));
    for _ in 0..5 {
        assert_eq!(again(&chat).await.status, 409);
    }
    let asked_meanwhile = questions(&chat) - asked;
    assert!(proxy.round_trips() - round_trips <= asked_meanwhile + 1);

    world.model.release();
    answer_of(&world, "and the rest.").await;
    let whole = format!("{}and the rest.", spoken(40));
    for instance in [&chat, &other] {
        assert_eq!(again(instance).await.field("response"), whole);
        let stream = instance.stream_with(&question(), &[KEY, FINISH]).await;
        assert_eq!(told(&stream.rest().await).text, whole);
    }
    assert_eq!(world.model.asked().len(), 2);
}

/// Waits until an answer that ends like this is stored.
async fn answer_of(world: &World, end: &str) {
    let sql = format!("select from messages where role = 'assistant' and content like '%{end}'");
    let stored = async || (!world.database.rows(&sql).await.is_empty()).then_some(());
    eventually(stored).await.expect("it is never stored");
}

#[tokio::test]
async fn without_the_header_and_with_the_word_stop_leaving_stops_the_answer() {
    for headers in [&[KEY][..], &[KEY, ("x-when-left", "stop")]] {
        let world = World::new().await;
        let chat = world.chat().await;
        world.model.next(talking(200).finish("stop").done());
        let mut stream = chat.stream_with(&question(), headers).await;
        stream.text("word0 ").await;
        drop(stream);
        ends_soon(&world).await;
        assert_eq!(questions(&chat), 0);
    }
}

#[tokio::test]
async fn what_cannot_be_stopped_is_told_so() {
    let world = World::new().await;
    let chat = world.chat().await;
    assert_eq!(stop(&chat, "k1").await.error(), (404, "not_found".into()));
    assert_eq!(again(&chat).await.status, 200);
    assert_eq!(
        stop(&chat, "k1").await.error(),
        (404, "not_found".into()),
        "it is whole"
    );

    let with_session = |request: reqwest::RequestBuilder| request.header("x-session-id", UNKNOWN);
    let both = [
        with_session(chat.request(Method::DELETE, "/chat")).header(KEY.0, KEY.1),
        chat.request(Method::DELETE, &format!("/chat?session_id={UNKNOWN}"))
            .header(KEY.0, KEY.1),
        chat.request(Method::DELETE, "/chat").header(KEY.0, ""),
    ];
    for request in both {
        let reply = Reply::of(request).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()));
        let field = reply.json()["error"]["details"][0]["field"].clone();
        assert_eq!(field, "Idempotency-Key");
    }
    assert_eq!(world.database.counts().await, (1, 2));
}

#[tokio::test]
async fn a_turn_that_died_cannot_be_stopped() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(talking(40).hold());
    leave(&chat).await;
    let lease = "update reservations set ends_at = now() - interval '1 second'";
    world.database.rows(lease).await;
    assert_eq!(stop(&chat, "k1").await.error(), (404, "not_found".into()));
}

#[tokio::test]
async fn an_instance_that_must_stop_keeps_what_it_has_written_for_nobody() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(talking(200).finish("stop").done());
    leave(&chat).await;
    let began = Instant::now();
    let status = chat.function.terminate(Duration::from_secs(10)).await;
    assert!(status.unwrap().success());
    assert!(
        began.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        began.elapsed()
    );
    let (text, state) = answer(&world).await;
    assert_eq!(state, "cancelled");
    assert!(spoken(200).starts_with(&text) && text.len() > 5, "{text}");
    is_settled(&world).await;
}

#[tokio::test]
async fn what_is_to_become_of_an_answer_is_one_of_two_words() {
    let world = World::new().await;
    let chat = world.chat().await;
    let reply = chat.post_with(&question(), ("x-when-left", "keep")).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
    assert_eq!(
        reply.json()["error"]["details"][0],
        serde_json::json!({ "field": "x-when-left", "message": "must be finish or stop" })
    );
    assert_eq!(world.database.counts().await, (0, 0));
    assert_eq!(world.model.asked().len(), 0);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_ends_for_nobody_as_for_a_reader_and_its_place_is_free() {
    let world = World::new().await;
    let world = world
        .with("MAX_TURNS_IN_FLIGHT", 1)
        .with("LLM_TIMEOUT_MS", 2_500);
    let chat = world.chat().await;
    world.model.next(talking(40).hold());
    leave(&chat).await;
    assert_eq!(chat.ask("Next?").await.error(), (503, "overloaded".into()));
    let call = chat.logged("model call").await;
    assert_eq!(call["outcome"], "failed");
    is_settled(&world).await;
    let next = async || (chat.ask("Next?").await.status == 200).then_some(());
    eventually(next).await.expect("its place is taken");
}

#[tokio::test]
async fn an_answer_goes_on_while_the_database_cannot_be_asked_and_is_stopped_when_it_can() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    world.model.next(talking(500).hold());
    leave(&chat).await;
    proxy.take_away();
    let failed = async || {
        let log = chat.raw_log();
        let mut lines = log.lines().filter(|line| line.contains("is called off"));
        lines.find(|line| line.contains(r#""outcome":"failed""#))?;
        Some(())
    };
    eventually(failed).await.expect("nobody asks");
    proxy.bring_back();
    assert_eq!(stop(&world.chat().await, "k1").await.status, 204);
    let (_, state) = answer(&world).await;
    assert_eq!(state, "cancelled");
}
