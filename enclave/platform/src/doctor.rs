//! What this machine offers, and what that proves: `enclave doctor`.

use std::path::Path;

mod snp;
mod tpm;

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
    findings.extend(tpm::rows(root, tcti));
    findings
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
        assert_eq!(state(&examine(root.path(), "nonsense"), "tpm"), State::Unknown);
        assert!(findings.iter().all(|finding| !finding.detail.is_empty() && !finding.proves.is_empty()));
    }
}
