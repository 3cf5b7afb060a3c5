//! The two ways to the secure processor of an SEV-SNP guest, behind one answer.

use attestation_verifier::{SvsmError, SvsmManifest};

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
    /// Checks length, REPORT_DATA and SIGNING_KEY. With a manifest, which has to name a vTPM, REPORT_DATA is the
    /// manifest's with our bytes as its nonce.
    pub(crate) fn check(
        report: Vec<u8>,
        table: Vec<u8>,
        svsm_manifest: Option<Vec<u8>>,
        report_data: &[u8; 64],
    ) -> Result<Self, EvidenceError> {
        let expected = match &svsm_manifest {
            None => *report_data,
            Some(bytes) => {
                let manifest = SvsmManifest::parse(bytes).map_err(EvidenceError::SvsmManifest)?;
                if let Err(error @ SvsmError::NoVtpm) = manifest.endorsement_key() {
                    return Err(EvidenceError::SvsmManifest(error));
                }
                manifest.report_data(report_data)
            }
        };
        let vek_kind = expect_report(&report, &expected)?;
        Ok(Self { report, vek_kind, table, svsm_manifest })
    }
}
