//! The operator's program.

use crate::harness::Database;
use crate::harness::database::{migrate, migrations};

#[tokio::test]
async fn migrations_are_applied_once() {
    let database = Database::empty().await;
    let first = migrate(&database.url).unwrap();
    assert!(first.contains("V1 conversations"), "{first}");
    let second = migrate(&database.url).unwrap();
    assert_eq!(second, "The database is up to date.\n");
}

#[tokio::test]
async fn the_operator_is_told_what_is_missing_or_wrong() {
    let problem = migrate("").unwrap_err();
    assert!(problem.contains("set DATABASE_URL"), "{problem}");
    let problem = migrate("postgresql://me:hunter2@127.0.0.1:1/none").unwrap_err();
    assert!(
        problem.contains("cannot connect") && !problem.contains("hunter2"),
        "{problem}"
    );
}

#[tokio::test]
async fn each_migration_keeps_the_conversations_that_are_there() {
    let database = Database::empty().await;
    let data = "
        insert into chat_sessions (id) values ('0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e');
        insert into messages (id, session_id, role, content)
        values (gen_random_uuid(), '0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e', 'user', 'What?'),
               (gen_random_uuid(), '0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e', 'assistant', 'That.')";
    for (i, file) in migrations().iter().enumerate() {
        let sql = std::fs::read_to_string(file).unwrap();
        database.rows(&sql).await;
        if i == 0 {
            database.rows(data).await;
        }
        // What the functions of the version before write and read.
        let messages = database.messages().await;
        assert_eq!(messages, ["user: What?", "assistant: That."], "{file:?}");
    }
}
