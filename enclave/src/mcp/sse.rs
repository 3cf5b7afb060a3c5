//! Replies that are streams of events (HTML, "Server-sent events"; MCP, Streamable HTTP).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use evidence::json::Value;
use http_body::Frame;
use tokio::sync::mpsc;

/// Events that wait for a slow reader; whoever writes more waits.
const QUEUE: usize = 16;

/// A comment is sent when nothing else was for so long: front servers end streams that are silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A reader that takes nothing for so long has gone, whatever its connection says: what waits for it holds a container, and
/// perhaps a payment.
const PATIENCE: Duration = Duration::from_secs(60);

/// The writing end of a stream. Dropping it ends the stream.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sender: mpsc::Sender<Bytes>,
    patience: Duration,
}

/// The reader has gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ReaderGone;

/// Whether a client takes streams: `Accept` names them. `*/*` is what programs say that know nothing of MCP.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        kind.eq_ignore_ascii_case("text/event-stream")
            && !parts.any(|part| matches!(part.to_ascii_lowercase().as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// A stream and its response.
pub(crate) fn stream() -> (Events, Response) {
    let (sender, events) = mpsc::channel(QUEUE);
    let mut response = (StatusCode::OK, Body::new(EventBody(events))).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // nginx and its like gather answers otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    (Events { sender, patience: PATIENCE }, response)
}

impl Events {
    /// Writes one message.
    ///
    /// # Errors
    /// [`ReaderGone`]
    pub(crate) async fn message(&self, message: &Value) -> Result<(), ReaderGone> {
        // Our encoder writes no line breaks, so one message is one line.
        let event = format!("event: message\ndata: {}\n\n", message.to_text());
        self.send(event.into()).await
    }

    /// Writes a comment, which readers skip.
    ///
    /// # Errors
    /// [`ReaderGone`]
    pub(crate) async fn comment(&self) -> Result<(), ReaderGone> {
        self.send(Bytes::from_static(b":\n\n")).await
    }

    async fn send(&self, event: Bytes) -> Result<(), ReaderGone> {
        match tokio::time::timeout(self.patience, self.sender.send(event)).await {
            Ok(sent) => sent.map_err(|_| ReaderGone),
            Err(_) => Err(ReaderGone),
        }
    }

    /// Ends when the reader has gone. Meanwhile keeps the stream from looking dead.
    pub(crate) async fn gone(&self) {
        loop {
            tokio::select! {
                () = self.sender.closed() => return,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    if self.comment().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

struct EventBody(mpsc::Receiver<Bytes>);

impl http_body::Body for EventBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_to_those_alone_who_take_one() {
        let accepted = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            is_accepted(&headers)
        };
        for yes in ["application/json, text/event-stream", "TEXT/EVENT-STREAM", "text/event-stream;q=0.1"] {
            assert!(accepted(yes), "{yes}");
        }
        for no in ["application/json", "text/event-stream;q=0", "text/html", "*/*", ""] {
            assert!(!accepted(no), "{no}");
        }
        assert!(!is_accepted(&HeaderMap::new()), "without Accept the answer is JSON");
    }

    #[tokio::test]
    async fn one_message_is_one_event_and_line_breaks_within_it_stay_within() {
        let (events, response) = stream();
        let message = evidence::json::object([("text", "a\r\n\ndata: b\u{2028}".into())]);
        events.message(&message).await.unwrap();
        events.comment().await.unwrap();
        drop(events);
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let bytes = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(bytes, "event: message\ndata: {\"text\":\"a\\r\\n\\ndata: b\u{2028}\"}\n\n:\n\n");
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_has_gone() {
        let (events, response) = stream();
        let events = Events { patience: Duration::from_millis(50), ..events };
        for _ in 0..QUEUE {
            events.comment().await.unwrap();
        }
        assert_eq!(events.message(&Value::Null).await, Err(ReaderGone));
        // Its connection is still there.
        assert!(!events.sender.is_closed());
        drop(response);
    }

    #[tokio::test]
    async fn whoever_writes_hears_that_the_reader_left() {
        let (events, response) = stream();
        drop(response);
        events.gone().await;
        assert_eq!(events.message(&Value::Null).await, Err(ReaderGone));
    }
}
