//! One running server: a container, lines in, lines out.

use std::{fmt, sync::Arc, time::Duration};

use bollard::{
    Docker,
    query_parameters::{
        AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder,
        WaitContainerOptionsBuilder,
    },
};
use bridge::{Launch, Redactor, Variable, Wanted};
use futures_util::StreamExt;
use tokio::sync::watch;
use zeroize::Zeroizing;

use crate::{
    Config, InstalledServer, LaunchSpec, Sandbox, SandboxError, container,
    error::{engine, is_missing},
    streams::{Receiver, Sender},
    sweep::is_conflict,
};

/// Longest line a server may print on stdout, bytes. Answers are one line each; images travel in them as base64.
pub const LINE_LIMIT: usize = 8 << 20;
/// How much of the end of a server's stderr is kept for diagnostics, bytes.
pub const STDERR_LIMIT: usize = 64 << 10;
/// A container that was told to end is removed after this.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// How long the engine may take to remove a container.
const REMOVAL_GRACE: Duration = Duration::from_secs(10);

/// What ended, or disturbed, a conversation with a server. Texts of the server are already redacted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InstanceError {
    /// The server ended.
    #[error("the server ended ({}){}", Code(*.code), Told(.stderr))]
    Died {
        /// Its exit code; 128 + signal for a signal; `None` when the engine did not tell.
        code: Option<i64>,
        /// The end of its stderr.
        stderr: String,
    },
    /// The server did not answer in time.
    #[error("the server did not answer within {:.1} s{}", .waited.as_secs_f32(), Told(.stderr))]
    Hung {
        /// How long we waited.
        waited: Duration,
        /// The end of its stderr.
        stderr: String,
    },
    /// A line on stdout is not JSON. The conversation can go on.
    #[error("the server printed a line that is no JSON on stdout: {line:?}")]
    Garbage {
        /// The beginning of the line.
        line: String,
    },
    /// A line is longer than [`LINE_LIMIT`]; what follows it cannot be told apart from it.
    #[error("the server printed a line of more than {LINE_LIMIT} bytes")]
    LineTooLong,
    /// We were to send a line with a line break in it.
    #[error("a message holds a line break outside of its strings")]
    NotOneLine,
    /// The connection to the engine or to the server's stdin broke.
    #[error("connection to the container: {0}")]
    Connection(String),
}

impl InstanceError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Died { code: Some(137), .. } => {
                "it was killed, most likely for its memory: raise the memory limit, or call it with less".into()
            }
            Self::Died { .. } => {
                "the next call starts it anew; if it ends again, see its stderr above for a missing secret or argument"
                    .into()
            }
            Self::Hung { .. } => {
                "try again; the next call starts it anew if it is stuck. Servers have no network here".into()
            }
            Self::Garbage { .. } => "stdout belongs to MCP: the server must print its banner and logs to stderr".into(),
            Self::LineTooLong => "ask the tool for less at once".into(),
            Self::NotOneLine => "send compact JSON".into(),
            Self::Connection(_) => "see that the container engine runs".into(),
        }
    }
}

struct Code(Option<i64>);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(code) => write!(f, "exit code {code}"),
            None => f.write_str("exit code unknown"),
        }
    }
}

/// What it told on stderr, if anything.
struct Told<'a>(&'a str);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.trim_end();
        if text.is_empty() { Ok(()) } else { write!(f, "; its stderr ends: {text}") }
    }
}

/// A started server. Dropping it removes the container.
pub struct Instance {
    sender: Sender,
    receiver: Receiver,
}

impl Sandbox {
    /// Starts a server in a container of its own.
    ///
    /// # Errors
    /// The warrant is for another server, the launch message does not fit, or the engine failed.
    pub async fn start(
        &self,
        warrant: &gate::Warrant,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<Instance, SandboxError> {
        if warrant.server() != server.server() {
            return Err(SandboxError::WarrantForOther {
                warrant: warrant.server().clone(),
                server: server.server().clone(),
            });
        }
        let mut argv = server.command().to_vec();
        argv.extend(spec.arguments.iter().cloned());
        self.run_with(&self.config, server.image_digest(), server.server().as_str(), argv, spec).await
    }

    /// Starts a program of an image. Everything that runs, runs through here.
    pub(crate) async fn run_with(
        &self,
        config: &Config,
        image: &str,
        server: &str,
        argv: Vec<String>,
        spec: &LaunchSpec,
    ) -> Result<Instance, SandboxError> {
        let launch = Launch { argv, directory: "/tmp".to_owned(), environment: complete(&spec.environment) };
        let message = launch.encode()?;
        // Only a name: should the system have no randomness, the engine refuses the second container of that name.
        let name = format!("sealgate-{}", hex::encode(random().unwrap_or_default()));
        let body = container::body(image, server, &name, &self.owner, &spec.writable, config);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = self.docker.create_container(Some(options), body).await.map_err(engine("create container"))?;
        let guard = Arc::new(Guard { docker: self.docker.clone(), id: created.id, done: false.into() });

        let options =
            AttachContainerOptionsBuilder::default().stdin(true).stdout(true).stderr(true).stream(true).build();
        let attached =
            self.docker.attach_container(&guard.id, Some(options)).await.map_err(engine("attach to container"))?;
        let code = watch_code(self.docker.clone(), guard.id.clone());
        self.docker.start_container(&guard.id, None).await.map_err(engine("start container"))?;

        let mut sender = Sender::new(attached.input, guard.clone());
        // Without randomness nothing would mark the offer.
        let wanted = Wanted(if self.takes_sockets(config) { random().ok() } else { None });
        sender.write(&wanted.encode()).await?;
        let redactor = Arc::new(Redactor::new(&spec.environment));
        let mut receiver = Receiver::new(attached.output, redactor, code, guard);
        match &wanted.0 {
            Some(token) => self.launch_over_socket(token, &message, &mut sender, &mut receiver).await?,
            None => sender.write(&message).await?,
        }
        Ok(Instance { sender, receiver })
    }
}

fn random() -> Result<[u8; 16], getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map(|()| random)
}

