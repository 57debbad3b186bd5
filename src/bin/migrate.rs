//! Brings the database up to date, for the operator: `cargo run --bin migrate`.
//!
//! Applies what is new in `migrations/`, then installs the functions of this version beside those of
//! others ([`textbook_chat::database::functions`]), and a place for vectors where the database has the
//! extension for them. Run it before each deployment.
//!
//! `cargo run --bin migrate -- sweep` instead deletes the conversations that nobody has touched for
//! `RETENTION_DAYS`, a thousand at a time.
//!
//! Reads `DATABASE_URL_UNPOOLED` where it is set, else `DATABASE_URL`; a pooled connection cannot
//! hold the lock that keeps two runs apart, and is refused. Functions never run this.

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::time::Duration;

use refinery::Migration;
use textbook_chat::database::functions::Functions;
use textbook_chat::{config, database};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

/// How long a server may take to answer; a sleeping Neon needs about a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to wait for another run, or for a turn that holds a table.
const LOCK_TIMEOUT: Duration = Duration::from_mins(1);

/// Refinery's macro writes a module `migrations` into this one.
mod embedded {
    refinery::embed_migrations!("migrations");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(problem) = config::load_dotenv() {
        eprintln!("migrate: {problem}");
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => migrate().await,
        ["sweep"] => sweep().await,
        _ => Err("the only argument it knows is: sweep".into()),
    };
    match outcome {
        Ok(said) => println!("{said}"),
        Err(problem) => {
            eprintln!("migrate: {problem}");
            std::process::exit(1);
        }
    }
}

/// Deletes old conversations in small transactions, which no turn has to wait for.
async fn sweep() -> Result<String, String> {
    let days = std::env::var("RETENTION_DAYS").ok();
    let days: i32 = days
        .and_then(|days| days.trim().parse().ok())
        .filter(|days| *days > 0)
        .ok_or("set RETENTION_DAYS to the number of days that an untouched conversation is kept")?;
    let client = open().await?;
    let mut count = 0;
    loop {
        let deleted = client
            .execute(
                "delete from chat_sessions where id in (
                     select id from chat_sessions
                     where updated_at < now() - make_interval(days => $1)
                     limit 1000 for update skip locked
                 )",
                &[&days],
            )
            .await
            .map_err(|error| database::describe(&error))?;
        count += deleted;
        if deleted == 0 {
            return Ok(format!(
                "Deleted {count} conversation(s) that were untouched for {days} days."
            ));
        }
    }
}

async fn migrate() -> Result<String, String> {
    let mut client = open().await?;
    // The lock is released with the connection.
    lock(&client).await?;
    let runner = embedded::migrations::runner();
    check_history(&mut client, runner.get_migrations()).await?;
    let report = runner
        .run_async(&mut client)
        .await
        .map_err(|error| error.to_string())?;
    for migration in report.applied_migrations() {
        println!("{}", name(migration));
    }
    let functions = Functions::current();
    let new = functions
        .install(&mut client)
        .await
        .map_err(|error| failed(&error))?;
    let vectors = install_vectors(&client).await?;
    let (count, schema) = (report.applied_migrations().len(), functions.schema());
    Ok(if count == 0 && !new {
        format!("The database is up to date, with the functions {schema}{vectors}.")
    } else {
        format!("Applied {count} migration(s); the functions {schema} are installed{vectors}.")
    })
}

/// Makes the place for vectors where the database has the extension `vector`, or may have it; says so
/// where it has not.
async fn install_vectors(client: &Client) -> Result<&'static str, String> {
    const MISSING: &str =
        "; the extension `vector` is not there, so the book is searched by its words";
    let sql = "select exists (select from pg_available_extensions where name = 'vector')";
    let available = client.query_one(sql, &[]).await;
    if !available.map_err(|error| failed(&error))?.get::<_, bool>(0) {
        return Ok(MISSING);
    }
    // The operator's role may not be allowed to.
    let create = "create extension if not exists vector";
    if client.batch_execute(create).await.is_err() {
        return Ok(MISSING);
    }
    let table = include_str!("../book/vectors.sql");
    let made = client.batch_execute(table).await;
    made.map_err(|error| failed(&error))?;
    Ok("")
}

/// The migrations from before the first release, by version, name and checksum. They make the same
/// tables as today's V1 to V4; the functions that they left in `public` stay, for deployments that
/// call them.
const BEFORE: [(i32, &str, &str); 4] = [
    (1, "conversations", "6876247037901903207"),
    (2, "idempotency_keys", "8859754339797372639"),
    (3, "guards", "15917392669256905152"),
    (4, "chatkit", "17493980768617571262"),
];

