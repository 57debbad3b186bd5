//! Applies `migrations/` to the database, for the operator: `cargo run --bin migrate`.
//!
//! `cargo run --bin migrate -- sweep` instead deletes the conversations that nobody has touched for
//! `RETENTION_DAYS`, a thousand at a time.
//!
//! Reads `DATABASE_URL_UNPOOLED` where it is set, else `DATABASE_URL`; a pooled connection cannot
//! hold the lock that keeps two runs apart, and is refused. Functions never run this.

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use std::time::Duration;

use textbook_chat::{config, database};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

/// How long a server may take to answer; a sleeping Neon needs about a second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long another run, or a turn that holds a table, is waited for.
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
    lock(&client).await?;
    // The lock goes with the connection.
    let report = embedded::migrations::runner()
        .run_async(&mut client)
        .await
        .map_err(|error| error.to_string())?;
    for migration in report.applied_migrations() {
        println!("V{} {}", migration.version(), migration.name());
    }
    Ok(match report.applied_migrations().len() {
        0 => "The database is up to date.".into(),
        count => format!("Applied {count} migration(s)."),
    })
}

async fn open() -> Result<Client, String> {
    let url = ["DATABASE_URL_UNPOOLED", "DATABASE_URL"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
        .ok_or("set DATABASE_URL (or DATABASE_URL_UNPOOLED) to the PostgreSQL URL")?;
    let mut config =
        config::database_url(url).map_err(|problem| format!("the database URL {problem}"))?;
    if config.get_hosts().iter().any(is_pooled) {
        return Err(
            "this is a pooled URL (-pooler): set DATABASE_URL_UNPOOLED to the direct one".into(),
        );
    }
    config.connect_timeout(CONNECT_TIMEOUT);
    tokio::time::timeout(CONNECT_TIMEOUT, connect(&config))
        .await
        .map_err(|_| "cannot connect: the server does not answer")?
}

fn is_pooled(host: &Host) -> bool {
    matches!(host, Host::Tcp(name) if name.contains("-pooler."))
}

/// Keeps two runs apart: the same migration must not be applied twice.
async fn lock(client: &Client) -> Result<(), String> {
    let failed = |error| database::describe(&error);
    let settings = format!("set lock_timeout = {}", LOCK_TIMEOUT.as_millis());
    client.batch_execute(&settings).await.map_err(failed)?;
    client
        .batch_execute("select pg_advisory_lock(hashtext('textbook-chat migrations'))")
        .await
        .map_err(|error| {
            let reason = database::describe(&error);
            format!("another run seems to be at work: {reason}")
        })
}

async fn connect(config: &Config) -> Result<Client, String> {
    let failed = |error| format!("cannot connect: {}", database::describe(&error));
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
