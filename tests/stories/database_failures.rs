//! The database is unreachable, dead or full; and what a turn costs it.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::harness::model::held;
use crate::harness::{Fault, TlsFront, UNKNOWN, World, eventually};

#[tokio::test]
async fn unreachable_at_the_start_it_is_found_as_soon_as_it_is_there() {
    let (world, proxy) = World::behind_proxy().await;
    proxy.take_away();
    let chat = world.chat().await;
    let reply = chat.ask("hi").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    assert_eq!(
        world.model.asked().len(),
        0,
        "nothing is asked, and so nothing paid"
    );
    proxy.bring_back();
    assert_eq!(chat.ask("hi").await.status, 200);
}

#[tokio::test]
async fn lost_between_two_requests_it_is_found_again() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let session = chat.ask("one").await.field("session_id");
    proxy.take_away();
    let reply = chat.ask_in(&session, "two").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    proxy.bring_back();
    assert_eq!(
        chat.ask_in(&session, "three").await.field("session_id"),
        session
    );
    assert_eq!(world.database.counts().await, (1, 4));
}

#[tokio::test]
async fn lost_for_a_second_before_a_question_or_its_answer_is_stored_it_is_waited_for() {
    for fault in [Fault::Refuse, Fault::StartingUp] {
        let (world, proxy) = World::behind_proxy().await;
        let chat = world.chat().await;
        world.model.next(held());
        let ask = chat.ask("hi");
        let loss = async {
            world.model.was_asked(1).await;
            proxy.break_off(fault);
            world.model.release();
            sleep(Duration::from_secs(1)).await;
            proxy.bring_back();
        };
        let (reply, ()) = tokio::join!(ask, loss);
        assert_eq!(reply.field("response"), "At last.", "{fault:?}");
        let back = async {
            proxy.break_off(fault);
            sleep(Duration::from_secs(1)).await;
            proxy.bring_back();
        };
        let (reply, ()) = tokio::join!(chat.ask("hi"), back);
        assert_eq!(reply.status, 200, "{fault:?}");
        assert_eq!(world.database.counts().await, (2, 4));
    }
}

#[tokio::test]
async fn lost_while_the_model_speaks_and_for_good_the_answer_is_not_claimed_to_be_stored() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world.hurried();
    let chat = world.chat().await;
    world.model.next(held());
    let ask = chat.ask("hi");
    let loss = async {
        world.model.was_asked(1).await;
        proxy.take_away();
        world.model.release();
    };
    let (reply, ()) = tokio::join!(ask, loss);
    assert_eq!(reply.error(), (500, "database_error".into()));
    let message = reply.json()["error"]["message"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(message.contains("is not kept"), "{message}");
    assert!(reply.json()["session_id"].is_string());
    assert_eq!(world.database.messages().await, ["user: hi"]);
}

#[tokio::test]
async fn a_pooled_connection_that_the_server_has_closed_is_replaced_unnoticed() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    proxy.cut_all();
    assert_eq!(chat.ask("hi").await.status, 200);
    world.database.close_connections().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    assert_eq!(world.database.counts().await, (3, 6));
    assert_eq!(proxy.connections(), 3);
}

#[tokio::test]
async fn a_statement_whose_reply_is_lost_runs_once_more_and_changes_nothing_twice() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let session = chat.ask("one").await.field("session_id");

    proxy.lose_next_reply();
    assert_eq!(chat.ask("new").await.status, 200);
    chat.logged("connection was dead").await;
    assert_eq!(world.model.asked()[1].messages(), ["system", "user: new"]);
    proxy.lose_next_reply();
    assert_eq!(
        chat.ask_in(&session, "two").await.field("session_id"),
        session
    );
    assert_eq!(
        world.model.asked()[2].messages().len(),
        4,
        "its own question is not its past"
    );

    world.model.next(held());
    let ask = chat.ask_in(&session, "three");
    let loss = async {
        world.model.was_asked(4).await;
        proxy.lose_next_reply();
        world.model.release();
    };
    let (reply, ()) = tokio::join!(ask, loss);
    let stored = format!(
        "select count(*) from messages where created_at = '{}' and content = 'At last.'",
        reply.field("timestamp")
    );
    assert_eq!(world.database.rows(&stored).await, [["1"]]);
    assert_eq!(world.database.counts().await, (2, 8));
    assert_eq!(proxy.connections(), 4);
}

