//! Questions of calls that are not paid yet: each shows something of a priced server for nothing, so they are counted.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Most questions of unpaid calls for one caller in an hour; strangers together.
pub(crate) const MAX_UNPAID: u32 = 32;

/// After this the count begins anew.
pub(crate) const WINDOW: Duration = Duration::from_secs(3600);

/// Callers that are counted; beyond it those whose window is over are forgotten first, then new ones are refused.
const MAX_CALLERS: usize = 10_000;

/// The counts.
#[derive(Debug, Default)]
pub(crate) struct UnpaidQuestions {
    counts: Mutex<HashMap<String, (Instant, u32)>>,
}

impl UnpaidQuestions {
    /// Counts these questions. `false`: they are too many.
    pub(crate) fn count(&self, caller: &str, questions: u32, now: Instant) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_CALLERS && !counts.contains_key(caller) {
            counts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            if counts.len() >= MAX_CALLERS {
                return false;
            }
        }
        let (since, count) = counts.entry(caller.to_owned()).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        let sum = count.saturating_add(questions);
        if sum > MAX_UNPAID {
            return false;
        }
        *count = sum;
        true
    }

    /// The call was paid after all: its questions count no longer.
    pub(crate) fn paid(&self, caller: &str, questions: u32) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = counts.get_mut(caller) {
            *count = count.saturating_sub(questions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_hears_so_many_questions_for_nothing_and_no_more() {
        let (unpaid, now) = (UnpaidQuestions::default(), Instant::now());
        for _ in 0..MAX_UNPAID {
            assert!(unpaid.count("one", 1, now));
        }
        assert!(!unpaid.count("one", 1, now));
        assert!(unpaid.count("two", MAX_UNPAID, now) && !unpaid.count("two", 1, now));
        unpaid.paid("one", 1);
        assert!(unpaid.count("one", 1, now), "a paid call gives back what it counted");
        assert!(!unpaid.count("one", 1, now + WINDOW - Duration::from_millis(1)));
        assert!(unpaid.count("one", 1, now + WINDOW));
    }

    #[test]
    fn many_callers_push_nobody_out() {
        let (unpaid, now) = (UnpaidQuestions::default(), Instant::now());
        for n in 0..MAX_CALLERS {
            assert!(unpaid.count(&n.to_string(), MAX_UNPAID, now));
        }
        assert!(!unpaid.count("one more", 1, now) && !unpaid.count("0", 1, now));
        assert!(unpaid.count("one more", 1, now + WINDOW));
    }
}
