//! What the MCP endpoints keep between requests, in memory: parked requests, open questions, running requests, log levels.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use super::{
    asked::AskedQuestions, followed::Followed, level::Level, parked::ParkingLot, request_state::StateSeal,
    subscription::Listeners, unpaid::UnpaidQuestions, withdrawals::Withdrawals,
};

/// Callers whose log level is remembered; the one that said it longest ago is forgotten first.
const MAX_LEVELS: usize = 10_000;

/// How often parked requests are looked through.
const SWEEP: Duration = Duration::from_secs(5);

/// All of it.
#[derive(Debug)]
pub(crate) struct Lobby {
    /// Seals `requestState`.
    pub(crate) seal: StateSeal,
    /// Requests that wait for their client to come back.
    pub(crate) parked: ParkingLot,
    /// Questions that legacy clients were asked.
    pub(crate) asked: Arc<AskedQuestions>,
    /// Requests of legacy clients that run.
    pub(crate) running: Arc<Withdrawals>,
    /// Questions of calls that are not paid yet.
    pub(crate) unpaid: UnpaidQuestions,
    /// Who listens for changes.
    pub(crate) listeners: Arc<Listeners>,
    /// What legacy clients follow of modern servers.
    pub(crate) followed: Followed,
    levels: Mutex<Levels>,
}

#[derive(Debug, Default)]
struct Levels {
    of: HashMap<String, Level>,
    order: VecDeque<String>,
}

impl Lobby {
    /// An empty one. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(crate) fn open() -> Result<Arc<Self>, getrandom::Error> {
        let lobby = Arc::new(Self {
            seal: StateSeal::new()?,
            parked: ParkingLot::default(),
            asked: Arc::default(),
            running: Arc::default(),
            unpaid: UnpaidQuestions::default(),
            listeners: Arc::default(),
            followed: Followed::default(),
            levels: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&lobby)));
        Ok(lobby)
    }

    /// A legacy caller's log level. Strangers have none.
    pub(crate) fn level(&self, caller: &str) -> Option<Level> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).of.get(caller).copied()
    }

    /// Remembers a caller's log level.
    pub(crate) fn set_level(&self, caller: &str, level: Level) {
        if caller.is_empty() {
            return;
        }
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.of.insert(caller.to_owned(), level).is_none() {
            levels.order.push_back(caller.to_owned());
            if levels.order.len() > MAX_LEVELS
                && let Some(oldest) = levels.order.pop_front()
            {
                levels.of.remove(&oldest);
            }
        }
    }
}

async fn sweep(lobby: Weak<Lobby>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(lobby) = lobby.upgrade() else { return };
        let ended = lobby.parked.sweep(Instant::now());
        if ended > 0 {
            tracing::info!(ended, "requests waited for their clients in vain");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_level_that_was_said_longest_ago_is_forgotten_first_and_strangers_have_none() {
        let lobby = Lobby::open().unwrap();
        for n in 0..=MAX_LEVELS {
            lobby.set_level(&n.to_string(), Level::Error);
        }
        assert_eq!((lobby.level("0"), lobby.level("1")), (None, Some(Level::Error)));
        lobby.set_level("", Level::Debug);
        assert_eq!(lobby.level(""), None);
    }
}
