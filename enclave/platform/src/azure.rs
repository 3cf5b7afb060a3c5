//! Azure's confidential VMs: a paravisor inside the guest's trust boundary runs the TPM and asks the processor for
//! reports. A guest writes 64 bytes to one NV index and reads the blob of another: its claims, whose hash is REPORT_DATA,
//! name the TPM's attestation key and repeat the 64 bytes. The paravisor makes a new blob when a read begins and two
//! seconds have passed since the last one, so the blob is read until it fits. Source: Azure guest attestation; openhcl.

mod error;
mod vtpm;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use attestation_verifier::{Hcl, HclError, RuntimeClaims};
use sha2::{Digest as _, Sha256};

pub use self::{
    error::AzureError,
    vtpm::{AzureVtpm, Vtpm},
};
use crate::{
    AkChoice, Chain, Collateral, Evidence, EvidenceError, EvidenceSource, LiveEvidence, Tpm, TpmError,
    source::signing_key,
};

/// NV index of the blob.
pub(crate) const REPORT: u32 = 0x0140_0001;
/// NV index of the 64 bytes that the next blob repeats.
pub(crate) const USER_DATA: u32 = 0x0140_0002;

/// How often the blob is read until it repeats what was written, and how long to wait between. Each wait is twice the
/// one before, up to the longest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Patience {
    /// Reads.
    pub attempts: u32,
    /// Before the second read.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
}

impl Patience {
    /// 12 reads in 8.5 seconds: four times the paravisor's two.
    pub const USUAL: Self =
        Self { attempts: 12, first: Duration::from_millis(100), longest: Duration::from_millis(1000) };

