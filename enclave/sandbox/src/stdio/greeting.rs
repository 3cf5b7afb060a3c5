//! How a server is greeted, and which revisions it turns out to speak.
//!
//! Source: MCP 2026-07-28, Discovery (`server/discover`) and Versioning; MCP 2025-11-25, Lifecycle (`initialize`).
//! A server that speaks 2026-07-28 is spoken to in that, also where it speaks older revisions too.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json, value::RawValue};
use tokio::time::Instant;

use super::{
    connection::Connection,
    errand::Errand,
    error::SessionError,
    message::{self, Answer},
    session::Session,
    switchboard::Takes,
};
use crate::{InstalledServer, Instance, InstanceError, LaunchSpec, Sandbox};

/// The revision without handshake.
const MODERN: &str = "2026-07-28";
/// Revisions with one, newest first. The first is asked for; the server may answer with an older one.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// A server gets this long from its start to its greeting.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// So long a server may say nothing to `server/discover` before it is asked to `initialize` too. Nearly all refuse it at
/// once, so they do not wait for this. It is well above the start of a slow one (2.5 s on an idle machine), and the few that
/// never answer cost it once for each image.
const PROBE_TIMEOUT: Duration = Duration::from_secs(8);
/// A server that was asked both answers both at about the same time, in any order.
const LATE_GRACE: Duration = Duration::from_millis(500);
/// A server that said nothing to `server/discover` gets this part of its time for `initialize`, then it is started again.
const SILENT_SHARE: u32 = 3;

/// The revision that a server is spoken to in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerEra {
    /// With a handshake: it was told our capabilities, and sends requests of its own.
    Legacy {
        /// `2024-11-05` to `2025-11-25`, as the server chose.
        version: &'static str,
    },
    /// 2026-07-28, stateless: every request says the revision and the capabilities of its client.
    Modern,
}

impl ServerEra {
    /// For instance `2025-11-25`.
    pub fn version(self) -> &'static str {
        match self {
            Self::Legacy { version } => version,
            Self::Modern => MODERN,
        }
    }

    fn legacy(version: &str) -> Option<Self> {
        LEGACY.into_iter().find(|known| *known == version).map(|version| Self::Legacy { version })
    }
}

/// As the text of its revision.
impl Serialize for ServerEra {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.version())
    }
}

impl<'de> Deserialize<'de> for ServerEra {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = String::deserialize(deserializer)?;
        if version == MODERN {
            return Ok(Self::Modern);
        }
        Self::legacy(&version).ok_or_else(|| serde::de::Error::custom(format!("unknown revision {version:?}")))
    }
}

/// What is known of how a program wants to be greeted, started with these arguments.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Manners {
    /// Nothing, or that it answers whatever it is asked.
    #[default]
    Usual,
    /// It died at `server/discover`, or said nothing: it is asked to `initialize` at once. It may have been chance: see
    /// [`Inspection`](super::Inspection).
    Old,
    /// It answers `server/discover`, but is slow to start.
    Slow,
}

/// What came of greeting a server.
enum Greeted {
    Well {
        era: ServerEra,
        greeting: Box<RawValue>,
        learnt: Manners,
    },
    /// It can be talked to, though in an older revision than it speaks: it was asked to `initialize` too early.
    Hastily {
        era: ServerEra,
        greeting: Box<RawValue>,
    },
    /// It may do better if it is only asked to `initialize`.
    Badly(SessionError),
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
        let connection = Connection::attach(instance);
        match greet(&connection, Manners::Usual, limit).await? {
            Greeted::Well { era, greeting, .. } | Greeted::Hastily { era, greeting } => {
                Ok(Self::new(connection, era, greeting))
            }
            Greeted::Badly(error) => Err(error),
        }
    }

    /// Starts a server and greets it, in the newest revision that it speaks. One that cannot stand to be asked for it is
    /// started a second time.
    ///
    /// # Errors
    /// As [`Session::open`], and the server could not be started.
    pub async fn start(
        sandbox: &Sandbox,
        warrant: &gate::Warrant,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<Self, SessionError> {
        let begun = Instant::now();
        let mut manners = sandbox.manners(server, spec);
        loop {
            let connection = Connection::attach(sandbox.start(warrant, server, spec).await?);
            let limit = HANDSHAKE_TIMEOUT.saturating_sub(begun.elapsed());
            let better = match greet(&connection, manners, limit).await? {
                Greeted::Well { era, greeting, learnt } => {
                    sandbox.learn_manners(server, spec, learnt);
                    return Ok(Self::new(connection, era, greeting));
                }
                Greeted::Hastily { .. } => Manners::Slow,
                // What is known of it did not help, or all there is to learn was learnt.
                Greeted::Badly(error) if manners != Manners::Usual => return Err(error),
                Greeted::Badly(error) => {
                    tracing::debug!(container = connection.guard.id, %error, "a server is started again to be greeted otherwise");
                    Manners::Old
                }
            };
            connection.stop().await;
            manners = better;
        }
    }
}

