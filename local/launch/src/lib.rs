//! What `cargo dev` knows and does before anything is built.
//!
//! A first build takes minutes, so whatever can be seen to be wrong without it is said before it
//! ([`variables`], [`settings`], [`running`], [`reach`]), and whatever has to be fetched is fetched
//! beside it ([`postgres`], [`vendor`]). Of the product this crate knows the names in `.env.example`
//! and nothing else; what is started afterwards is the crate `local`.

pub mod build;
pub mod folders;
pub mod options;
pub mod postgres;
pub mod reach;
pub mod running;
pub mod settings;
pub mod variables;
pub mod vendor;

// The functions' own, so that a mistake in `.env` has the same words everywhere.
#[path = "../../../src/config/dotenv.rs"]
mod dotenv;

use std::{
    io::{self, Write},
    sync::mpsc::{self, Receiver},
    thread,
};

/// Prints a line, if anybody still reads.
pub fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Prints a line on standard error, if anybody still reads.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs `work` beside this thread; what is received is its outcome. It cannot be stopped.
pub fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || {
        // Perhaps nobody waits for it any more.
        let _ = done.send(work());
    });
    outcome
}
