//! What processes computed, as the system counts it (proc(5), `/proc/PID/stat`).

use std::{fs, time::Duration};

use anyhow::Context as _;

/// Processes whose time counts for one subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    /// Its own.
    pub(crate) own: Vec<u32>,
    /// The container engine's: its daemon, and the shim of its container.
    pub(crate) engine: Vec<u32>,
}

impl Processes {
    /// What they computed until now: its own, and the engine's.
    pub(crate) fn time(&self) -> anyhow::Result<(Duration, Duration)> {
        let sum =
            |all: &[u32]| all.iter().map(|process| Ok(Stat::of(*process)?.time)).sum::<anyhow::Result<Duration>>();
        Ok((sum(&self.own)?, sum(&self.engine)?))
    }
}

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Stat {
    /// The id of its parent.
    pub(crate) parent: u32,
    /// User and system time, all threads together.
    pub(crate) time: Duration,
}

impl Stat {
    /// Of a running process.
    pub(crate) fn of(process: u32) -> anyhow::Result<Self> {
        let file = format!("/proc/{process}/stat");
        let text = fs::read_to_string(&file).with_context(|| file.clone())?;
        Self::read(&text, rustix::param::clock_ticks_per_second()).with_context(|| format!("{file}: {text}"))
    }

    /// The name, in parentheses, may hold anything: fields are counted from its end.
    fn read(text: &str, ticks_per_second: u64) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at - 3).and_then(|field| field.parse::<u64>().ok());
        let ticks = number(14)?.checked_add(number(15)?)?;
        let time = Duration::from_millis(ticks.checked_mul(1000)?.checked_div(ticks_per_second)?);
        Some(Self { parent: u32::try_from(number(4)?).ok()?, time })
    }
}

/// Processes of a program.
pub(crate) fn named(program: &str) -> anyhow::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")? {
        let entry = entry.context("/proc")?;
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended meanwhile has no name any more.
        if fs::read_to_string(entry.path().join("comm")).is_ok_and(|name| name.trim_end() == program) {
            found.push(process);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_stand_where_the_name_cannot_move_them() {
        let text = "42 (a) b (c)) S 7 42 42 0 -1 4194304 10 0 0 0 250 50 9 9 20 0 1 0 5 1 1";
        assert_eq!(Stat::read(text, 100), Some(Stat { parent: 7, time: Duration::from_secs(3) }));
        assert_eq!(Stat::read("42 (x) S 7 42", 100), None);
        assert_eq!(Stat::read("nothing", 100), None);
    }

    #[test]
    fn a_process_that_computes_is_seen_to() {
        let own = Processes { own: vec![std::process::id()], engine: Vec::new() };
        let (before, none) = own.time().unwrap();
        assert!(none.is_zero());
        let mut sum = 0_u64;
        while own.time().unwrap().0 == before {
            sum = (0..100_000).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
        }
        assert_ne!(sum, 1);
        let name = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(named(name.trim_end()).unwrap().contains(&std::process::id()));
    }
}
