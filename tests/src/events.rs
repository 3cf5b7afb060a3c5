//! Answers that are streams: one message after the other, as they come.

use std::io::{BufRead as _, BufReader, Read};

use serde_json::Value;

/// A stream of server-sent events that is being read.
pub struct Events {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`
    pub kind: String,
    /// `X-Accel-Buffering`
    pub buffering: Option<String>,
    lines: Box<dyn Iterator<Item = std::io::Result<String>>>,
}

impl Events {
    pub(crate) fn new(status: u16, kind: String, buffering: Option<String>, body: impl Read + 'static) -> Self {
        Self { status, kind, buffering, lines: Box::new(BufReader::new(body).lines()) }
    }

    /// The next message. Waits for it; `None` at the end of the stream. An answer that is no stream is one message.
    ///
    /// # Panics
    /// It is not JSON, or the connection broke.
    pub fn message(&mut self) -> Option<Value> {
        loop {
            let line = self.lines.next()?.expect("the stream is read");
            let whole = (self.kind == "application/json").then_some(line.as_str());
            if let Some(data) = whole.or_else(|| line.strip_prefix("data: ")) {
                return Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}")));
            }
        }
    }

    /// All messages until the end.
    pub fn rest(mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.message()).collect()
    }
}

/// The messages of an answer that was read to its end, stream or not.
pub(crate) fn messages(body: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(body);
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("a message"))
        .collect()
}
