//! The simulated platform: reports under a root that is made here and proves nothing.

use std::{path::Path, sync::Mutex};

use sha2::{Digest, Sha384};
use software_psp::{Product, ReportRequest, SoftwarePsp, VekKind};
use time::OffsetDateTime;

use crate::{
    Der, Evidence, EvidenceError, EvidenceSource,
    keys::{self, NoRandomness},
    source::expect_report,
};

/// Held by who was told by the operator that this is development. Only configuration makes one.
#[derive(Clone, Copy, Debug)]
pub struct DevelopmentMode(());

impl DevelopmentMode {
    /// `Some` if the configuration says so.
    pub fn from_config(development: bool) -> Option<Self> {
        development.then_some(Self(()))
    }
}

/// A software processor with the rest of a machine around it.
pub struct Simulated {
    psp: SoftwarePsp,
    /// The same for all reports of this run, as REPORT_ID is for a guest's.
    report_id: [u8; 32],
    /// Real processors take one request at a time.
    turn: Mutex<()>,
}

/// What the software processor's guest runs, and in which shape its reports come.
const VERSION: u32 = 5;

impl Simulated {
    /// The processor kept in `dir`, made there if there is none (two RSA-4096 keys: seconds, once).
    ///
    /// # Errors
    /// [`EvidenceError::Software`].
    pub fn open(dir: &Path, _: DevelopmentMode, now: OffsetDateTime) -> Result<Self, EvidenceError> {
        let psp = if SoftwarePsp::exists(dir) {
            SoftwarePsp::open(dir)?
        } else {
            SoftwarePsp::create(dir, Product::Genoa, now)?
        };
        Self::with(psp).map_err(|_| EvidenceError::WrongReport { what: "no randomness for REPORT_ID" })
    }

    fn with(psp: SoftwarePsp) -> Result<Self, NoRandomness> {
        Ok(Self { psp, report_id: *keys::random()?, turn: Mutex::new(()) })
    }

    /// The root to name on a verifier's command line, DER.
    pub fn root(&self) -> &[u8] {
        self.psp.ark()
    }

    fn request(&self, report_data: &[u8; 64]) -> ReportRequest {
        let mut request = self.psp.request(VERSION, *report_data);
        // A launch digest that no image has.
        request.measurement = Sha384::digest(b"sealgate simulated guest").into();
        request.report_id = self.report_id;
        request
    }
}

impl EvidenceSource for Simulated {
    fn platform(&self) -> &'static str {
        "simulated"
    }

    fn tee_enabled(&self) -> bool {
        false
    }

    fn collect(&self, report_data: &[u8; 64]) -> Result<Evidence, EvidenceError> {
        // Poison means that another request panicked; nothing is guarded that it could have left half done.
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let report = self.psp.report(&self.request(report_data)).to_vec();
        let vek_kind = expect_report(&report, report_data)?;
        debug_assert_eq!(vek_kind, VekKind::Vcek);
        Ok(Evidence {
            report,
            vek: Der::new(self.psp.vcek().to_vec()),
            vek_kind,
            intermediate: Der::new(self.psp.ask().to_vec()),
            root: Der::new(self.psp.ark().to_vec()),
            crls: Vec::new(),
            hcl: None,
            svsm_manifest: None,
        })
    }
}
