//! A streamed answer: how long after the question its first byte comes, if the model answers at
//! once.

use anyhow::Result;

use crate::{
    client::{Connection, question},
    load::{milliseconds, percentile},
    stage::{Stage, Way},
    table::Table,
};

pub async fn measure(stage: &Stage, table: &mut Table, turns: usize) -> Result<()> {
    let chat = stage.start("chat", Way::Direct).await?;
    let mut reader = Connection::open(chat.port).await?;
    let request = question(None, None, "accept: text/event-stream\r\n");
    let (mut first, mut whole) = (Vec::new(), Vec::new());
    // The first few also connect.
    for turn in 0..turns + 10 {
        let reply = reader.ask(&request).await?.ok()?;
        anyhow::ensure!(reply.body.contains("data: [DONE]"), "{}", reply.body);
        if turn >= 10 {
            first.push(reply.first);
            whole.push(reply.whole);
        }
    }
    for (what, mut times) in [("first byte", first), ("last byte", whole)] {
        times.sort_unstable();
        let figures = [50, 99].map(|percent| milliseconds(percentile(&times, percent)));
        table.row(format!("stream: {what}"), "ms, p50 / p99", &figures);
    }
    Ok(())
}
