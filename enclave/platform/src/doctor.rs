//! What this machine offers, and what that proves: `enclave doctor`.

use std::{fs, io, path::Path};

use crate::{EvidenceError, Tpm, TpmError, Tsm};

/// Azure's paravisor keeps its attestation report in this NV index.
const AZURE_REPORT: u32 = 0x0140_0001;

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
    findings.extend(tpm(tcti));
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

fn tpm(tcti: &str) -> [Finding; 2] {
    let sealing = "keys can be sealed to what was booted. Whether the operator of the host can open them too depends on \
                   who runs the TPM: only one inside the confidential VM (Azure's paravisor, SVSM) keeps him out";
    let azure = "Azure's paravisor vouches for this VM: report and TPM key are bound to each other";
    let opened = Tpm::open(tcti).and_then(|mut tpm| {
        let properties = tpm.properties()?;
        let azure = tpm.has_nv_index(AZURE_REPORT);
        Ok((properties, azure))
    });
    match opened {
        Ok((tpm, nv)) => {
            let (high, low) = tpm.firmware;
            let whose = match tpm.manufacturer.as_str() {
                "IBM" => "software TPM (swtpm or libtpms): whoever runs it can open what it seals",
                "MSFT" => "Hyper-V or Azure vTPM",
                "GOOG" => "Google's vTPM, run by the host",
                "AMZN" => "NitroTPM, run by the host",
                _ => "see its maker",
            };
            let (maker, vendor, revision) = (tpm.manufacturer, tpm.vendor, tpm.revision);
            let detail =
                format!("{tcti}: {maker} {vendor}, firmware {high:08x}.{low:08x}, revision {revision}; {whose}");
            let (state, nv) = match nv {
                Ok(true) => (State::NotBuilt, "NV index 0x01400001 is there; this build does not read it yet".into()),
                Ok(false) => (State::Absent, "no NV index 0x01400001".to_owned()),
                Err(error) => (State::Unknown, error.to_string()),
            };
            [
                Finding { subject: "tpm", state: State::Found, detail, proves: sealing },
                Finding { subject: "azure report", state, detail: nv, proves: azure },
            ]
        }
        Err(error) => {
            let state = match error {
                TpmError::Missing { .. } | TpmError::Unsupported => State::Absent,
                _ => State::Unknown,
            };
            [
                Finding { subject: "tpm", state, detail: error.to_string(), proves: sealing },
                Finding { subject: "azure report", state, detail: "needs the TPM".into(), proves: azure },
            ]
        }
    }
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
        for subject in ["sev-guest device", "configfs-tsm", "tpm", "azure report"] {
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
        let findings = examine(root.path(), "nonsense");
        assert_eq!(state(&findings, "processor flags"), State::Found);
        assert_eq!(state(&findings, "sev-guest device"), State::NotBuilt);
        assert_eq!(state(&findings, "tpm"), State::Unknown);
    }
}
