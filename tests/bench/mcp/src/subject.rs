//! What is measured: one server, reached over its pipe, through the gateway, or through a peer.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use hyper::{HeaderMap, header::HeaderValue};
use rustix::process::{Pid, Signal, kill_process};
use sealgate_tests::{Gateway, Settings, fixture, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    container::{Container, shim},
    line::{Endpoint, HttpLine, Line, Pipe},
    message::{Era, Work},
    processor::{Processes, named},
    rows::{CONTAINED, STDIO},
};

/// How long a peer may take to listen.
const START: Duration = Duration::from_secs(30);

/// How long it may take to end.
const END: Duration = Duration::from_secs(5);

/// One way to the server.
pub(crate) struct Subject {
    /// Its name in rows.
    pub(crate) name: &'static str,
    /// What is asked for.
    pub(crate) work: Work,
    /// Whose time counts.
    pub(crate) processes: Processes,
    way: Way,
}

enum Way {
    Pipe(Pipe),
    Http(Endpoint),
}

impl Subject {
    /// The server itself. `Child` is to be kept.
    pub(crate) async fn bare() -> anyhow::Result<(Self, tokio::process::Child)> {
        let mut child = tokio::process::Command::new("node")
            .arg(server())
            .arg("legacy")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("node")?;
        let (input, output) = (child.stdin.take().context("stdin")?, child.stdout.take().context("stdout")?);
        let pipe = Pipe::open(input, output).await?;
        Ok((Self { name: STDIO, work: call("echo", ""), processes: Processes::default(), way: Way::Pipe(pipe) }, child))
    }

    /// The server in a container of its own, over the engine's stream. `Container` is to be kept.
    pub(crate) async fn contained() -> anyhow::Result<(Self, Container)> {
        let (container, pipe) = Container::start().await?;
        let mut engine = engine()?;
        engine.push(container.shim()?);
        let processes = Processes { own: Vec::new(), engine };
        Ok((Self { name: CONTAINED, work: call("echo", ""), processes, way: Way::Pipe(pipe) }, container))
    }

    /// Through an endpoint.
    pub(crate) async fn http(
        name: &'static str,
        mut endpoint: Endpoint,
        work: Work,
        processes: Processes,
    ) -> anyhow::Result<Self> {
        endpoint.greet().await.context(name)?;
        Ok(Self { name, work, processes, way: Way::Http(endpoint) })
    }

    /// The same way, asked for something else.
    pub(crate) fn asked(&self, name: &'static str, path: Option<&str>, work: Work) -> Self {
        let way = match &self.way {
            Way::Pipe(pipe) => Way::Pipe(pipe.clone()),
            Way::Http(endpoint) => {
                let mut endpoint = endpoint.clone();
                endpoint.path = path.map_or(endpoint.path, str::to_owned);
                Way::Http(endpoint)
            }
        };
        Self { name, work, processes: self.processes.clone(), way }
    }

    /// So many lines: connections of their own, or places on the one pipe.
    pub(crate) async fn lines(&self, count: usize) -> anyhow::Result<Vec<Line>> {
        let mut lines = Vec::with_capacity(count);
        for _ in 0..count {
            lines.push(match &self.way {
                Way::Pipe(pipe) => Line::Pipe(pipe.clone()),
                Way::Http(endpoint) => Line::Http(Box::new(HttpLine::open(endpoint).await?)),
            });
        }
        Ok(lines)
    }
}

/// The engine's own processes.
fn engine() -> anyhow::Result<Vec<u32>> {
    let found = named("dockerd")?;
    ensure!(!found.is_empty(), "no process is called dockerd");
    Ok(found)
}

/// A call of the tool that gives its arguments back.
pub(crate) fn call(tool: &str, with: &'static str) -> Work {
    Work::Call { tool: tool.to_owned(), with }
}

fn server() -> PathBuf {
    repository().join("tests/fixture-server/fixture.mjs")
}

/// Servers in the gateway's catalogue beside the one that is called. They cannot run, but are found and listed like others.
const OTHERS: usize = 9_999;

/// What all callers of the gateway say of themselves: one session, hence one container.
const SESSION: &str = "the-session-of-the-benchmark";

/// A gateway that runs the server in its container, one of ten thousand in its catalogue.
pub(crate) struct OurGateway {
    gateway: Gateway,
    /// The package of all others.
    _empty: TempDir,
    /// Where it listens.
    address: SocketAddr,
    /// The server's own endpoint.
    path: String,
}

