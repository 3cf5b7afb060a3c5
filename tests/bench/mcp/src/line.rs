//! Ways to a server over which one call follows the other: a connection of HTTP/1.1, or a place on the server's own pipe.

use std::{cell::RefCell, collections::HashMap, net::SocketAddr, rc::Rc, time::Instant};

use anyhow::{Context as _, bail, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::spawn_local,
};

use crate::message::{Era, Work, greeting};

/// Where and how a client speaks HTTP.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The listener, on loopback.
    pub(crate) address: SocketAddr,
    /// The path.
    pub(crate) path: String,
    /// The client's revision.
    pub(crate) era: Era,
    /// Headers of every request, beside those of the protocol.
    pub(crate) headers: HeaderMap,
}

impl Endpoint {
    /// Says hello once, as a client of 2025-11-25 does; its calls belong to the session that it is given then.
    pub(crate) async fn greet(&mut self) -> anyhow::Result<()> {
        if self.era == Era::Modern {
            return Ok(());
        }
        let mut line = HttpLine::open(self).await?;
        for (at, message) in greeting().iter().enumerate() {
            let response = line.send(message.to_string().into_bytes(), None).await?;
            ensure!(response.status().is_success(), "{message}: {}", response.status());
            let session = response.headers().get("mcp-session-id").cloned();
            read(response, |_| false).await?;
            if at == 0 {
                let version = HeaderValue::from_static(self.era.version());
                self.headers.insert(HeaderName::from_static("mcp-protocol-version"), version);
                if let Some(session) = session {
                    self.headers.insert(HeaderName::from_static("mcp-session-id"), session);
                }
                line.endpoint = self.clone();
            }
        }
        Ok(())
    }
}

/// One way.
pub(crate) enum Line {
    /// Over HTTP.
    Http(Box<HttpLine>),
    /// Over the pipe.
    Pipe(Pipe),
}

impl Line {
    /// One call: when its answer was there, whole.
    pub(crate) async fn call(&mut self, work: &Work, id: u64) -> anyhow::Result<Instant> {
        match self {
            Self::Http(line) => line.call(work, id).await,
            Self::Pipe(pipe) => pipe.call(work, id).await,
        }
    }
}

/// A connection that is kept.
pub(crate) struct HttpLine {
    endpoint: Endpoint,
    sender: SendRequest<Full<Bytes>>,
}

impl HttpLine {
    /// Connects.
    pub(crate) async fn open(endpoint: &Endpoint) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(endpoint.address).await.context("connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Why it ended is told to whoever waits for an answer.
        spawn_local(async move { drop(connection.await) });
        Ok(Self { endpoint: endpoint.clone(), sender })
    }

    async fn send(&mut self, body: Vec<u8>, work: Option<&Work>) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::post(&self.endpoint.path)
            .header(HOST, self.endpoint.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header("accept", "application/json, text/event-stream");
        if let (Era::Modern, Some(work)) = (self.endpoint.era, work) {
            request = request.header("mcp-protocol-version", Era::Modern.version()).header("mcp-method", work.method());
            if let Some(name) = work.name() {
                request = request.header("mcp-name", name);
            }
        }
        let mut request = request.body(Full::new(Bytes::from(body)))?;
        request.headers_mut().extend(self.endpoint.headers.clone());
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }

    async fn call(&mut self, work: &Work, id: u64) -> anyhow::Result<Instant> {
        let response = self.send(work.request(self.endpoint.era, id), Some(work)).await?;
        let status = response.status();
        let streams =
            response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event"));
        // An answer in a stream is there with its event's end; the stream's own end comes after it.
        let (answer, done) =
            read(response, |so_far| streams && so_far.ends_with(b"\n\n") && work.check(id, so_far).is_ok()).await?;
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&answer).chars().take(400).collect::<String>());
        work.check(id, &answer)?;
        Ok(done)
    }
}

/// A body, read to its end, and when it was there: at its end, or as soon as `is_whole`.
async fn read(response: Response<Incoming>, is_whole: impl Fn(&[u8]) -> bool) -> anyhow::Result<(Vec<u8>, Instant)> {
    let mut body = response.into_body();
    let (mut bytes, mut done) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
            if done.is_none() && is_whole(&bytes) {
                done = Some(Instant::now());
            }
        }
    }
    Ok((bytes, done.unwrap_or_else(Instant::now)))
}

/// Who waits for which answer.
type Waiting = Rc<RefCell<HashMap<u64, oneshot::Sender<(Vec<u8>, Instant)>>>>;

/// The pipe to a server and back, shared by all who call.
#[derive(Clone)]
pub(crate) struct Pipe {
    lines: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Waiting,
}

