//! Who listens for changes, and how many may.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Most subscriptions at once; of one caller; of all strangers together.
const MAX_LISTENING: usize = 512;
const MAX_OF_ONE: usize = 8;
const MAX_OF_STRANGERS: usize = 64;

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Listeners(Mutex<HashMap<String, usize>>);

/// One that listens. Dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    all: Arc<Listeners>,
    caller: String,
}

impl Listeners {
    /// A place for this caller (empty: a stranger). `None`: it has all that it may, or all are taken.
    pub(crate) fn admit(self: &Arc<Self>, caller: &str) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let most = if caller.is_empty() { MAX_OF_STRANGERS } else { MAX_OF_ONE };
        let of_one = counts.get(caller).copied().unwrap_or_default();
        if of_one >= most || counts.values().sum::<usize>() >= MAX_LISTENING {
            return None;
        }
        counts.insert(caller.to_owned(), of_one + 1);
        Some(Place { all: Arc::clone(self), caller: caller.to_owned() })
    }

    /// So many more, or as many as there is room for.
    pub(crate) fn admit_more(self: &Arc<Self>, caller: &str, count: usize) -> Vec<Place> {
        std::iter::from_fn(|| self.admit(caller)).take(count).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_listens_so_often_at_once() {
        let all = Arc::new(Listeners::default());
        let places: Vec<_> = (0..MAX_OF_ONE).map(|_| all.admit("one").unwrap()).collect();
        assert!(all.admit("one").is_none() && all.admit_more("one", 1).is_empty());
        assert!(all.admit("two").is_some());
        drop(places);
        let so_many = |count| all.admit_more("one", count).len();
        assert_eq!(so_many(3), 3);
        assert_eq!(so_many(MAX_OF_ONE + 1), MAX_OF_ONE);
        assert!(all.0.lock().unwrap().is_empty());
        let strangers: Vec<_> = (0..MAX_OF_STRANGERS).map(|_| all.admit("").unwrap()).collect();
        assert!(all.admit("").is_none());
        drop(strangers);
    }
}
