//! Installs and runs servers: the one place where the gateway talks to `sandbox`.

mod converse;

pub(crate) use converse::spoken;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use evidence::{
    Digest, ServerId,
    json::{self, Limits, Value, object},
    proof::RegistryDigest,
};
use gate::{Principal, Refusal, Warmable, Warrant};
use sandbox::{
    Config as SandboxConfig, InstalledServer, LaunchSpec, LocalPackage, NpmPackage, NpmRegistry, PackageError,
    PackageSpec, Pool, PoolConfig, PoolKey, PypiIndex, PypiPackage, RegistryError, Sandbox, Session, SessionError,
    Variable,
};
use serde_json::value::RawValue;
use tokio::task::JoinSet;

use crate::{
    boot::Failure,
    catalogue::{Catalogue, Ready, Server, Tool},
    config::{Config, PackageRegistry, ServerEntry},
    enablement::Scope,
    mcp::offers::Offers,
    notices::NoticeBoard,
};

/// Most tools of one server: their names must fit one document of ours (64 KiB), or no gateway that lists the server
/// could start.
const MAX_TOOLS: usize = 400;

/// Containers and what they run.
pub(crate) struct Runner {
    sandbox: Sandbox,
    pool: Pool,
    limits: sandbox::Limits,
    call_timeout: Duration,
    endings: Endings,
    notices: Arc<NoticeBoard>,
}

/// Containers of strangers that are being ended. A stop waits for them.
type Endings = Arc<Mutex<JoinSet<()>>>;

impl Runner {
    /// Connects to the engine and clears away what an earlier run of this gateway left behind.
    ///
    /// # Errors
    /// No engine, or one that cannot do what is asked of it.
    pub(crate) async fn connect(config: &Config) -> Result<Self, Failure> {
        let refused = |error: sandbox::SandboxError| Failure::new("no sandbox", &error, error.fix());
        let limits = sandbox::Limits::default();
        let sandbox = Sandbox::connect(SandboxConfig {
            deployment: deployment(config),
            state_directory: config.state_dir.join("servers"),
            runtime: config.runtime,
            limits,
            streams: config.streams,
        })
        .await
        .map_err(refused)?;
        let removed = sandbox.sweep().await.map_err(refused)?;
        if removed > 0 {
            tracing::warn!(removed, "containers of an earlier run were still there");
        }
        let idle = Duration::from_secs(config.idle_stop_s);
        let pool = Pool::new(sandbox.clone(), PoolConfig { cap: config.max_instances, idle });
        Ok(Self {
            sandbox,
            pool,
            limits,
            call_timeout: Duration::from_secs(config.call_timeout_s),
            endings: Endings::default(),
            notices: Arc::default(),
        })
    }

    /// Installs every server of the configuration that is not there yet. One that cannot be installed is listed as
    /// unavailable with the reason; the others go on.
    ///
    /// # Errors
    /// A name does not fit the profile of our documents.
    pub(crate) async fn install(&self, config: &Config) -> Result<Catalogue, Failure> {
        let mut servers = Vec::with_capacity(config.servers.len());
        for entry in &config.servers {
            servers.push(self.install_one(entry).await);
        }
        let price = config.payments.as_ref().map(|payments| payments.price).unwrap_or_default();
        Catalogue::new(servers, price).map_err(|error| {
            Failure::new("the catalogue does not fit its profile", error, "rename the server, or leave it out")
        })
    }

    /// One server, installed if it is not there yet; unavailable with the reason if that cannot be.
    pub(crate) async fn install_one(&self, entry: &ServerEntry) -> Server {
        let started = Instant::now();
        let ready = self.ready(entry).await;
        let seconds = started.elapsed().as_secs();
        match &ready {
            Ok(ready) => {
                let (tools, era) = (ready.tools.len(), ready.offers.spoken);
                tracing::info!(server = %entry.name, tools, ?era, seconds, "server ready");
            }
            Err(why) => tracing::error!(server = %entry.name, why, seconds, "server unavailable"),
        }
        Server::new(entry.clone(), ready)
    }

