//! Instructions of a turn, counted by callgrind: the one figure that no other load disturbs.
//!
//! One of two processes runs more turns than the other; the difference is what those cost. The row
//! is left out if there is no valgrind.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::timeout;

use crate::{
    client::{Connection, question},
    process::Process,
    stage::{Stage, Way},
    table::Table,
};

const FEW: u32 = 20;
const END_LIMIT: Duration = Duration::from_secs(20);

pub async fn measure(stage: &Stage, table: &mut Table, turns: u32) -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("no valgrind here: the row of instructions is left out");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let mut figures = [0.0; 2];
    for (figure, program) in figures.iter_mut().zip(["chat", "floor"]) {
        let few = count(stage, folder.path(), program, FEW).await?;
        let many = count(stage, folder.path(), program, FEW + turns).await?;
        *figure = (many - few) / f64::from(turns) / 1e3;
    }
    table.versus(
        "instructions of a turn",
        "thousands",
        &figures[..1],
        &figures[1..],
    );
    Ok(())
}

/// The instructions of a whole process that runs this many turns.
async fn count(stage: &Stage, folder: &Path, program: &str, turns: u32) -> Result<f64> {
    let file = folder.join("callgrind.out");
    let out = format!("--callgrind-out-file={}", file.display());
    let wrapper = ["valgrind", "--tool=callgrind", &out];
    let environment = stage.environment(Way::Direct);
    let program = stage.program(program);
    let mut process = Process::start_under(&wrapper, &program, &environment).await?;
    let mut reader = Connection::open(process.port).await?;
    let first = reader.ask(&question(None, None, "")).await?.ok()?;
    let request = question(first.session(), None, "");
    for _ in 0..turns {
        reader.ask(&request).await?.ok()?;
    }
    drop(reader);
    let pid = process.child.id().context("it has ended")?;
    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
    timeout(END_LIMIT, process.child.wait()).await??;
    let counted = fs::read_to_string(&file)?;
    let total = counted.lines().find_map(|line| {
        line.strip_prefix("totals:")
            .or_else(|| line.strip_prefix("summary:"))
    });
    Ok(total.context("callgrind has no total")?.trim().parse()?)
}
