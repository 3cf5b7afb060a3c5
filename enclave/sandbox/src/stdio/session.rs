//! A conversation with one server.

use std::{fmt, time::Duration};

use serde_json::value::RawValue;
use tokio::sync::broadcast;

use super::{
    connection::Connection,
    error::SessionError,
    greeting::{self, ServerEra},
    message::{self, Answer},
    notice::Notice,
};

/// A server that did not answer a call in time gets this long to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// A conversation with one server. Requests may overlap. Dropping it ends the server.
pub struct Session {
    pub(super) connection: Connection,
    era: ServerEra,
    greeting: Box<RawValue>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({}, {})", self.connection.guard.id, self.era.version())
    }
}

impl Session {
    pub(super) fn new(connection: Connection, era: ServerEra, greeting: Box<RawValue>) -> Self {
        Self { connection, era, greeting }
    }

    /// Which revision is spoken. It stays the same for the whole conversation.
    pub fn era(&self) -> ServerEra {
        self.era
    }

    /// The server's result of `initialize`, or of `server/discover` where it is modern; as it wrote it.
    pub fn greeting(&self) -> &RawValue {
        &self.greeting
    }

    /// What the server says from now on that belongs to no request. Who listens too slowly misses the oldest, and is told;
    /// when the server ends, the channel is closed.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.connection.board.listen()
    }

    /// The id of its container.
    pub fn container(&self) -> &str {
        &self.connection.guard.id
    }

    /// Sends a request and waits for its answer. Parameters are an object as the caller wrote it. What the server asks
    /// meanwhile is refused.
    ///
    /// Whoever stops waiting (by `limit`, or by dropping the future) has the server told so, and a late answer is dropped.
    ///
    /// # Errors
    /// The server ended, hung, or printed what is no message.
    pub async fn request(
        &self,
        method: &str,
        params: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Answer, SessionError> {
        self.connection.request(method, params, limit).await
    }

    /// Tells the server something, for instance `notifications/roots/list_changed`. Says whether there was room for it: a
    /// server that no longer reads hears nothing.
    pub fn notify(&self, method: &str, params: Option<&RawValue>) -> bool {
        self.connection.board.say(message::request(None, method, params))
    }

    /// Whether the next request has a chance: the server runs, and after an unanswered request it answers something.
    pub async fn is_alive(&self) -> bool {
        let board = &self.connection.board;
        if board.has_ended() {
            return false;
        }
        if !board.is_suspect() {
            return true;
        }
        // Any answer shows life, also a refusal.
        let alive = match self.era {
            ServerEra::Legacy { .. } => self.request("ping", None, PING_TIMEOUT).await.is_ok(),
            ServerEra::Modern => greeting::discover(&self.connection, PING_TIMEOUT).await.is_ok(),
        };
        if alive {
            board.acquit();
        }
        alive
    }

    /// A text of the server without the secrets it was given. Its answers are handed on as they are; what of them goes into
    /// an error or a log goes through here.
    pub fn redact(&self, text: &str) -> String {
        self.connection.redact(text)
    }

    /// What the server printed to stderr lately, redacted.
    pub fn stderr(&self) -> String {
        self.connection.board.stderr().text()
    }

    /// Ends the server: first politely, by closing its stdin.
    pub async fn stop(&self) {
        self.connection.stop().await;
    }
}
