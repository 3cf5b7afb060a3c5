//! One request to a server and everything that belongs to it: progress, log messages, the server's own questions, the
//! answer.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;

use super::{
    errand::Errand, error::SessionError, greeting::ServerEra, message::Answer, question::Question, session::Session,
    switchboard::Takes,
};

/// What a server says while it works on a request.
#[derive(Debug)]
pub enum Event {
    /// `params` of a `notifications/progress`; `progressToken` in it is the token that the request was given.
    Progress(Box<RawValue>),
    /// `params` of a `notifications/message`.
    Message(Box<RawValue>),
    /// The server asks its client something and waits.
    Question(Question),
    /// The answer. Nothing comes after it.
    Answer(Answer),
}

/// A request under way. Dropping it before its answer tells the server that nobody waits any longer.
#[derive(Debug)]
pub struct Exchange {
    errand: Errand,
    /// Held: a server with a request under way is not idle.
    _held: Option<Arc<Session>>,
}

impl Session {
    /// Sends a request. `params` gets the token by which the server may report progress and gives the parameters as they
    /// go out. `limit` is how long the server may be silent; while a question of its own is open, no time passes.
    ///
    /// Over stdio nothing relates a question or a log message to a request: they go to the exchange begun last among those
    /// still open. A modern server asks within its answers, so a request of its own is refused.
    ///
    /// # Errors
    /// [`SessionError::NotSent`].
    pub fn begin(
        self: &Arc<Self>,
        method: &str,
        params: impl FnOnce(u64) -> Option<Box<RawValue>>,
        limit: Duration,
    ) -> Result<Exchange, SessionError> {
        let takes = match self.era() {
            ServerEra::Legacy { .. } => Takes::EventsAndQuestions,
            ServerEra::Modern => Takes::Events,
        };
        Ok(Exchange { errand: self.connection.errand(method, params, takes, limit)?, _held: Some(Arc::clone(self)) })
    }
}

impl Exchange {
    /// What the server says next. May be dropped and called again; nothing is lost.
    ///
    /// # Errors
    /// The server ended, hung, or printed what is no message. [`SessionError::Answered`] after the answer or an error.
    pub async fn next(&mut self) -> Result<Event, SessionError> {
        self.errand.next().await
    }

    /// The same, for what is only listened to: the server may be ended as idle meanwhile, and the exchange ends with it.
    #[must_use]
    pub fn without_hold(self) -> Self {
        Self { _held: None, ..self }
    }
}
