//! Containers whose gateway is gone.

use std::{collections::HashMap, fs, os::unix::fs::MetadataExt};

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};

use crate::{
    Sandbox, SandboxError,
    error::{engine, is_missing},
};

/// Label: which deployment a container belongs to.
pub(crate) const LABEL_DEPLOYMENT: &str = "io.sealgate.deployment";
/// Label: which process started it.
pub(crate) const LABEL_OWNER: &str = "io.sealgate.owner";

/// A process, told apart from any later one of the same number: `boot id/pid namespace/pid/start time in ticks`.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) deployment: String,
    pub(crate) process: String,
}

impl Owner {
    pub(crate) fn of_this_process(deployment: &str) -> Self {
        let pid = std::process::id();
        let process = format!("{}/{}/{pid}/{}", boot_id(), pid_namespace(), start_time(pid).unwrap_or_default());
        Self { deployment: deployment.to_owned(), process }
    }
}

impl Sandbox {
    /// Removes containers of this deployment whose process is gone. Call it at start. Returns how many there were.
    ///
    /// A process of another PID namespace cannot be seen from here, so its containers are left alone.
    ///
    /// # Errors
    /// The engine failed.
    pub async fn sweep(&self) -> Result<usize, SandboxError> {
        let mine = format!("{LABEL_DEPLOYMENT}={}", self.config.deployment);
        let filters = HashMap::from([("label", vec![mine.as_str()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.docker.list_containers(Some(options)).await.map_err(engine("list containers"))?;
        let mut removed = 0;
        for container in containers {
            let owner = container.labels.unwrap_or_default().remove(LABEL_OWNER).unwrap_or_default();
            let Some(id) = container.id.filter(|_| is_gone(&owner)) else { continue };
            tracing::info!(container = %id, %owner, "removing a container whose gateway is gone");
            let options = RemoveContainerOptionsBuilder::default().force(true).build();
            match self.docker.remove_container(&id, Some(options)).await {
                Ok(()) => removed += 1,
                // Its AutoRemove was faster.
                Err(error) if is_missing(&error) || is_conflict(&error) => removed += 1,
                Err(error) => return Err(engine("remove container")(error)),
            }
        }
        Ok(removed)
    }
}

/// The engine says that the removal is already under way.
pub(crate) fn is_conflict(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 409, .. })
}

fn is_gone(owner: &str) -> bool {
    let mut parts = owner.split('/');
    let (Some(boot), Some(namespace), Some(pid), Some(started), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        // Nobody that we know of wrote this label; a container without an owner is nobody's.
        return true;
    };
    if boot != boot_id() {
        return true;
    }
    if namespace != pid_namespace() {
        return false;
    }
    pid.parse().ok().and_then(start_time).is_none_or(|now| now != started)
}

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn pid_namespace() -> String {
    fs::metadata("/proc/self/ns/pid").map(|meta| meta.ino().to_string()).unwrap_or_default()
}

/// Field 22 of `/proc/PID/stat` (proc(5)). The name in field 2 may hold anything, so fields are counted after its end.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone_and_an_older_one_of_the_same_number_is() {
        let me = Owner::of_this_process("test").process;
        assert!(!is_gone(&me));
        let (head, _) = me.rsplit_once('/').unwrap();
        assert!(is_gone(&format!("{head}/1")));
        assert!(is_gone(&me.replacen(&boot_id(), "another-boot", 1)));
        assert!(!is_gone(&me.replacen(&pid_namespace(), "1", 1)), "a process we cannot see must be left alone");
    }
}
