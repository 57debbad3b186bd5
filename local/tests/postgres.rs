//! The embedded server, for real: what `cargo dev` and the test harness rely on.

use std::{fs, path::Path, process::Command};

use anyhow::Result;
use local::postgres::Server;

#[test]
fn a_temporary_server_answers_and_leaves_nothing() -> Result<()> {
    let server = Server::temporary()?;
    let folder = server.folder().to_owned();
    let pid = fs::read_to_string(folder.join("data/postmaster.pid"))?;
    let pid = pid.lines().next().unwrap_or_default().to_owned();
    assert!(is_running(&pid));

    server.create_database("template", None)?;
    server.sql("template", "CREATE TABLE book (title text)")?;
    server.sql("template", "INSERT INTO book VALUES ('Robots')")?;
    server.create_database("copy", Some("template"))?;
    assert_eq!(server.sql("copy", "SELECT title FROM book")?, "Robots");
    assert!(server.has_database("copy")?);
    assert!(!server.has_database("another")?);

    drop(server);
    assert!(!folder.exists());
    assert!(!is_running(&pid));
    Ok(())
}

#[test]
fn data_survive_a_restart_and_a_stale_pid_file_but_not_an_erasure() -> Result<()> {
    let parent = tempfile::tempdir_in("/tmp")?;
    open(parent.path())?;
    let folder = parent.path().join("database");

    let server = Server::persistent(&folder)?;
    server.create_database("textbook", None)?;
    drop(server);
    // What a killed server leaves, whose process id has since gone to another process: this one.
    fs::write(
        folder.join("data/postmaster.pid"),
        format!("{}\n", std::process::id()),
    )?;

    let server = Server::persistent(&folder)?;
    assert!(server.has_database("textbook")?);
    let refused = Server::persistent(&folder)
        .map(drop)
        .map_err(|error| error.to_string());
    assert!(
        refused
            .is_err_and(|error| error.contains("is another `cargo dev` of this project running?"))
    );
    drop(server);

    Server::erase(&folder)?;
    assert!(!Server::persistent(&folder)?.has_database("textbook")?);
    Ok(())
}

/// Lets the account that PostgreSQL runs as enter the folder.
fn open(folder: &Path) -> Result<()> {
    Command::new("chmod").arg("755").arg(folder).status()?;
    Ok(())
}

fn is_running(pid: &str) -> bool {
    Command::new("ps")
        .args(["-p", pid])
        .output()
        .is_ok_and(|output| output.status.success())
}

#[test]
fn a_persistent_server_lets_nobody_in_without_its_password() -> Result<()> {
    let folder = tempfile::Builder::new().tempdir_in("/tmp")?;
    let server = Server::persistent(folder.path())?;
    server.create_database("textbook", None)?;
    let url = server.url("textbook");
    let (_, rest) = url.split_once("postgres:").unwrap_or_default();
    let (password, _) = rest.split_once('@').unwrap_or_default();
    assert_eq!(password.len(), 32, "{url}");
    assert!(!server.psql("textbook").contains(password));

    let asked = |password: &str| {
        let command = server.psql("textbook");
        // Without the file, whose password is the right one.
        let (_, command) = command.split_once("' ").unwrap_or_default();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{command} --no-password -Atc 'select 1'")]);
        shell
            .env("PGPASSWORD", password)
            .env("PGPASSFILE", "/dev/null");
        shell.output()
    };
    assert!(asked(password)?.status.success());
    for wrong in ["", "postgres"] {
        assert!(!asked(wrong)?.status.success());
    }

    // It is the same after a restart; data that were made without a password get one.
    server.stop();
    let server = Server::persistent(folder.path())?;
    assert!(server.url("textbook").contains(password));
    server.stop();
    fs::remove_file(folder.path().join("pgpass"))?;
    let server = Server::persistent(folder.path())?;
    assert!(!server.url("textbook").contains(password));
    assert!(server.has_database("textbook")?);
    Ok(())
}
