//! What `cargo dev` becomes once everything is built: the whole product on this machine.
//!
//! Starts what the functions need: a database, a model, and the gateway that stands in for the
//! platform. The functions are the ones that are deployed. Owns the order of starting and what is
//! printed.

mod banner;
mod book;
mod built;
mod check;
mod log;
mod stack;

use std::{path::Path, process::ExitCode};

use anyhow::{Context, Result};
use launch::{complain, options, say};
use tokio::signal::unix::{SignalKind, signal};

use stack::Stack;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The text says what to do; a backtrace would bury it.
            complain(&format!("cargo dev: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let Some(options) = options::parse(lexopt::Parser::from_env())? else {
        say(options::HELP);
        return Ok(());
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("this crate is in no workspace")?;

    // Until this returns, a signal simply ends this process, and with it whatever it has started.
    let stack = Stack::start(&options, root).await?;
    stopped().await?;
    say("Stopping.");
    tokio::select! {
        () = stack.stop() => Ok(()),
        // A second signal ends it at once.
        result = stopped() => result,
    }
}

/// Ctrl-C, the end of the terminal, or the polite `kill`.
async fn stopped() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
