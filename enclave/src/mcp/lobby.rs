//! What the MCP endpoints keep between requests, in memory: parked requests, open questions, running requests, log levels.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use evidence::json::{Value, object};

use super::{
    asked::AskedQuestions, followed::Followed, level::Level, listeners::Listeners, parked::ParkingLot,
    request_state::StateSeal, unpaid::UnpaidQuestions, withdrawals::Withdrawals,
};

/// Legacy callers of whom something is remembered; the one that said it longest ago is forgotten first.
const MAX_CALLERS: usize = 10_000;

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
    levels: Mutex<Remembered<Level>>,
    capabilities: Mutex<Remembered<Value>>,
}

/// What legacy callers said once, for requests that do not say it again. Strangers are not remembered.
#[derive(Debug)]
struct Remembered<T> {
    of: HashMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { of: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T: Clone> Remembered<T> {
    fn recall(&self, caller: &str) -> Option<T> {
        self.of.get(caller).cloned()
    }

    fn remember(&mut self, caller: &str, said: T) {
        if caller.is_empty() {
            return;
        }
        if self.of.insert(caller.to_owned(), said).is_none() {
            self.order.push_back(caller.to_owned());
            if self.order.len() > MAX_CALLERS
                && let Some(oldest) = self.order.pop_front()
            {
                self.of.remove(&oldest);
            }
        }
    }
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
            capabilities: Mutex::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&lobby)));
        Ok(lobby)
    }

    /// A legacy caller's log level. Strangers have none.
    pub(crate) fn level(&self, caller: &str) -> Option<Level> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).recall(caller)
    }

    /// Remembers a caller's log level.
    pub(crate) fn set_level(&self, caller: &str, level: Level) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).remember(caller, level);
    }

    /// What a legacy caller can be asked, as its last `initialize` said. `None`: it is a stranger, or began elsewhere.
    pub(crate) fn capabilities(&self, caller: &str) -> Option<Value> {
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner).recall(caller)
    }

    /// Remembers what a caller can be asked: of its capabilities those that a server's question can need.
    pub(crate) fn set_capabilities(&self, caller: &str, said: &Value) {
        let mut kept = Vec::new();
        for (name, details) in
            [("elicitation", &["form", "url"][..]), ("sampling", &["tools", "context"]), ("roots", &[])]
        {
            if let Some(own) = said.member(name) {
                let details = details.iter().filter(|detail| own.member(detail).is_some());
                kept.push((name.into(), Value::Object(details.map(|detail| ((*detail).into(), object([]))).collect())));
            }
        }
        self.capabilities.lock().unwrap_or_else(PoisonError::into_inner).remember(caller, Value::Object(kept));
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
        for n in 0..=MAX_CALLERS {
            lobby.set_level(&n.to_string(), Level::Error);
        }
        assert_eq!((lobby.level("0"), lobby.level("1")), (None, Some(Level::Error)));
        lobby.set_level("", Level::Debug);
        assert_eq!(lobby.level(""), None);
    }

    #[tokio::test]
    async fn of_what_a_client_declares_only_what_it_can_be_asked_is_kept() {
        let lobby = Lobby::open().unwrap();
        let said = r#"{"elicitation":{"url":{"x":1}},"roots":{"listChanged":true},"experimental":{"a":"long"}}"#;
        let said = evidence::json::parse(said.as_bytes(), &evidence::json::Limits::THEIRS).unwrap();
        assert_eq!(lobby.capabilities("one"), None);
        lobby.set_capabilities("one", &said);
        assert_eq!(lobby.capabilities("one").unwrap().to_text(), r#"{"elicitation":{"url":{}},"roots":{}}"#);
    }
}
