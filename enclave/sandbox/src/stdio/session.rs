//! MCP over stdio with a legacy server (2024-11-05 to 2025-11-25): handshake, numbered requests, raw answers.
//!
//! Source: MCP 2025-11-25, Base Protocol, Lifecycle and Transports (stdio). Only `id`, `method`, `result` and `error` of a
//! message are looked at; what a server answers is handed on as the bytes it wrote.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use bridge::Redactor;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use zeroize::Zeroizing;

use crate::{
    Instance, InstanceError, SandboxError,
    instance::{Guard, Receiver, Sender, Stderr},
};

/// What we ask for; the server may answer with an older one.
const VERSION: &str = "2025-11-25";
/// Versions whose messages we understand.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// A server gets this long from its start to its answer to `initialize`.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that did not answer a call in time gets this long to show that it lives.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// After so many lines that are no messages, a server is given up.
const GARBAGE_LIMIT: usize = 64;
/// Messages waiting to be written; whoever sends more waits.
const QUEUE: usize = 64;
/// Pages of one tool list.
const PAGES_LIMIT: usize = 100;
/// How long a server may take to end after its stdin was closed.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// A server's answer, as it wrote it.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The member `result`.
    Result(Box<RawValue>),
    /// The member `error`: the server refuses the request.
    Error(Box<RawValue>),
}

/// Why there is no answer. [`SessionError::fix`] says what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server failed while it had the request.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The server had ended before the request was sent.
    #[error("the request was not sent: {0}")]
    NotSent(InstanceError),
    /// The server could not be started.
    #[error(transparent)]
    Start(Arc<SandboxError>),
    /// The server's answer to `initialize` is no greeting.
    #[error("handshake: {0}")]
    Handshake(String),
    /// All places for containers are taken by running calls.
    #[error("{cap} containers are running and all of them are busy")]
    Full {
        /// The configured number.
        cap: usize,
    },
    /// The pool is being stopped.
    #[error("the gateway is stopping")]
    Stopping,
}

impl SessionError {
    /// What the caller or operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Instance(error) | Self::NotSent(error) => error.fix(),
            Self::Start(error) => error.fix(),
            Self::Handshake(_) => "this program does not speak MCP over stdio, or needs an argument to do so".into(),
            Self::Full { .. } => "try again in a moment, or raise the number of containers".into(),
            Self::Stopping => "try again when it is back".into(),
        }
    }
}

impl From<SandboxError> for SessionError {
    fn from(error: SandboxError) -> Self {
        match error {
            SandboxError::Instance(error) => Self::Instance(error),
            other => Self::Start(Arc::new(other)),
        }
    }
}

/// A conversation with one server. Requests may overlap. Dropping it ends the server.
pub struct Session {
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
    guard: Arc<Guard>,
    greeting: Box<RawValue>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.guard.id)
    }
}

enum Outgoing {
    Line(Zeroizing<Vec<u8>>),
    Close,
}

struct Shared {
    state: Mutex<State>,
    last_id: AtomicU64,
    /// A request ran out of time and nothing was heard since.
    suspect: AtomicBool,
    stderr: Stderr,
    redactor: Arc<Redactor>,
}

#[derive(Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Result<Answer, InstanceError>>>,
    ended: Option<InstanceError>,
    garbage: Option<InstanceError>,
    garbage_lines: usize,
}

