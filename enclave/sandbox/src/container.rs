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
    /// Processes and threads, five of the bridge among them. Node alone has 11.
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

/// How containers are locked in, read from the very order that the engine is given for each of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hardening {
    /// The root file system is read-only.
    pub read_only_root: bool,
    /// Every writable directory is a tmpfs from which nothing can be executed.
    pub writable_noexec: bool,
    /// All capabilities are dropped and none is added.
    pub no_capabilities: bool,
    /// No process gains privileges, and the container itself has none.
    pub no_new_privileges: bool,
    /// User and group.
    pub user: String,
    /// Network mode of the engine: `none`.
    pub network: String,
    /// Where the engine writes what servers print: `none`.
    pub log_driver: String,
    /// Bytes of memory, swap included.
    pub memory: u64,
    /// Processors, in thousandths.
    pub milli_cpus: u64,
    /// Processes and threads, those of the runtime included.
    pub processes: u64,
    /// Variables in the container's configuration, which the engine writes to disk.
    pub variables_in_configuration: usize,
}

impl Hardening {
    pub(crate) fn of(body: &ContainerCreateBody) -> Self {
        let host = body.host_config.clone().unwrap_or_default();
        let number = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok()).unwrap_or_default();
        let (tmpfs, memory) = (host.tmpfs.unwrap_or_default(), number(host.memory));
        let noexec = |options: &String| options.split(',').any(|option| option == "noexec");
        let dropped = host.cap_drop.unwrap_or_default().iter().any(|name| name == "ALL");
        let options = host.security_opt.unwrap_or_default();
        Self {
            read_only_root: host.readonly_rootfs == Some(true),
            writable_noexec: tmpfs.values().all(noexec) && host.binds.is_none() && host.mounts.is_none(),
            no_capabilities: dropped && host.cap_add.is_none_or(|added| added.is_empty()),
            no_new_privileges: options.iter().any(|option| option == "no-new-privileges")
                && host.privileged != Some(true),
            user: body.user.clone().unwrap_or_default(),
            network: host.network_mode.unwrap_or_default(),
            log_driver: host.log_config.and_then(|log| log.typ).unwrap_or_default(),
            memory: if host.memory_swap == host.memory { memory } else { 0 },
            milli_cpus: number(host.nano_cpus) / 1_000_000,
            processes: number(host.pids_limit),
            variables_in_configuration: body.env.as_ref().map_or(0, Vec::len),
        }
    }
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
        // Where it goes through the engine, the engine closes the server's stdin when we are gone, however we went: most servers
        // then end by themselves.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> ContainerCreateBody {
        let config = Config {
            deployment: "test".into(),
            state_directory: std::env::temp_dir(),
            runtime: Runtime::Runc,
            limits: Limits::default(),
            streams: crate::Streams::default(),
        };
        body("image", "server", "instance", &Owner::of_this_process("test"), &["/data".into()], &config)
    }

    fn after(change: impl FnOnce(&mut ContainerCreateBody, &mut HostConfig)) -> Hardening {
        let mut body = order();
        let mut host = body.host_config.take().unwrap();
        change(&mut body, &mut host);
        body.host_config = Some(host);
        Hardening::of(&body)
    }

    #[test]
    fn what_is_said_of_containers_is_what_is_ordered() {
        let said = Hardening::of(&order());
        assert!(said.read_only_root && said.writable_noexec && said.no_capabilities && said.no_new_privileges);
        assert_eq!((said.user.as_str(), said.network.as_str(), said.log_driver.as_str()), (USER, "none", "none"));
        let limits = Limits::default();
        assert_eq!((said.memory, said.milli_cpus, said.processes), (limits.memory, 1000, 64));
        assert_eq!(said.variables_in_configuration, 0);
    }

    #[test]
    fn an_order_that_is_less_than_hard_is_said_to_be() {
        assert!(!after(|_, host| host.readonly_rootfs = None).read_only_root);
        assert!(!after(|_, host| host.binds = Some(vec!["/:/host".into()])).writable_noexec);
        let exec = HashMap::from([("/tmp".to_owned(), "rw,exec".to_owned())]);
        assert!(!after(|_, host| host.tmpfs = Some(exec)).writable_noexec);
        assert!(!after(|_, host| host.cap_drop = None).no_capabilities);
        assert!(!after(|_, host| host.cap_add = Some(vec!["SYS_ADMIN".into()])).no_capabilities);
        assert!(!after(|_, host| host.privileged = Some(true)).no_new_privileges);
        assert_eq!(after(|_, host| host.network_mode = Some("host".into())).network, "host");
        assert_eq!(after(|_, host| host.memory_swap = Some(-1)).memory, 0);
        assert_eq!(after(|body, _| body.env = Some(vec!["TOKEN=x".into()])).variables_in_configuration, 1);
    }
}
