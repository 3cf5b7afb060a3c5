//! How a container is locked down. One place, so that a review reads one page.

use std::collections::HashMap;

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};

use crate::{
    Config, Variable,
    sweep::{LABEL_DEPLOYMENT, LABEL_OWNER, Owner},
};

/// Whom a server runs as, inside and outside: no user of the host has this number.
const USER: &str = "10001:10001";
/// PID 1 of every container.
const BRIDGE: &str = "/usr/lib/sealgate/bridge";
/// Label: which server runs here.
pub(crate) const LABEL_SERVER: &str = "io.sealgate.server";
/// Label: which start of it.
pub(crate) const LABEL_INSTANCE: &str = "io.sealgate.instance";

/// What runs containers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Runtime {
    /// Namespaces and seccomp of the host's kernel.
    #[default]
    Runc,
    /// gVisor: a kernel of its own in user space. Registered with `--ignore-cgroups` it applies no limit of memory and processes.
    Runsc,
}

impl Runtime {
    /// The name it is registered under with the engine.
    pub fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Runsc => "runsc",
        }
    }
}

impl Runtime {
    /// Threads that the runtime itself needs inside the container's limit: gVisor's kernel is a process among them, and
    /// dies when it gets no thread.
    fn own_threads(self) -> u32 {
        match self {
            Self::Runc => 0,
            Self::Runsc => 192,
        }
    }
}

/// What one container may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of memory, `/tmp` included; there is no swap beyond it. Node needs about 70 MiB by itself.
    pub memory: u64,
    /// Processors, in thousandths.
    pub milli_cpus: u32,
    /// Processes and threads. Node alone has 11.
    pub processes: u32,
    /// Bytes of `/tmp`, and of every further writable directory.
    pub temporary: u64,
    /// Open files per process.
    pub files: u32,
}

impl Limits {
    /// What the engine is told: processes and threads as the host counts them.
    pub fn host_processes(&self, runtime: Runtime) -> u32 {
        self.processes.saturating_add(runtime.own_threads())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 512 << 20, milli_cpus: 1000, processes: 64, temporary: 64 << 20, files: 1024 }
    }
}

/// How one server is to be started, beyond what its image says.
#[derive(Clone, Debug, Default)]
pub struct LaunchSpec {
    /// Arguments after the server's own program.
    pub arguments: Vec<String>,
    /// Variables of its environment. They travel through the bridge only, never through the container's configuration.
    pub environment: Vec<Variable>,
    /// Further writable directories (absolute, tmpfs, empty at start, gone at the end), `/data` for instance.
    pub writable: Vec<String>,
}

/// The container of one start.
pub(crate) fn body(
    image: &str,
    server: &str,
    instance: &str,
    owner: &Owner,
    writable: &[String],
    config: &Config,
) -> ContainerCreateBody {
    let limits = &config.limits;
    let size = limits.temporary;
    let options = format!("rw,noexec,nosuid,nodev,size={size},mode=0700,uid=10001,gid=10001");
    let mut tmpfs = HashMap::from([("/tmp".to_owned(), options.clone())]);
    tmpfs.extend(writable.iter().map(|path| (path.clone(), options.clone())));
    let limit = |name: &str, value: u32| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(value.into()),
        hard: Some(value.into()),
    };
    let memory = i64::try_from(limits.memory).unwrap_or(i64::MAX);
    let host = HostConfig {
        readonly_rootfs: Some(true),
        tmpfs: Some(tmpfs),
        shm_size: Some(8 << 20),
        cap_drop: Some(vec!["ALL".to_owned()]),
        // The engine's default seccomp profile stays on: naming none here means that one.
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        privileged: Some(false),
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        pids_limit: Some(limits.host_processes(config.runtime).into()),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(limits.milli_cpus) * 1_000_000),
        ulimits: Some(vec![limit("core", 0), limit("nofile", limits.files)]),
        // json-file would write every answer of the server to the host's disk.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        auto_remove: Some(true),
        init: Some(false),
        runtime: Some(config.runtime.name().to_owned()),
        ..HostConfig::default()
    };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some("server".to_owned()),
        user: Some(USER.to_owned()),
        entrypoint: Some(vec![BRIDGE.to_owned()]),
        cmd: Some(Vec::new()),
        working_dir: Some("/".to_owned()),
        open_stdin: Some(true),
        // The engine closes the server's stdin when we are gone, however we went: most servers then end by themselves.
        stdin_once: Some(true),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        tty: Some(false),
        labels: Some(HashMap::from([
            (LABEL_DEPLOYMENT.to_owned(), owner.deployment.clone()),
            (LABEL_OWNER.to_owned(), owner.process.clone()),
            (LABEL_SERVER.to_owned(), server.to_owned()),
            (LABEL_INSTANCE.to_owned(), instance.to_owned()),
        ])),
        host_config: Some(host),
        ..ContainerCreateBody::default()
    }
}
