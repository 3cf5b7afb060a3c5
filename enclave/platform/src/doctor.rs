//! What this machine offers, and what that proves: `enclave doctor`.

use std::path::Path;

use crate::{Tpm, TpmError};

mod snp;

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
/// it makes and removes two requests below configfs-tsm, or one on `/dev/sev-guest`. Contacts nobody.
pub fn examine(root: &Path, tcti: &str) -> Vec<Finding> {
    let mut findings = snp::rows(root);
    findings.extend(tpm(tcti));
    findings
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
        assert_eq!(state(&examine(root.path(), "nonsense"), "tpm"), State::Unknown);
        assert!(findings.iter().all(|finding| !finding.detail.is_empty() && !finding.proves.is_empty()));
    }
}
