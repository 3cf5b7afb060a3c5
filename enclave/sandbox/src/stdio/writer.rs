//! The way to a server: requests wait their turn, and what must not wait behind them goes first.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{message::Line, switchboard::Switchboard};
use crate::streams::Sender;

/// Requests waiting to be written; whoever sends more waits.
pub(super) const REQUESTS: usize = 64;
/// Answers to the server and notifications waiting to be written. A server that reads none of so many reads nothing, and
/// further ones are lost.
pub(super) const ASIDES: usize = 256;

/// A request and its number.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) line: Line,
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
