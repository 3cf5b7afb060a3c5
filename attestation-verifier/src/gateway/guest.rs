//! What the reports of one guest have in common, and the keys that signed them.

use crate::{Chain, Report, Tcb, VekKind, Verified, Vmpl};

/// A guest by one of its reports, whose chain and signature hold.
pub(crate) struct Guest {
    report_id: [u8; 32],
    chip_id: [u8; 64],
    policy: u64,
    host_data: [u8; 32],
    pub(crate) measurement: [u8; 48],
    pub(crate) id_key: [u8; 48],
    pub(crate) family_id: [u8; 16],
    pub(crate) image_id: [u8; 16],
    pub(crate) guest_svn: u32,
    /// What lets others into the guest, so that what was measured need not be what runs.
    pub(crate) open_door: Option<&'static str>,
    pub(crate) signer: Signer,
}

/// The endorsement key of a report. Dates and serial number are not part of it: AMD issues one key's certificate anew
/// with other dates.
pub(crate) struct Signer {
    pub(crate) kind: VekKind,
    /// Root certificate, DER.
    pub(crate) root: Vec<u8>,
    point: [u8; 97],
    tcb: Tcb,
    hwid: Option<Vec<u8>>,
    csp_id: Option<String>,
}

impl Guest {
    pub(crate) fn of(report: &Verified<Report<'_>>, chain: &Verified<Chain<'_>>) -> Self {
        let bits = report.policy();
        let vek = chain.vek();
        Self {
            report_id: *report.report_id(),
            chip_id: *report.chip_id(),
            policy: bits.0,
            host_data: *report.host_data(),
            measurement: *report.measurement(),
            id_key: *report.id_key_digest(),
            family_id: *report.family_id(),
            image_id: *report.image_id(),
            guest_svn: report.guest_svn(),
            open_door: if bits.debug() {
                Some("the host may debug this guest")
            } else if bits.migration_agent() {
                Some("an agent may move this guest")
            } else if report.vmpl() != Vmpl::Guest(0) {
                Some("the report is not of VMPL 0, and what runs there rules this guest")
            } else {
                None
            },
            signer: Signer {
                kind: chain.kind(),
                root: chain.root().der().to_vec(),
                point: *vek.point(),
                tcb: vek.tcb(),
                hwid: vek.hwid().map(<[u8]>::to_vec),
                csp_id: vek.csp_id().map(ToOwned::to_owned),
            },
        }
    }

    /// The first field in which two reports are of different guests.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        [
            (self.report_id == other.report_id, "REPORT_ID"),
            (self.chip_id == other.chip_id, "CHIP_ID"),
            (self.measurement == other.measurement, "MEASUREMENT"),
            (self.host_data == other.host_data, "HOST_DATA"),
            (self.policy == other.policy, "POLICY"),
            (self.guest_svn == other.guest_svn, "GUEST_SVN"),
            (self.family_id == other.family_id, "FAMILY_ID"),
            (self.image_id == other.image_id, "IMAGE_ID"),
            (self.id_key == other.id_key, "ID_KEY_DIGEST"),
        ]
        .into_iter()
        .find_map(|(same, name)| (!same).then_some(name))
    }
}

impl Signer {
    /// How this key is related to that of another report of the same guest, or why it cannot be.
    pub(crate) fn beside(&self, other: &Self) -> Result<&'static str, &'static str> {
        if self.root != other.root || self.kind != other.kind {
            return Err("is of another kind than that of the boot report");
        }
        if self.hwid != other.hwid {
            return Err("is of another chip than that of the boot report");
        }
        if self.csp_id != other.csp_id {
            return Err("is of another provider than that of the boot report");
        }
        if self.point == other.point {
            return Ok("by the same key");
        }
        if self.tcb != other.tcb {
            return Ok("by the key of another firmware level");
        }
        match self.kind {
            VekKind::Vcek => Err("is a second key for one chip and one firmware level"),
            // A provider's key is derived from a secret that it may load anew.
            VekKind::Vlek => Ok("by another key of the same provider"),
        }
    }
}

#[cfg(test)]
impl Guest {
    /// A guest of a chip, all of whose fields are zero.
    pub(crate) fn sample() -> Self {
        let tcb = Tcb { fmc: None, bootloader: 0, tee: 0, snp: 0, microcode: 0 };
        Self {
            report_id: [0; 32],
            chip_id: [0; 64],
            policy: 0x3_0000,
            host_data: [0; 32],
            measurement: [0; 48],
            id_key: [0; 48],
            family_id: [0; 16],
            image_id: [0; 16],
            guest_svn: 0,
            open_door: None,
            signer: Signer {
                kind: VekKind::Vcek,
                root: vec![],
                point: [0; 97],
                tcb,
                hwid: Some(vec![0; 64]),
                csp_id: None,
            },
        }
    }
}
