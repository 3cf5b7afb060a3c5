//! What a relying party asks of the evidence: a preset, or a TOML file of version 2 in which every field is written.
//! Leaving a field out is an error and never switches a check off; a rule that is not wanted says
//! `{ unchecked = "reason" }`, and the reason stands in the verdict. docs/POLICY.md describes every field.

mod about_checks;
pub(crate) mod advisories;
mod advisory_table;
pub(crate) mod checks;
mod diagnosis;
mod entry;
mod field;
mod file;
mod preset;
mod rule;
mod silicon;

use crate::{EventPolicy, FirmwareVersion, Grade, Product, Tcb, VekKind, VtpmKind};

pub use advisories::{ADVISORIES, ADVISORIES_DATE, Advisory, AdvisoryStatus, KnownAttack};
pub use diagnosis::{Attack, Cause, Diagnosis, NotAVerdict};
pub use entry::PolicyError;
pub use field::{About, PolicyField};
pub use preset::PRESETS;
pub use rule::{AcceptedAdvisory, Bit, Need, OnAdvisory, ReportData, Rule, StaleCrl};

/// What a relying party asks of the evidence.
///
/// ```
/// use attestation_verifier::{Policy, Rule};
///
/// let policy = Policy { measurements: Rule::Check(vec![[0x5A; 48]]), ..Policy::strict() };
/// assert!(policy.id_keys.asked().is_none());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Products accepted.
    pub products: Rule<Vec<Product>>,
    /// Kinds of endorsement key accepted.
    pub keys: Rule<Vec<VekKind>>,
    /// Chips accepted: 64 bytes each, Turin's 8. A report that names no chip fails.
    pub chips: Rule<Vec<Vec<u8>>>,
    /// Must the report name the chip whose key signed it? A masked id and a VLEK name none.
    pub chip_binding: Rule<()>,
    /// Cloud providers accepted, as a VLEK names them (CSP_ID). A VCEK names none and fails.
    pub providers: Rule<Vec<String>>,
    /// Does a list have to show that the intermediate is not revoked?
    pub revocation: Need,
    /// See [`StaleCrl`].
    pub stale_crl: StaleCrl,
    /// Must COMMITTED be CURRENT, in levels and version? Otherwise the host may still go back.
    pub provisional_firmware: Rule<()>,
    /// See [`FirmwareRules`].
    pub firmware: PerProduct<FirmwareRules>,
    /// See [`PlatformRules`].
    pub platform: PlatformRules,
    /// See [`OnAdvisory`].
    pub advisories: OnAdvisory,
    /// Advisories that do not reject.
    pub accepted_advisories: Vec<AcceptedAdvisory>,
    /// Privilege levels accepted. A report that the host asked for is never accepted, whatever this says.
    pub vmpl: Rule<Vec<u8>>,
    /// See [`GuestRules`].
    pub guest: GuestRules,
    /// Lowest GUEST_SVN.
    pub min_guest_svn: Rule<u32>,
    /// Launch digests accepted.
    pub measurements: Rule<Vec<[u8; 48]>>,
    /// FAMILY_ID accepted.
    pub family_ids: Rule<Vec<[u8; 16]>>,
    /// IMAGE_ID accepted.
    pub image_ids: Rule<Vec<[u8; 16]>>,
    /// Digests accepted of the key that signed the ID block.
    pub id_keys: Rule<Vec<[u8; 48]>>,
    /// Digests accepted of the key that signed the ID key.
    pub author_keys: Rule<Vec<[u8; 48]>>,
    /// KEY_INFO.AUTHOR_KEY_EN: is there an author key at all?
    pub author_key_used: Rule<Bit>,
    /// What the host said at launch.
    pub host_data: Rule<Vec<[u8; 32]>>,
    /// See [`ReportData`]. What the caller expects is compared even where this is unchecked.
    pub report_data: Rule<ReportData>,
    /// Who may run the virtual TPM of evidence that has one.
    pub vtpm: Rule<Vec<VtpmKind>>,
    /// What the event log of a boot must show.
    pub events: EventPolicy,
    /// Lowest grade of code identity of a bundle or proof; a bare report has none. A test root waives it.
    pub code: Grade,
    /// Does a proof that claims a payment have to show that it was settled, or released for a failed call?
    pub settlement: Need,
}

