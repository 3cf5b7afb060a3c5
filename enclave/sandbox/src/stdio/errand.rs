//! A request of ours on its way: sent, waited for, and withdrawn when nobody waits any longer.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{json, value::RawValue};
use tokio::{
    sync::{Notify, mpsc, mpsc::error::TrySendError},
    time::Instant,
};

use super::{
    error::SessionError,
    exchange::Event,
    message::{self, Answer},
    switchboard::{Switchboard, Taken, Takes},
    writer::Request,
};
use crate::InstanceError;

/// How many times its limit a server has for an answer that talks meanwhile: reports of progress are a reason to wait
/// longer, not for ever.
const TALKING: u32 = 10;

/// A request of ours, from its number to its answer. Dropped unanswered, it is withdrawn.
pub(super) struct Errand {
    board: Arc<Switchboard>,
    id: u64,
    woken: Arc<Notify>,
    requests: mpsc::Sender<Request>,
    /// The queue was full when it was to be sent.
    unsent: Option<Request>,
    limit: Duration,
    /// Greetings must not be cancelled.
    may_cancel: bool,
}

impl Errand {
    pub(super) fn new(
        board: &Arc<Switchboard>,
        requests: &mpsc::Sender<Request>,
        method: &str,
        params: impl FnOnce(u64) -> Option<Box<RawValue>>,
        takes: Takes,
        limit: Duration,
    ) -> Result<Self, SessionError> {
        let (id, woken) = board.open(takes)?;
        let mut errand = Self {
            board: Arc::clone(board),
            id,
            woken,
            requests: requests.clone(),
            unsent: None,
            limit,
            may_cancel: !matches!(method, "initialize" | "server/discover"),
        };
        let line = message::request(Some(id), method, params(id).as_deref());
        if let Err(TrySendError::Full(request)) = requests.try_send(Request { id, line }) {
            errand.unsent = Some(request);
        }
        // A closed queue means that the server takes no more; the reader, or its silence, tells.
        Ok(errand)
    }

    /// What the server says next.
    pub(super) async fn next(&mut self) -> Result<Event, SessionError> {
        loop {
            let longest = self.limit.saturating_mul(TALKING);
            match self.board.take(self.id, longest) {
                Taken::Event(event) => return Ok(event),
                Taken::Failed(error) => return Err(error),
                Taken::Late => return Err(self.give_up(longest)),
                Taken::Nothing { since } => {
                    // A limit beyond the end of time is none.
                    let silent = since.and_then(|since| since.heard.checked_add(self.limit));
                    if silent.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Err(self.give_up(self.limit));
                    }
                    let late = since.and_then(|since| since.begun.checked_add(longest));
                    let deadline = silent.into_iter().chain(late).min();
                    match deadline {
                        Some(deadline) => drop(tokio::time::timeout_at(deadline, self.stir()).await),
                        None => self.stir().await,
                    }
                }
            }
        }
    }

    /// Waits for the answer alone.
    pub(super) async fn answer(&mut self) -> Result<Answer, SessionError> {
        loop {
            if let Event::Answer(answer) = self.next().await? {
                return Ok(answer);
            }
        }
    }

    /// Waits until there may be something new.
    async fn stir(&mut self) {
        if self.unsent.is_some() {
            // The server may end while the queue is full.
            let place = tokio::select! {
                place = self.requests.reserve() => place.ok(),
                () = self.woken.notified() => return,
            };
            if let (Some(place), Some(request)) = (place, self.unsent.take()) {
                place.send(request);
            }
        }
        self.woken.notified().await;
    }

    /// The server was silent, or talked, for too long. Garbage explains why better than silence does.
    fn give_up(&mut self, waited: Duration) -> SessionError {
        let garbage = self.board.suspect();
        self.withdraw();
        garbage.unwrap_or_else(|| InstanceError::Hung { waited, stderr: self.board.stderr().end() }).into()
    }

    fn withdraw(&mut self) {
        let works = self.board.close(self.id);
        if works && self.may_cancel {
            let params = json!({"requestId": self.id, "reason": "the caller no longer waits"});
            let params = message::raw(params.to_string());
            self.board.say(message::request(None, "notifications/cancelled", Some(&params)));
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What waits to be sent is for the server alone.
        write!(f, "Errand({})", self.id)
    }
}
