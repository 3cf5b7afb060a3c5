//! Requests that wait for their client to come back with answers. The work goes on waiting where it stands: server, payment
//! and container are held until it is continued, or ended here.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{request_state::ParkedName, waiting::Waiting};
use crate::conversation::Listening;

/// Most parked requests.
const MAX_PARKED: usize = 64;

/// Most of one caller.
const MAX_OF_ONE: usize = 8;

/// Most of all strangers together.
const MAX_OF_STRANGERS: usize = 32;

/// How long one waits for its client.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Where its work is heard. Dropping it withdraws the request.
    pub(crate) listening: Listening,
    /// What it waits for.
    pub(crate) waiting: Waiting,
    /// Questions that were asked so far.
    pub(crate) asked: usize,
}

/// No place is left for this.
#[derive(Debug)]
pub(crate) struct NoPlace(pub(crate) Box<Parked>);

/// All of them, by name.
#[derive(Debug, Default)]
pub(crate) struct ParkingLot {
    parked: Mutex<HashMap<ParkedName, Place>>,
}

#[derive(Debug)]
struct Place {
    caller: String,
    ends: Instant,
    parked: Parked,
}

impl ParkingLot {
    fn lock(&self) -> MutexGuard<'_, HashMap<ParkedName, Place>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Parks a request of a caller; strangers have the empty name.
    ///
    /// # Errors
    /// [`NoPlace`] with the request, which is to be given up.
    pub(crate) fn park(&self, caller: &str, name: ParkedName, parked: Parked, now: Instant) -> Result<(), NoPlace> {
        let ended = self.ended(now);
        let mut places = self.lock();
        let of_one = places.values().filter(|place| place.caller == caller).count();
        let most = if caller.is_empty() { MAX_OF_STRANGERS } else { MAX_OF_ONE };
        if places.len() >= MAX_PARKED || of_one >= most {
            return Err(NoPlace(Box::new(parked)));
        }
        places.insert(name, Place { caller: caller.to_owned(), ends: now + PATIENCE, parked });
        drop(places);
        drop(ended);
        Ok(())
    }

    /// Whether these answers fit what a parked request waits for. It stays parked.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn check(
        &self,
        name: &ParkedName,
        fits: impl FnOnce(&Waiting) -> Result<(), String>,
    ) -> Result<(), String> {
        self.lock().get(name).map_or(Ok(()), |place| fits(&place.parked.waiting))
    }

    /// Takes a request out, once.
    pub(crate) fn take(&self, name: &ParkedName, now: Instant) -> Option<Parked> {
        let place = self.lock().remove(name)?;
        (now < place.ends).then_some(place.parked)
    }

    /// Takes out what waited for too long.
    fn ended(&self, now: Instant) -> Vec<Place> {
        self.lock().extract_if(|_, place| now >= place.ends).map(|(_, place)| place).collect()
    }

    /// Ends what waited for too long. Says how many those were.
    pub(crate) fn sweep(&self, now: Instant) -> usize {
        self.ended(now).len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use evidence::json::object;
    use tokio::sync::oneshot;

    use super::*;
    use crate::conversation::{self, Input, Speaker};

    fn parked() -> (Speaker, Parked) {
        let (speaker, listening) = conversation::pair(false, Arc::default());
        let input = Input { result: object([]), reply: oneshot::channel().0 };
        (speaker, Parked { listening, waiting: Waiting::Input(input, Vec::new()), asked: 1 })
    }

    fn name(n: usize) -> ParkedName {
        let mut name = [0; 16];
        name[..8].copy_from_slice(&n.to_be_bytes());
        name
    }

    #[tokio::test]
    async fn a_request_is_continued_once_and_ends_when_nobody_comes() {
        let (lot, now) = (ParkingLot::default(), Instant::now());
        let (_speaker, one) = parked();
        lot.park("a", name(1), one, now).unwrap();
        assert!(lot.take(&name(1), now).is_some());
        assert!(lot.take(&name(1), now).is_none(), "twice");
        let (speaker, other) = parked();
        lot.park("a", name(2), other, now).unwrap();
        assert_eq!(lot.sweep(now + PATIENCE - Duration::from_millis(1)), 0);
        assert_eq!(lot.sweep(now + PATIENCE), 1);
        speaker.gone().await;
        let (_speaker, late) = parked();
        lot.park("a", name(3), late, now).unwrap();
        assert!(lot.take(&name(3), now + PATIENCE).is_none(), "too late, swept or not");
    }

    #[tokio::test]
    async fn one_caller_takes_so_many_places_and_all_together_so_many() {
        let (lot, now) = (ParkingLot::default(), Instant::now());
        let mut speakers = Vec::new();
        let mut park = |caller: &str, n: usize| {
            let (speaker, parked) = parked();
            speakers.push(speaker);
            lot.park(caller, name(n), parked, now).is_ok()
        };
        for n in 0..MAX_OF_ONE {
            assert!(park("a", n), "{n}");
        }
        assert!(!park("a", 100));
        for n in 0..MAX_OF_STRANGERS {
            assert!(park("", 200 + n), "{n}");
        }
        assert!(!park("", 300));
        for n in MAX_OF_ONE + MAX_OF_STRANGERS..MAX_PARKED {
            assert!(park(&format!("caller {n}"), 400 + n), "{n}");
        }
        assert!(!park("the last", 999));
    }
}
