//! Compiles what is started: one call of cargo for everything, with its progress shown.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

/// The program that goes on once everything is built.
pub const NEXT: &str = "stack";

/// The folder of the programs, which is this program's own.
///
/// # Errors
///
/// When the system does not say where this program lies.
pub fn programs() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let folder = program.parent().context("this program is in no folder")?;
    Ok(folder.to_owned())
}

/// What OpenSSL's build needs and this machine has not: it would say so in the middle of the build, and in
/// many more words.
#[must_use]
pub fn missing_tools() -> Vec<&'static str> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let modules = ["-MFindBin", "-MIPC::Cmd", "-MTime::Piece", "-e1"];
    let tools = [
        ("make", runs("make", &["--version"])),
        ("a C compiler", runs("cc", &["--version"])),
        ("perl with its standard modules", runs("perl", &modules)),
    ];
    tools
        .into_iter()
        .filter(|tool| !tool.1)
        .map(|tool| tool.0)
        .collect()
}

/// Starts compiling the functions and the local stack.
///
/// In one call, and with this crate's packages: each crate is then compiled for one set of features.
///
/// # Errors
///
/// When cargo cannot be run.
pub fn start(root: &Path) -> Result<Child> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["build", "--bins"]).current_dir(root);
    for package in ["textbook-chat", "textbook-chat-local"] {
        command.args(["--package", package]);
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    command.spawn().context("cannot run cargo")
}
