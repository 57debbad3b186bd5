//! Compiles what is started: one call of cargo for everything, with its progress shown.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command},
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
