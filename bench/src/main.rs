//! What a turn costs: `cargo bench-turn`, or `cargo bench-turn --quick`.
//!
//! Builds the release functions, starts all that they need on loopback (an embedded PostgreSQL,
//! a model that answers at once, a proxy that makes the way to the database longer), and prints one
//! table; `target/bench.json` has the same figures. Beside the function stands the floor
//! (`src/bin/floor.rs`), the least that a turn can be: times belong to a machine, but the ratio of
//! the two can be compared across machines. Only for Linux, because it reads `/proc`.

#![expect(clippy::print_stdout, reason = "it is a program for a terminal")]
#![expect(unreachable_pub, reason = "modules mark what they offer to each other")]

mod book;
mod client;
mod load;
mod measure;
mod model;
mod process;
mod proxy;
mod random;
mod stage;
mod table;
mod tls;

use std::{env, fs, time::Duration, time::Instant};

use anyhow::{Result, bail};
use measure::{book as book_rows, cold, instructions, memory, overhead, round_trips, stream};
use stage::Stage;
use table::Table;
use tokio::signal::unix::{SignalKind, signal};

/// How long each measurement takes.
struct Effort {
    slices: u32,
    slice: Duration,
    starts: usize,
    turns: u32,
    streams: usize,
    counted_turns: u32,
    book: book_rows::Effort,
}

const FULL: Effort = Effort {
    slices: 3,
    slice: Duration::from_secs(3),
    starts: 21,
    turns: 10_000,
    streams: 500,
    counted_turns: 200,
    book: book_rows::Effort {
        books: &[2_000, 10_000, 50_000],
        searches: 300,
        slices: 3,
        slice: Duration::from_secs(3),
        starts: 21,
    },
};

const QUICK: Effort = Effort {
    slices: 1,
    slice: Duration::from_secs(1),
    starts: 7,
    turns: 1_000,
    streams: 200,
    counted_turns: 50,
    book: book_rows::Effort {
        books: &[2_000, 10_000],
        searches: 100,
        slices: 1,
        slice: Duration::from_secs(1),
        starts: 7,
    },
};

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let effort = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => FULL,
        ["--quick"] => QUICK,
        _ => bail!("the only argument it knows is: --quick"),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    // Dropped in either case, which ends whatever was started.
    tokio::select! {
        result = run(&effort) => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn run(effort: &Effort) -> Result<()> {
    let stage = Stage::set().await?;
    let started = Instant::now();
    let said = |what| eprintln!("{:>4} s  {what}", started.elapsed().as_secs());
    let mut table = Table::default();
    said("round trips");
    round_trips::measure(&stage, &mut table).await?;
    said("overhead");
    overhead::measure(&stage, &mut table, effort.slices, effort.slice).await?;
    said("streams");
    stream::measure(&stage, &mut table, effort.streams).await?;
    said("instructions");
    instructions::measure(&stage, &mut table, effort.counted_turns).await?;
    said("cold starts");
    cold::measure(&stage, &mut table, effort.starts).await?;
    said("memory");
    memory::measure(&stage, &mut table, effort.turns).await?;
    said("the book");
    book_rows::measure(&stage, &mut table, &effort.book).await?;
    said("done");
    print!("{}", table.text());
    let file = stage.target().join("bench.json");
    fs::write(&file, format!("{:#}\n", table.json()))?;
    Ok(())
}