impl Policy {
    /// Is a verdict without an expectation of REPORT_DATA a rejection?
    pub fn wants_report_data(&self) -> bool {
        matches!(self.report_data, Rule::Check(ReportData::Required))
    }
}

/// One of something for every product.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PerProduct<T> {
    /// Milan.
    pub milan: T,
    /// Genoa, Bergamo, Siena.
    pub genoa: T,
    /// Turin.
    pub turin: T,
}

impl<T> PerProduct<T> {
    /// The one of a product.
    pub fn of(&self, product: Product) -> &T {
        match product {
            Product::Milan => &self.milan,
            Product::Genoa => &self.genoa,
            Product::Turin => &self.turin,
        }
    }
}

/// What the firmware of a product must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FirmwareRules {
    /// Lowest REPORTED_TCB: what the key is derived from.
    pub min_reported_tcb: Rule<Tcb>,
    /// Lowest COMMITTED_TCB: what the host cannot go below.
    pub min_committed_tcb: Rule<Tcb>,
    /// Lowest LAUNCH_TCB: what ran when the guest was launched or imported.
    pub min_launch_tcb: Rule<Tcb>,
    /// Lowest version of the firmware that runs.
    pub min_current_version: Rule<FirmwareVersion>,
    /// Lowest version that the host cannot go below.
    pub min_committed_version: Rule<FirmwareVersion>,
    /// Bits that LAUNCH_MIT_VECTOR must have. Reports before version 5 have no such field and fail.
    pub launch_mitigations: Rule<u64>,
    /// Bits that CURRENT_MIT_VECTOR must have. Reports before version 5 have no such field and fail.
    pub current_mitigations: Rule<u64>,
}

impl FirmwareRules {
    /// Nothing is asked of this product, for one reason.
    pub fn unchecked(reason: &str) -> Self {
        Self {
            min_reported_tcb: Rule::unchecked(reason),
            min_committed_tcb: Rule::unchecked(reason),
            min_launch_tcb: Rule::unchecked(reason),
            min_current_version: Rule::unchecked(reason),
            min_committed_version: Rule::unchecked(reason),
            launch_mitigations: Rule::unchecked(reason),
            current_mitigations: Rule::unchecked(reason),
        }
    }
}

/// Bits of the platform information, which the host's firmware sets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlatformRules {
    /// Bit 0: simultaneous multithreading is on.
    pub smt: Rule<Bit>,
    /// Bit 1: transparent memory encryption is on.
    pub tsme: Rule<Bit>,
    /// Bit 2: memory has ECC.
    pub ecc: Rule<Bit>,
    /// Bit 3: RAPL is off.
    pub rapl_off: Rule<Bit>,
    /// Bit 4: ciphertext hiding is on.
    pub ciphertext_hiding: Rule<Bit>,
    /// Bit 5: memory aliases were looked for (BadRAM, AMD-SB-3015). Reports of version 2 cannot show it and fail where
    /// it is required.
    pub alias_check: Rule<Bit>,
    /// Bit 6: set by real Turins; tinfoil's verifier names it IOMMU_WRITE_SAFE.
    pub iommu_write_safe: Rule<Bit>,
    /// Bit 7: trusted I/O is on; since version 5.
    pub tio: Rule<Bit>,
}

/// Bits of the guest policy, which the guest's owner sets at launch. They are not part of the measurement.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuestRules {
    /// Lowest ABI (major, minor) that the guest's owner must have asked the firmware for.
    pub min_abi: Rule<(u8, u8)>,
    /// Bit 16: simultaneous multithreading is allowed.
    pub smt: Rule<Bit>,
    /// Bit 18: a migration agent may move the guest.
    pub migration_agent: Rule<Bit>,
    /// Bit 19: the host may read and write the guest.
    pub debug: Rule<Bit>,
    /// Bit 20: only on one socket.
    pub single_socket: Rule<Bit>,
    /// Bit 21: CXL devices are allowed.
    pub cxl: Rule<Bit>,
    /// Bit 22: memory encryption must be AES-256-XTS.
    pub aes_256_xts: Rule<Bit>,
    /// Bit 23: RAPL must be off.
    pub rapl_off: Rule<Bit>,
    /// Bit 24: ciphertext hiding must be on.
    pub ciphertext_hiding: Rule<Bit>,
    /// Bit 25: no page swapping by firmware command; since version 5.
    pub page_swap_off: Rule<Bit>,
}
