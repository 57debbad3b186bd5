//! The parts in the order in which they are started, and stopped.
//!
//! Every part ends with this process in any case. They are stopped in order for the sake of
//! requests under way, whose answers must still be stored.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use launch::{
    build, folders,
    options::Options,
    reach,
    running::{self, Mark},
    say,
    variables::Variables,
};
use local::{
    function::Environment,
    gateway::{self, Functions, Gateway, Pages, Routes},
    model::{self, Model},
    postgres::Server,
};
use tokio::task::block_in_place;

use crate::{
    banner::{self, Facts},
    book::Book,
    check,
    log::Log,
};

pub(crate) const DATABASE: &str = "textbook";
/// How long functions may take to finish their requests.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

pub(crate) struct Stack {
    gateway: Gateway,
    functions: Arc<Functions>,
    // These two are still needed while the functions end: they are dropped after them.
    _model: Option<Model>,
    _server: Option<Server>,
    _mark: Mark,
}

impl Stack {
    pub(crate) async fn start(options: &Options, root: &Path) -> Result<Self> {
        // First what may fail at once, then what takes time.
        let routes = Routes::read(root)?;
        let mut variables = Variables::read(root)?;
        let listeners = gateway::bind(options.port).await?;
        let cache = folders::cache()?;
        let mark = running::mark(&cache, options.port, root)?;
        let book = Book::choose(options, root, &routes, &mut variables);
        let binaries = build::programs()?;

        let server = block_in_place(|| database(options, &cache, root, &mut variables))?;
        let tables = migrate(&binaries, root, &variables)?;

        let model = if variables.get("OPENAI_API_KEY").is_none() {
            Some(model::start().await?)
        } else {
            None
        };
        if let Some(model) = &model {
            variables.set("OPENAI_API_KEY", "offline");
            variables.set("OPENAI_BASE_URL", model.base_url());
            // A proxy on the network cannot reach what runs on this machine.
            let direct = variables
                .get("NO_PROXY")
                .map(|hosts| format!("{hosts},"))
                .unwrap_or_default();
            variables.set("NO_PROXY", format!("{direct}127.0.0.1,localhost"));
        }
        if variables.get("CORS_ORIGINS").is_none() {
            variables.set("CORS_ORIGINS", format!("http://localhost:{}", options.port));
        }

        let environment = Environment::Inherited(variables.clone().into_pairs());
        let log = Log::new(variables.get("LOG_FORMAT").as_deref() == Some("json"));
        let on_line = Arc::clone(&log);
        let functions = Arc::new(Functions::new(
            routes.functions(),
            &binaries,
            root,
            environment,
            Arc::new(move |function: &str, line: &str| on_line.line(function, line)),
        ));
        functions.start().await?;
        let mut problems = check::problems(&functions, &log, &variables, model.is_none()).await;
        // An index that readers use may have vectors, which this one would not: nothing is read into it unasked.
        let url = variables.get("DATABASE_URL").unwrap_or_default();
        let reads_book = book.is_sample || options.book.is_some() || reach::is_here(&url);
        if !reads_book {
            problems.push(format!(
                "{} is elsewhere: its tables are up to date, and its book is left as it is (`--book` reads it)",
                variables.place("DATABASE_URL")
            ));
        }
        let banner = banner::text(&Facts {
            port: options.port,
            root,
            routes: &routes,
            variables: &variables,
            tables: &tables,
            book: &book,
            server: server.as_ref(),
            is_offline: model.is_some(),
            problems: &problems,
        });
        let gateway = gateway::serve(
            listeners,
            &Pages {
                public: &root.join("public"),
                book: &book.folder,
                book_path: &book.path,
                begin_with_book: book.is_sample,
            },
            routes,
            Arc::clone(&functions),
            Arc::new(move |event| log.event(&event)),
        )?;
        say(&banner);
        if reads_book {
            book.index(&binaries, root, variables);
        }
        Ok(Self {
            gateway,
            functions,
            _model: model,
            _server: server,
            _mark: mark,
        })
    }

    pub(crate) async fn stop(self) {
        drop(self.gateway);
        self.functions.stop(DRAIN_LIMIT).await;
    }
}

/// The embedded server, unless `DATABASE_URL` names another; sets `DATABASE_URL`.
fn database(
    options: &Options,
    cache: &Path,
    root: &Path,
    variables: &mut Variables,
) -> Result<Option<Server>> {
    if let Some(url) = variables.get("DATABASE_URL") {
        ensure!(
            !options.reset,
            "--reset is for the embedded database, and DATABASE_URL names another"
        );
        // The same database without its pooler, whatever other one the variable may name.
        let direct = url.replacen("-pooler.", ".", 1);
        let direct = if direct == url { "" } else { &direct };
        variables.set("DATABASE_URL_UNPOOLED", direct);
        return Ok(None);
    }
    let folder = folders::data(cache, root);
    if options.reset {
        Server::erase(&folder)?;
    }
    let server = Server::persistent(&folder)?;
    if !server.has_database(DATABASE)? {
        server.create_database(DATABASE, None)?;
    }
    variables.set("DATABASE_URL", server.url(DATABASE));
    variables.set("DATABASE_URL_UNPOOLED", server.url(DATABASE));
    Ok(Some(server))
}

/// Brings the database up to date; what the program says of it.
fn migrate(binaries: &Path, root: &Path, variables: &Variables) -> Result<String> {
    let output = Command::new(binaries.join("migrate"))
        .envs(variables.clone().into_pairs())
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .context("cannot run migrate")?;
    let said = [output.stdout, output.stderr]
        .map(|words| String::from_utf8_lossy(&words).into_owned())
        .concat();
    ensure!(
        output.status.success(),
        "the migrations failed:\n{}",
        said.trim_end()
    );
    Ok(said.lines().last().unwrap_or_default().to_owned())
}
