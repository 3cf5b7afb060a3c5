//! What is going on in this process: one holder for each authorization at a time, and what holders left lying about.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use evidence::{UsdcAmount, payment::Authorization};
use gate::Reservation;
use tokio::sync::watch;

use crate::entry::Entry;

/// Money that is set aside for one call. Hand it to `settle` or `release`; if it is dropped instead, for instance with
/// the future that held it, the next reservation or recovery releases it.
pub struct Hold {
    pub(crate) claim: Claim,
    pub(crate) entry: Entry,
    pub(crate) authorization: Authorization,
}

impl fmt::Debug for Hold {
    /// Without the payer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("amount", &self.amount()).finish_non_exhaustive()
    }
}

impl Reservation for Hold {
    fn amount(&self) -> UsdcAmount {
        self.authorization.value
    }

    fn authorization(&self) -> Option<&Authorization> {
        Some(&self.authorization)
    }
}

/// Authorizations that somebody in this process holds, and those whose row may have been left `Reserved`.
#[derive(Default)]
pub(crate) struct Flights {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    flying: HashMap<[u8; 32], Flight>,
    loose: BTreeSet<[u8; 32]>,
}

struct Flight {
    fingerprint: [u8; 32],
    /// Dropped with the flight, which wakes all who wait.
    ended: watch::Sender<()>,
}

/// Stands for the call of a holder that only releases what was left lying about.
pub(crate) const HOUSEKEEPING: [u8; 32] = [0; 32];

/// Somebody else holds it.
pub(crate) struct Busy {
    /// For which call.
    pub(crate) fingerprint: [u8; 32],
    ended: watch::Receiver<()>,
}

impl Busy {
    /// Returns once the holder is done.
    pub(crate) async fn wait(mut self) {
        // Nothing is ever sent: this returns when the sender is gone.
        while self.ended.changed().await.is_ok() {}
    }
}

/// The right to change one authorization's row. Given back when dropped, in every case.
pub(crate) struct Claim {
    flights: Arc<Flights>,
    key: [u8; 32],
    at_rest: bool,
}

impl Claim {
    pub(crate) fn key(&self) -> [u8; 32] {
        self.key
    }

    /// The row is in a stage in which it may be left.
    pub(crate) fn rest(mut self) {
        self.at_rest = true;
    }

    /// The same, but the claim is kept until this is dropped.
    pub(crate) fn rest_on_drop(mut self) -> Self {
        self.at_rest = true;
        self
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut inner = self.flights.inner();
        if !self.at_rest {
            inner.loose.insert(self.key);
        }
        inner.flying.remove(&self.key);
    }
}

impl Flights {
    pub(crate) fn claim(self: &Arc<Self>, key: [u8; 32], fingerprint: [u8; 32]) -> Result<Claim, Busy> {
        let mut inner = self.inner();
        if let Some(flight) = inner.flying.get(&key) {
            return Err(Busy { fingerprint: flight.fingerprint, ended: flight.ended.subscribe() });
        }
        inner.flying.insert(key, Flight { fingerprint, ended: watch::Sender::new(()) });
        Ok(Claim { flights: Arc::clone(self), key, at_rest: false })
    }

    /// Some of what was left lying about; the caller looks after it.
    pub(crate) fn take_loose(&self, most: usize) -> Vec<[u8; 32]> {
        let mut inner = self.inner();
        let keys: Vec<_> = inner.loose.iter().take(most).copied().collect();
        for key in &keys {
            inner.loose.remove(key);
        }
        keys
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // No step in here can fail half-way, so what a panicking thread left is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