    async fn ready(&self, entry: &ServerEntry) -> Result<Ready, String> {
        let warrant = Warrant::for_inspection(entry.id.clone());
        let (name, version, bin) = (&entry.package, &entry.version, entry.bin.as_deref());
        let installed = match (&entry.path, entry.registry) {
            (Some(path), _) => {
                let (path, bin) = (path.clone(), entry.bin.clone());
                let read = tokio::task::spawn_blocking(move || LocalPackage::read(&path, bin.as_deref())).await;
                let files = read
                    .map_err(|error| say(&error, "report this: reading a folder failed inside"))?
                    .map_err(|error| say(&error, error.fix()))?;
                self.sandbox.install_files(&warrant, &files).await
            }
            (None, PackageRegistry::Npm) => {
                let package = PackageSpec::Npm(NpmPackage::new(name, version, bin).map_err(wrong_name)?);
                let registry = NpmRegistry::from_npm_config().await.map_err(wrong_registry)?;
                self.sandbox.install(&warrant, &package, &registry).await
            }
            (None, PackageRegistry::Pypi) => {
                let package = PackageSpec::Pypi(PypiPackage::new(name, version, bin).map_err(wrong_name)?);
                let index = PypiIndex::from_pip_config().await.map_err(wrong_registry)?;
                self.sandbox.install(&warrant, &package, &index).await
            }
        }
        .map_err(|error| say(&error, error.fix()))?;
        let launch =
            LaunchSpec { arguments: entry.args.clone(), environment: Vec::new(), writable: entry.scratch_dirs.clone() };
        let inspection =
            self.sandbox.inspect(&warrant, &installed, &launch).await.map_err(|error| say(&error, error.fix()))?;
        let tools = inspection.tools.as_deref().map(tools).transpose()?.unwrap_or_default();
        if let Some(unknown) = entry.tool_prices.keys().find(|priced| tools.iter().all(|tool| tool.name != **priced)) {
            return Err(format!("tool_prices names {unknown:?}, which is no tool of this server; correct the name"));
        }
        let digests =
            Digests::of(&installed).ok_or("the record of the installed package holds no digests; reinstall it")?;
        let offers = Offers::of(&inspection)?;
        Ok(Ready { installed, launch, tools, offers, digests })
    }

    /// Why a call or a start came to nothing.
    pub(crate) fn refusal(&self, server: &Server, error: &SessionError) -> Refusal {
        // What a server prints may be what a caller sent: it goes to its caller alone.
        tracing::warn!(server = %server.entry.name, kind = kind(error), "a call failed");
        let name = server.entry.name.clone();
        match error {
            SessionError::Full { .. } | SessionError::Stopping => Refusal::Busy { retry_after_s: 2 },
            SessionError::Instance(sandbox::InstanceError::Hung { waited, .. }) => {
                let after_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
                Refusal::ServerTimeout { server: name, after_ms }
            }
            other => Refusal::ServerUnavailable { server: name, why: other.to_string() },
        }
    }

    /// How servers are locked in: read from the order that the engine gets for each container.
    pub(crate) fn posture(&self) -> Value {
        let engine = self.sandbox.engine();
        let hard = self.sandbox.hardening();
        object([
            ("runtime", self.sandbox.runtime().name().into()),
            ("engine", engine.version.as_str().into()),
            ("engineApi", engine.api.as_str().into()),
            ("readOnlyRoot", hard.read_only_root.into()),
            ("tmpNoexec", hard.writable_noexec.into()),
            ("capabilities", if hard.no_capabilities { "none".into() } else { Value::Null }),
            ("noNewPrivileges", hard.no_new_privileges.into()),
            ("user", hard.user.into()),
            ("network", hard.network.into()),
            ("logDriver", hard.log_driver.into()),
            (
                "limits",
                object([
                    ("memoryBytes", hard.memory.into()),
                    ("milliCpus", hard.milli_cpus.into()),
                    ("processes", hard.processes.into()),
                    ("temporaryBytes", self.limits.temporary.into()),
                ]),
            ),
            ("secretsInContainerConfiguration", (hard.variables_in_configuration > 0).into()),
        ])
    }

    /// Whether the engine still answers.
    pub(crate) async fn engine_answers(&self) -> bool {
        self.sandbox.answers().await
    }

