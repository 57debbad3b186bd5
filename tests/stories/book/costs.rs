//! What the chat has cost, as its owner learns of it.

use serde_json::{Value, json};

use super::owner::{Run, book};
use crate::harness::model::Script;
use crate::harness::{Database, World};

fn costs(database: &Database, more: &[&str]) -> Run {
    book(
        &[("DATABASE_URL", &*database.url)],
        &[&["costs"], more].concat(),
    )
}

#[tokio::test]
async fn an_owner_learns_what_the_last_days_have_cost_and_what_five_dollars_are_good_for() {
    let world = World::new().await;
    assert_eq!(
        costs(&world.database, &[]).done(),
        "Nothing was asked in the last 30 days.\n"
    );
    let chat = world.chat().await;
    for _ in 0..3 {
        assert_eq!(chat.ask("hi").await.status, 200);
    }
    // What the provider refuses costs nothing, and is no answer.
    world.model.next(Script::refused());
    chat.ask("hi").await;
    let earlier = "insert into spending (day, shard, nanos) values
                       ((now() at time zone 'utc')::date - 2, 3, 2000000),
                       ((now() at time zone 'utc')::date - 2, -1, 7000000),
                       ((now() at time zone 'utc')::date - 40, 0, 9000000000)";
    world.database.rows(earlier).await;

    let output = costs(&world.database, &["--json"]).done();
    let days: Vec<Value> = output
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // 42 tokens of the prompt and 7 of the answer at the default prices, three times.
    let turn = 42 * 750 + 7 * 4_500;
    let figures = |day: &Value| {
        json!([
            day["nanos"],
            day["index_nanos"],
            day["answers"],
            day["searched"]
        ])
    };
    assert_eq!(
        days.iter().map(figures).collect::<Vec<_>>(),
        [
            json!([3 * turn, 0, 3, 0]),
            json!([2_000_000, 7_000_000, 0, 0]),
        ]
    );
    let text = costs(&world.database, &["--days", "2"]).done();
    assert!(text.contains("$5 are good for 79365 questions"), "{text}");
    assert!(!text.contains("embeddings"), "{text}");
    let text = costs(&world.database, &["--days", "3"]).done();
    assert!(text.contains("The book's embeddings: $0.0070."), "{text}");
    costs(&world.database, &["--days", "32"]).failed(2);
}