async fn greet(connection: &Connection, manners: Manners, limit: Duration) -> Result<Greeted, SessionError> {
    let begun = Instant::now();
    let left = || limit.saturating_sub(begun.elapsed());
    if manners == Manners::Old {
        return initialize(connection, limit).await.map(|(era, greeting)| Greeted::Well {
            era,
            greeting,
            learnt: manners,
        });
    }
    let well = |(era, greeting), learnt| Ok(Greeted::Well { era, greeting, learnt });
    let patience = if manners == Manners::Slow { limit } else { PROBE_TIMEOUT.min(limit / SILENT_SHARE) };
    let mut probe = ask_to_discover(connection, limit)?;
    match tokio::time::timeout(patience, probe.answer()).await {
        Ok(Ok(answer)) => match discovery(answer) {
            Some(greeting) => well((ServerEra::Modern, greeting), manners),
            None => match initialize(connection, left()).await {
                // It refused what it did not know, and ended because nobody had initialized it.
                Err(error) if has_died(&error) => Ok(Greeted::Badly(error)),
                greeted => well(greeted?, Manners::Usual),
            },
        },
        Ok(Err(error)) if has_died(&error) => Ok(Greeted::Badly(error)),
        Ok(Err(error)) => Err(error),
        Err(_) => {
            let initialized = initialize(connection, left() / SILENT_SHARE).await;
            let late = tokio::time::timeout(LATE_GRACE, probe.answer()).await.ok().and_then(Result::ok).map(discovery);
            match (initialized, late) {
                (Ok((era, greeting)), Some(Some(_))) => Ok(Greeted::Hastily { era, greeting }),
                (Ok(greeted), Some(None)) => well(greeted, Manners::Usual),
                (Ok(greeted), None) => well(greeted, Manners::Old),
                (Err(SessionError::Handshake(_)), Some(Some(greeting))) => {
                    well((ServerEra::Modern, greeting), Manners::Slow)
                }
                (Err(error), _) => Ok(Greeted::Badly(error)),
            }
        }
    }
}

/// Whether the server has ended, by itself.
fn has_died(error: &SessionError) -> bool {
    matches!(error, SessionError::Instance(InstanceError::Died { .. }))
}

/// Asks a server which revisions without handshake it speaks.
///
/// # Errors
/// The server ended or hung.
pub(super) async fn discover(connection: &Connection, limit: Duration) -> Result<Answer, SessionError> {
    ask_to_discover(connection, limit)?.answer().await
}

fn ask_to_discover(connection: &Connection, limit: Duration) -> Result<Errand, SessionError> {
    let params = |_| Some(message::raw(json!({"_meta": modern_meta()}).to_string()));
    connection.errand("server/discover", params, Takes::Answer, limit).map_err(never_greeted)
}

/// What every request to a modern server says of the one that sends it.
pub(super) fn modern_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": client(),
    })
}

fn client() -> Value {
    json!({"name": "sealgate", "version": env!("CARGO_PKG_VERSION")})
}

/// The answer, if it is that of a server which speaks 2026-07-28.
fn discovery(answer: Answer) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Discovery {
        supported_versions: Vec<String>,
    }
    let Answer::Result(greeting) = answer else { return None };
    let read: Discovery = serde_json::from_str(greeting.get()).ok()?;
    read.supported_versions.iter().any(|version| version == MODERN).then_some(greeting)
}

/// The handshake of the older revisions. What we say that we can do, whoever uses the session must see to.
async fn initialize(connection: &Connection, limit: Duration) -> Result<(ServerEra, Box<RawValue>), SessionError> {
    let capabilities = json!({
        "roots": {"listChanged": true},
        "sampling": {"tools": {}, "context": {}},
        "elicitation": {"form": {}, "url": {}},
    });
    let [newest, ..] = LEGACY;
    let params = json!({"protocolVersion": newest, "capabilities": capabilities, "clientInfo": client()});
    let params = message::raw(params.to_string());
    let greeting = match connection.request("initialize", Some(&params), limit).await.map_err(never_greeted)? {
        Answer::Result(greeting) => greeting,
        Answer::Error(error) => {
            let error = connection.redact(error.get());
            return Err(SessionError::Handshake(format!("the server refused initialize: {error}")));
        }
    };
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Greeting {
        protocol_version: String,
    }
    let read: Greeting = serde_json::from_str(greeting.get())
        .map_err(|error| SessionError::Handshake(format!("the answer to initialize: {error}")))?;
    let Some(era) = ServerEra::legacy(&read.protocol_version) else {
        let version = connection.redact(&read.protocol_version);
        return Err(SessionError::Handshake(format!(
            "the server speaks {version:?}, we speak {LEGACY:?} and {MODERN:?}"
        )));
    };
    connection.board.say(message::request(None, "notifications/initialized", None));
    Ok((era, greeting))
}

/// A server that ended before its greeting never took part in the conversation, so it did not fail at a request either.
fn never_greeted(error: SessionError) -> SessionError {
    match error {
        SessionError::NotSent(error) => SessionError::Instance(error),
        other => other,
    }
}
