//! A cold start: from the process's start to its first answer.

use std::time::Duration;

use anyhow::Result;

use crate::{
    client::{Connection, question},
    load::{milliseconds, percentile},
    process::{Environment, Process},
    stage::{Stage, Way},
    table::Table,
};

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";

/// A row: what it is, the program, the way to the database, what is asked.
type Start = (&'static str, &'static str, Way, Vec<u8>);

pub async fn measure(stage: &Stage, table: &mut Table, runs: usize) -> Result<()> {
    let chat = question(None, None, "");
    let health = HEALTH.to_vec();
    let starts: [Start; 5] = [
        ("first /health", "health", Way::Direct, health),
        ("first /chat", "chat", Way::Direct, chat.clone()),
        (
            "first /chat, 10 ms to the database",
            "chat",
            Way::Far,
            chat.clone(),
        ),
        ("the same, over TLS", "chat", Way::FarTls, chat.clone()),
        (
            "the same, over sslnegotiation=direct",
            "chat",
            Way::FarDirectTls,
            chat,
        ),
    ];
    for (what, program, way, request) in starts {
        let environment = stage.environment(way);
        row(stage, table, what, program, &environment, &request, runs).await?;
    }
    Ok(())
}

/// The row of one such start.
pub async fn row(
    stage: &Stage,
    table: &mut Table,
    what: &str,
    program: &str,
    environment: &Environment,
    request: &[u8],
    runs: usize,
) -> Result<()> {
    let (mut listening, mut answered) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let mut process = Process::start(&stage.program(program), environment).await?;
        let mut reader = Connection::open(process.port).await?;
        reader.ask(request).await?.ok()?;
        answered.push(process.started.elapsed());
        listening.push(process.listening);
        // It must have ended before the next one starts: ending takes time, too.
        process.child.kill().await?;
    }
    let figures = [median(listening), median(answered)];
    table.row(
        format!("cold start: listening, {what}"),
        "ms, medians",
        &figures,
    );
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    milliseconds(percentile(&times, 50))
}