impl OurGateway {
    /// Starts it, and switches the server on for the session. Must be called outside of a runtime's threads.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let empty = TempDir::new()?;
        // A package without a program.
        std::fs::write(empty.path().join("package.json"), r#"{"name":"other","version":"1.0.0"}"#)?;
        let other = |n: usize| {
            let folder = empty.path();
            format!(
                "[[server]]\nname = \"other-{n}\"\ndescription = \"Answers about subject {n}\"\npath = {folder:?}\n"
            )
        };
        let more = fixture("fixture", &["legacy"]) + &(0..OTHERS).map(other).collect::<String>();
        // Of each of the others it would say that it cannot run.
        let log = "info,tss_esapi=warn,enclave::runner=off".to_owned();
        let gateway = Gateway::with(&Settings { more, log, installed: false, ..Settings::default() });
        let address = gateway.base().trim_start_matches("http://").parse().context("the gateway's address")?;
        let path = gateway.endpoint("fixture");
        let caller = gateway.anonymous().with("x-mcp-session", SESSION);
        let enabled = caller.call("/mcp", "gateway__enable_server", json!({"server_name": "fixture"}));
        ensure!(enabled.get("isError") != Some(&Value::Bool(true)), "{enabled}");
        Ok(Self { gateway, _empty: empty, address, path })
    }

    /// The server's endpoint, for a client of this revision.
    pub(crate) fn endpoint(&self, era: Era) -> Endpoint {
        let mut headers = HeaderMap::new();
        headers.insert("x-mcp-session", HeaderValue::from_static(SESSION));
        Endpoint { address: self.address, path: self.path.clone(), era, headers }
    }

    /// Its process; and once the server runs, what the engine runs for it.
    pub(crate) fn processes(&self) -> anyhow::Result<Processes> {
        let containers = self.gateway.containers();
        ensure!(!containers.is_empty(), "the gateway runs no container");
        let mut engine = engine()?;
        for container in containers {
            engine.push(shim(&container)?);
        }
        Ok(Processes { own: vec![self.gateway.process()], engine })
    }
}

/// A peer in front of the server.
pub(crate) struct Peer {
    child: Child,
    address: SocketAddr,
    /// Its configuration and its log.
    _directory: TempDir,
}

impl Peer {
    /// The crate `mcp-proxy`: its program.
    pub(crate) fn mcp_proxy(program: &Path) -> anyhow::Result<Self> {
        let (directory, port) = (TempDir::new()?, free_port()?);
        let file = directory.path().join("proxy.toml");
        let config = format!(
            "[proxy]\nname = \"bench\"\n[proxy.listen]\nhost = \"127.0.0.1\"\nport = {port}\n[observability]\naudit = false\n\
             log_level = \"warn\"\n[[backends]]\nname = \"fixture\"\ntransport = \"stdio\"\ncommand = \"node\"\nargs = [{:?}, \
             \"legacy\"]\n",
            server()
        );
        std::fs::write(&file, config)?;
        Self::start(Command::new(program).arg("--config").arg(&file), port, directory)
    }

    /// The npm package `supergateway`: its script.
    pub(crate) fn supergateway(script: &Path) -> anyhow::Result<Self> {
        let (directory, port) = (TempDir::new()?, free_port()?);
        let mut command = Command::new("node");
        command
            .arg(script)
            .args(["--stdio", &format!("node '{}' legacy", server().display())])
            .args(["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"])
            .args(["--port", &port.to_string(), "--protocolVersion", Era::Legacy.version()]);
        Self::start(&mut command, port, directory)
    }

    fn start(command: &mut Command, port: u16, directory: TempDir) -> anyhow::Result<Self> {
        let log = directory.path().join("log");
        let file = File::create(&log)?;
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{}", program.display()))?;
        let mut peer = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), _directory: directory };
        let patience = Instant::now() + START;
        while TcpStream::connect(peer.address).is_err() {
            let ended = peer.child.try_wait()?;
            if ended.is_some() || Instant::now() > patience {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{} does not listen ({ended:?}): {said}", program.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self, path: &str, era: Era) -> Endpoint {
        Endpoint { address: self.address, path: path.to_owned(), era, headers: HeaderMap::new() }
    }

    /// Its process.
    pub(crate) fn processes(&self) -> Processes {
        Processes { own: vec![self.child.id()], engine: Vec::new() }
    }
}

impl Drop for Peer {
    /// Asks it to end, so that it ends its server too.
    fn drop(&mut self) {
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ended = kill_process(process, Signal::TERM);
        }
        let patience = Instant::now() + END;
        while Instant::now() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
