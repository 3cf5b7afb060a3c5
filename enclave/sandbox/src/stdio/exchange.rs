//! One request to a server and everything that belongs to it: progress, log messages, the server's own questions, the
//! answer.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::session::{Answer, Session, SessionError};

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

/// A request of the server's own: `elicitation/create`, `sampling/createMessage`, `roots/list`. Dropping it answers that
/// nobody is there to ask.
#[derive(Debug)]
pub struct Question {
    method: String,
    params: Option<Box<RawValue>>,
    reply: oneshot::Sender<Reply>,
}

/// What a client answers to a question: a result or an error object.
type Reply = Result<Box<RawValue>, Box<RawValue>>;

/// The server no longer waits for the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the server no longer waits for this answer")]
pub struct Unasked;

impl Question {
    pub(crate) fn new(method: String, params: Option<Box<RawValue>>) -> (Self, oneshot::Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (Self { method, params, reply }, answer)
    }

    /// For instance `elicitation/create`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Its parameters, as the server wrote them.
    pub fn params(&self) -> Option<&RawValue> {
        self.params.as_deref()
    }

    /// Answers it.
    ///
    /// # Errors
    /// [`Unasked`].
    pub fn answer(self, reply: Reply) -> Result<(), Unasked> {
        self.reply.send(reply).map_err(|_| Unasked)
    }
}

/// A request under way. Dropping it before its answer tells the server that nobody waits any longer.
#[derive(Debug)]
pub struct Exchange {
    session: Arc<Session>,
    method: String,
    params: Option<Box<RawValue>>,
    limit: Duration,
}

impl Session {
    /// Sends a request. `params` gets the token by which the server may report progress and gives the parameters as they
    /// go out. `limit` is how long the server may be silent; while a question of its own is open, no time passes.
    ///
    /// # Errors
    /// [`SessionError::NotSent`].
    pub fn begin(
        self: &Arc<Self>,
        method: &str,
        params: impl FnOnce(u64) -> Option<Box<RawValue>>,
        limit: Duration,
    ) -> Result<Exchange, SessionError> {
        Ok(Exchange { session: Arc::clone(self), method: method.to_owned(), params: params(0), limit })
    }
}

impl Exchange {
    /// What the server says next.
    ///
    /// # Errors
    /// The server ended, hung, or printed what is no message.
    pub async fn next(&mut self) -> Result<Event, SessionError> {
        self.session.request(&self.method, self.params.as_deref(), self.limit).await.map(Event::Answer)
    }
}
