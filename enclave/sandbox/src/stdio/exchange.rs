//! One request to a server and everything that belongs to it: progress, log messages, the server's own questions, the
//! answer.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;

use super::{
    error::SessionError,
    greeting::ServerEra,
    message::Answer,
    question::Question,
    session::Session,
    switchboard::{Taken, Takes},
    writer::Errand,
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
    session: Arc<Session>,
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
        Ok(Exchange { errand: self.connection.errand(method, params, takes, limit)?, session: Arc::clone(self) })
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

    /// The conversation that it is part of.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
}

impl Errand {
    async fn next(&mut self) -> Result<Event, SessionError> {
        loop {
            match self.take() {
                Taken::Event(event) => return Ok(event),
                Taken::Failed(error) => return Err(error),
                Taken::Nothing { heard } => {
                    // A limit beyond the end of time is none.
                    let deadline = heard.and_then(|heard| heard.checked_add(self.limit()));
                    if deadline.is_some_and(|deadline| deadline <= tokio::time::Instant::now()) {
                        return Err(self.give_up());
                    }
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
}
