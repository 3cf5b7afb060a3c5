//! The connection to the container engine, and what it offers.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{ClientVersion, Docker};

use crate::{
    Hardening, InstalledServer, LaunchSpec, Limits, Runtime, SandboxError, container,
    error::{engine, is_missing},
    stdio::Manners,
    streams::{Failures, Streams},
    sweep::Owner,
};

/// Image that npm servers run on, built by `scripts/runner-image`.
const RUNNER_NODE: &str = "sealgate/runner-node";
/// Image that resolves npm packages.
const INSTALLER_NODE: &str = "sealgate/installer-node";
/// Image that servers from PyPI run on.
const RUNNER_PYTHON: &str = "sealgate/runner-python";
/// Image that resolves packages of PyPI and compiles them.
const INSTALLER_PYTHON: &str = "sealgate/installer-python";
/// Label of all: the launch message their bridge understands.
const LABEL_PROTOCOL: &str = "io.sealgate.bridge-protocol";
/// An engine that needs longer for one request is taken for dead.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// How this process uses containers.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keeps apart several gateways on one engine: a sweep touches only containers of its own deployment.
    pub deployment: String,
    /// Where records of installed servers and of what they offer are kept.
    pub state_directory: PathBuf,
    /// What runs containers.
    pub runtime: Runtime,
    /// What one container may use.
    pub limits: Limits,
    /// How servers are spoken to.
    pub streams: Streams,
}

/// What the engine says of itself.
#[derive(Clone, Debug)]
pub struct EngineInfo {
    /// Version of the engine, for instance `20.10.24`.
    pub version: String,
    /// Version of the API that both sides speak, for instance `1.41`.
    pub api: String,
    /// Names of the registered runtimes, sorted.
    pub runtimes: Vec<String>,
    /// `1` or `2`.
    pub cgroups: String,
    /// As the engine lists them, for instance `name=seccomp,profile=default`.
    pub security_options: Vec<String>,
}

impl EngineInfo {
    fn admit(&self, runtime: Runtime) -> Result<(), SandboxError> {
        if !self.security_options.iter().any(|option| option.contains("seccomp") && !option.contains("unconfined")) {
            return Err(SandboxError::NoSeccomp { options: self.security_options.clone() });
        }
        if !self.runtimes.iter().any(|name| name == runtime.name()) {
            let available = self.runtimes.clone();
            return Err(SandboxError::RuntimeNotRegistered { runtime: runtime.name().to_owned(), available });
        }
        Ok(())
    }
}

/// Installs and starts servers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sandbox {
    pub(crate) docker: Docker,
    pub(crate) config: Config,
    pub(crate) owner: Owner,
    info: EngineInfo,
    /// Containers whose sockets could not be taken.
    pub(crate) untaken: Arc<Failures>,
    /// By what is started (image and arguments), for programs that are not greeted in the usual manner.
    manners: Arc<Mutex<HashMap<String, Manners>>>,
}

