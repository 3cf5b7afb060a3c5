//! The two ways to the secure processor of an SEV-SNP guest, behind one answer.

use sha2::{Digest, Sha512};

use crate::{EvidenceError, VekKind, source::expect_report};

/// What a device gave for one request, checked for being an answer to it and for nothing else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceAnswer {
    /// 1184 bytes.
    pub report: Vec<u8>,
    /// Which key signed, by the report's own word.
    pub vek_kind: VekKind,
    /// The host's certificate table; empty where the host gave none.
    pub table: Vec<u8>,
    /// SVSM: the services manifest that REPORT_DATA covers.
    pub svsm_manifest: Option<Vec<u8>>,
}

impl DeviceAnswer {
    /// Checks length, REPORT_DATA and SIGNING_KEY. With a manifest, REPORT_DATA is SHA-512(report_data ‖ manifest) (AMD
    /// 58019, attestation protocol).
    pub(crate) fn check(
        report: Vec<u8>,
        table: Vec<u8>,
        svsm_manifest: Option<Vec<u8>>,
        report_data: &[u8; 64],
    ) -> Result<Self, EvidenceError> {
        let expected = match &svsm_manifest {
            None => *report_data,
            Some(manifest) => Sha512::new().chain_update(report_data).chain_update(manifest).finalize().into(),
        };
        let vek_kind = expect_report(&report, &expected)?;
        Ok(Self { report, vek_kind, table, svsm_manifest })
    }
}
