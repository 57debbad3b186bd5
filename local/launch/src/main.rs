//! `cargo dev`: the whole product on this machine, with one command.
//!
//! Looks at the machine, fetches what is missing beside the build, and hands over to the local stack,
//! which this process becomes. Owns the order of these steps and what is said about each.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use launch::{
    beside, build, complain, folders,
    options::{self, Options},
    postgres, reach, running, say, settings,
    variables::Variables,
    vendor,
};

/// How often a build is looked at while something is fetched.
const LOOK: Duration = Duration::from_millis(50);
/// How long a start may wait for what it can do without.
const PATIENCE: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The text says what to do; a backtrace would bury it.
            complain(&format!("cargo dev: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = options::parse(lexopt::Parser::from_env())? else {
        say(options::HELP);
        return Ok(());
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("this crate is in no workspace")?;

    // First what may fail at once, then what takes time.
    let variables = Variables::read(root)?;
    options.check_book(&variables)?;
    let cache = folders::cache_at(variables.get(folders::CACHE_VARIABLE).map(PathBuf::from))?;
    let database = variables.get("DATABASE_URL");
    running::look(&cache, options.port, root, database.is_none())?;
    let fetched = if let Some(url) = &database {
        check_database(&options, &variables, url)?;
        None
    } else {
        let data = folders::data(&cache, root);
        ensure!(may_reset(&options, &data)?, "nothing was erased");
        let cache = cache.clone();
        (!postgres::is_fetched(&cache)).then(|| beside(move || postgres::find(&cache)))
    };
    if let Some(url) = variables.get("BOOK_URL")
        && options.book.is_none()
        && let Some(problem) = reach::page(&url)
    {
        say(&format!("! {}: {problem}", variables.place("BOOK_URL")));
    }

    let programs = build::programs()?;
    if !programs.join(build::NEXT).exists() {
        let missing = build::missing_tools().join(" and ");
        ensure!(
            missing.is_empty(),
            "OpenSSL is built from source, and this machine lacks {missing}. Install it, such as with \
             `apt install build-essential perl` or `dnf install gcc make perl`, and start again"
        );
        // What follows the build says so as well, but that is minutes away.
        let numbers = settings::no_numbers(&variables);
        for problem in numbers.iter().chain(&settings::slips(&variables)) {
            say(&format!("! {problem}"));
        }
        say(
            "The first build takes 3 to 6 minutes; OpenSSL (at openssl-sys) takes the longest of it. \
             The next one takes seconds.",
        );
    }
    let copied = beside({
        let root = root.to_owned();
        move || vendor::copy(&root)
    });
    build(root, fetched)?;
    // On a network that is slow or away npm takes minutes. Its scripts go on by themselves.
    for problem in copied.recv_timeout(PATIENCE).unwrap_or_default() {
        say(&format!("! {problem}"));
    }
    let mut next = Command::new(programs.join(build::NEXT));
    next.args(options.arguments())
        .env(folders::CACHE_VARIABLE, cache);
    // Where this returns, it has failed.
    Err(next.exec()).with_context(|| format!("cannot run {}", next.get_program().display()))
}

fn check_database(options: &Options, variables: &Variables, url: &str) -> Result<()> {
    let place = variables.place("DATABASE_URL");
    ensure!(
        !options.reset,
        "--reset is for the embedded database, and {place} names another"
    );
    if let Some(problem) = reach::database(url) {
        bail!("{place}: {problem}. Correct it, or unset it to use an embedded database");
    }
    Ok(())
}

/// Whether the data may be erased, if that is asked for.
fn may_reset(options: &Options, data: &Path) -> Result<bool> {
    if !options.reset || options.yes || !data.join("data").exists() {
        return Ok(true);
    }
    let erased = format!(
        "--reset erases the conversations and the index of the book in {}",
        data.display()
    );
    ensure!(
        io::stdin().is_terminal(),
        "{erased}: say --reset --yes if you mean it"
    );
    write!(io::stdout(), "{erased}. Go on? [y/N] ")?;
    io::stdout().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// Builds, and waits for what is fetched meanwhile. Where that fails the build is not waited for.
fn build(root: &Path, fetched: Option<Receiver<Result<PathBuf>>>) -> Result<()> {
    // A machine that has nothing to fetch with says so within this time.
    let mut fetched = fetched;
    if let Some(fetching) = &fetched {
        match fetching.recv_timeout(Duration::from_secs(1)) {
            Err(RecvTimeoutError::Timeout) => {
                say("PostgreSQL is being fetched meanwhile (24 MB, once).");
            }
            ended => {
                ended??;
                fetched = None;
            }
        }
    }
    let mut cargo = build::start(root)?;
    let status = loop {
        let Some(fetching) = &fetched else {
            break cargo.wait()?;
        };
        match fetching.recv_timeout(LOOK) {
            Ok(Ok(_)) => fetched = None,
            Ok(Err(error)) => {
                let _ = cargo.kill();
                let _ = cargo.wait();
                return Err(error);
            }
            Err(_) => {
                if let Some(status) = cargo.try_wait()? {
                    break status;
                }
            }
        }
    };
    ensure!(status.success(), "it does not compile: see above");
    if let Some(fetching) = fetched {
        fetching.recv()??;
    }
    Ok(())
}
