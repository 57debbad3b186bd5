//! The example `stub_function`, as a binary to start.

use std::{env, path::PathBuf};

use anyhow::{Context, Result, ensure};

/// The file's name.
pub(crate) const NAME: &str = "stub_function";

/// Cargo builds the examples with the tests, beside them.
pub(crate) fn folder() -> Result<PathBuf> {
    let test = env::current_exe()?;
    let profile = test
        .ancestors()
        .nth(2)
        .context("this test is in no target folder")?;
    let folder = profile.join("examples");
    ensure!(
        folder.join(NAME).exists(),
        "run `cargo build --examples` first, or all tests at once"
    );
    Ok(folder)
}
