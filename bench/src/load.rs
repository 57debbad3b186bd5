//! Many readers at once, and what that costs.
//!
//! Owns the closed loop: each reader has a connection and a conversation, and asks again as soon as
//! it is answered. Interprets nothing: percentiles are all it knows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    client::{Connection, question},
    process::Process,
};

/// When readers stop.
#[derive(Clone, Copy)]
pub enum Until {
    Time(Duration),
    /// After this many questions from all of them together.
    Turns(u32),
}

/// The outcome; adds up over slices.
#[derive(Default)]
pub struct Load {
    pub latencies: Vec<Duration>,
    elapsed: Duration,
    cpu: Duration,
}

impl Load {
    /// Runs this many readers until then; each has asked once before the clock starts.
    pub async fn run(&mut self, process: &Process, readers: usize, until: Until) -> Result<()> {
        let mut warm = JoinSet::new();
        for _ in 0..readers {
            let port = process.port;
            warm.spawn(async move {
                let mut connection = Connection::open(port).await?;
                let first = connection.ask(&question(None, None, "")).await?.ok()?;
                let request = question(first.session(), None, "");
                anyhow::Ok((connection, request))
            });
        }
        let mut ready = Vec::new();
        while let Some(reader) = warm.join_next().await {
            ready.push(reader??);
        }
        let asked = Arc::new(AtomicU32::new(0));
        let (started, cpu) = (Instant::now(), process.cpu()?);
        let mut running = JoinSet::new();
        for (mut connection, request) in ready {
            let asked = Arc::clone(&asked);
            let goes_on = move || match until {
                Until::Time(time) => started.elapsed() < time,
                Until::Turns(turns) => asked.fetch_add(1, Ordering::Relaxed) < turns,
            };
            running.spawn(async move {
                let mut latencies = Vec::new();
                while goes_on() {
                    latencies.push(connection.ask(&request).await?.ok()?.whole);
                }
                anyhow::Ok(latencies)
            });
        }
        while let Some(latencies) = running.join_next().await {
            self.latencies.extend(latencies??);
        }
        self.elapsed += started.elapsed();
        self.cpu += process.cpu()?.saturating_sub(cpu);
        self.latencies.sort_unstable();
        Ok(())
    }

    /// In milliseconds, without the model's own time.
    pub fn percentiles(&self, model: Duration) -> [f64; 2] {
        [50, 99]
            .map(|percent| milliseconds(percentile(&self.latencies, percent).saturating_sub(model)))
    }

    pub fn turns_a_second(&self) -> f64 {
        self.turns() / self.elapsed.as_secs_f64()
    }

    /// In microseconds.
    pub fn cpu_a_turn(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.turns()
    }

    fn turns(&self) -> f64 {
        f64::from(u32::try_from(self.latencies.len()).unwrap_or(u32::MAX))
    }
}

/// A percentile of sorted times.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
        .unwrap_or_default()
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
