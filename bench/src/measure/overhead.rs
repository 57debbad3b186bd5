//! What a turn costs besides the model: time, processor time, and how many turns fit into a second.
//!
//! Function and floor alternate in slices, so that whatever else the machine does affects both.

use std::time::Duration;

use anyhow::Result;

use crate::{
    load::{Load, Until, milliseconds},
    stage::{Stage, Way},
    table::Table,
};

const READERS: [usize; 3] = [1, 32, 256];

pub async fn measure(stage: &Stage, table: &mut Table, slices: u32, slice: Duration) -> Result<()> {
    stage.model.own_time();
    let mut throughput = Vec::new();
    let mut model = Duration::ZERO;
    for way in [Way::Direct, Way::Far] {
        let chat = stage.start("chat", way).await?;
        let floor = stage.start("floor", way).await?;
        for readers in READERS {
            let (mut of_chat, mut of_floor) = (Load::default(), Load::default());
            for _ in 0..slices {
                of_chat.run(&chat, readers, Until::Time(slice)).await?;
                of_floor.run(&floor, readers, Until::Time(slice)).await?;
            }
            let own = stage.model.own_time();
            if readers == 1 {
                model = own;
            }
            let far = if way == Way::Far { 10 } else { 0 };
            table.versus(
                format!("overhead: {readers} at once, {far} ms to the database"),
                "ms, p50 / p99",
                &of_chat.percentiles(model),
                &of_floor.percentiles(model),
            );
            if way == Way::Direct {
                throughput.push((readers, of_chat, of_floor));
            }
        }
    }
    for (readers, chat, floor) in &throughput {
        table.versus(
            format!("turns: {readers} at once"),
            "a second",
            &[chat.turns_a_second()],
            &[floor.turns_a_second()],
        );
    }
    for (readers, chat, floor) in &throughput {
        table.versus(
            format!("processor: {readers} at once"),
            "µs a turn",
            &[chat.cpu_a_turn()],
            &[floor.cpu_a_turn()],
        );
    }
    table.row(
        "the model's own time, taken off",
        "ms",
        &[milliseconds(model)],
    );
    Ok(())
}
