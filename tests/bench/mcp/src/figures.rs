//! What many calls took, as figures.

use std::time::Duration;

/// Latencies of calls, and the time and the processor that they took together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    latencies: Vec<Duration>,
    /// How long it took, all passes together.
    pub(crate) elapsed: Duration,
    /// What the subject's own process computed meanwhile.
    pub(crate) own: Duration,
    /// What the container engine computed for it.
    pub(crate) engine: Duration,
}

impl Figures {
    /// One pass.
    pub(crate) fn new(latencies: Vec<Duration>, elapsed: Duration) -> Self {
        Self { latencies, elapsed, ..Self::default() }
    }

    /// Takes in another pass.
    pub(crate) fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.elapsed += other.elapsed;
        self.own += other.own;
        self.engine += other.engine;
    }

    /// How many calls.
    pub(crate) fn calls(&self) -> usize {
        self.latencies.len()
    }

    /// The latency that `percent` of the calls do not exceed (nearest rank), milliseconds. `None` without a call.
    pub(crate) fn percentile(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(|latency| latency.as_secs_f64() * 1e3)
    }

    /// Calls a second. `None` where no time passed.
    pub(crate) fn rate(&self) -> Option<f64> {
        per(self.calls(), self.elapsed)
    }

    /// Calls for each second that one processor computes for the subject alone.
    pub(crate) fn per_core(&self) -> Option<f64> {
        per(self.calls(), self.own)
    }

    /// The same, with what the container engine computes for it.
    pub(crate) fn per_core_with_engine(&self) -> Option<f64> {
        per(self.calls(), self.own + self.engine)
    }
}

/// Calls for each second.
#[expect(clippy::cast_precision_loss, reason = "no run has 2^52 calls")]
fn per(calls: usize, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| calls as f64 / time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Figures {
        Figures::new(milliseconds.into_iter().map(Duration::from_millis).collect(), Duration::from_secs(1))
    }

    #[test]
    fn a_percentile_is_a_latency_that_was_measured() {
        let figures = of((1..=100).rev());
        assert_eq!([figures.percentile(50), figures.percentile(99)], [Some(50.0), Some(99.0)]);
        let figures = of([7]);
        assert_eq!([figures.percentile(50), figures.percentile(99)], [Some(7.0), Some(7.0)]);
        let figures = of([1, 2, 3]);
        assert_eq!([figures.percentile(50), figures.percentile(99)], [Some(2.0), Some(3.0)]);
        assert_eq!(of([]).percentile(50), None);
    }

    #[test]
    fn passes_are_counted_together() {
        let mut all = Figures { own: Duration::from_millis(100), ..of([1, 1]) };
        all.add(Figures { own: Duration::from_millis(100), engine: Duration::from_millis(200), ..of([9, 9]) });
        assert_eq!(all.calls(), 4);
        assert_eq!([all.percentile(50), all.percentile(99)], [Some(1.0), Some(9.0)]);
        assert_eq!(all.rate(), Some(2.0));
        assert_eq!(all.per_core(), Some(20.0));
        assert_eq!(all.per_core_with_engine(), Some(10.0));
        assert_eq!(Figures::default().rate(), None);
    }
}
