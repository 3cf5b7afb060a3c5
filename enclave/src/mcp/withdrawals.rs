//! `notifications/cancelled` of legacy clients: who withdraws which of their requests. A modern client disconnects instead.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evidence::json::Value;
use tokio::sync::Notify;

type Running = HashMap<(String, String), Vec<Arc<Notify>>>;

/// The requests that run, by caller and id. Strangers cannot be told from each other, so theirs are not here.
#[derive(Debug, Default)]
pub(crate) struct Withdrawals {
    running: Mutex<Running>,
}

/// One request that runs. Dropping it ends its entry.
#[derive(Debug)]
pub(crate) struct Withdrawable {
    all: Arc<Withdrawals>,
    key: Option<(String, String)>,
    /// Told when the request is withdrawn.
    pub(crate) withdrawn: Arc<Notify>,
}

impl Withdrawals {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of this caller begins.
    pub(crate) fn begin(self: &Arc<Self>, caller: &str, id: &Value) -> Withdrawable {
        let withdrawn = Arc::new(Notify::new());
        let key = (!caller.is_empty()).then(|| (caller.to_owned(), id.to_text()));
        if let Some(key) = &key {
            self.lock().entry(key.clone()).or_default().push(Arc::clone(&withdrawn));
        }
        Withdrawable { all: Arc::clone(self), key, withdrawn }
    }

    /// Withdraws this caller's requests of this id. Says how many those were.
    pub(crate) fn withdraw(&self, caller: &str, id: &Value) -> usize {
        let running = self.lock();
        let found = running.get(&(caller.to_owned(), id.to_text()));
        found.into_iter().flatten().map(|withdrawn| withdrawn.notify_one()).count()
    }
}

impl Drop for Withdrawable {
    fn drop(&mut self) {
        let Some(key) = &self.key else { return };
        let mut running = self.all.lock();
        if let Some(found) = running.get_mut(key) {
            found.retain(|other| !Arc::ptr_eq(other, &self.withdrawn));
            if found.is_empty() {
                running.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_caller_withdraws_its_own_requests_alone() {
        let all = Arc::new(Withdrawals::default());
        let one = all.begin("one", &1_u64.into());
        let same_id_of_another = all.begin("two", &1_u64.into());
        assert_eq!(all.withdraw("three", &1_u64.into()), 0);
        assert_eq!(all.withdraw("one", &"1".into()), 0, "a string is another id");
        assert_eq!(all.withdraw("one", &1_u64.into()), 1);
        one.withdrawn.notified().await;
        drop(one);
        assert_eq!(all.withdraw("one", &1_u64.into()), 0);
        let stranger = all.begin("", &1_u64.into());
        assert_eq!(all.withdraw("", &1_u64.into()), 0, "strangers cannot be told from each other");
        drop((stranger, same_id_of_another));
        assert!(all.lock().is_empty());
    }
}