impl Instance {
    /// The container's id.
    pub fn id(&self) -> &str {
        &self.sender.guard.id
    }

    /// Sends one JSON message.
    ///
    /// # Errors
    /// [`InstanceError::NotOneLine`], or the connection broke.
    pub async fn send(&mut self, message: &[u8]) -> Result<(), InstanceError> {
        self.sender.send(message).await
    }

    /// The next JSON message of the server.
    ///
    /// # Errors
    /// Any [`InstanceError`]; after [`InstanceError::Garbage`] one may go on.
    pub async fn receive(&mut self) -> Result<Vec<u8>, InstanceError> {
        let line = self.receiver.line().await?;
        match serde_json::from_slice::<&serde_json::value::RawValue>(&line) {
            Ok(_) => Ok(line),
            Err(_) => Err(self.receiver.garbage(&line)),
        }
    }

    /// Like [`Instance::receive`], for so long.
    ///
    /// # Errors
    /// As there, and [`InstanceError::Hung`].
    pub async fn receive_within(&mut self, limit: Duration) -> Result<Vec<u8>, InstanceError> {
        match tokio::time::timeout(limit, self.receive()).await {
            Ok(result) => result,
            Err(_) => Err(InstanceError::Hung { waited: limit, stderr: self.receiver.stderr().end() }),
        }
    }

    /// What the server printed to stderr so far, its last [`STDERR_LIMIT`] bytes, redacted.
    pub fn stderr(&self) -> String {
        self.receiver.stderr().text()
    }

    /// Whether it is spoken to over a socket to its bridge.
    pub fn is_direct(&self) -> bool {
        self.receiver.is_direct()
    }

    /// Ends the server: its stdin is closed, and what is left shortly after is killed.
    pub async fn stop(self) {
        let (mut sender, mut receiver) = self.split();
        sender.close().await;
        let ended = tokio::time::timeout(STOP_GRACE, async { while receiver.line().await.is_ok() {} }).await;
        if ended.is_err() {
            tracing::debug!(container = %sender.guard.id, "a server did not end by itself");
        }
        sender.guard.remove().await;
    }

    pub(crate) fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }
}

/// Owns the container: the last holder removes it.
pub(crate) struct Guard {
    docker: Docker,
    pub(crate) id: String,
    done: std::sync::atomic::AtomicBool,
}

impl Guard {
    /// Of no container.
    #[cfg(test)]
    pub(crate) fn of_none() -> Self {
        let docker = Docker::connect_with_local("unix:///dev/null", 1, bollard::API_DEFAULT_VERSION).unwrap();
        Self { docker, id: String::new(), done: true.into() }
    }

    pub(crate) async fn remove(&self) {
        self.done.store(true, std::sync::atomic::Ordering::Relaxed);
        remove(&self.docker, &self.id).await;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.done.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        // Without a runtime there is nobody to ask: its stdin is closed with us, and the next start sweeps.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (docker, id) = (self.docker.clone(), std::mem::take(&mut self.id));
        runtime.spawn(async move { remove(&docker, &id).await });
    }
}

async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).build();
    match docker.remove_container(id, Some(options)).await {
        Ok(()) => {}
        // AutoRemove was faster.
        Err(error) if is_missing(&error) => {}
        Err(error) if is_conflict(&error) => removed(docker, id).await,
        Err(error) => tracing::warn!(container = %id, %error, "a container could not be removed"),
    }
}

/// Waits until a container whose removal is under way is gone: who stops a gateway relies on that nothing of it is left.
async fn removed(docker: &Docker, id: &str) {
    let gone = async {
        while docker.inspect_container(id, None).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(REMOVAL_GRACE, gone).await.is_err() {
        tracing::warn!(container = %id, "the engine is still removing a container");
    }
}

/// Asked before the container starts, because AutoRemove leaves nothing to ask afterwards.
fn watch_code(docker: Docker, id: String) -> watch::Receiver<Option<i64>> {
    let (tell, code) = watch::channel(None);
    tokio::spawn(async move {
        let options = WaitContainerOptionsBuilder::default().condition("next-exit").build();
        let mut waiting = std::pin::pin!(docker.wait_container(&id, Some(options)));
        let known = match waiting.next().await {
            Some(Ok(response)) => Some(response.status_code),
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Some(code),
            _ => None,
        };
        let _ = tell.send(known);
    });
    code
}

/// The server's own variables over the few that every program expects.
fn complete(environment: &[Variable]) -> Vec<Variable> {
    let plain = |name: &str, value: &str| Variable {
        name: name.to_owned(),
        value: Zeroizing::new(value.to_owned()),
        secret: false,
    };
    let mut all = vec![plain("PATH", "/usr/bin"), plain("HOME", "/tmp"), plain("NODE_ENV", "production")];
    all.retain(|known| environment.iter().all(|given| given.name != known.name));
    all.extend(environment.iter().cloned());
    all
}