    /// The wait after a number of reads that did not fit.
    fn wait(&self, reads: u32) -> Duration {
        let doubled = 1u32.checked_shl(reads.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// SEV-SNP behind Azure's paravisor.
pub struct Azure<V = AzureVtpm> {
    /// One at a time: the index of the 64 bytes is one for all.
    vtpm: Mutex<V>,
    collateral: Arc<dyn Collateral>,
    patience: Patience,
}

impl Azure {
    /// The key that signs quotes here, for [`TpmQuoter::open`](crate::TpmQuoter::open).
    pub const KEY: AkChoice = AkChoice::Persistent(AkChoice::AZURE);

    /// The vTPM at `tcti`, `device:/dev/tpmrm0` on a real machine. Nothing is asked yet.
    pub fn at(tcti: &str, collateral: Arc<dyn Collateral>) -> Self {
        Self::over(AzureVtpm::at(tcti), collateral, Patience::USUAL)
    }
}

impl<V: Vtpm> Azure<V> {
    /// Anything that behaves like Azure's vTPM.
    pub fn over(vtpm: V, collateral: Arc<dyn Collateral>, patience: Patience) -> Self {
        Self { vtpm: Mutex::new(vtpm), collateral, patience }
    }
}

impl<V: Vtpm> EvidenceSource for Azure<V> {
    fn platform(&self) -> &'static str {
        "azure"
    }

    fn tee_enabled(&self) -> bool {
        true
    }

    fn live(&self) -> LiveEvidence {
        LiveEvidence::Quote
    }

    /// The report's REPORT_DATA is the hash of the blob's claims; these repeat `report_data` as their user-data. Takes
    /// up to the patience given, plus the certificates.
    fn collect(&self, report_data: &[u8; 64]) -> Result<Evidence, EvidenceError> {
        // Poison means that another request panicked: this one writes its own bytes first.
        let mut vtpm = self.vtpm.lock().unwrap_or_else(PoisonError::into_inner);
        let (blob, fit) = refreshed(&mut *vtpm, report_data, self.patience)?;
        let in_tpm = vtpm.attestation_key().map_err(AzureError::Tpm)?.spki;
        drop(vtpm);
        same_key(&in_tpm, &fit.key)?;
        let report = fit.report;
        let vek_kind = signing_key(&report)?;
        let Chain { vek, intermediate, root, crls } = self.collateral.endorse(&report)?;
        Ok(Evidence { report, vek, vek_kind, intermediate, root, crls, hcl: Some(blob), svsm_manifest: None })
    }
}

/// Writes the 64 bytes and reads until a blob repeats them.
fn refreshed(vtpm: &mut impl Vtpm, user_data: &[u8; 64], patience: Patience) -> Result<(Vec<u8>, Fit), AzureError> {
    // Looked for, not read: a read makes the paravisor make a blob, and then none for two seconds.
    if !vtpm.has(REPORT)? {
        return Err(AzureError::NoReport);
    }
    ask(vtpm, user_data)?;
    let mut reads = 0;
    loop {
        let blob = vtpm.read(REPORT)?.ok_or(AzureError::NoReport)?;
        reads += 1;
        match judge(&blob, user_data) {
            Ok(fit) => return Ok((blob, fit)),
            Err(Unfit::Final(error)) => return Err(error),
            Err(Unfit::Yet(last)) if reads >= patience.attempts => {
                return Err(AzureError::NotRefreshed { attempts: reads, last });
            }
            Err(Unfit::Yet(_)) => vtpm.pause(patience.wait(reads)),
        }
        // The index is one for all programs of this machine; another may have asked meanwhile.
        if vtpm.read(USER_DATA)?.as_deref() != Some(user_data) {
            ask(vtpm, user_data)?;
        }
    }
}

/// What we take from a blob that fits.
struct Fit {
    report: Vec<u8>,
    /// HCLAkPub, SubjectPublicKeyInfo.
    key: Vec<u8>,
}

/// Why a blob is not the one we wait for.
enum Unfit {
    /// Another read may bring it.
    Yet(String),
    /// No other read will.
    Final(AzureError),
}

/// Reads the blob as verifiers do.
fn read(blob: &[u8]) -> Result<(&[u8], RuntimeClaims), Unfit> {
    let hcl = Hcl::parse(blob).map_err(|error| match error {
        HclError::Kind { found } => Unfit::Final(AzureError::NotSnp { found }),
        // Empty, half written, or none.
        error => Unfit::Yet(error.to_string()),
    })?;
    let report = hcl.report().bytes();
    let claims = report.get(0x50..).and_then(|rest| rest.first_chunk()).and_then(|data| hcl.claims(data));
    // Half of it older than the other half, while somebody else has it made anew.
    let claims = claims.ok_or_else(|| Unfit::Yet("its REPORT_DATA is not the hash of its claims".into()))?;
    let claims =
        RuntimeClaims::parse(claims).map_err(|error| Unfit::Final(AzureError::Claims { what: error.to_string() }))?;
    if claims.user_data().is_none() {
        return Err(Unfit::Final(AzureError::NoUserData));
    }
    Ok((report, claims))
}

fn judge(blob: &[u8], user_data: &[u8; 64]) -> Result<Fit, Unfit> {
    let (report, claims) = read(blob)?;
    if claims.user_data() != Some(user_data) {
        return Err(Unfit::Yet("its claims repeat other user-data".into()));
    }
    Ok(Fit { report: report.to_vec(), key: claims.ak().spki().to_vec() })
}

/// The key in the TPM must be the one in the claims.
fn same_key(in_tpm: &[u8], in_claims: &[u8]) -> Result<(), AzureError> {
    if in_tpm == in_claims {
        return Ok(());
    }
    let fingerprint = |spki: &[u8]| hex::encode(Sha256::digest(spki));
    Err(AzureError::OtherKey { in_tpm: fingerprint(in_tpm), in_claims: fingerprint(in_claims) })
}

/// What is there, for `enclave doctor`: one read, nothing written.
pub(crate) fn look(tpm: &mut Tpm) -> Result<String, AzureError> {
    let blob = tpm.read_nv(REPORT)?.ok_or(AzureError::NoReport)?;
    let (_, claims) = read(&blob).map_err(|unfit| match unfit {
        Unfit::Yet(last) => AzureError::NotRefreshed { attempts: 1, last },
        Unfit::Final(error) => error,
    })?;
    same_key(&tpm.attestation_key(Azure::KEY)?.spki, claims.ak().spki())?;
    let asked = if tpm.has_nv_index(USER_DATA)? { "is there" } else { "is defined by who asks first" };
    let length = blob.len();
    Ok(format!(
        "NV index 0x01400001 ({length} bytes) holds an SEV-SNP report that names the key at 0x81000003; 0x01400002, \
         which takes user-data, {asked}"
    ))
}

/// Writes what the next blob shall repeat. The guest defines the index, as the owner, where nobody has asked before.
fn ask(vtpm: &mut impl Vtpm, user_data: &[u8; 64]) -> Result<(), AzureError> {
    match vtpm.read(USER_DATA)? {
        None => {
            vtpm.define(USER_DATA, 64).map_err(AzureError::InputRefused)?;
        }
        // Empty: defined and never written.
        Some(now) if now.is_empty() || now.len() == user_data.len() => {}
        Some(now) => return Err(AzureError::InputSize { found: now.len() }),
    }
    vtpm.write(USER_DATA, user_data).map_err(AzureError::InputRefused)
}

impl From<TpmError> for AzureError {
    fn from(error: TpmError) -> Self {
        Self::Tpm(error)
    }
}
