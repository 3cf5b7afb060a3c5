//! A server's own request: it asks its client something, and waits.

use std::{fmt, sync::Arc};

use serde_json::value::RawValue;
use tokio::sync::watch;

use super::{message, switchboard::Switchboard};

/// What a client answers to a question: a result or an error object.
type Reply = Result<Box<RawValue>, Box<RawValue>>;

/// A request of the server's own: `elicitation/create`, `sampling/createMessage`, `roots/list`. Dropping it answers that
/// nobody is there to ask.
pub struct Question {
    board: Arc<Switchboard>,
    number: u64,
    id: Box<RawValue>,
    method: String,
    params: Option<Box<RawValue>>,
    /// Closed when nobody waits for the answer.
    open: watch::Receiver<()>,
}

/// The server no longer waits for the answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the server no longer waits for this answer")]
pub struct Unasked;

impl Question {
    pub(super) fn new(
        board: Arc<Switchboard>,
        number: u64,
        id: Box<RawValue>,
        method: String,
        params: Option<Box<RawValue>>,
        open: watch::Receiver<()>,
    ) -> Self {
        Self { board, number, id, method, params, open }
    }

    /// The id that the server gave it, a string or a number as it wrote it. It need not be unique.
    pub fn id(&self) -> &RawValue {
        &self.id
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
        self.board.answer(self.number, reply.as_deref().map_err(|error| &**error))
    }

    /// Returns when the server no longer waits: it withdrew the question, or ended.
    pub async fn withdrawn(&mut self) {
        while self.open.changed().await.is_ok() {}
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        // Answered or withdrawn, it is no longer there to be answered.
        let _ = self.board.answer(self.number, Err(&message::error(-32603, "nobody is there to answer")));
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parameters are for the one who is asked alone.
        f.debug_struct("Question").field("method", &self.method).finish_non_exhaustive()
    }
}