impl Sandbox {
    /// Connects to the engine of `DOCKER_HOST`, else to the default socket; agrees on an API version.
    ///
    /// # Errors
    /// No engine, no seccomp, or a runtime that the engine does not know.
    pub async fn connect(config: Config) -> Result<Self, SandboxError> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
        Self::connect_to(&host, config).await
    }

    async fn connect_to(host: &str, config: Config) -> Result<Self, SandboxError> {
        let no_engine = |source| SandboxError::NoEngine { host: host.to_owned(), source };
        // Negotiation goes down from the newest that this client knows.
        let newest: &ClientVersion = bollard::API_DEFAULT_VERSION;
        let docker = Docker::connect_with_local(host, REQUEST_TIMEOUT.as_secs(), newest).map_err(no_engine)?;
        let docker = docker.negotiate_version().await.map_err(no_engine)?;
        let info = Self::ask(&docker).await?;
        info.admit(config.runtime)?;
        Ok(Self {
            docker,
            owner: Owner::of_this_process(&config.deployment),
            config,
            info,
            untaken: Arc::default(),
            manners: Arc::default(),
        })
    }

    /// Whether the engine answers now.
    pub async fn answers(&self) -> bool {
        self.docker.ping().await.is_ok()
    }

    /// What the engine says of itself.
    pub fn engine(&self) -> &EngineInfo {
        &self.info
    }

    /// The name that keeps this gateway's containers apart from others'.
    pub fn deployment(&self) -> &str {
        &self.config.deployment
    }

    /// How containers are locked in.
    pub fn hardening(&self) -> Hardening {
        Hardening::of(&container::body("", "", "", &self.owner, &[], &self.config))
    }

    /// What runs containers.
    pub fn runtime(&self) -> Runtime {
        self.config.runtime
    }

    pub(crate) fn manners(&self, server: &InstalledServer, spec: &LaunchSpec) -> Manners {
        let known = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&server.launched_with(spec)).copied().unwrap_or_default()
    }

    pub(crate) fn learn_manners(&self, server: &InstalledServer, spec: &LaunchSpec, learnt: Manners) {
        let mut known = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let started = server.launched_with(spec);
        match learnt {
            Manners::Usual => known.remove(&started),
            Manners::Old | Manners::Slow => known.insert(started, learnt),
        };
    }

    async fn ask(docker: &Docker) -> Result<EngineInfo, SandboxError> {
        let version = docker.version().await.map_err(engine("version"))?;
        let info = docker.info().await.map_err(engine("info"))?;
        let mut runtimes: Vec<_> = info.runtimes.unwrap_or_default().into_keys().collect();
        runtimes.sort();
        let api = docker.client_version();
        Ok(EngineInfo {
            version: version.version.unwrap_or_default(),
            api: format!("{}.{}", api.major_version, api.minor_version),
            runtimes,
            cgroups: info.cgroup_version.map(|version| version.to_string()).unwrap_or_default(),
            security_options: info.security_options.unwrap_or_default(),
        })
    }

    /// Id and layers of the image that servers run on.
    pub(crate) async fn runner(&self) -> Result<BaseImage, SandboxError> {
        self.base_image(&tagged(RUNNER_NODE)).await
    }

    /// Id and layers of the image that resolves packages.
    pub(crate) async fn installer(&self) -> Result<BaseImage, SandboxError> {
        self.base_image(&tagged(INSTALLER_NODE)).await
    }

    /// Id and layers of the image that servers from PyPI run on.
    pub(crate) async fn python_runner(&self) -> Result<BaseImage, SandboxError> {
        self.base_image(&tagged(RUNNER_PYTHON)).await
    }

    /// Id and layers of the image that resolves packages of PyPI.
    pub(crate) async fn python_installer_image(&self) -> Result<BaseImage, SandboxError> {
        self.base_image(&tagged(INSTALLER_PYTHON)).await
    }

    async fn base_image(&self, tag: &str) -> Result<BaseImage, SandboxError> {
        let image = match self.docker.inspect_image(tag).await {
            Ok(image) => image,
            Err(error) if is_missing(&error) => {
                return Err(SandboxError::RunnerImageMissing { image: tag.to_owned() });
            }
            Err(error) => return Err(engine("inspect image")(error)),
        };
        let found = image.config.and_then(|config| config.labels).and_then(|mut labels| labels.remove(LABEL_PROTOCOL));
        if found.as_deref() != Some(bridge::PROTOCOL.to_string().as_str()) {
            let image = tag.to_owned();
            return Err(SandboxError::RunnerImageOther { image, found, wanted: bridge::PROTOCOL });
        }
        Ok(BaseImage {
            id: image.id.unwrap_or_default(),
            layers: image.root_fs.and_then(|root| root.layers).unwrap_or_default(),
        })
    }
}

/// The images of one protocol stand beside those of another.
fn tagged(image: &str) -> String {
    format!("{image}:{}", bridge::PROTOCOL)
}

/// An image that others are built on.
pub(crate) struct BaseImage {
    /// `sha256:` and 64 hexadecimal digits.
    pub(crate) id: String,
    /// Digests of its uncompressed layers, lowest first.
    pub(crate) layers: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(runtime: Runtime) -> Config {
        let state_directory = std::env::temp_dir();
        Config {
            deployment: "engine-test".into(),
            state_directory,
            runtime,
            limits: Limits::default(),
            streams: Streams::default(),
        }
    }

    #[tokio::test]
    async fn an_engine_that_is_not_there_is_named_with_what_to_do() {
        let error = Sandbox::connect_to("unix:///nowhere/docker.sock", config(Runtime::Runc)).await.unwrap_err();
        assert_eq!(error.to_string(), "no container engine answers at unix:///nowhere/docker.sock");
        assert!(error.fix().contains("start dockerd"));
    }

    #[tokio::test]
    async fn the_engine_says_what_it_is() {
        let sandbox =
            Sandbox::connect(config(Runtime::Runc)).await.unwrap_or_else(|e| panic!("{e}\n fix: {}", e.fix()));
        let info = sandbox.engine();
        assert!(info.runtimes.contains(&"runc".to_owned()) && !info.version.is_empty(), "{info:?}");
        assert!(info.api.starts_with("1."), "{info:?}");
    }

    #[test]
    fn an_engine_without_seccomp_or_without_the_runtime_is_refused_with_what_to_do() {
        let mut info = EngineInfo {
            version: "20.10.24".into(),
            api: "1.41".into(),
            runtimes: vec!["io.containerd.runc.v2".into(), "runc".into()],
            cgroups: "1".into(),
            security_options: vec!["name=seccomp,profile=default".into()],
        };
        assert!(info.admit(Runtime::Runc).is_ok());
        let error = info.admit(Runtime::Runsc).unwrap_err();
        assert!(error.to_string().contains("no runtime \"runsc\"") && error.fix().contains("daemon.json"), "{error}");
        for options in [vec![], vec!["name=seccomp,profile=unconfined".to_owned()]] {
            info.security_options = options;
            assert!(matches!(info.admit(Runtime::Runc), Err(SandboxError::NoSeccomp { .. })));
        }
    }

    #[tokio::test]
    async fn a_missing_runner_image_is_told_with_the_script_that_builds_it() {
        let sandbox =
            Sandbox::connect(config(Runtime::Runc)).await.unwrap_or_else(|e| panic!("{e}\n fix: {}", e.fix()));
        let error = sandbox.base_image("sealgate/never-built:0").await.err().unwrap();
        assert_eq!(error.to_string(), "image sealgate/never-built:0 is missing");
        assert_eq!(error.fix(), "run scripts/runner-image");
    }
}
