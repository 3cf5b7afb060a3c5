//! Installs MCP servers and runs them in hardened containers. The only crate that talks to a container engine.
//!
//! **Invariants.** Nothing starts without a [`gate::Warrant`] for that server. A container has no network, no writable
//! root, no capability and no secret in its configuration. What is unpacked into an image was hashed by this process
//! against what the registry said of that exact version. This crate knows neither wallets nor payments.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")
)]

mod archive;
mod container;
mod engine;
mod error;
mod install;
mod installed;
mod instance;
mod layer;
mod lines;
mod local;
mod lock;
mod manifest;
mod package;
mod pool;
mod pypi;
mod registry;
pub mod stdio;
mod streams;
mod sweep;

pub use bridge::Variable;
pub use container::{Hardening, LaunchSpec, Limits, Runtime};
pub use engine::{Config, EngineInfo, Sandbox};
pub use error::SandboxError;
pub use install::InstallError;
pub use installed::{InstalledServer, ServerImage};
pub use instance::{Instance, InstanceError, LINE_LIMIT, STDERR_LIMIT};
pub use layer::LayerError;
pub use local::{LOCAL_FILES_LIMIT, LOCAL_SIZE_LIMIT, LocalError, LocalManifest, LocalPackage};
pub use lock::{Lock, LockError};
pub use package::{NpmPackage, PackageError, PackageSpec};
pub use pool::{Pool, PoolConfig, PoolKey, Retired};
pub use pypi::{PypiError, PypiIndex, PypiPackage, WheelError};
pub use registry::{Fetched, NpmRegistry, Registry, RegistryError};
pub use stdio::{Answer, Event, Exchange, Inspection, Notice, Question, ServerEra, Session, SessionError, Unasked};
pub use streams::Streams;
pub use zeroize::Zeroizing;

/// A variable whose value must not appear anywhere but in the server's own memory.
pub fn secret(name: impl Into<String>, value: Zeroizing<String>) -> Variable {
    Variable { name: name.into(), value, secret: true }
}
