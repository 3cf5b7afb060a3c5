//! The listener: plain HTTP or TLS, HTTP/1.1 over either. Strangers come here first, so everything they can hold has a
//! number: places, handshakes, seconds for a handshake, for a head and for taking an answer.

mod at_once;
mod places;

use std::{future::Future, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{ConnectInfo, Request},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use evidence::json::object;
use hyper::{body::Incoming, service::Service as _};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_io_timeout::TimeoutStream;

use crate::tls::Tls;
use at_once::AtOnce;
use places::{Place, Places, Serving};

/// What strangers may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) connections: usize,
    /// Of those, of one client: an IPv4 address or an IPv6 /64.
    pub(crate) connections_of_one_client: usize,
    /// TLS handshakes at once.
    pub(crate) handshakes: usize,
    /// For a handshake, from the first byte to the last.
    pub(crate) handshake_time: Duration,
    /// For the head of a request, and between two requests on one connection.
    pub(crate) head_time: Duration,
    /// For taking the next bytes of an answer.
    pub(crate) write_time: Duration,
    /// Bytes of a head: all header fields together.
    pub(crate) head_bytes: usize,
    /// How long requests may finish after the process is asked to end.
    pub(crate) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_of_one_client: 1024,
            handshakes: 512,
            handshake_time: Duration::from_secs(10),
            head_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            head_bytes: 64 << 10,
            drain: Duration::from_secs(10),
        }
    }
}

/// File descriptors for everything else: containers, files, the engine, databases, chains.
const OTHER_DESCRIPTORS: u64 = 512;

impl Limits {
    /// The same with as many connections as the process may have file descriptors for: without one nobody can be
    /// accepted, and then nobody makes room. Raises the process's own limit as far as the system lets it.
    pub(crate) fn within_descriptors(self) -> Self {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let wanted = (self.connections as u64).saturating_add(OTHER_DESCRIPTORS);
        let mut limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < wanted) {
            limit.current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
            if let Err(error) = setrlimit(Resource::Nofile, limit) {
                tracing::warn!(%error, "the limit of file descriptors could not be raised");
            }
        }
        let there = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let fits = self.fitting(there);
        if fits.connections < self.connections {
            let connections = fits.connections;
            tracing::warn!(connections, descriptors = there, "fewer connections at once than configured; raise nofile");
        }
        fits
    }

    fn fitting(self, descriptors: u64) -> Self {
        let most = descriptors.saturating_sub(OTHER_DESCRIPTORS).max(descriptors / 2).max(1);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { connections: self.connections.min(most), ..self }
    }
}

/// How long accepting pauses after the system refused it (no file descriptors left, for instance).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `asked` ends, then lets requests finish. Whoever holds a connection open and says nothing is not waited
/// for longer than [`Limits::drain`]. Each request has [`ConnectInfo<SocketAddr>`] among its extensions.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: Limits,
    asked: impl Future<Output = ()>,
) {
    let places = Places::new(limits);
    let (end, ending) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut asked = pin!(asked);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut asked => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                note(ended);
                continue;
            }
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_of_one_connection(&error) => continue,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let now = std::time::Instant::now();
        let Some(place) = places.admit(peer.ip(), tls.is_some(), now) else {
            tracing::debug!("no place for another connection");
            continue;
        };
        let connection =
            Connection { peer, place: Arc::new(place), limits, router: router.clone(), ending: ending.clone() };
        connections.spawn(connection.run(stream, tls.clone()));
    }
    drop(listener);
    drop(ending);
    let _nobody_is_connected = end.send(());
    let drained = async {
        while let Some(ended) = connections.join_next().await {
            note(ended);
        }
    };
    if timeout(limits.drain, drained).await.is_err() {
        tracing::warn!(seconds = limits.drain.as_secs(), "connections were still open and are cut");
    }
}

/// Errors that are of the connection that was to be accepted, not of the listener.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn note(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!("a connection ended by a fault of ours");
    }
}

struct Connection {
    peer: SocketAddr,
    place: Arc<Place>,
    limits: Limits,
    router: Router,
    ending: watch::Receiver<()>,
}

impl Connection {
    async fn run(self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        let place = Arc::clone(&self.place);
        let talk = pin!(self.talk(stream, tls));
        tokio::select! {
            () = place.taken() => tracing::debug!("a silent connection made room"),
            () = AtOnce::new(talk) => {}
        }
    }

    async fn talk(mut self, stream: TcpStream, tls: Option<Arc<Tls>>) {
        let _slower_without = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.write_time));
        let stream = Box::pin(stream);
        let Some(tls) = tls else { return self.http(stream).await };
        let handshake = timeout(self.limits.handshake_time, tls.acceptor().accept(stream));
        let agreed = tokio::select! {
            agreed = handshake => agreed,
            // Nothing was asked yet.
            _ = self.ending.changed() => return,
        };
        match agreed {
            Ok(Ok(stream)) => {
                self.place.agreed();
                self.http(stream).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Self { peer, place, limits, router, mut ending } = self;
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            let serving = place.serve();
            let service = TowerToHyperService::new(router.clone());
            async move {
                let serving = serving.ok_or(std::io::ErrorKind::ConnectionAborted)?;
                let answer = match too_long(&request, limits.head_bytes) {
                    Some(too_long) => too_long,
                    None => service.call(request).await.unwrap_or_else(|never| match never {}),
                };
                Ok::<_, std::io::Error>(answer.map(|body| Body::new(Watched { body, _serving: serving })))
            }
        });
        let mut connection = pin!(
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head_time)
                // What arrives in one piece may pass this; `too_long` counts exactly, and has words.
                .max_buf_size(limits.head_bytes.saturating_mul(2))
                .serve_connection(TokioIo::new(stream), service)
        );
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = ending.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// The answer to a request whose head is longer than `limit`.
fn too_long(request: &Request<Incoming>, limit: usize) -> Option<Response> {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let found = target + fields.sum::<usize>();
    (found > limit).then(|| {
        let fix = format!("send at most {limit} bytes of address and header fields");
        let message = format!("the head of the request has {found} bytes; {fix}");
        let body = object([("error", "HEAD_TOO_LONG".into()), ("message", message.into())]);
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONNECTION, "close")];
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, headers, body.to_text()).into_response()
    })
}

/// A body that says when it has been handed over.
struct Watched {
    body: Body,
    _serving: Serving,
}

impl HttpBody for Watched {
    type Data = <Body as HttpBody>::Data;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::pin::Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