    /// What running servers announce.
    pub(crate) fn notices(&self) -> &Arc<NoticeBoard> {
        &self.notices
    }

    /// How long a server has for one answer.
    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// Ends the containers of a server that belong to a caller, in all its sessions. Says how many ran.
    pub(crate) async fn end_of(&self, server: &ServerId, principal: &Principal) -> usize {
        let prefix = Scope::keys_of(principal);
        self.pool.end_where(|key| key.server == *server && key.principal.starts_with(&prefix)).await
    }

    /// Takes the containers of these servers out of use, whoever they belong to: who calls next gets another. Each ends
    /// once the calls that are in it have ended, and after the time of one call at most. Says how many there were.
    pub(crate) async fn retire(&self, servers: &[ServerId]) -> usize {
        let retired = self.pool.retire_where(|key| servers.contains(&key.server)).await;
        let count = retired.len();
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        while endings.try_join_next().is_some() {}
        for one in retired {
            endings.spawn(one.end(self.call_timeout));
        }
        count
    }

    /// How many containers of a server run for a caller, in all its sessions.
    pub(crate) async fn running_of(&self, server: &ServerId, principal: &Principal) -> usize {
        let prefix = Scope::keys_of(principal);
        self.pool.running_where(|key| key.server == *server && key.principal.starts_with(&prefix)).await
    }

    /// Sees to it that the container of `key` runs, as a call would start it. Says whether it ran already.
    ///
    /// # Errors
    /// It cannot be started, or all places are taken.
    pub(crate) async fn warm(
        &self,
        permitted: &Warmable,
        ready: &Ready,
        key: &str,
        secrets: Vec<Variable>,
    ) -> Result<bool, SessionError> {
        let warrant = permitted.warrant();
        let own = |found: &PoolKey| found.server == *warrant.server() && found.principal == key;
        let was_running = self.pool.running_where(own).await > 0;
        self.started(&warrant, ready, key, secrets).await?;
        Ok(was_running)
    }

    /// The running server of a principal, started with its secrets if need be.
    async fn started(
        &self,
        warrant: &Warrant,
        ready: &Ready,
        principal: &str,
        secrets: Vec<Variable>,
    ) -> Result<Arc<Session>, SessionError> {
        let mut launch = ready.launch.clone();
        launch.environment.extend(secrets);
        self.pool.session(warrant, principal, &ready.installed, &launch).await
    }

    /// Containers that run now.
    pub(crate) fn instances(&self) -> usize {
        self.pool.running()
    }

    /// Ends all containers.
    pub(crate) async fn stop(&self) {
        self.pool.stop().await;
        let endings = std::mem::take(&mut *self.endings.lock().unwrap_or_else(PoisonError::into_inner));
        endings.join_all().await;
    }
}

/// What is wrong and how to fix it, in one line.
fn say(error: &dyn std::fmt::Display, fix: impl AsRef<str>) -> String {
    format!("{error}; {}", fix.as_ref())
}

fn wrong_name(error: PackageError) -> String {
    say(&error, error.fix())
}

fn wrong_registry(error: RegistryError) -> String {
    say(&error, error.fix())
}

/// A word for the log.
fn kind(error: &SessionError) -> &'static str {
    match error {
        SessionError::Full { .. } => "no place",
        SessionError::Stopping => "stopping",
        SessionError::NotSent(_) => "not sent",
        SessionError::Instance(sandbox::InstanceError::Died { .. }) => "died",
        SessionError::Instance(sandbox::InstanceError::Hung { .. }) => "hung",
        SessionError::Instance(sandbox::InstanceError::Garbage { .. }) => "garbage on stdout",
        SessionError::Instance(sandbox::InstanceError::LineTooLong) => "line too long",
        SessionError::Instance(sandbox::InstanceError::Connection(_)) => "engine connection",
        _ => "other",
    }
}

/// The container of a caller whom we would not know again. It ends with the call, also where the caller has gone.
struct Stranger {
    pool: Pool,
    key: PoolKey,
    endings: Endings,
}

