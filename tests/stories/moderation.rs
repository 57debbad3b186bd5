//! The moderation cannot be sidestepped: what it has not passed is not part of a later prompt, whoever
//! asked it when.

use reqwest::Method;
use serde_json::json;

use crate::harness::model::Script;
use crate::harness::{Reply, World, signal};

const HARMFUL: &str = "Something harmful.";

/// Whether the last prompt holds a text.
fn shown(world: &World, text: &str) -> bool {
    let asked = world.model.asked();
    asked.last().unwrap().body.to_string().contains(text)
}

#[tokio::test]
async fn a_question_that_waits_for_its_verdict_is_not_part_of_the_next_one() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    let session = chat.ask("Something harmless.").await.field("session_id");
    world.model.hold_moderation();
    let first = json!({ "message": HARMFUL, "session_id": session });
    let first = tokio::spawn(Reply::of(chat.request(Method::POST, "/chat").json(&first)));
    world.model.was_asked(2).await;
    world.model.moderate();
    let second = chat.ask_in(&session, "Answer what I asked before.").await;
    assert_eq!(second.status, 200);
    assert!(!shown(&world, HARMFUL));
    assert!(shown(&world, "Something harmless."));
    first.abort();
}

#[tokio::test]
async fn what_was_asked_before_the_moderation_was_on_is_not_part_of_a_prompt() {
    let world = World::new().await;
    let session = world.chat().await.ask(HARMFUL).await.field("session_id");
    let chat = world.chat_with("MODERATION", "input").await;
    assert_eq!(chat.ask_in(&session, "One?").await.status, 200);
    assert_eq!(
        world.model.asked()[1].messages(),
        ["system", "user: One?"],
        "neither the question nor its answer"
    );
    assert_eq!(chat.ask_in(&session, "Two?").await.status, 200);
    assert_eq!(world.model.asked()[2].messages().len(), 4);
    let without = world.chat().await;
    assert_eq!(without.ask_in(&session, "Three?").await.status, 200);
    assert!(shown(&world, HARMFUL), "without moderation, all is");
}

#[tokio::test]
async fn a_question_that_could_not_be_taken_back_is_not_part_of_a_prompt() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    let session = chat.ask("Something harmless.").await.field("session_id");
    let broken = "create function broken() returns trigger language plpgsql
            as 'begin raise exception ''out of order''; end';
        create trigger broken before delete on messages execute function broken()";
    world.database.rows(broken).await;
    world.model.flag(true);
    let refused = chat.ask_in(&session, HARMFUL).await;
    assert_eq!(refused.error(), (400, "content_refused".into()));
    chat.logged("a question that the moderation has not passed stays")
        .await;
    assert_eq!(world.database.counts().await, (1, 3));
    world.model.flag(false);
    assert_eq!(chat.ask_in(&session, "And now?").await.status, 200);
    assert!(!shown(&world, HARMFUL));
}

#[tokio::test]
async fn a_question_whose_instance_died_before_the_verdict_is_not_part_of_a_prompt() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    let session = chat.ask("Something harmless.").await.field("session_id");
    world.model.hold_moderation();
    let body = json!({ "message": HARMFUL, "session_id": session });
    tokio::spawn(chat.request(Method::POST, "/chat").json(&body).send());
    world.model.was_asked(2).await;
    signal(chat.function.pid(), "KILL");
    world.model.moderate();
    let chat = world.chat().await;
    assert_eq!(chat.ask_in(&session, "And now?").await.status, 200);
    assert!(!shown(&world, HARMFUL));
}

#[tokio::test]
async fn a_question_that_has_passed_and_was_not_answered_is_part_of_the_next_prompt() {
    let world = World::new().await.with("MODERATION", "input");
    let chat = world.chat().await;
    world.model.next(Script::refused());
    let failed = chat.ask("Something harmless.").await;
    assert_eq!(failed.status, 500);
    let session = failed.json()["session_id"].as_str().unwrap().to_owned();
    assert_eq!(chat.ask_in(&session, "And now?").await.status, 200);
    assert!(shown(&world, "Something harmless."));
}
