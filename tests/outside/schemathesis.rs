//! The contract under a fuzzer: schemathesis makes requests from `public/openapi.json`, valid and
//! invalid, and checks every response against it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use local::function::Environment;
use local::gateway::{self, Functions, Gateway, Pages, Routes};
use tokio::process::Command;

use super::{ROOT, output, target};
use crate::harness::World;
use crate::harness::model::{ANSWER, Script};

/// The limits that a fuzzer would run into (`RATE_LIMIT_*` and whatever else counts requests),
/// switched off: each with its name and its value.
const RAISED_LIMITS: [(&str, &str); 5] = [
    ("RATE_LIMIT_NETWORK_PER_MINUTE", "0"),
    ("RATE_LIMIT_NETWORK_PER_DAY", "0"),
    ("RATE_LIMIT_CONVERSATION_PER_MINUTE", "0"),
    ("DAILY_BUDGET_USD", "0"),
    ("MAX_TURNS_IN_FLIGHT", "0"),
];

/// A run takes a minute; one that takes this long does not end.
const LIMIT: Duration = Duration::from_mins(10);

#[tokio::test]
async fn answers_as_json_and_a_readers_own_threads_keep_the_contract() {
    let token = format!("Authorization: Bearer {}", "A".repeat(43));
    let world = fuzz("JSON, a reader", &["--header", &token]).await;
    // What can only be done with a thread that exists.
    for done in [
        "select from message_feedback",
        "select from messages where answering is not null",
    ] {
        assert!(!world.database.rows(done).await.is_empty(), "{done}");
    }
}

#[tokio::test]
async fn streamed_answers_and_strangers_keep_the_contract() {
    let streamed = ["--header", "Accept: text/event-stream"];
    fuzz("text/event-stream, strangers", &streamed).await;
}

/// Runs schemathesis with these additional arguments, against functions of its own.
async fn fuzz(what: &str, arguments: &[&str]) -> World {
    let world = World::new().await.with("LOG_LEVEL", "warn");
    let (mut world, _) = world.with_book().await;
    // Cited where the book has anything to say.
    world.model.always(Script::answer(&format!("{ANSWER} [1]")));
    for (name, value) in RAISED_LIMITS {
        world.set(name, value);
    }
    let site = Site::serve(&world).await;
    let folder = Path::new(ROOT).join("tests/outside/schemathesis");
    let mut command = Command::new(program());
    command
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", site.url))
        .args(["--url", &site.url, "--no-color"])
        .args(arguments)
        // What it keeps for its next run, it keeps in its working directory.
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("COLUMNS", "100")
        .env("SCHEMATHESIS_HOOKS", folder.join("hooks.py"));
    let report = output(&mut command, LIMIT).await;
    // Not by a macro, whose output is held back when a test passes.
    let summary = report.rfind("SUMMARY").map_or(&*report, |at| {
        report[at..].trim_start_matches(|c: char| c != '\n')
    });
    let mut stderr = std::io::stderr();
    writeln!(stderr, "schemathesis, {what}:\n{}", summary.trim()).unwrap();
    let (conversations, messages) = world.database.counts().await;
    assert!(
        conversations > 10 && messages > 20,
        "hardly anything came through"
    );
    for done in [
        "select from messages where jsonb_array_length(citations -> 'marks') > 0",
        "select from messages where page is not null",
    ] {
        assert!(!world.database.rows(done).await.is_empty(), "{done}");
    }
    world
}

/// The functions under one address, as the platform serves them.
struct Site {
    url: String,
    _functions: Arc<Functions>,
    _gateway: Gateway,
}

impl Site {
    async fn serve(world: &World) -> Self {
        let root = Path::new(ROOT);
        let routes = Routes::read(root).unwrap();
        let binaries = Path::new(env!("CARGO_BIN_EXE_chat")).parent().unwrap();
        let environment = Environment::Only(world.settings().to_vec());
        // A folder without a `.env`: a developer's own settings must not reach a test.
        let folder = std::env::temp_dir();
        let log = Arc::new(|_: &str, _: &str| ());
        let functions = Functions::new(routes.functions(), binaries, &folder, environment, log);
        let functions = Arc::new(functions);
        functions.start().await.unwrap();
        let listeners = gateway::bind(0).await.unwrap();
        let port = listeners[0].local_addr().unwrap().port();
        let public = root.join("public");
        let pages = Pages {
            public: &public,
            book: &public,
            book_path: gateway::BOOK,
            begin_with_book: false,
        };
        let gateway = gateway::serve(
            listeners,
            &pages,
            routes,
            Arc::clone(&functions),
            Arc::new(|_| ()),
        )
        .unwrap();
        Self {
            url: format!("http://127.0.0.1:{port}"),
            _functions: functions,
            _gateway: gateway,
        }
    }
}

/// Where `.ci/run` installs it.
fn program() -> PathBuf {
    let program = target().join("schemathesis/bin/schemathesis");
    assert!(
        program.exists(),
        "schemathesis is not there; run: python3 -m venv target/schemathesis && target/schemathesis/bin/pip install --requirement tests/outside/schemathesis/requirements.txt"
    );
    program
}