impl Runner {
    fn stranger(&self, server: &Server) -> Result<Stranger, Refusal> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|_| Refusal::Internal { part: "randomness" })?;
        // Keys of scopes begin with another word, so no caller can name this one.
        let key = PoolKey { server: server.entry.id.clone(), principal: format!("stranger/{}", hex::encode(random)) };
        Ok(Stranger { pool: self.pool.clone(), key, endings: Arc::clone(&self.endings) })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        // Without a runtime the gateway is ending, and its pool ends all containers.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (pool, key) = (self.pool.clone(), self.key.clone());
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        while endings.try_join_next().is_some() {}
        endings.spawn_on(
            async move {
                pool.end(&key).await;
            },
            &runtime,
        );
    }
}

/// What a proof names of an installed server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digests {
    /// Of the published package.
    pub(crate) registry: Option<RegistryDigest>,
    /// SHA-256 of the canonical lock.
    pub(crate) lock: Option<Digest>,
    /// Id of the image.
    pub(crate) image: Digest,
}

impl Digests {
    fn of(installed: &InstalledServer) -> Option<Self> {
        fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
            hex::decode(text).ok()?.try_into().ok()
        }
        // A digest that is there must be one: `?` inside, `None` only where there is none.
        let registry = match installed.registry_digest() {
            Some(text) => Some(RegistryDigest::of(&hex::decode(text).ok()?)?),
            None => None,
        };
        let lock = match installed.lock_digest() {
            Some(text) => Some(bytes(text)?),
            None => None,
        };
        Some(Self { registry, lock, image: bytes(installed.image_digest().strip_prefix("sha256:")?)? })
    }
}

/// Two gateways on one engine are told apart by where they keep their state.
fn deployment(config: &Config) -> String {
    use sha2::Digest as _;
    let path = std::fs::canonicalize(&config.state_dir).unwrap_or_else(|_| config.state_dir.clone());
    let digest = sha2::Sha256::digest(path.as_os_str().as_encoded_bytes());
    hex::encode(digest.get(..8).unwrap_or_default())
}

/// The tools of a list, as the server defined them.
fn tools(list: &RawValue) -> Result<Vec<Tool>, String> {
    let value =
        json::parse(list.get().as_bytes(), &Limits::THEIRS).map_err(|error| format!("its tools/list: {error}"))?;
    let items = value.member("tools").and_then(Value::as_array).ok_or("its tools/list has no array \"tools\"")?;
    if items.len() > MAX_TOOLS {
        return Err(format!("it lists {} tools, the limit is {MAX_TOOLS}", items.len()));
    }
    let mut seen = HashSet::new();
    items
        .iter()
        .map(|definition| {
            let name = definition.member("name").and_then(Value::as_str);
            let name = name
                .filter(|name| is_tool_name(name))
                .ok_or("a tool's name is missing or not 1 to 128 letters, digits, _ . -")?;
            if !seen.insert(name) {
                return Err(format!("it lists two tools named {name:?}"));
            }
            Ok(Tool { name: name.to_owned(), definition: definition.clone() })
        })
        .collect()
}

/// Tool names of MCP 2026-07-28: `[A-Za-z0-9_.-]{1,128}`.
pub(crate) fn is_tool_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: impl Iterator<Item = String>) -> Box<RawValue> {
        let tools: Vec<String> = names.map(|name| format!("{{\"name\":\"{name}\"}}")).collect();
        RawValue::from_string(format!("{{\"tools\":[{}]}}", tools.join(","))).unwrap()
    }

    #[test]
    fn a_server_with_too_many_tools_is_refused_and_the_most_it_may_have_fit_one_document() {
        let name = |n: usize| format!("{n:0128}");
        let most = tools(&list((0..MAX_TOOLS).map(name))).unwrap();
        let names = Value::Array(most.iter().map(|tool| tool.name.as_str().into()).collect());
        assert!(evidence::profile::j(&names).unwrap().len() < Limits::OURS.bytes - 2048);
        assert!(tools(&list((0..=MAX_TOOLS).map(name))).unwrap_err().contains("the limit is"));
    }

    #[test]
    fn two_tools_of_one_name_are_refused() {
        let twice = ["echo", "echo"].into_iter().map(str::to_owned);
        assert!(tools(&list(twice)).unwrap_err().contains("two tools named"));
    }
}
