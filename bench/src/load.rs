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
    client::{Connection, QUESTION, asking},
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
pub struct Load {
    questions: Arc<[String]>,
    pub latencies: Vec<Duration>,
    /// Answers for which the book was searched.
    pub searched: usize,
    elapsed: Duration,
    cpu: Duration,
}

impl Default for Load {
    /// The one question over and over.
    fn default() -> Self {
        Self::asking(&[QUESTION.into()])
    }
}

impl Load {
    /// Each reader asks these questions in turn.
    pub fn asking(questions: &[String]) -> Self {
        Self {
            questions: questions.into(),
            latencies: Vec::new(),
            searched: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }

    /// Runs this many readers until then; each has asked once before the clock starts.
    pub async fn run(&mut self, process: &Process, readers: usize, until: Until) -> Result<()> {
        let mut warm = JoinSet::new();
        for reader in 0..readers {
            let (port, questions) = (process.port, Arc::clone(&self.questions));
            warm.spawn(async move {
                let mut connection = Connection::open(port).await?;
                let first = asking(&questions[0], None, None, "");
                let first = connection.ask(&first).await?.ok()?;
                let requests = questions.iter();
                let mut requests: Vec<_> = requests
                    .map(|question| asking(question, first.session(), None, ""))
                    .collect();
                // Not all of them the same at the same time.
                let begin = reader % requests.len();
                requests.rotate_left(begin);
                anyhow::Ok((connection, requests))
            });
        }
        let mut ready = Vec::new();
        while let Some(reader) = warm.join_next().await {
            ready.push(reader??);
        }
        let asked = Arc::new(AtomicU32::new(0));
        let (started, cpu) = (Instant::now(), process.cpu()?);
        let mut running = JoinSet::new();
        for (mut connection, requests) in ready {
            let asked = Arc::clone(&asked);
            let goes_on = move || match until {
                Until::Time(time) => started.elapsed() < time,
                Until::Turns(turns) => asked.fetch_add(1, Ordering::Relaxed) < turns,
            };
            running.spawn(async move {
                let (mut latencies, mut searched) = (Vec::new(), 0);
                for request in requests.iter().cycle() {
                    if !goes_on() {
                        break;
                    }
                    let reply = connection.ask(request).await?.ok()?;
                    searched += usize::from(reply.has_sources());
                    latencies.push(reply.whole);
                }
                anyhow::Ok((latencies, searched))
            });
        }
        while let Some(reader) = running.join_next().await {
            let (latencies, searched) = reader??;
            self.latencies.extend(latencies);
            self.searched += searched;
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
