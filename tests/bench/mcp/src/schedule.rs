//! When calls are made whose rate is given: independent callers, whose calls come as chance has it, the same each time.

use std::time::Duration;

/// A sequence of pauses of one caller, exponentially distributed: so many callers together make a Poisson process.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    state: u64,
    mean: Duration,
}

impl Pauses {
    /// Of the caller with this number, who pauses for so long on average.
    pub(crate) fn new(caller: u64, mean: Duration) -> Self {
        Self { state: caller, mean }
    }

    /// The next pause: up to twelve times the mean, which one in 160,000 would exceed.
    pub(crate) fn next(&mut self) -> Duration {
        // splitmix64: neighbouring numbers give unrelated sequences.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let upper = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
        let share = (f64::from(upper) + 1.0) / (f64::from(u32::MAX) + 2.0);
        self.mean.mul_f64((-share.ln()).min(12.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_the_same_each_time_differ_between_callers_and_have_the_mean() {
        let of = |caller| {
            let mut pauses = Pauses::new(caller, Duration::from_millis(10));
            (0..20_000).map(|_| pauses.next()).collect::<Vec<_>>()
        };
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        let sum: Duration = of(3).iter().sum();
        let mean = sum.as_secs_f64() / 20_000.0;
        assert!((0.0097..0.0103).contains(&mean), "{mean}");
        let short = of(3).iter().filter(|pause| **pause < Duration::from_millis(10)).count();
        assert!((12_300..12_980).contains(&short), "of an exponential distribution 63.2 % lie below its mean: {short}");
    }
}
