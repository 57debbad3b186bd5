//! The operator's program.

use crate::harness::Database;
use crate::harness::database::migrate;

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