#[tokio::test]
async fn a_statement_that_does_not_end_fails_in_its_time_and_its_connection_is_thrown_away() {
    let (world, proxy) = World::behind_proxy().await;
    let world = world
        .with("DATABASE_CONNECT_TIMEOUT_MS", 1_000)
        // Less than a statement may wait for a lock.
        .with("DATABASE_STATEMENT_TIMEOUT_MS", 600);
    let chat = world.chat().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    let connections = proxy.connections();
    let lock = world.database.lock_messages().await;
    let started = Instant::now();
    let reply = chat.ask("hi").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    lock.release().await;
    assert_eq!(chat.ask("hi").await.status, 200);
    // The statement was tried on two, and what ended its turn on others.
    assert!(proxy.connections() >= connections + 2);
}

#[tokio::test]
async fn over_tls_a_trusted_server_is_used_and_a_stranger_is_not() {
    let mut world = World::new().await;
    let front = TlsFront::start().await;
    for negotiation in ["sslmode=require", "sslmode=require&sslnegotiation=direct"] {
        let url = format!(
            "postgresql://postgres@localhost:{}/{}?{negotiation}",
            front.port, world.database.name
        );
        world.set("DATABASE_URL", url);
        world.set("SSL_CERT_FILE", "");
        let chat = world.chat().await;
        assert_eq!(chat.ask("hi").await.error(), (500, "database_error".into()));
        world.set("SSL_CERT_FILE", front.authority.display());
        assert_eq!(
            world.chat().await.ask("hi").await.status,
            200,
            "{negotiation}"
        );
    }
    assert_eq!(front.handshakes(), 2);
}

#[tokio::test]
async fn a_question_is_committed_before_the_model_is_asked() {
    let world = World::new().await;
    let chat = world.chat().await;
    world.model.next(held());
    let ask = chat.ask("Is it there?");
    let look = async {
        world.model.was_asked(1).await;
        let messages = world.database.messages().await;
        world.model.release();
        messages
    };
    let (reply, messages) = tokio::join!(ask, look);
    assert_eq!(messages, ["user: Is it there?"]);
    assert_eq!(reply.field("response"), "At last.");
}

#[tokio::test]
async fn an_instance_connects_while_it_waits_for_its_first_request() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let connected = eventually(async || {
        let sessions = format!(
            "select 1 from pg_stat_activity where datname = '{}' and state = 'idle'",
            world.database.name
        );
        (!world.database.rows(&sessions).await.is_empty()).then_some(())
    });
    connected.await.expect("it never connects");
    let before = proxy.round_trips();
    assert_eq!(chat.ask("hi").await.status, 200);
    assert_eq!(proxy.round_trips() - before, 2);
    assert_eq!(proxy.connections(), 1);
    assert_eq!(world.health().await.get("/health").await.status, 200);
    assert_eq!(proxy.connections(), 1, "a monitor wakes no database");
}

#[tokio::test]
async fn a_request_that_comes_while_the_first_connection_is_made_waits_for_it() {
    let (world, proxy) = World::behind_proxy().await;
    proxy.fault(Fault::Asleep(Duration::from_millis(500)));
    let chat = world.chat().await;
    let asks = (0..4).map(|_| chat.ask("hi"));
    for reply in futures_util::future::join_all(asks).await {
        assert_eq!(reply.status, 200);
    }
    assert!(proxy.round_trips() > 0);
    let connections = proxy.connections();
    assert!(connections <= 4, "{connections}");
}

#[tokio::test]
async fn a_turn_costs_one_round_trip_before_the_model_and_one_after() {
    let (world, proxy) = World::behind_proxy().await;
    let chat = world.chat().await;
    let session = chat.ask("warm up").await.field("session_id");
    let bodies = [
        json!({ "message": "new session" }),
        json!({ "message": "existing session", "session_id": session }),
        json!({ "message": "unknown session", "session_id": UNKNOWN }),
        json!({ "message": "about a passage", "session_id": session, "selected_text": "A passage." }),
    ];
    for body in bodies {
        let (before, connections) = (proxy.round_trips(), proxy.connections());
        assert_eq!(chat.post(&body).await.status, 200);
        assert_eq!(proxy.round_trips() - before, 2, "{body}");
        assert_eq!(proxy.connections(), connections);
    }
}
