//! What this machine offers, and what that proves: `enclave doctor`.

use std::{fs, io, path::Path};

mod tpm;

use crate::{EvidenceError, Tsm};

/// One thing looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What: `sev-guest device`.
    pub subject: &'static str,
    /// Whether it is there.
    pub state: State,
    /// What exactly was seen.
    pub detail: String,
    /// What its presence proves, or what its absence costs.
    pub proves: &'static str,
}

/// Whether a thing is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// It is, and this build uses it.
    Found,
    /// It is, but this build does not use it yet.
    NotBuilt,
    /// It is not.
    Absent,
    /// It could not be looked at.
    Unknown,
}

/// Looks at the machine whose file system starts at `root` (`/`) and at the TPM at `tcti`. Changes nothing except that
/// it makes and removes one request below configfs-tsm.
pub fn examine(root: &Path, tcti: &str) -> Vec<Finding> {
    let mut findings = vec![cpu(root), device(root), tsm(root)];
    findings.extend(tpm::rows(root, tcti));
    findings
}

fn cpu(root: &Path) -> Finding {
    let subject = "processor flags";
    let proves = "nothing by itself: a hypervisor can show any flag. Only a signed report proves SEV-SNP";
    match fs::read_to_string(root.join("proc/cpuinfo")) {
        Err(error) => Finding { subject, state: State::Unknown, detail: format!("/proc/cpuinfo: {error}"), proves },
        Ok(text) => {
            let flags: Vec<&str> = text
                .lines()
                .find_map(|line| line.strip_prefix("flags")?.split_once(':'))
                .map(|(_, flags)| flags.split_whitespace().filter(|flag| flag.starts_with("sev")).collect())
                .unwrap_or_default();
            let state = if flags.contains(&"sev_snp") { State::Found } else { State::Absent };
            let detail = if flags.is_empty() { "no sev flag".to_owned() } else { flags.join(" ") };
            Finding { subject, state, detail, proves }
        }
    }
}

fn device(root: &Path) -> Finding {
    let subject = "sev-guest device";
    let there = root.join("dev/sev-guest").exists();
    Finding {
        subject,
        state: if there { State::NotBuilt } else { State::Absent },
        detail: if there { "/dev/sev-guest; this build asks through configfs-tsm" } else { "no /dev/sev-guest" }.into(),
        proves: "a guest that has it can ask the secure processor for reports",
    }
}

fn tsm(root: &Path) -> Finding {
    let subject = "configfs-tsm";
    let proves = "reports signed by the secure processor: the root of every proof. Without it only `simulated` runs";
    let path = root.join(Tsm::ROOT.trim_start_matches('/'));
    let (state, detail) = if path.is_dir() {
        match Tsm::at(&path).provider() {
            Ok(provider) if provider == "sev_guest" => (State::Found, "provider sev_guest".to_owned()),
            Ok(provider) => (State::NotBuilt, format!("provider {provider}: not SEV-SNP")),
            Err(EvidenceError::Device { source, .. }) if source.kind() == io::ErrorKind::PermissionDenied => {
                (State::Unknown, "no permission: run as root".to_owned())
            }
            Err(error) => (State::Unknown, error.to_string()),
        }
    } else {
        (State::Absent, format!("no {}", Tsm::ROOT))
    };
    Finding { subject, state, detail, proves }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(findings: &[Finding], subject: &str) -> State {
        findings.iter().find(|finding| finding.subject == subject).expect("looked for").state
    }

    #[test]
    fn a_bare_machine_offers_nothing() {
        let root = tempfile::tempdir().expect("directory");
        let findings = examine(root.path(), "device:/nonexistent/tpm");
        for subject in
            ["sev-guest device", "configfs-tsm", "tpm", "attestation key", "azure report", "firmware event log"]
        {
            assert_eq!(state(&findings, subject), State::Absent, "{subject}");
        }
        assert_eq!(state(&findings, "processor flags"), State::Unknown);
        assert!(findings.iter().all(|finding| !finding.detail.is_empty() && !finding.proves.is_empty()));
    }

    #[test]
    fn flags_and_devices_are_seen() {
        let root = tempfile::tempdir().expect("directory");
        let make = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            fs::write(path, text).expect("written");
        };
        make("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sev sev_es sev_snp\n");
        make("dev/sev-guest", "");
        make("sys/kernel/security/tpm0/binary_bios_measurements", "events");
        let findings = examine(root.path(), "nonsense");
        assert_eq!(state(&findings, "processor flags"), State::Found);
        assert_eq!(state(&findings, "sev-guest device"), State::NotBuilt);
        assert_eq!(state(&findings, "tpm"), State::Unknown);
        assert_eq!(state(&findings, "firmware event log"), State::Found);
    }
}
