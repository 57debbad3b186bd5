//! Applies `migrations/` to the database, for the operator: `cargo run --bin migrate`.
//!
//! Reads `DATABASE_URL_UNPOOLED` where it is set, else `DATABASE_URL`; a pooled connection may
//! not hold the lock that keeps two runs apart. Functions never run this.

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]

use textbook_chat::{config, database};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

/// Refinery's macro writes a module `migrations` into this one.
mod embedded {
    refinery::embed_migrations!("migrations");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    config::load_dotenv();
    match migrate().await {
        Ok(0) => println!("The database is up to date."),
        Ok(count) => println!("Applied {count} migration(s)."),
        Err(problem) => {
            eprintln!("migrate: {problem}");
            std::process::exit(1);
        }
    }
}

async fn migrate() -> Result<usize, String> {
    let url = ["DATABASE_URL_UNPOOLED", "DATABASE_URL"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()))
        .ok_or("set DATABASE_URL (or DATABASE_URL_UNPOOLED) to the PostgreSQL URL")?;
    let config =
        config::database_url(url).map_err(|problem| format!("the database URL {problem}"))?;
    let mut client = connect(&config).await?;
    // Two deployments at once must not apply the same migration twice.
    client
        .batch_execute("select pg_advisory_lock(hashtext('textbook-chat migrations'))")
        .await
        .map_err(|error| database::describe(&error))?;
    let report = embedded::migrations::runner()
        .run_async(&mut client)
        .await
        .map_err(|error| error.to_string())?;
    for migration in report.applied_migrations() {
        println!("V{} {}", migration.version(), migration.name());
    }
    Ok(report.applied_migrations().len())
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
