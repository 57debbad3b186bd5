//! The stage for the measurements: the release binaries, a migrated database, the model, and the
//! ways to the database.
//!
//! Owns building and starting; never measures.

use std::{env, path::PathBuf, process::Command, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use local::postgres::Server;

use crate::{
    book,
    model::Model,
    process::{Environment, Process},
    proxy::{self, Flights},
    tls::Front,
};

/// The round trip to a database that is not next door.
pub const FAR: Duration = Duration::from_millis(10);

const DATABASE: &str = "chat";

/// How the database is reached.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    /// Without any proxy.
    Direct,
    /// With flights counted.
    Counted,
    /// Counted, and ten milliseconds there and back.
    Far,
    /// Like `Far`, over TLS that is requested first, and over TLS from the first byte.
    FarTls,
    FarDirectTls,
}

/// By what the book is searched.
#[derive(Clone, Copy, PartialEq)]
pub enum Search {
    Words,
    /// By words, too.
    Vectors,
}

/// Everything that runs.
pub struct Stage {
    pub model: Model,
    programs: PathBuf,
    server: Server,
    flights: Arc<Flights>,
    counted: u16,
    far: u16,
    far_tls: u16,
    front: Front,
}

impl Stage {
    /// Builds what is measured and starts what it needs.
    pub async fn set() -> Result<Self> {
        // In a build of their own: together with this program they would get its features.
        build(&["--bins"])?;
        build(&["--package", "textbook-chat-bench", "--bin", "floor"])?;
        let programs = env::current_exe()?;
        let programs = programs.parent().context("no folder")?.to_owned();
        let server = Server::temporary()?;
        server.create_database(DATABASE, None)?;
        let migrated = Command::new(programs.join("migrate"))
            .env_clear()
            .env("DATABASE_URL", server.url(DATABASE))
            .current_dir(env::temp_dir())
            .output()?;
        ensure!(
            migrated.status.success(),
            "migrate: {}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        let flights = Arc::new(Flights::default());
        let front = Front::start(server.port()).await?;
        let proxy = |port, time| proxy::start(port, time, Arc::clone(&flights));
        Ok(Self {
            model: Model::start(Arc::clone(&flights))?,
            programs,
            counted: proxy(server.port(), Duration::ZERO).await?,
            far: proxy(server.port(), FAR).await?,
            far_tls: proxy(front.port, FAR).await?,
            server,
            flights,
            front,
        })
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// The target folder.
    pub fn target(&self) -> PathBuf {
        let parent = self.programs.parent();
        parent.unwrap_or(&self.programs).to_owned()
    }

    /// The database, without any proxy.
    pub fn database_url(&self) -> String {
        self.server.url(DATABASE) + "?sslmode=disable"
    }

    /// Flights to the database so far.
    pub fn flights(&self) -> usize {
        self.flights.count()
    }

    /// A deployment's settings, without the limits on how often a reader may ask. The day's budget
    /// is kept, but cannot be spent.
    pub fn environment(&self, way: Way) -> Environment {
        let (host, port, mode) = match way {
            Way::Direct => ("127.0.0.1", self.server.port(), "disable"),
            Way::Counted => ("127.0.0.1", self.counted, "disable"),
            Way::Far => ("127.0.0.1", self.far, "disable"),
            Way::FarTls => ("localhost", self.far_tls, "require"),
            Way::FarDirectTls => ("localhost", self.far_tls, "require&sslnegotiation=direct"),
        };
        let url = format!("postgresql://postgres@{host}:{port}/{DATABASE}?sslmode={mode}");
        let authorities = self.front.authorities.display().to_string();
        let variables = [
            ("OPENAI_API_KEY", "sk-bench".into()),
            ("OPENAI_BASE_URL", self.model.base_url()),
            ("DATABASE_URL", url),
            ("CORS_ORIGINS", "https://book.example".into()),
            ("SSL_CERT_FILE", authorities),
            ("RATE_LIMIT_NETWORK_PER_MINUTE", "0".into()),
            ("RATE_LIMIT_NETWORK_PER_DAY", "0".into()),
            ("RATE_LIMIT_CONVERSATION_PER_MINUTE", "0".into()),
            ("DAILY_BUDGET_USD", "1000000".into()),
        ];
        let named = variables.map(|(name, value)| (name.to_owned(), value));
        named.into()
    }

    /// The settings of a deployment with the book that is in the database.
    pub fn environment_with_book(&self, way: Way, search: Search) -> Environment {
        let model = match search {
            Search::Words => "",
            Search::Vectors => book::EMBEDDING_MODEL,
        };
        let variables = [("BOOK_URL", book::URL), ("EMBEDDING_MODEL", model)];
        let named = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.environment(way).into_iter().chain(named).collect()
    }

    /// Starts a program of ours.
    pub async fn start(&self, name: &str, way: Way) -> Result<Process> {
        Process::start(&self.program(name), &self.environment(way)).await
    }

    /// Starts the function `chat` with the book that is in the database.
    pub async fn start_with_book(&self, way: Way, search: Search) -> Result<Process> {
        let environment = self.environment_with_book(way, search);
        Process::start(&self.program("chat"), &environment).await
    }
}

fn build(arguments: &[&str]) -> Result<()> {
    let cargo = env::var_os("CARGO").context("run this with cargo: `cargo bench-turn`")?;
    let manifest = env::var_os("CARGO_MANIFEST_DIR").context("run this with cargo")?;
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet"])
        .args(arguments)
        .current_dir(PathBuf::from(manifest).join(".."))
        .status()?;
    ensure!(status.success(), "the build failed");
    Ok(())
}