impl Pipe {
    /// Takes over a server's ends and says hello.
    pub(crate) async fn open(
        mut input: impl AsyncWrite + Unpin + 'static,
        output: impl AsyncRead + Unpin + 'static,
    ) -> anyhow::Result<Self> {
        let (lines, mut written) = mpsc::unbounded_channel::<Vec<u8>>();
        let pipe = Self { lines, waiting: Waiting::default() };
        spawn_local(async move {
            while let Some(line) = written.recv().await {
                if input.write_all(&line).await.is_err() || input.flush().await.is_err() {
                    return;
                }
            }
        });
        let waiting = Rc::clone(&pipe.waiting);
        spawn_local(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                let read = Instant::now();
                let message: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
                let waits = message
                    .get("id")
                    .and_then(serde_json::Value::as_u64)
                    .and_then(|id| waiting.borrow_mut().remove(&id));
                if let Some(waits) = waits {
                    let _gone = waits.send((line.into_bytes(), read));
                }
            }
            // Whoever still waits is told by this.
            waiting.borrow_mut().clear();
        });
        let [hello, after] = greeting();
        pipe.ask(0, hello.to_string().into_bytes()).await?;
        pipe.write(after.to_string().into_bytes())?;
        Ok(pipe)
    }

    async fn call(&self, work: &Work, id: u64) -> anyhow::Result<Instant> {
        let (answer, done) = self.ask(id, work.request(Era::Legacy, id)).await?;
        work.check(id, &answer)?;
        Ok(done)
    }

    async fn ask(&self, id: u64, message: Vec<u8>) -> anyhow::Result<(Vec<u8>, Instant)> {
        let (waits, answer) = oneshot::channel();
        self.waiting.borrow_mut().insert(id, waits);
        self.write(message)?;
        answer.await.context("the server ended")
    }

    fn write(&self, mut message: Vec<u8>) -> anyhow::Result<()> {
        message.push(b'\n');
        if self.lines.send(message).is_err() {
            bail!("the server reads no more");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use hyper::{server::conn::http1, service::service_fn};
    use tokio::{net::TcpListener, task::LocalSet};

    use super::*;

    /// A server that gives calls back, as JSON or as a stream; a session begins with the greeting and is asked for then.
    async fn serving(streams: bool) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = service_fn(move |request: Request<Incoming>| async move {
                    let session = request.headers().get("mcp-session-id").cloned();
                    let asked: serde_json::Value =
                        serde_json::from_slice(&request.into_body().collect().await?.to_bytes()).unwrap();
                    let is_hello = asked["method"] == "initialize";
                    let status = if is_hello || session.is_some() { 200 } else { 400 };
                    let answer = serde_json::json!({"id": asked["id"], "result": asked["params"]});
                    let (kind, body) = match streams {
                        true => ("text/event-stream", format!("event: message\ndata: {answer}\n\n")),
                        false => ("application/json", answer.to_string()),
                    };
                    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
                    Ok::<_, hyper::Error>(
                        response.header("mcp-session-id", "s").body(Full::new(Bytes::from(body))).unwrap(),
                    )
                });
                spawn_local(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Endpoint { address, path: "/".to_owned(), era: Era::Legacy, headers: HeaderMap::new() }
    }

    #[tokio::test]
    async fn calls_of_a_session_are_answered_as_json_or_as_a_stream() {
        let all = async {
            let work = Work::Call { tool: "echo".to_owned(), with: "" };
            for streams in [false, true] {
                let mut endpoint = serving(streams).await;
                let mut stranger = HttpLine::open(&endpoint).await.unwrap();
                let refused = stranger.call(&work, 1).await.unwrap_err().to_string();
                assert!(refused.starts_with("400"), "{refused}");
                endpoint.greet().await.unwrap();
                let mut line = HttpLine::open(&endpoint).await.unwrap();
                for id in 1..4 {
                    line.call(&work, id).await.unwrap();
                }
            }
        };
        LocalSet::new().run_until(all).await;
    }

    #[tokio::test]
    async fn who_waits_on_a_pipe_hears_that_its_server_ended() {
        let all = async {
            let (ours, theirs) = tokio::io::duplex(4096);
            let (read, write) = tokio::io::split(ours);
            let (reads, mut writes) = tokio::io::split(theirs);
            spawn_local(async move {
                let mut lines = BufReader::new(reads).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    let asked: serde_json::Value = serde_json::from_str(&line).unwrap();
                    if asked["id"] == 2 {
                        return;
                    }
                    let answer = serde_json::json!({"id": asked["id"], "result": asked["params"]});
                    writes.write_all(format!("not for us\n{answer}\n").as_bytes()).await.unwrap();
                }
            });
            let pipe = Pipe::open(write, read).await.unwrap();
            let work = Work::Call { tool: "echo".to_owned(), with: "" };
            assert!(pipe.call(&work, 1).await.is_ok());
            let ended = pipe.call(&work, 2).await.unwrap_err().to_string();
            assert_eq!(ended, "the server ended");
        };
        LocalSet::new().run_until(all).await;
    }
}
