//! The functions with external programs, one module for each, whose name is a filter: `cargo test
//! --test outside pgbouncer::`. Separate from the suite, because they need what `.ci/run` installs;
//! `lambda::` needs the feature of that name, too.

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]
#![expect(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the harness serves the stories, too"
)]

#[path = "../harness/mod.rs"]
mod harness;

mod ai_sdk;
mod chatkit_sdk;
#[cfg(feature = "lambda")]
mod lambda;
mod pgbouncer;
mod schemathesis;
mod vercel;
mod widget;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

/// The project's folder.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where cargo builds, and `.ci/run` installs what must not lie in the project's folder.
fn target() -> PathBuf {
    // …/target/debug/chat
    let program = Path::new(env!("CARGO_BIN_EXE_chat"));
    program.ancestors().nth(2).unwrap().to_owned()
}

/// Runs a program, which must succeed within the limit; what it prints.
async fn output(program: &mut Command, limit: Duration) -> String {
    let ended = tokio::time::timeout(limit, program.kill_on_drop(true).output()).await;
    let output = ended.expect("the program does not end").unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}\n{errors}");
    printed
}