/// Makes sure that what was applied before is known; replaces the history from before the first
/// release with today's, in one transaction.
async fn check_history(client: &mut Client, known: &[Migration]) -> Result<(), String> {
    let sql = "select to_regclass('refinery_schema_history') is not null";
    let row = client.query_one(sql, &[]).await;
    if !row.map_err(|error| failed(&error))?.get::<_, bool>(0) {
        return Ok(());
    }
    let sql = "select version, name, checksum from refinery_schema_history order by version";
    let rows = client.query(sql, &[]).await;
    let rows = rows.map_err(|error| failed(&error))?;
    let applied = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2)));
    let applied: Vec<(i32, &str, &str)> = applied.collect();
    if applied == BEFORE {
        return replace_history(client, known)
            .await
            .map_err(|error| failed(&error));
    }
    let is_known = |(version, name, checksum): &(i32, &str, &str)| {
        known.iter().any(|it| {
            it.version() == *version && it.name() == *name && it.checksum().to_string() == *checksum
        })
    };
    match applied.iter().find(|migration| !is_known(migration)) {
        None => Ok(()),
        Some((version, name, _)) => Err(format!(
            "this database has a migration that this version does not know, V{version} {name}: it was \
             set up by another version, or by something else; use the migrate of that version, or \
             another database"
        )),
    }
}

async fn replace_history(
    client: &mut Client,
    known: &[Migration],
) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    let sql = "delete from refinery_schema_history";
    transaction.execute(sql, &[]).await?;
    let same = |migration: &&Migration| BEFORE.iter().any(|it| it.0 == migration.version());
    for migration in known.iter().filter(same) {
        let sql = "insert into refinery_schema_history (version, name, applied_on, checksum)
                   values ($1, $2, to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), $3)";
        let (version, checksum) = (migration.version(), migration.checksum().to_string());
        transaction
            .execute(sql, &[&version, &migration.name(), &checksum])
            .await?;
    }
    transaction.commit().await?;
    println!("The history from before the first release is replaced; the tables stay as they are.");
    Ok(())
}

fn name(migration: &Migration) -> String {
    format!("V{} {}", migration.version(), migration.name())
}

fn failed(error: &tokio_postgres::Error) -> String {
    database::describe(error)
}

async fn open() -> Result<Client, String> {
    let (variable, url) = ["DATABASE_URL_UNPOOLED", "DATABASE_URL"]
        .into_iter()
        .find_map(|name| {
            let url = std::env::var(name).ok().filter(|url| !url.is_empty())?;
            Some((name, url))
        })
        .ok_or("set DATABASE_URL (or DATABASE_URL_UNPOOLED) to the PostgreSQL URL")?;
    let mut config =
        config::database_url(&url).map_err(|problem| format!("{variable} {problem}"))?;
    if config.get_hosts().iter().any(is_pooled) {
        return Err(
            "this is a pooled URL (-pooler): set DATABASE_URL_UNPOOLED to the direct one".into(),
        );
    }
    config.connect_timeout(CONNECT_TIMEOUT);
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect(&config)).await;
    let connected = connected.unwrap_or_else(|_| Err("the server does not answer".to_owned()));
    connected.map_err(|problem| {
        let hosts: Vec<_> = config.get_hosts().iter().map(host).collect();
        let hosts = hosts.join(", ");
        format!("cannot connect to {hosts} ({variable}): {problem}")
    })
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

fn is_pooled(host: &Host) -> bool {
    matches!(host, Host::Tcp(name) if name.contains("-pooler."))
}

/// Keeps two runs apart: the same migration must not be applied twice.
async fn lock(client: &Client) -> Result<(), String> {
    let settings = format!("set lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    let set = client.batch_execute(&settings).await;
    set.map_err(|error| failed(&error))?;
    client
        .batch_execute("select pg_advisory_lock(hashtext('textbook-chat migrations'))")
        .await
        .map_err(|error| {
            let reason = database::describe(&error);
            format!("another run seems to be at work: {reason}")
        })
}

async fn connect(config: &Config) -> Result<Client, String> {
    let failed = |error| database::describe(&error);
    if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        tokio::spawn(connection);
        return Ok(client);
    }
    let tls = database::tls().map_err(|error| error.to_string())?;
    let (client, connection) = config.connect(tls).await.map_err(failed)?;
    tokio::spawn(connection);
    Ok(client)
}
