//! Time, waiting and chance, as arguments: how often a service is asked can then be replayed in a test.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use attestation_verifier::clock;
use evidence::UnixSeconds;

/// Longest wait within one flight; a service that asks for more is not asked again by this call.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time a service can keep us away, whatever its Retry-After says.
const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(2);

/// What the machine gives and a test decides.
pub(crate) trait Pace: Send + Sync {
    /// The clock.
    fn now(&self) -> UnixSeconds;

    /// Waits.
    fn wait(&self, time: Duration);

    /// Any number.
    fn chance(&self) -> u32;
}

/// The machine's.
pub(crate) struct MachinePace;

impl Pace for MachinePace {
    fn now(&self) -> UnixSeconds {
        // Before 1970 nothing is fresh: every certificate and list is of the future then, and the verifier says so.
        UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    fn wait(&self, time: Duration) {
        thread::sleep(time);
    }

    fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        // Jitter only spreads requests; without randomness all come at the earliest moment.
        match getrandom::fill(&mut bytes) {
            Ok(()) => u32::from_le_bytes(bytes),
            Err(_) => 0,
        }
    }
}

/// How long to wait after the attempt numbered `attempt` (from 0): 2 s, 4 s, 8 s … or what the service asked for, if
/// that is longer, and up to half as much again by `chance`, so that many gateways do not come back together.
pub(crate) fn delay(attempt: u32, retry_after: Option<u64>, chance: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << attempt.min(4));
    let asked = Duration::from_secs(retry_after.unwrap_or(0));
    let base = doubled.max(asked).min(LONGEST_HOLD);
    base + base.mul_f64(f64::from(chance) / f64::from(u32::MAX) / 2.0)
}

/// For messages: `2026-11-21T12:00:00Z`.
pub(crate) fn text(at: UnixSeconds) -> String {
    clock::text(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_follow_the_service_and_end() {
        let seconds = |attempt, asked| delay(attempt, asked, 0).as_secs();
        assert_eq!([0, 1, 2, 3, 4, 5, 99].map(|attempt| seconds(attempt, None)), [2, 4, 8, 16, 32, 32, 32]);
        assert_eq!([0, 3].map(|attempt| seconds(attempt, Some(10))), [10, 16]);
        assert_eq!(seconds(0, Some(u64::MAX)), 600);
    }

    #[test]
    fn chance_adds_at_most_half() {
        assert_eq!(delay(0, Some(10), u32::MAX), Duration::from_secs(15));
        let middle = delay(0, Some(10), u32::MAX / 2).as_millis();
        assert!((12_499..=12_500).contains(&middle), "{middle}");
    }
}
