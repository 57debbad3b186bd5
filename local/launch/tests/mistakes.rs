//! The program `dev` where something is in its way: what it says before it builds anything.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use launch::{folders, running, variables::Variables};

/// The longest that a mistake may go unnoticed.
const AT_ONCE: Duration = Duration::from_secs(5);

/// The checkout that the program belongs to.
fn root() -> Result<&'static Path> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.context("this crate is in no workspace")
}

/// What the program says, in at most three lines.
fn said(cache: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String> {
    let started = Instant::now();
    let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_dev"))
        .args(arguments)
        .env(folders::CACHE_VARIABLE, cache)
        .env("DATABASE_URL", "")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()?;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    assert_eq!(status.code(), Some(1));
    let text = String::from_utf8(stderr)?;
    assert!(text.lines().count() <= 3, "{text}");
    Ok(text.trim_end().to_owned())
}

#[test]
fn a_port_that_is_taken_is_told_with_whose_it_is() -> Result<()> {
    let cache = tempfile::tempdir()?;
    let cache = cache.path();
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let said = || said(cache, &["--port", &port.to_string()], &[]);
    assert_eq!(
        said()?,
        format!(
            "cargo dev: port {port} is in use by another program: choose another with `--port`"
        )
    );
    let other = running::mark(cache, port, Path::new("/another/checkout"))?;
    assert_eq!(
        said()?,
        format!(
            "cargo dev: port {port} is in use by the `cargo dev` of /another/checkout: choose another with `--port`"
        )
    );
    drop(other);
    let _ours = running::mark(cache, port, root()?)?;
    assert_eq!(
        said()?,
        format!(
            "cargo dev: it runs already, on http://localhost:{port}: use that one, or stop it first (Ctrl-C)"
        )
    );
    Ok(())
}

#[test]
fn a_second_one_with_the_same_data_is_told_where_the_first_one_is() -> Result<()> {
    let cache = tempfile::tempdir()?;
    let _first = running::mark(cache.path(), 3999, root()?)?;
    let said = said(cache.path(), &["--port", "3998"], &[])?;
    assert!(
        said.starts_with("cargo dev: it runs already, on http://localhost:3999: "),
        "{said}"
    );
    Ok(())
}

#[test]
fn a_database_that_cannot_be_reached_is_named_by_variable_and_host() -> Result<()> {
    let cache = tempfile::tempdir()?;
    for (host, why) in [
        ("127.0.0.1:1", "127.0.0.1 port 1: nothing listens there"),
        ("nowhere.invalid", "there is no host nowhere.invalid"),
    ] {
        let url = format!("postgresql://ada:hunter2@{host}/book");
        let said = said(cache.path(), &["--port", "3997"], &[("DATABASE_URL", &url)])?;
        assert_eq!(
            said,
            format!(
                "cargo dev: DATABASE_URL: {why}. Correct it, or unset it to use an embedded database"
            )
        );
    }
    Ok(())
}

#[test]
fn a_book_that_is_no_folder_is_told_at_once() -> Result<()> {
    let cache = tempfile::tempdir()?;
    let said = said(cache.path(), &["--book", "nowhere"], &[])?;
    assert_eq!(
        said,
        "cargo dev: --book nowhere: there is no such folder (an address begins with https://)"
    );
    Ok(())
}

#[test]
fn data_are_not_erased_before_somebody_has_said_yes() -> Result<()> {
    let cache = tempfile::tempdir()?;
    let data = folders::data(cache.path(), root()?).join("data");
    fs::create_dir_all(&data)?;
    let said = said(cache.path(), &["--port", "3996", "--reset"], &[])?;
    assert!(
        said.starts_with(
            "cargo dev: --reset erases the conversations and the index of the book in "
        ) && said.ends_with(": say --reset --yes if you mean it"),
        "{said}"
    );
    assert!(data.is_dir());
    Ok(())
}

#[test]
fn a_variable_of_the_file_is_told_with_its_line() -> Result<()> {
    let root = tempfile::tempdir()?;
    let write = |text: &str| fs::write(root.path().join(".env"), text);
    write("# Settings\nBOOK_TITLE='My book'\nBOOK_TITLE=Another\n")?;
    let variables = Variables::read(root.path())?;
    assert_eq!(variables.get("BOOK_TITLE").as_deref(), Some("My book"));
    assert_eq!(variables.place("BOOK_TITLE"), "BOOK_TITLE (.env line 2)");
    write("OPENAI_API_KEY=hunter2 hunter2\n")?;
    let problem = Variables::read(root.path()).map(drop).unwrap_err();
    assert_eq!(
        problem.to_string(),
        ".env line 1, OPENAI_API_KEY: put quotes around a value with spaces"
    );
    Ok(())
}
