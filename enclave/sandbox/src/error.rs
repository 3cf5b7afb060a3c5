//! What can go wrong between us and the container engine.

use evidence::ServerId;

use crate::InstanceError;

/// Why a container could not be made or started. [`SandboxError::fix`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// No engine answers on the socket.
    #[error("no container engine answers at {host}")]
    NoEngine {
        /// `DOCKER_HOST`, or the default socket.
        host: String,
        /// What the connection said.
        source: bollard::errors::Error,
    },
    /// The engine refused or failed.
    #[error("container engine: {what}: {source}")]
    Engine {
        /// What we asked for.
        what: &'static str,
        /// Its answer.
        source: bollard::errors::Error,
    },
    /// The engine applies no seccomp filter.
    #[error("the container engine reports no default seccomp profile (security options: {options:?})")]
    NoSeccomp {
        /// What it reports.
        options: Vec<String>,
    },
    /// The configured runtime is not registered with the engine.
    #[error("the container engine knows no runtime {runtime:?} (it knows {available:?})")]
    RuntimeNotRegistered {
        /// The runtime of the configuration.
        runtime: String,
        /// What the engine offers.
        available: Vec<String>,
    },
    /// A runner image is not there.
    #[error("image {image} is missing")]
    RunnerImageMissing {
        /// Its tag.
        image: String,
    },
    /// A runner image holds a bridge that speaks another launch message.
    #[error("image {image} has a bridge of protocol {found:?}, this program speaks {wanted}")]
    RunnerImageOther {
        /// Its tag.
        image: String,
        /// What its label says.
        found: Option<String>,
        /// What we speak.
        wanted: u8,
    },
    /// The engine took an image but has not got it.
    #[error("the engine loaded image {image}, yet has no image of that name with those layers")]
    ImageOther {
        /// Its tag.
        image: String,
    },
    /// The warrant is for another server.
    #[error("the warrant is for server {warrant}, not for {server}")]
    WarrantForOther {
        /// The server of the warrant.
        warrant: ServerId,
        /// The server that was to run.
        server: ServerId,
    },
    /// Arguments or environment do not fit into a launch message.
    #[error(transparent)]
    Launch(#[from] bridge::MessageError),
    /// The container did not live long enough to be used.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The state directory cannot be used.
    #[error("state file {path}: {source}")]
    State {
        /// Which file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SandboxError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::NoEngine { .. } => {
                "start dockerd (scripts/setup does), or set DOCKER_HOST; the user of this process must be allowed to use its socket".into()
            }
            Self::Engine { .. } => "look at the engine's own log (journalctl -u docker)".into(),
            Self::NoSeccomp { .. } => {
                "start dockerd without --seccomp-profile=unconfined, on a kernel with CONFIG_SECCOMP_FILTER".into()
            }
            Self::RuntimeNotRegistered { runtime, .. } => format!(
                "add {{\"runtimes\": {{\"{runtime}\": {{\"path\": \"/usr/bin/{runtime}\"}}}}}} to /etc/docker/daemon.json and send dockerd a SIGHUP, or set runtime = \"runc\""
            ),
            Self::RunnerImageMissing { .. } | Self::RunnerImageOther { .. } => "run scripts/runner-image".into(),
            Self::ImageOther { .. } => "remove the images named sealgate/server and install again".into(),
            Self::WarrantForOther { .. } => "this is a fault of the program: ask for a warrant of the server that is to run".into(),
            Self::Launch(_) => "shorten the arguments or the secrets of this server, and leave NUL and '=' out of names".into(),
            Self::Instance(error) => error.fix(),
            Self::State { .. } => "make the state directory writable for this process".into(),
        }
    }
}

/// For `map_err`: an engine's answer with what we had asked for.
pub(crate) fn engine(what: &'static str) -> impl FnOnce(bollard::errors::Error) -> SandboxError {
    move |source| SandboxError::Engine { what, source }
}

/// Whether the engine said that there is no such thing.
pub(crate) fn is_missing(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}
