//! How often a wallet may search by meaning: each search may be a request to somebody whom the operator pays.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use evidence::Wallet;

use super::TooOften;

/// Searches of one wallet in any minute.
pub(crate) const MOST_PER_MINUTE: usize = 30;

const MINUTE: Duration = Duration::from_secs(60);

/// Wallets remembered. Wallets cost nothing: beyond this the one that searched longest ago begins anew.
const MAX_WALLETS: usize = 10_000;

/// When each wallet searched, within the last minute.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    searches: Mutex<HashMap<Wallet, VecDeque<Instant>>>,
}

impl Allowance {
    /// Takes one.
    ///
    /// # Errors
    /// [`TooOften`], with when the next one is to be had.
    pub(super) fn take(&self, wallet: Wallet, now: Instant) -> Result<(), TooOften> {
        let mut searches = self.searches.lock().unwrap_or_else(PoisonError::into_inner);
        if searches.len() >= MAX_WALLETS && !searches.contains_key(&wallet) {
            make_room(&mut searches, now);
        }
        let times = searches.entry(wallet).or_default();
        while times.front().is_some_and(|first| now.duration_since(*first) >= MINUTE) {
            times.pop_front();
        }
        match times.front() {
            Some(first) if times.len() >= MOST_PER_MINUTE => {
                let left = MINUTE.saturating_sub(now.duration_since(*first));
                let whole = u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
                Err(TooOften { retry_after_s: whole.saturating_add(u32::from(left.subsec_nanos() > 0)) })
            }
            _ => {
                times.push_back(now);
                Ok(())
            }
        }
    }
}

fn make_room(searches: &mut HashMap<Wallet, VecDeque<Instant>>, now: Instant) {
    searches.retain(|_, times| times.back().is_some_and(|last| now.duration_since(*last) < MINUTE));
    if searches.len() >= MAX_WALLETS {
        let oldest = searches.iter().min_by_key(|(_, times)| times.back().copied()).map(|(wallet, _)| *wallet);
        oldest.and_then(|oldest| searches.remove(&oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wallet(n: usize) -> Wallet {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        Wallet::new(bytes)
    }

    #[test]
    fn a_wallet_searches_as_often_as_it_may_in_any_minute() {
        let (allowance, start) = (Allowance::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        for n in 0..MOST_PER_MINUTE as u64 {
            assert_eq!(allowance.take(wallet(1), at(n * 1000)), Ok(()));
        }
        assert_eq!(allowance.take(wallet(1), at(29_500)), Err(TooOften { retry_after_s: 31 }));
        assert_eq!(allowance.take(wallet(2), at(29_500)), Ok(()), "another wallet");
        assert_eq!(allowance.take(wallet(1), at(59_999)), Err(TooOften { retry_after_s: 1 }));
        assert_eq!(allowance.take(wallet(1), at(60_000)), Ok(()));
        assert_eq!(allowance.take(wallet(1), at(60_000)), Err(TooOften { retry_after_s: 1 }));
    }

    #[test]
    fn not_more_wallets_are_remembered_than_there_is_room_for() {
        let (allowance, start) = (Allowance::default(), Instant::now());
        for n in 0..=MAX_WALLETS {
            assert_eq!(allowance.take(wallet(n), start + Duration::from_nanos(n as u64)), Ok(()));
        }
        let kept = allowance.searches.lock().unwrap();
        assert_eq!(kept.len(), MAX_WALLETS);
        assert!(!kept.contains_key(&wallet(0)) && kept.contains_key(&wallet(1)));
    }
}
