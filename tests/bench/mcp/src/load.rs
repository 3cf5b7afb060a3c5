//! Loads: who calls when, and what it took.

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use tokio::task::JoinSet;

use crate::{figures::Figures, line::Line, message::Work, schedule::Pauses};

/// How long a whole pass may take longer than it was to.
const PATIENCE: Duration = Duration::from_secs(15);

/// When the next call is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// As soon as the one before is answered: what a subject can do.
    Saturated,
    /// So many calls a second, all lines together, each line by chance: what a caller waits for.
    Paced {
        /// Calls a second.
        rate: f64,
    },
}

/// Numbers of requests, never the same twice.
#[derive(Clone, Debug)]
pub(crate) struct Numbers(Rc<Cell<u64>>);

impl Default for Numbers {
    fn default() -> Self {
        // 0 is the greeting's.
        Self(Rc::new(Cell::new(1)))
    }
}

impl Numbers {
    fn next(&self) -> u64 {
        self.0.replace(self.0.get() + 1)
    }
}

impl Load {
    /// Calls over all lines for so long. The first call that fails fails the pass.
    pub(crate) async fn run(
        self,
        lines: Vec<Line>,
        work: &Work,
        numbers: &Numbers,
        time: Duration,
    ) -> anyhow::Result<Figures> {
        let (begun, count) = (Instant::now(), lines.len());
        let mut callers = JoinSet::new();
        for (caller, line) in (0_u64..).zip(lines) {
            let (work, numbers) = (work.clone(), numbers.clone());
            match self {
                Self::Saturated => callers.spawn_local(saturate(line, work, numbers, begun + time)),
                Self::Paced { rate } => {
                    let mean = Duration::from_secs(u64::try_from(count)?).div_f64(rate);
                    callers.spawn_local(pace(line, work, numbers, begun, begun + time, Pauses::new(caller, mean)))
                }
            };
        }
        let all = async {
            let mut latencies = Vec::new();
            while let Some(of_one) = callers.join_next().await {
                latencies.extend(of_one??);
            }
            anyhow::Ok(latencies)
        };
        let latencies = tokio::time::timeout(time + PATIENCE, all).await.context("calls were left unanswered")??;
        Ok(Figures::new(latencies, begun.elapsed()))
    }
}

async fn saturate(mut line: Line, work: Work, numbers: Numbers, end: Instant) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(latencies);
        }
        latencies.push(line.call(&work, numbers.next()).await?.duration_since(begun));
    }
}

async fn pace(
    mut line: Line,
    work: Work,
    numbers: Numbers,
    begun: Instant,
    end: Instant,
    mut pauses: Pauses,
) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let mut due = begun;
    loop {
        due += pauses.next();
        if due >= end {
            return Ok(latencies);
        }
        // A call that is due while the one before is unanswered waits for its line, and that counts: otherwise a subject
        // that stands still would be asked nothing meanwhile. That the clock which wakes us ticks in milliseconds does not.
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
            due = Instant::now();
        }
        latencies.push(line.call(&work, numbers.next()).await?.duration_since(due));
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        task::{LocalSet, spawn_local},
    };

    use super::*;
    use crate::line::Pipe;

    /// A server that gives calls back, the first so many of them.
    async fn pipe(calls: usize) -> Pipe {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (read, write) = tokio::io::split(ours);
        let (reads, mut writes) = tokio::io::split(theirs);
        spawn_local(async move {
            let mut lines = BufReader::new(reads).lines();
            let mut left = calls + 2;
            while let (Ok(Some(line)), 1..) = (lines.next_line().await, left) {
                let asked: serde_json::Value = serde_json::from_str(&line).unwrap();
                let answer = serde_json::json!({"id": asked["id"], "result": asked["params"]});
                writes.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
                left -= 1;
            }
        });
        Pipe::open(write, read).await.unwrap()
    }

    async fn run(load: Load, calls: usize) -> anyhow::Result<Figures> {
        let all = async {
            let pipe = pipe(calls).await;
            let lines = (0..4).map(|_| Line::Pipe(pipe.clone())).collect();
            let work = Work::Call { tool: "echo".to_owned(), with: "" };
            load.run(lines, &work, &Numbers::default(), Duration::from_millis(100)).await
        };
        LocalSet::new().run_until(all).await
    }

    #[tokio::test]
    async fn either_load_counts_its_calls() {
        for load in [Load::Saturated, Load::Paced { rate: 2000.0 }] {
            let figures = run(load, usize::MAX - 2).await.unwrap();
            assert!(figures.calls() > 0 && figures.percentile(99).is_some(), "{load:?}: {figures:?}");
        }
    }

    #[tokio::test]
    async fn a_call_that_fails_fails_the_pass() {
        let failed = run(Load::Saturated, 10).await.unwrap_err();
        assert_eq!(failed.to_string(), "the server ended");
    }
}
