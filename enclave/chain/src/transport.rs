//! JSON-RPC 2.0 over HTTP, one request at a time, with an end to how long and how much a node may talk.

use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use alloy_json_rpc::{RequestPacket, Response, ResponsePacket};
use alloy_transport::{TransportError, TransportErrorKind, TransportFut};

use crate::url::RpcUrl;

/// What one request to a node may cost us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// From the first byte sent to the last received. 5 s: nodes answer within half a second, and a payer waits.
    pub timeout: Duration,
    /// Bytes of an answer. 4 MiB: a contract's code has 24 KiB, a receipt some KiB, log entries about 1 KiB each.
    pub answer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), answer_bytes: 4 << 20 }
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Silence {
    /// Nobody listens, or TLS failed.
    NoConnection,
    /// It took longer than the limit.
    TooSlow,
    /// The connection broke, or it was not HTTP.
    Broken,
    /// Another status than 2xx.
    Status(u16),
    /// More bytes than the limit.
    TooLarge,
    /// Not a JSON-RPC answer, or one to another question.
    NotAnAnswer,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => f.write_str("no connection"),
            Self::TooSlow => f.write_str("no answer in time"),
            Self::Broken => f.write_str("the connection broke"),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::TooLarge => f.write_str("an answer beyond the size limit"),
            Self::NotAnAnswer => f.write_str("no JSON-RPC answer to what was asked"),
        }
    }
}

impl std::error::Error for Silence {}

/// One node's transport.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    url: Arc<RpcUrl>,
    answer_bytes: usize,
}

impl Http {
    pub(crate) fn new(url: Arc<RpcUrl>, limits: Limits) -> Result<Self, reqwest::Error> {
        // A process has one default; whoever set it first had a reason.
        let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
        let client = reqwest::Client::builder()
            .timeout(limits.timeout)
            // A node that sends us elsewhere would have us show our key there.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .user_agent(concat!("sealgate/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, url, answer_bytes: limits.answer_bytes })
    }

    async fn exchange(&self, packet: RequestPacket) -> Result<ResponsePacket, Silence> {
        // We never send batches, and nodes differ in how they answer them.
        let RequestPacket::Single(request) = packet else { return Err(Silence::NotAnAnswer) };
        let id = request.id().clone();
        let question = self.client.post(self.url.expose().clone()).header("content-type", "application/json");
        let sent = question.body(request.take_request().get().to_owned()).send().await;
        let mut answer = sent.map_err(|error| silence(&error))?;
        if !answer.status().is_success() {
            return Err(Silence::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| silence(&error))? {
            if body.len().saturating_add(chunk.len()) > self.answer_bytes {
                return Err(Silence::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let answer: Response = serde_json::from_slice(&body).map_err(|_| Silence::NotAnAnswer)?;
        if answer.id != id {
            return Err(Silence::NotAnAnswer);
        }
        Ok(ResponsePacket::Single(answer))
    }
}

impl tower::Service<RequestPacket> for Http {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, packet: RequestPacket) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { this.exchange(packet).await.map_err(TransportErrorKind::custom) })
    }
}

/// The library's own words name the address.
fn silence(error: &reqwest::Error) -> Silence {
    if error.is_timeout() {
        Silence::TooSlow
    } else if error.is_connect() {
        Silence::NoConnection
    } else {
        Silence::Broken
    }
}
