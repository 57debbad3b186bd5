//! What a turn costs the database does not grow with the conversation or with the others.

use textbook_chat::database::functions::Functions;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::harness::{Database, World};

const SESSION: &str = "0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e";

/// A question in it.
const QUESTION: &str = "0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8f";

/// What a statement of a turn reads.
#[derive(Debug)]
struct Cost {
    /// Messages that were fetched by an index.
    fetched: i64,
    /// Messages that were read without an index.
    scanned: i64,
    /// Pages read by the whole statement, with all that it does inside.
    pages: i64,
}

#[tokio::test]
async fn a_long_conversation_in_a_large_database_costs_what_a_short_one_in_a_small_one_does() {
    let world = World::new().await;
    fill(&world.database, 1_000, 2_000).await;
    let small = [begin(&world.database).await, finish(&world.database).await];
    fill(&world.database, 10_000, 100_000).await;
    let large = [begin(&world.database).await, finish(&world.database).await];
    for (small, large) in small.iter().zip(&large) {
        assert_eq!(large.scanned, 0, "{large:?}");
        assert_eq!(large.fetched, small.fetched, "{small:?} {large:?}");
        // An index over more rows is a level or two deeper.
        assert!(large.pages <= small.pages + 25, "{small:?} {large:?}");
    }
    // The ten of the history, and a search for the question.
    assert!(large[0].fetched <= 12, "{large:?}");
}

/// This many messages in the conversation, and in others of ten each.
async fn fill(database: &Database, own: usize, others: usize) {
    // The conversations are inserted first: each message looks up its own.
    let sql = format!(
        "insert into chat_sessions (id) values ('{SESSION}') on conflict do nothing;
         insert into chat_sessions (id)
         select gen_random_uuid() from generate_series(1, {others} / 10);
         analyze;
         insert into messages (id, session_id, role, content)
         values ('{QUESTION}', '{SESSION}', 'user', 'What is it?') on conflict do nothing;
         insert into messages (id, session_id, role, content)
         select gen_random_uuid(), '{SESSION}', 'user', 'What is it, number ' || i || '?'
         from generate_series(1, {own}) i;
         insert into messages (id, session_id, role, content)
         select gen_random_uuid(), id, 'user', 'Something else.'
         from (select id from chat_sessions where id <> '{SESSION}' limit {others} / 10) other,
             generate_series(1, 10);
         analyze"
    );
    database.rows(&sql).await;
}

async fn begin(database: &Database) -> Cost {
    let sql = "select * from {turn}.begin(
        named_session => '{session}', new_session => gen_random_uuid(),
        new_question => gen_random_uuid(), new_answer => gen_random_uuid(),
        message => 'And now?', fixed_cost => 4500000, byte_cost => 750,
        history_messages => 10, message_bytes => 150, max_history_bytes => 192000,
        spending_shard => 3::smallint,
        network_hash => decode('00112233445566778899aabbccddeeff', 'hex'),
        network_burst => 30, network_interval => '2 seconds', network_daily => 500,
        budget => 5000000000
    )";
    cost(database, sql).await
}

async fn finish(database: &Database) -> Cost {
    let sql = "select {turn}.finish(
        this_answer => gen_random_uuid(), this_session => '{session}', answer => 'So.',
        this_question => '{question}',
        answer_state => 'complete', cost => 63000, began_at => null, replaces => null
    )";
    cost(database, sql).await
}

/// Runs the statement on a connection of its own and measures its second run, because the first
/// also reads the catalogue.
async fn cost(database: &Database, sql: &str) -> Cost {
    let sql = Functions::current().call(
        &sql.replace("{session}", SESSION)
            .replace("{question}", QUESTION),
    );
    let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let explain = format!("explain (analyze, buffers, format json) {sql}");
    client.simple_query(&explain).await.unwrap();
    client.simple_query("begin").await.unwrap();
    let before = read(&client).await;
    let plan = first(&client.simple_query(&explain).await.unwrap()).concat();
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let plan = &plan[0]["Plan"];
    let pages =
        ["Shared Hit Blocks", "Shared Read Blocks"].map(|kind| plan[kind].as_i64().unwrap());
    let after = read(&client).await;
    client.simple_query("rollback").await.unwrap();
    Cost {
        fetched: after[0] - before[0],
        scanned: after[1] - before[1],
        pages: pages.iter().sum(),
    }
}

/// Messages that this connection has fetched so far, by an index and without one.
async fn read(client: &Client) -> [i64; 2] {
    let sql = "select idx_tup_fetch, seq_tup_read from pg_stat_xact_user_tables
        where relname = 'messages'";
    let row = first(&client.simple_query(sql).await.unwrap());
    [0, 1].map(|column: usize| row[column].parse().unwrap())
}

fn first(messages: &[SimpleQueryMessage]) -> Vec<String> {
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.unwrap();
    (0..row.len())
        .map(|i| row.get(i).unwrap().to_owned())
        .collect()
}
