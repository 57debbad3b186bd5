//! What a function occupies: idle, after many turns, with many waiting; and on disk.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    client::{Connection, question},
    load::{Load, Until},
    stage::{Stage, Way},
    table::Table,
};

const SLOW_TURNS: u32 = 500;
const SLOW: Duration = Duration::from_secs(2);

pub async fn measure(stage: &Stage, table: &mut Table, turns: u32) -> Result<()> {
    let (chat, floor) = (
        stage.start("chat", Way::Direct).await?,
        stage.start("floor", Way::Direct).await?,
    );
    let unit = "MB resident";
    table.versus(
        "memory: idle",
        unit,
        &[chat.resident()?],
        &[floor.resident()?],
    );
    for process in [&chat, &floor] {
        let mut load = Load::default();
        load.run(process, 32, Until::Turns(turns)).await?;
    }
    table.versus(
        format!("memory: after {turns} turns"),
        unit,
        &[chat.resident()?],
        &[floor.resident()?],
    );
    drop((chat, floor));
    let chat = slow(stage, "chat").await?;
    let floor = slow(stage, "floor").await?;
    table.versus(
        format!("memory: {SLOW_TURNS} slow turns in flight"),
        unit,
        &[chat.resident],
        &[floor.resident],
    );
    table.versus(
        "memory: a turn that waits",
        "KB",
        &[chat.each],
        &[floor.each],
    );
    table.versus(
        format!("{SLOW_TURNS} turns of 2 s: all answered after"),
        "s",
        &[chat.elapsed],
        &[floor.elapsed],
    );
    table.versus(
        format!("{SLOW_TURNS} turns of 2 s: not answered"),
        "turns",
        &[chat.failures],
        &[],
    );
    for name in ["chat", "chatkit", "health"] {
        let bytes = u32::try_from(fs::metadata(stage.program(name))?.len())?;
        table.row(format!("binary: {name}"), "MB", &[f64::from(bytes) / 1e6]);
    }
    Ok(())
}

struct Slow {
    resident: f64,
    each: f64,
    elapsed: f64,
    failures: f64,
}

/// All at once, on a process that has had one turn before.
async fn slow(stage: &Stage, program: &str) -> Result<Slow> {
    let process = stage.start(program, Way::Direct).await?;
    let mut reader = Connection::open(process.port).await?;
    reader.ask(&question(None, None, "")).await?.ok()?;
    let before = process.resident()?;
    let asked = stage.model.asked();
    stage.model.takes(SLOW);
    let started = Instant::now();
    let mut turns = JoinSet::new();
    for _ in 0..SLOW_TURNS {
        let port = process.port;
        turns.spawn(async move {
            let mut reader = Connection::open(port).await?;
            reader.ask(&question(None, None, "")).await?.ok()
        });
    }
    // All of them wait for the model, and none is answered yet.
    while stage.model.asked() - asked < u64::from(SLOW_TURNS) && started.elapsed() < SLOW {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let resident = process.resident()?;
    let mut failures = 0.0;
    while let Some(turn) = turns.join_next().await {
        if turn?.is_err() {
            failures += 1.0;
        }
    }
    let elapsed = started.elapsed().as_secs_f64();
    stage.model.takes(Duration::ZERO);
    Ok(Slow {
        resident,
        each: (resident - before) * 1024.0 / f64::from(SLOW_TURNS),
        elapsed,
        failures,
    })
}
