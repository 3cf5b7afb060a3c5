//! What nobody read of a request's body. HTTP/1.1 finds the next request behind it, so either it is read after all or the
//! client is told that the connection ends (RFC 9112, section 9.3). Without that a client would send its next request into
//! a connection that closes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

/// Most bytes that are read for the connection's sake.
const MOST: usize = 64 << 10;

/// How long they may take.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads what is left of a short body once the answer is made, or says that the connection ends.
pub(crate) async fn leftover(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let mut rest = Shared(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(parts, Body::new(Shared(Arc::clone(&rest.0))));
    let mut response = next.run(request).await;
    if !matches!(tokio::time::timeout(PATIENCE, rest.read()).await, Ok(true)) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that its handler reads, and whoever comes after.
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    /// Reads to the end. `false`: it is too long, or cut.
    async fn read(&mut self) -> bool {
        let mut seen = 0_usize;
        while !self.is_end_stream() {
            if self.size_hint().lower() > MOST as u64 {
                return false;
            }
            match self.frame().await {
                None => return true,
                Some(Err(_)) => return false,
                Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
            }
            if seen > MOST {
                return false;
            }
        }
        true
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}
