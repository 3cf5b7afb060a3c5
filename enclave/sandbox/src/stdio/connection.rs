//! Lines to and from one server, from its start to its end.

use std::{sync::Arc, time::Duration};

use serde_json::value::RawValue;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    errand::Errand,
    error::SessionError,
    message::{Answer, Message, NoMessage},
    switchboard::{Switchboard, Takes},
    writer::{self, ASIDES, Aside, REQUESTS, Request},
};
use crate::{Instance, instance::Guard, streams::Receiver};

/// How long a server may take to end after its stdin was closed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// The way to a server and back, before and after it was greeted. Dropping it ends the server.
pub(super) struct Connection {
    pub(super) board: Arc<Switchboard>,
    pub(super) guard: Arc<Guard>,
    requests: mpsc::Sender<Request>,
    asides: mpsc::Sender<Aside>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Connection {
    /// Listens to a server that was just started.
    pub(super) fn attach(instance: Instance) -> Self {
        let (sender, receiver) = instance.split();
        let guard = Arc::clone(&sender.guard);
        let (requests, waiting) = mpsc::channel(REQUESTS);
        let (asides, first) = mpsc::channel(ASIDES);
        let board = Arc::new(Switchboard::new(asides.clone(), receiver.stderr(), receiver.redactor()));
        let writer = tokio::spawn(writer::write(sender, waiting, first, Arc::clone(&board)));
        let reader = tokio::spawn(read(receiver, Arc::clone(&board), Arc::clone(&guard)));
        Self { board, guard, requests, asides, reader, writer }
    }

    pub(super) fn errand(
        &self,
        method: &str,
        params: impl FnOnce(u64) -> Option<Box<RawValue>>,
        takes: Takes,
        limit: Duration,
    ) -> Result<Errand, SessionError> {
        Errand::new(&self.board, &self.requests, method, params, takes, limit)
    }

    pub(super) async fn request(
        &self,
        method: &str,
        params: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Answer, SessionError> {
        self.errand(method, |_| params.map(RawValue::to_owned), Takes::Answer, limit)?.answer().await
    }

    pub(super) fn redact(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.board.redactor().whole(text.as_bytes())).into_owned()
    }

    pub(super) async fn stop(&self) {
        let ended = async {
            // A server that no longer reads leaves no room in the queue, and must not hold us up either.
            let _ = self.asides.send(Aside::Close).await;
            while !self.board.has_ended() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(STOP_GRACE, ended).await;
        self.guard.remove().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

async fn read(mut receiver: Receiver, board: Arc<Switchboard>, guard: Arc<Guard>) {
    let error = loop {
        let line = match receiver.line().await {
            Ok(line) => line,
            Err(error) => break error,
        };
        board.acquit();
        let mut given_up = None;
        Message::read(&line, |message| match message {
            Ok(message) => board.hear(message),
            Err(NoMessage) => {
                let counted = board.garbage(receiver.garbage(&line));
                given_up = given_up.take().or(counted.err());
            }
        });
        if let Some(error) = given_up {
            break error;
        }
    };
    board.end(error);
    guard.remove().await;
}