/// The members of a message that we look at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Session {
    /// Greets a server that was just started.
    ///
    /// # Errors
    /// The server ended, hung, or answered something that is no greeting.
    pub async fn open(instance: Instance) -> Result<Self, SessionError> {
        Self::open_within(instance, HANDSHAKE_TIMEOUT).await
    }

    /// Like [`Session::open`], for so long.
    ///
    /// # Errors
    /// As there.
    pub async fn open_within(instance: Instance, limit: Duration) -> Result<Self, SessionError> {
        let (sender, receiver) = instance.split();
        let guard = sender.guard();
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            last_id: AtomicU64::new(0),
            suspect: AtomicBool::new(false),
            stderr: receiver.stderr(),
            redactor: receiver.redactor(),
        });
        let writer = tokio::spawn(write(sender, queue));
        let reader = tokio::spawn(read(receiver, shared.clone(), outgoing.clone(), guard.clone()));
        let mut session = Self { shared, outgoing, guard, greeting: null(), reader, writer };
        session.greeting = session.handshake(limit).await?;
        Ok(session)
    }

    async fn handshake(&self, limit: Duration) -> Result<Box<RawValue>, SessionError> {
        let client = json!({"name": "sealgate", "version": env!("CARGO_PKG_VERSION")});
        let params = json!({"protocolVersion": VERSION, "capabilities": {}, "clientInfo": client}).to_string();
        let greeting = match self.request("initialize", Some(&raw(params)), limit).await {
            Ok(Answer::Result(greeting)) => greeting,
            Ok(Answer::Error(error)) => {
                return Err(SessionError::Handshake(format!(
                    "the server refused initialize: {}",
                    self.redact(error.get())
                )));
            }
            // It never took part in the conversation, so it did not fail at a request either.
            Err(SessionError::NotSent(error)) => return Err(SessionError::Instance(error)),
            Err(error) => return Err(error),
        };
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Greeting {
            protocol_version: String,
        }
        let read: Greeting = serde_json::from_str(greeting.get())
            .map_err(|error| SessionError::Handshake(format!("the answer to initialize: {error}")))?;
        if !VERSIONS.contains(&read.protocol_version.as_str()) {
            let version = self.redact(&read.protocol_version);
            return Err(SessionError::Handshake(format!("the server speaks {version:?}, we speak {VERSIONS:?}")));
        }
        self.say(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string()).await;
        Ok(greeting)
    }

    /// The server's result of `initialize`.
    pub fn greeting(&self) -> &RawValue {
        &self.greeting
    }

    /// The id of its container.
    pub fn container(&self) -> &str {
        &self.guard.id
    }

    /// Sends a request and waits for its answer. Parameters are an object as the caller wrote it.
    ///
    /// Whoever stops waiting (by `limit`, or by dropping the future) has the server told so, and a late answer is dropped.
    ///
    /// # Errors
    /// The server ended, hung, or printed what is no message.
    pub async fn request(
        &self,
        method: &str,
        params: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Answer, SessionError> {
        let id = self.shared.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let (answer, waiting) = oneshot::channel();
        {
            let mut state = self.shared.state();
            if let Some(ended) = &state.ended {
                return Err(SessionError::NotSent(ended.clone()));
            }
            state.waiting.insert(id, answer);
        }
        let mut unanswered = Unanswered { session: self, id, told: method == "initialize" };
        let mut line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{}", json!(method));
        if let Some(params) = params {
            line.push_str(",\"params\":");
            // Outside of strings a line break is only white space, and within them JSON allows none.
            line.extend(params.get().chars().map(|letter| if matches!(letter, '\n' | '\r') { ' ' } else { letter }));
        }
        line.push('}');
        let work = async {
            self.say(&line).await;
            waiting.await
        };
        match tokio::time::timeout(limit, work).await {
            Ok(Ok(answer)) => {
                unanswered.told = true;
                Ok(answer?)
            }
            // The reader dropped the sender only after it stored why.
            Ok(Err(_)) => Err(self.shared.ended().into()),
            Err(_) => {
                self.shared.suspect.store(true, Ordering::Relaxed);
                let garbage = self.shared.state().garbage.clone();
                let hung = InstanceError::Hung { waited: limit, stderr: self.shared.stderr.end() };
                Err(garbage.unwrap_or(hung).into())
            }
        }
    }

    /// All tools, as the server lists them; several pages become one list.
    ///
    /// # Errors
    /// As [`Session::request`]; a server that refuses gives [`SessionError::Handshake`].
    pub async fn tools(&self, limit: Duration) -> Result<Box<RawValue>, SessionError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Page<'a> {
            #[serde(borrow)]
            tools: Vec<&'a RawValue>,
            #[serde(default)]
            next_cursor: Option<String>,
        }
        let mut tools: Vec<Box<RawValue>> = Vec::new();
        let mut params = None;
        for _ in 0..PAGES_LIMIT {
            let result = match self.request("tools/list", params.as_deref(), limit).await? {
                Answer::Result(result) => result,
                Answer::Error(error) => {
                    return Err(SessionError::Handshake(format!(
                        "the server refused tools/list: {}",
                        self.redact(error.get())
                    )));
                }
            };
            let page: Page<'_> = serde_json::from_str(result.get())
                .map_err(|error| SessionError::Handshake(format!("the answer to tools/list: {error}")))?;
            tools.extend(page.tools.into_iter().map(ToOwned::to_owned));
            match page.next_cursor {
                // The common case keeps every member of the result.
                None if params.is_none() => return Ok(result),
                None => {
                    let list: Vec<_> = tools.iter().map(|tool| tool.get()).collect();
                    return Ok(raw(format!("{{\"tools\":[{}]}}", list.join(","))));
                }
                Some(cursor) => params = Some(raw(json!({ "cursor": cursor }).to_string())),
            }
        }
        Err(SessionError::Handshake(format!("tools/list has more than {PAGES_LIMIT} pages")))
    }

    /// Whether the next request has a chance: the server runs, and after an unanswered request it answers a ping.
    pub async fn is_alive(&self) -> bool {
        if self.shared.state().ended.is_some() {
            return false;
        }
        if !self.shared.suspect.load(Ordering::Relaxed) {
            return true;
        }
        let alive = self.request("ping", None, PING_TIMEOUT).await.is_ok();
        self.shared.suspect.store(!alive, Ordering::Relaxed);
        alive
    }

    /// A text of the server without the secrets it was given. Its answers are handed on as they are; what of them goes into
    /// an error or a log goes through here.
    pub fn redact(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.shared.redactor.whole(text.as_bytes())).into_owned()
    }

    /// What the server printed to stderr lately, redacted.
    pub fn stderr(&self) -> String {
        self.shared.stderr.text()
    }

    /// Ends the server: first politely, by closing its stdin.
    pub async fn stop(&self) {
        let ended = async {
            // A server that no longer reads leaves no room in the queue, and must not hold us up either.
            let _ = self.outgoing.send(Outgoing::Close).await;
            while self.shared.state().ended.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(STOP_GRACE, ended).await;
        self.guard.remove().await;
    }

    async fn say(&self, line: &str) {
        // A closed queue means that the server ended; whoever waits hears of it from the reader.
        let _ = self.outgoing.send(Outgoing::Line(Zeroizing::new(line.as_bytes().to_vec()))).await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

/// A request whose answer nobody has yet. Dropped unanswered, it is withdrawn.
struct Unanswered<'a> {
    session: &'a Session,
    id: u64,
    told: bool,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let was_waiting = self.session.shared.state().waiting.remove(&self.id).is_some();
        if was_waiting && !self.told {
            let params = json!({"requestId": self.id, "reason": "the caller no longer waits"});
            let line = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string();
            let _ = self.session.outgoing.try_send(Outgoing::Line(Zeroizing::new(line.into_bytes())));
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> InstanceError {
        let unknown = || InstanceError::Died { code: None, stderr: self.stderr.end() };
        self.state().ended.clone().unwrap_or_else(unknown)
    }

    fn end(&self, error: InstanceError) {
        let mut state = self.state();
        for (_, waiting) in state.waiting.drain() {
            let _ = waiting.send(Err(error.clone()));
        }
        state.ended.get_or_insert(error);
    }

    /// Counts a line that is no message; past the limit the conversation is over.
    fn garbage(&self, error: InstanceError) -> Result<(), InstanceError> {
        let mut state = self.state();
        state.garbage_lines = state.garbage_lines.saturating_add(1);
        let first = state.garbage.get_or_insert(error).clone();
        if state.garbage_lines > GARBAGE_LIMIT { Err(first) } else { Ok(()) }
    }
}

async fn write(mut sender: Sender, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(outgoing) = queue.recv().await {
        match outgoing {
            Outgoing::Line(line) => {
                if sender.send(&line).await.is_err() {
                    return;
                }
            }
            Outgoing::Close => sender.close().await,
        }
    }
}

async fn read(mut receiver: Receiver, shared: Arc<Shared>, outgoing: mpsc::Sender<Outgoing>, guard: Arc<Guard>) {
    let error = loop {
        let line = match receiver.line().await {
            Ok(line) => line,
            Err(error) => break error,
        };
        shared.suspect.store(false, Ordering::Relaxed);
        let Ok(message) = serde_json::from_slice::<Message<'_>>(&line) else {
            match shared.garbage(receiver.garbage(&line)) {
                Ok(()) => continue,
                Err(error) => break error,
            }
        };
        if let (Some(method), Some(id)) = (&message.method, message.id) {
            // A full queue means that the server does not read; then it must not expect answers either.
            let _ = outgoing.try_send(Outgoing::Line(Zeroizing::new(answer_server(method, id).into_bytes())));
        } else if message.method.is_none() {
            deliver(&shared, &message);
        }
    };
    shared.end(error);
    guard.remove().await;
}

/// Hands an answer to whoever waits for it; an answer that nobody waits for came too late.
fn deliver(shared: &Shared, message: &Message<'_>) {
    let answer = match (message.result, message.error) {
        (_, Some(error)) if error.get() != "null" => Answer::Error(error.to_owned()),
        (Some(result), _) => Answer::Result(result.to_owned()),
        _ => return,
    };
    let Some(id) = message.id.and_then(|id| id.get().parse().ok()) else { return };
    let waiting = shared.state().waiting.remove(&id);
    if let Some(waiting) = waiting {
        let _ = waiting.send(Ok(answer));
    }
}

/// Servers may ask for a ping; roots, sampling and elicitation were not offered to them.
fn answer_server(method: &str, id: &RawValue) -> String {
    let id = id.get();
    if method == "ping" {
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{}}}}")
    } else {
        let message = json!(format!("this client does not offer {method}"));
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32601,\"message\":{message}}}}}")
    }
}

/// JSON that we wrote ourselves.
fn raw(text: String) -> Box<RawValue> {
    RawValue::from_string(text).unwrap_or_else(|_| null())
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

impl crate::Sandbox {
    /// Asks a server for its tools, or finds the list that was kept for its image. The list is kept.
    ///
    /// # Errors
    /// Any [`SessionError`].
    pub async fn inspect(
        &self,
        warrant: &gate::Warrant,
        server: &crate::InstalledServer,
        spec: &crate::LaunchSpec,
    ) -> Result<Box<RawValue>, SessionError> {
        if let Some(kept) = self.kept_tools(server).await? {
            return Ok(kept);
        }
        let session = Session::open(self.start(warrant, server, spec).await?).await?;
        let tools = session.tools(HANDSHAKE_TIMEOUT).await;
        session.stop().await;
        let tools = tools?;
        self.keep_tools(server, &tools).await?;
        Ok(tools)
    }
}
