//! The operator's program: tables, and the functions of a version beside those of others.

use textbook_chat::database::functions::Functions;

use crate::harness::database::migrate;
use crate::harness::{Database, World};

const TEXT: &str = include_str!("../../src/session/turn.sql");

async fn install(functions: &Functions, database: &Database) -> bool {
    let mut client = database.connect().await;
    functions.install(&mut client).await.unwrap()
}

/// The functions' schemas, by name.
async fn schemas(database: &Database) -> Vec<String> {
    let sql = "select nspname from pg_namespace where nspname like 'turn\\_%' order by 1";
    database.rows(sql).await.into_iter().flatten().collect()
}

/// A version of the functions that differs in one word.
fn another(n: usize) -> Functions {
    let text = TEXT.replace(
        "the conversation has changed",
        &format!("it has changed {n}"),
    );
    assert_ne!(text, TEXT);
    Functions::of(text)
}

#[tokio::test]
async fn migrations_are_applied_once() {
    let database = Database::empty().await;
    let schema = Functions::current().schema();
    let first = migrate(&database.url).unwrap();
    assert!(first.contains("V1 conversations"), "{first}");
    assert!(
        first.contains(&format!("the functions {schema} are installed")),
        "{first}"
    );
    let second = migrate(&database.url).unwrap();
    let expected = format!("The database is up to date, with the functions {schema}.\n");
    assert_eq!(second, expected);
}

#[tokio::test]
async fn the_operator_is_told_what_is_missing_or_wrong() {
    let problem = migrate("").unwrap_err();
    assert!(problem.contains("set DATABASE_URL"), "{problem}");
    let problem = migrate("postgresql://me:hunter2@127.0.0.1:1/none").unwrap_err();
    assert!(
        problem.contains("cannot connect to 127.0.0.1 (DATABASE_URL): ")
            && !problem.contains("hunter2"),
        "{problem}"
    );
}

#[tokio::test]
async fn functions_of_another_text_are_installed_beside_those_that_a_deployment_calls() {
    let world = World::new().await;
    let chat = world.chat().await;
    let session = chat.ask("one").await.field("session_id");

    let next = another(1);
    assert!(install(&next, &world.database).await);
    assert!(!install(&next, &world.database).await, "once");
    let mut both = [Functions::current().schema(), next.schema()];
    both.sort_unstable();
    assert_eq!(schemas(&world.database).await, both);
    assert_eq!(chat.ask_in(&session, "two").await.status, 200);

    // And the other way round: ours come to a database that has only the next ones.
    let ours = format!("drop schema {} cascade", Functions::current().schema());
    world.database.rows(&ours).await;
    migrate(&world.database.url).unwrap();
    assert_eq!(schemas(&world.database).await, both);
    assert_eq!(chat.ask_in(&session, "three").await.status, 200);
    assert_eq!(world.database.messages().await.len(), 6);
}

#[tokio::test]
async fn a_deployment_without_its_functions_says_which_are_missing() {
    let world = World::new().await;
    let (chat, health) = (world.chat().await, world.health().await);
    let schema = Functions::current().schema();
    let drop = format!("drop schema {schema} cascade");
    world.database.rows(&drop).await;
    assert!(install(&another(1), &world.database).await);

    let reply = chat.ask("hi").await;
    assert_eq!(reply.error(), (500, "database_error".into()));
    assert!(!reply.text.contains(schema), "a reader is not told");
    let said = format!("the functions {schema} are not installed in this database");
    let cause = chat.logged("request failed").await["cause"].clone();
    assert!(cause.as_str().unwrap().contains(&said), "{cause}");

    let reply = health.get("/health?check=ready").await;
    assert_eq!(reply.status, 503);
    let database = reply.json()["checks"]["database"].clone();
    assert!(database.as_str().unwrap().starts_with(&said), "{database}");

    migrate(&world.database.url).unwrap();
    assert_eq!(chat.ask("hi").await.status, 200);
    assert_eq!(health.get("/health?check=ready").await.status, 200);
}

#[tokio::test]
async fn functions_go_when_five_newer_ones_are_there_and_a_month_has_passed() {
    let database = Database::new().await;
    let first = Functions::current().schema();
    let age = |schema: &str, days: u32| {
        let then = chrono::Utc::now() - chrono::Days::new(days.into());
        format!(
            "comment on schema {schema} is 'installed {}'",
            then.to_rfc3339()
        )
    };
    database.rows(&age(first, 31)).await;
    for n in 1..5 {
        install(&another(n), &database).await;
    }
    assert!(
        schemas(&database).await.contains(&first.to_owned()),
        "of the newest five, whatever its age"
    );
    database.rows(&age(first, 29)).await;
    install(&another(5), &database).await;
    assert_eq!(schemas(&database).await.len(), 6, "younger than a month");
    database.rows(&age(first, 31)).await;
    install(&another(5), &database).await;
    let left = schemas(&database).await;
    assert_eq!(left.len(), 5);
    assert!(!left.contains(&first.to_owned()));
    // A deployment that comes back brings its own.
    migrate(&database.url).unwrap();
    assert!(schemas(&database).await.contains(&first.to_owned()));
}

#[tokio::test]
async fn the_database_of_before_the_first_release_is_taken_over_with_all_its_data() {
    let before = Database::before_the_first_release().await;
    let data = "
        insert into chat_sessions (id) values ('0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e');
        insert into messages (id, session_id, role, content)
        values (gen_random_uuid(), '0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e', 'user', 'What?'),
               (gen_random_uuid(), '0196f3a0-7c1e-7d3a-9b1f-3f0c5b6a7d8e', 'assistant', 'That.')";
    before.rows(data).await;
    let said = migrate(&before.url).unwrap();
    assert!(said.contains("the tables stay as they are"), "{said}");
    assert_eq!(before.messages().await, ["user: What?", "assistant: That."]);
    let again = migrate(&before.url).unwrap();
    assert!(again.contains("up to date"), "{again}");

    let new = Database::new().await;
    for sql in [
        "select table_name, column_name, data_type, is_nullable, column_default, is_identity
         from information_schema.columns where table_schema = 'public' order by 1, 2",
        "select indexdef from pg_indexes where schemaname = 'public' order by 1",
        "select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
         where connamespace = 'public'::regnamespace order by 1, 2",
        "select version, name, checksum from refinery_schema_history order by 1",
    ] {
        assert_eq!(before.rows(sql).await, new.rows(sql).await, "{sql}");
    }
    let functions = "select count(*) from pg_proc where proname in ('begin_turn', 'finish_turn')";
    assert_eq!(
        new.rows(functions).await,
        [["0"]],
        "a new one has none of theirs"
    );
    assert_ne!(before.rows(functions).await, [["0"]]);
}

#[tokio::test]
async fn a_history_that_is_not_ours_is_refused_in_one_sentence() {
    let database = Database::before_the_first_release().await;
    let rows = "select count(*) from messages";
    for change in [
        "update refinery_schema_history set name = 'something' where version = 4",
        "insert into refinery_schema_history values (99, 'later', 'now', '1')",
        "delete from refinery_schema_history where version > 2",
    ] {
        database.rows(change).await;
        let problem = migrate(&database.url).unwrap_err();
        assert_eq!(problem.lines().count(), 1, "{problem}");
        assert!(
            problem.contains("a migration that this version does not know"),
            "{problem}"
        );
        assert_eq!(database.rows(rows).await, [["0"]]);
    }
}
