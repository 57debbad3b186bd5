//! What readers think of the answers of `/chat`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, Running, UNKNOWN, World};

const ALL: &str = "select session_id, item_id, kind from message_feedback order by item_id";

/// A conversation with one answer: its id, the question's, and the answer's.
struct Asked {
    session: String,
    question: String,
    answer: String,
}

impl Asked {
    async fn by(chat: &Running) -> Self {
        let session = chat.ask("What is a humanoid robot?").await;
        let session = session.field("session_id");
        let request = chat.request(Method::GET, "/chat");
        let read = Reply::of(request.header("x-session-id", &session)).await;
        let id = |message: usize| {
            read.json()["messages"][message]["id"]
                .as_str()
                .map(Into::into)
        };
        Self {
            question: id(0).unwrap(),
            answer: id(1).unwrap(),
            session,
        }
    }

    fn judged(&self, kind: &str) -> Value {
        judgement(&self.session, &self.answer, kind)
    }
}

fn judgement(session: &str, message: &str, kind: &str) -> Value {
    json!({ "session_id": session, "message_id": message, "kind": kind })
}

async fn judge(feedback: &Running, body: &Value) -> Reply {
    Reply::of(feedback.request(Method::POST, "/feedback").json(body)).await
}

/// Judges without being heard.
async fn in_vain(feedback: &Running, body: &Value) {
    let reply = judge(feedback, body).await;
    assert_eq!(reply.error(), (404, "not_found".into()), "{body}");
}

#[tokio::test]
async fn an_answer_is_judged_and_judged_otherwise() {
    let world = World::new().await;
    let (chat, feedback) = (world.chat().await, world.feedback().await);
    let asked = Asked::by(&chat).await;
    for kind in ["positive", "negative", "negative"] {
        let reply = judge(&feedback, &asked.judged(kind)).await;
        assert_eq!((reply.status, reply.text.as_str()), (204, ""));
        let stored = world.database.rows(ALL).await;
        assert_eq!(stored, [[&*asked.session, &*asked.answer, kind]]);
    }
    // It goes with its conversation.
    let request = chat.request(Method::DELETE, "/chat");
    Reply::of(request.header("x-session-id", &asked.session)).await;
    assert!(world.database.rows(ALL).await.is_empty());
    in_vain(&feedback, &asked.judged("positive")).await;
}

#[tokio::test]
async fn the_answer_of_a_stream_is_judged_by_the_id_that_it_began_with() {
    let world = World::new().await;
    let chat = world.chat().await;
    let stream = chat.stream(&json!({ "message": "hi" })).await;
    let told = crate::harness::stream::told(&stream.rest().await);
    let body = judgement(&told.session_id, &told.answer_id, "positive");
    assert_eq!(judge(&world.feedback().await, &body).await.status, 204);
}

#[tokio::test]
async fn only_an_answer_of_the_very_conversation_can_be_judged() {
    let world = World::new().await;
    let (chat, feedback) = (world.chat().await, world.feedback().await);
    let (one, two) = (Asked::by(&chat).await, Asked::by(&chat).await);
    for (session, message) in [
        (&*one.session, &*one.question),
        (&one.session, &two.answer),
        (&one.session, UNKNOWN),
        (&one.session, "1"),
        (UNKNOWN, &one.answer),
        ("", &one.answer),
    ] {
        in_vain(&feedback, &judgement(session, message, "positive")).await;
    }
    assert!(world.database.rows(ALL).await.is_empty());
}

#[tokio::test]
async fn an_answer_in_a_readers_own_conversation_is_judged_by_that_reader_alone() {
    let world = World::new().await;
    let (chatkit, feedback) = (world.chatkit().await, world.feedback().await);
    let (ada, bob) = (chatkit.reader(), chatkit.reader());
    let turn = ada.begin("hi").await;
    bob.begin("hi").await;
    let body = judgement(&turn.thread, &turn.answer, "positive");
    in_vain(&feedback, &body).await;
    let with = |token: &str| {
        let request = feedback.request(Method::POST, "/feedback").json(&body);
        Reply::of(request.bearer_auth(token))
    };
    assert_eq!(with(bob.token()).await.status, 404);
    assert!(world.database.rows(ALL).await.is_empty());
    assert_eq!(with(ada.token()).await.status, 204);
    let stored = world.database.rows(ALL).await;
    assert_eq!(stored, [[&*turn.thread, &*turn.answer, "positive"]]);
}

#[tokio::test]
async fn all_that_is_wrong_with_a_judgement_is_told_at_once() {
    let world = World::new().await;
    let feedback = world.feedback().await;
    for (body, expected) in [
        (
            json!({}),
            json!([
                { "field": "session_id", "message": "is required" },
                { "field": "message_id", "message": "is required" },
                { "field": "kind", "message": "is required" },
            ]),
        ),
        (
            json!({ "session_id": 7, "message_id": null, "kind": "meh" }),
            json!([
                { "field": "session_id", "message": "must be a string" },
                { "field": "message_id", "message": "is required" },
                { "field": "kind", "message": "must be positive or negative" },
            ]),
        ),
    ] {
        let reply = judge(&feedback, &body).await;
        assert_eq!(reply.error(), (400, "invalid_request".into()));
        assert_eq!(reply.json()["error"]["details"], expected);
    }
    let reply = judge(&feedback, &json!([])).await;
    assert_eq!(reply.error(), (400, "invalid_request".into()));
}

#[tokio::test]
async fn a_network_judges_as_fast_as_it_reads() {
    let world = World::new().await.with("RATE_LIMIT_READS_PER_MINUTE", 3);
    let asked = Asked::by(&world.chat().await).await;
    let feedback = world.feedback().await;
    for _ in 0..3 {
        assert_eq!(
            judge(&feedback, &asked.judged("positive")).await.status,
            204
        );
    }
    let reply = judge(&feedback, &asked.judged("negative")).await;
    assert_eq!(reply.error(), (429, "rate_limited".into()));
    assert!(reply.header("retry-after").is_some());
    assert_eq!(world.database.rows(ALL).await[0][2], "positive");
}

#[tokio::test]
async fn two_judgements_at_once_leave_one() {
    let world = World::new().await;
    let asked = Asked::by(&world.chat().await).await;
    let (one, two) = (world.feedback().await, world.feedback().await);
    // Both have looked before either of them has stored anything.
    let lock = world.database.lock("lock table message_feedback").await;
    let bodies = [asked.judged("positive"), asked.judged("negative")];
    let both = async { tokio::join!(judge(&one, &bodies[0]), judge(&two, &bodies[1])) };
    let release = async {
        world.database.are_waiting(2).await;
        lock.release().await;
    };
    let ((first, second), ()) = tokio::join!(both, release);
    assert_eq!((first.status, second.status), (204, 204));
    assert_eq!(world.database.rows(ALL).await.len(), 1);
}

#[tokio::test]
async fn a_judgement_that_meets_the_deletion_of_its_conversation_finds_none() {
    let world = World::new().await;
    let asked = Asked::by(&world.chat().await).await;
    let feedback = world.feedback().await;
    let deletion = world.database.delete_conversation(&asked.session).await;
    let commit = async {
        world.database.is_waited_for().await;
        deletion.commit().await;
    };
    let body = asked.judged("positive");
    let (reply, ()) = tokio::join!(judge(&feedback, &body), commit);
    assert_eq!(reply.error(), (404, "not_found".into()));
}
