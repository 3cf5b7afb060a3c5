//! The way to a server: requests wait their turn, and what must not wait behind them goes first.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{json, value::RawValue};
use tokio::sync::{Notify, mpsc, mpsc::error::TrySendError};

use super::{
    error::SessionError,
    message::{self, Line},
    switchboard::{Switchboard, Taken, Takes},
};
use crate::{InstanceError, instance::Sender};

/// Requests waiting to be written; whoever sends more waits.
pub(super) const REQUESTS: usize = 64;
/// Answers to the server and notifications waiting to be written. A server that reads none of so many reads nothing, and
/// further ones are lost.
pub(super) const ASIDES: usize = 256;

/// A request and its number.
#[derive(Debug)]
pub(super) struct Request {
    id: u64,
    line: Line,
}

/// What does not wait behind requests.
#[derive(Debug)]
pub(super) enum Aside {
    Line(Line),
    /// The server's stdin is closed: it should end.
    Close,
}

/// Writes until the connection breaks or nobody can send any more.
pub(super) async fn write(
    mut sender: Sender,
    mut requests: mpsc::Receiver<Request>,
    mut asides: mpsc::Receiver<Aside>,
    board: Arc<Switchboard>,
) {
    loop {
        let line = tokio::select! {
            biased;
            aside = asides.recv() => match aside {
                Some(Aside::Line(line)) => line,
                Some(Aside::Close) => {
                    sender.close().await;
                    continue;
                }
                None => return,
            },
            request = requests.recv() => match request {
                Some(Request { id, line }) if board.dispatch(id) => line,
                // Whoever sent it waits no longer, so the server need not hear of it at all.
                Some(_) => continue,
                None => return,
            },
        };
        if sender.send(&line).await.is_err() {
            return;
        }
    }
}

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
        // A closed queue means that the server ended; the reader tells.
        Ok(errand)
    }

    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// What there is, without waiting.
    pub(super) fn take(&self) -> Taken {
        self.board.take(self.id)
    }

    /// Waits until there may be something new.
    pub(super) async fn stir(&mut self) {
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

    /// The server was silent for too long. Garbage explains why better than silence does.
    pub(super) fn give_up(&mut self) -> SessionError {
        let garbage = self.board.suspect();
        self.withdraw();
        garbage.unwrap_or_else(|| InstanceError::Hung { waited: self.limit, stderr: self.board.stderr().end() }).into()
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
