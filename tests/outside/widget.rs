//! The widget in built books: a browser, three sites by three generators, and the local stack as
//! their deployment. The stories are `widget/cases/*.mjs`.

use std::env;
use std::path::PathBuf;
use std::process::Command as Blocking;
use std::time::Duration;

use tokio::process::Command;

use super::ai_sdk::node;
use super::{ROOT, output, target};
use crate::harness::Database;

/// A site may have to be built, and every story takes seconds.
const LIMIT: Duration = Duration::from_mins(20);

#[tokio::test]
async fn the_widget_works_in_built_books() {
    let folder = PathBuf::from(ROOT).join("tests/outside/widget");
    assert!(
        folder.join("node_modules").exists(),
        "the browser's driver is not there; run: npm ci --prefix tests/outside/widget --ignore-scripts"
    );
    // Of its own, so that it may run beside a `cargo dev`.
    let database = Database::new().await;
    let mut command = Command::new(node());
    command
        .arg("run.mjs")
        .arg("--dev")
        .arg(dev())
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("DATABASE_URL", &database.url);
    let told = output(&mut command, LIMIT).await;
    let summary = told.lines().last().unwrap_or_default();
    assert!(summary.starts_with("widget: "), "{told}");
    assert!(summary.ends_with(" passed, 0 failed"), "{told}");
    assert!(!summary.contains(": 0 passed"), "{told}");
}

/// The program `dev`, which is of another package.
fn dev() -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let mut command = Blocking::new(cargo);
    command.args(["build", "--quiet", "--bin", "dev"]);
    command.args(["--package", "textbook-chat-launch"]);
    let built = command.current_dir(ROOT).status().unwrap();
    assert!(built.success(), "`cargo dev` does not compile");
    target().join("debug/dev")
}
