//! One PostgreSQL for all tests, and a database for each, copied from a migrated template.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use local::postgres::Server;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::eventually;

const TEMPLATE: &str = "migrated";

/// Never dropped, being static: its watchdog ends it with the test process.
static SERVER: OnceLock<Server> = OnceLock::new();

/// The server makes only one copy of a template at a time.
static COPYING: Mutex<()> = Mutex::new(());

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database for one test.
#[derive(Clone)]
pub struct Database {
    pub name: String,
    pub url: String,
}

impl Database {
    /// A database with the schema.
    pub async fn new() -> Self {
        Self::create(Some(TEMPLATE)).await
    }

    /// An empty database.
    pub async fn empty() -> Self {
        Self::create(None).await
    }

    /// A database as the last version before the first release left it: with that version's
    /// migrations, history and functions in `public`.
    pub async fn before_the_first_release() -> Self {
        let database = Self::empty().await;
        for sql in [
            include_str!("../stories/before/V1__conversations.sql"),
            include_str!("../stories/before/V2__idempotency_keys.sql"),
            include_str!("../stories/before/V3__guards.sql"),
            include_str!("../stories/before/V4__chatkit.sql"),
            "create table refinery_schema_history (
                 version int4 primary key, name varchar(255), applied_on varchar(255),
                 checksum varchar(255)
             );
             insert into refinery_schema_history values
                 (1, 'conversations', '2026-11-20T12:00:00Z', '6876247037901903207'),
                 (2, 'idempotency_keys', '2026-11-20T12:00:00Z', '8859754339797372639'),
                 (3, 'guards', '2026-11-20T12:00:00Z', '15917392669256905152'),
                 (4, 'chatkit', '2026-11-20T12:00:00Z', '17493980768617571262')",
        ] {
            database.rows(sql).await;
        }
        database
    }

    async fn create(template: Option<&'static str>) -> Self {
        let create = move || {
            let server = server();
            let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
            let _copying = COPYING.lock().unwrap();
            server.create_database(&name, template).unwrap();
            let url = format!("{}?sslmode=disable", server.url(&name));
            Self { name, url }
        };
        tokio::task::spawn_blocking(create).await.unwrap()
    }

    pub fn port() -> u16 {
        server().port()
    }

    /// The URL of the same database at another port, behind a proxy.
    pub fn url_at(&self, port: u16) -> String {
        format!(
            "postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable",
            self.name
        )
    }

    pub async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The server closes every connection to it.
    pub async fn close_connections(&self) {
        let close = "select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()";
        self.rows(close).await;
    }

    /// From now on, whatever touches a message waits until the lock is released.
    pub async fn lock_messages(&self) -> Lock {
        self.lock("lock table messages").await
    }

    /// Holds the locks that this statement takes.
    pub async fn lock(&self, sql: &str) -> Lock {
        let client = self.connect().await;
        let lock = format!("begin; {sql}");
        client.batch_execute(&lock).await.unwrap();
        Lock(client)
    }

    /// From now on, whatever touches a conversation waits until the lock is released.
    pub async fn lock_conversation(&self, id: &str) -> Lock {
        let client = self.connect().await;
        let lock = format!("begin; select from chat_sessions where id = '{id}' for update");
        client.batch_execute(&lock).await.unwrap();
        Lock(client)
    }

    /// Deletes a conversation, but does not commit that yet.
    pub async fn delete_conversation(&self, id: &str) -> Lock {
        let client = self.connect().await;
        let delete = format!("begin; delete from chat_sessions where id = '{id}'");
        client.batch_execute(&delete).await.unwrap();
        Lock(client)
    }

    /// Returns when a statement waits for a lock.
    pub async fn is_waited_for(&self) {
        let waiting = "select 1 from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let waits = eventually(async || (!self.rows(waiting).await.is_empty()).then_some(()));
        waits.await.expect("nothing waits for a lock");
    }

    /// Waits until so many statements wait for a lock.
    pub async fn are_waiting(&self, statements: usize) {
        let waiting = "select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock'";
        let all = [[statements.to_string()]];
        let waiting = eventually(async || (self.rows(waiting).await == all).then_some(()));
        waiting.await.expect("they do not wait");
    }

    /// Runs SQL; the rows with their columns as text, null as `-`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let messages = self.connect().await.simple_query(sql).await.unwrap();
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        rows.map(|row| {
            let columns = (0..row.len()).map(|i| row.get(i).unwrap_or("-").to_owned());
            columns.collect()
        })
        .collect()
    }

    /// All messages in order, as `role: content`.
    pub async fn messages(&self) -> Vec<String> {
        let rows = self
            .rows("select role || ': ' || content from messages order by seq")
            .await;
        rows.into_iter().flatten().collect()
    }

    /// How many conversations and messages there are.
    pub async fn counts(&self) -> (usize, usize) {
        let rows = self
            .rows("select (select count(*) from chat_sessions), (select count(*) from messages)")
            .await;
        (rows[0][0].parse().unwrap(), rows[0][1].parse().unwrap())
    }
}

/// A lock that is held.
pub struct Lock(Client);

impl Lock {
    pub async fn release(self) {
        self.0.batch_execute("rollback").await.unwrap();
    }

    /// What was done under it counts.
    pub async fn commit(self) {
        self.0.batch_execute("commit").await.unwrap();
    }
}

fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let server = Server::temporary().unwrap();
        server.create_database(TEMPLATE, None).unwrap();
        migrate(&server.url(TEMPLATE)).unwrap();
        server
    })
}

/// Runs the operator's program; returns its output, whether it succeeds or fails.
pub fn migrate(url: &str) -> Result<String, String> {
    operate(url, &[], &[])
}

/// The same with arguments and settings.
pub fn operate(url: &str, arguments: &[&str], settings: &[(&str, &str)]) -> Result<String, String> {
    let output = Command::new(env!("CARGO_BIN_EXE_migrate"))
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url)
        .envs(settings.iter().copied())
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    if output.status.success() {
        Ok(text)
    } else {
        Err(text)
    }
}
