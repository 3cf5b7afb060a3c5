//! SEV-SNP attestation report: AMD 56860 rev 1.58, table 23. 1184 bytes, little-endian, 0x000–0x29F signed.
//!
//! The bytes are borrowed as received and never re-encoded. [`SignedReport`] looks only at what the signature does not
//! cover; [`Report`] reads the fields, and is meant to be read after the signature has been verified.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::{
    BadSignature, Chain, Crypto, FirmwareVersion, Product, Tcb, Unverified, VekKind, Verified,
    snp::bits::{GuestPolicy, PlatformInfo},
};

/// Bytes of a report, and of its signed part.
const LENGTH: usize = 0x4A0;
const SIGNED: usize = 0x2A0;

/// A report whose length and unsigned bytes are in order; nothing else has been looked at.
#[derive(Clone, Copy)]
pub struct SignedReport<'a> {
    bytes: &'a [u8; LENGTH],
}

impl<'a> SignedReport<'a> {
    /// Bytes of a report.
    pub const LENGTH: usize = LENGTH;
    /// Bytes of it that are signed, from the start.
    pub const SIGNED: usize = SIGNED;

    /// Checks the length and that everything outside signature and signed part is zero: a signature does not cover
    /// these bytes, so whoever holds a report could write there.
    ///
    /// # Errors
    /// [`ReportError::Length`], [`ReportError::Unsigned`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ReportError> {
        let report = Self { bytes: bytes.try_into().map_err(|_| ReportError::Length { found: bytes.len() })? };
        // R and S have 72 bytes each, of which P-384 fills 48. After them nothing follows.
        let covered = |offset: usize| offset < 0x2D0 || (0x2E8..0x318).contains(&offset);
        match bytes.iter().enumerate().find(|(offset, byte)| !covered(*offset) && **byte != 0) {
            Some((offset, _)) => Err(ReportError::Unsigned { offset }),
            None => Ok(report),
        }
    }

    /// The report as received.
    pub fn bytes(&self) -> &'a [u8; LENGTH] {
        self.bytes
    }

    /// The signed bytes.
    pub fn signed_bytes(&self) -> &'a [u8; SIGNED] {
        self.at::<0, SIGNED>()
    }

    /// SHA-256 of the signed bytes. Both S and n − S verify, so a hash over all 1184 bytes names nothing.
    pub fn evidence_id(&self) -> EvidenceId {
        EvidenceId(Sha256::digest(self.signed_bytes()).into())
    }

    /// R ‖ S, 48 bytes each, big-endian.
    fn signature(&self) -> [u8; 96] {
        let mut signature = [0; 96];
        let (r, s) = signature.split_at_mut(48);
        r.copy_from_slice(self.at::<0x2A0, 48>());
        s.copy_from_slice(self.at::<0x2E8, 48>());
        r.reverse();
        s.reverse();
        signature
    }

    fn at<const OFFSET: usize, const N: usize>(&self) -> &'a [u8; N] {
        const { assert!(OFFSET + N <= LENGTH) };
        #[expect(clippy::expect_used, reason = "checked when compiling, one line above")]
        self.bytes.split_at(OFFSET).1.first_chunk().expect("inside the report")
    }

    fn u32_at<const OFFSET: usize>(&self) -> u32 {
        u32::from_le_bytes(*self.at::<OFFSET, 4>())
    }

    fn u64_at<const OFFSET: usize>(&self) -> u64 {
        u64::from_le_bytes(*self.at::<OFFSET, 8>())
    }

    fn zero<const OFFSET: usize, const N: usize>(&self) -> Result<(), ReportError> {
        match self.at::<OFFSET, N>().iter().position(|byte| *byte != 0) {
            None => Ok(()),
            Some(at) => Err(ReportError::Reserved { offset: OFFSET + at }),
        }
    }
}

impl fmt::Debug for SignedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedReport({})", self.evidence_id())
    }
}

impl<'a> Unverified<SignedReport<'a>> {
    /// ECDSA P-384 with SHA-384 over the bytes as received, before any field is believed.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(
        self,
        chain: &Verified<Chain<'_>>,
        crypto: &impl Crypto,
    ) -> Result<Verified<AttributedReport<'a>>, SignatureError> {
        let report = self.0;
        let signature = report.signature();
        if signature == [0; 96] {
            return Err(SignatureError::Absent);
        }
        crypto
            .ecdsa_p384_sha384(chain.vek().point(), report.signed_bytes(), &signature)
            .map_err(|BadSignature| SignatureError::Mismatch)?;
        Ok(Verified::by_check(AttributedReport { report, product: chain.product() }))
    }
}

/// A report and the product whose key signed it: the same bits mean other things on another product.
#[derive(Clone, Copy, Debug)]
pub struct AttributedReport<'a> {
    report: SignedReport<'a>,
    product: Product,
}

impl AttributedReport<'_> {
    /// The product of the chain that signed.
    pub fn product(&self) -> Product {
        self.product
    }
}

impl<'a> Verified<AttributedReport<'a>> {
    /// Reads the fields of a signed report.
    ///
    /// # Errors
    /// [`ReportError`]: a version, bit or reserved byte we do not know, or a product other than the chain's.
    pub fn decode(&self) -> Result<Verified<Report<'a>>, ReportError> {
        Report::decode(self.report, self.product).map(Verified::by_check)
    }
}

/// The fields of a report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    signed: SignedReport<'a>,
    product: Product,
    version: u32,
    vmpl: Vmpl,
    key_info: KeyInfo,
    current: Tcb,
    reported: Tcb,
    committed: Tcb,
    launch: Tcb,
}

/// Who asked for the report.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vmpl {
    /// The guest, at this privilege level, 0–3.
    Guest(u8),
    /// The host (0xFFFFFFFF).
    Host,
}

impl fmt::Display for Vmpl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guest(level) => write!(f, "VMPL {level}"),
            Self::Host => f.write_str("the host"),
        }
    }
}

/// KEY_INFO, offset 0x048.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyInfo {
    /// Bit 0: AUTHOR_KEY_DIGEST holds one.
    pub author_key: bool,
    /// Bit 1: the firmware was told not to sign.
    pub mask_chip_key: bool,
    /// Bits 4:2, `None` for 7: nothing signs.
    pub signing_key: Option<VekKind>,
}

impl<'a> Report<'a> {
    /// The strict reading: every reserved bit and byte is zero, version and algorithm are known, CPUID and the chain
    /// name the same product.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn decode(signed: SignedReport<'a>, product: Product) -> Result<Self, ReportError> {
        let (version, by_cpuid) = check_fields(&signed)?;
        match by_cpuid {
            Some(found) if found != product => return Err(ReportError::Product { chain: product, found }),
            Some(_) => {}
            // Version 2 has no CPUID, and Turin lays its TCB out differently: which layout did the firmware mean?
            None if product == Product::Turin => return Err(ReportError::AmbiguousTurin),
            None => {}
        }
        let tcb = |bytes: &[u8; 8], offset| Tcb::decode(product, *bytes).ok_or(ReportError::Reserved { offset });
        Ok(Self {
            signed,
            product,
            version,
            vmpl: vmpl(&signed)?,
            key_info: key_info(&signed)?,
            current: tcb(signed.at::<0x038, 8>(), 0x038)?,
            reported: tcb(signed.at::<0x180, 8>(), 0x180)?,
            committed: tcb(signed.at::<0x1E0, 8>(), 0x1E0)?,
            launch: tcb(signed.at::<0x1F0, 8>(), 0x1F0)?,
        })
    }

    /// For a report that nothing vouches for: are the fields at least well-formed? Gives the product where the report
    /// names one.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn check_shape(signed: &SignedReport<'_>) -> Result<Option<Product>, ReportError> {
        let (_, product) = check_fields(signed)?;
        vmpl(signed)?;
        key_info(signed)?;
        Ok(product)
    }

    /// The report these fields were read from.
    pub fn signed(&self) -> &SignedReport<'a> {
        &self.signed
    }
    /// The chain's product, with which CPUID agrees where the report has it.
    pub fn product(&self) -> Product {
        self.product
    }
    /// VERSION, offset 0x000: 2 to 5.
    pub fn version(&self) -> u32 {
        self.version
    }
    /// GUEST_SVN, offset 0x004.
    pub fn guest_svn(&self) -> u32 {
        self.signed.u32_at::<0x004>()
    }
    /// POLICY, offset 0x008.
    pub fn policy(&self) -> GuestPolicy {
        GuestPolicy(self.signed.u64_at::<0x008>())
    }
    /// FAMILY_ID, offset 0x010.
    pub fn family_id(&self) -> &'a [u8; 16] {
        self.signed.at::<0x010, 16>()
    }
    /// IMAGE_ID, offset 0x020.
    pub fn image_id(&self) -> &'a [u8; 16] {
        self.signed.at::<0x020, 16>()
    }
    /// VMPL, offset 0x030.
    pub fn vmpl(&self) -> Vmpl {
        self.vmpl
    }
    /// CURRENT_TCB, offset 0x038: the firmware that runs.
    pub fn current_tcb(&self) -> Tcb {
        self.current
    }
    /// PLATFORM_INFO, offset 0x040.
    pub fn platform_info(&self) -> PlatformInfo {
        PlatformInfo(self.signed.u64_at::<0x040>())
    }
    /// KEY_INFO, offset 0x048.
    pub fn key_info(&self) -> KeyInfo {
        self.key_info
    }
    /// REPORT_DATA, offset 0x050: what the guest wanted signed.
    pub fn report_data(&self) -> &'a [u8; 64] {
        self.signed.at::<0x050, 64>()
    }
    /// MEASUREMENT, offset 0x090: launch digest, SHA-384.
    pub fn measurement(&self) -> &'a [u8; 48] {
        self.signed.at::<0x090, 48>()
    }
    /// HOST_DATA, offset 0x0C0: what the host said at launch.
    pub fn host_data(&self) -> &'a [u8; 32] {
        self.signed.at::<0x0C0, 32>()
    }
    /// ID_KEY_DIGEST, offset 0x0E0: SHA-384 of the key that signed the ID block, zero without one.
    pub fn id_key_digest(&self) -> &'a [u8; 48] {
        self.signed.at::<0x0E0, 48>()
    }
    /// AUTHOR_KEY_DIGEST, offset 0x110.
    pub fn author_key_digest(&self) -> &'a [u8; 48] {
        self.signed.at::<0x110, 48>()
    }
    /// REPORT_ID, offset 0x140: random, the same for the life of the guest.
    pub fn report_id(&self) -> &'a [u8; 32] {
        self.signed.at::<0x140, 32>()
    }
    /// REPORTED_TCB, offset 0x180: the one the VEK is derived from.
    pub fn reported_tcb(&self) -> Tcb {
        self.reported
    }
    /// CPUID family, model and stepping, offset 0x188; since version 3.
    pub fn cpuid(&self) -> Option<[u8; 3]> {
        (self.version >= 3).then(|| *self.signed.at::<0x188, 3>())
    }
    /// CHIP_ID, offset 0x1A0; zero if masked.
    pub fn chip_id(&self) -> &'a [u8; 64] {
        self.signed.at::<0x1A0, 64>()
    }
    /// COMMITTED_TCB, offset 0x1E0: the host cannot go below it any more.
    pub fn committed_tcb(&self) -> Tcb {
        self.committed
    }
    /// CURRENT_BUILD, MINOR and MAJOR, offset 0x1E8: the firmware that runs.
    pub fn current_version(&self) -> FirmwareVersion {
        FirmwareVersion::decode(*self.signed.at::<0x1E8, 3>())
    }
    /// COMMITTED_BUILD, MINOR and MAJOR, offset 0x1EC.
    pub fn committed_version(&self) -> FirmwareVersion {
        FirmwareVersion::decode(*self.signed.at::<0x1EC, 3>())
    }
    /// LAUNCH_TCB, offset 0x1F0: when the guest was launched or imported.
    pub fn launch_tcb(&self) -> Tcb {
        self.launch
    }
    /// LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR, offsets 0x1F8 and 0x200; since version 5.
    pub fn mitigations(&self) -> Option<(u64, u64)> {
        (self.version >= 5).then(|| (self.signed.u64_at::<0x1F8>(), self.signed.u64_at::<0x200>()))
    }
    /// True if CHIP_ID is zero: masked by the host, and always so under a VLEK.
    pub fn chip_id_masked(&self) -> bool {
        self.chip_id().iter().all(|byte| *byte == 0)
    }
}

/// Version and CPUID product; refuses every bit and byte that is not known.
fn check_fields(report: &SignedReport<'_>) -> Result<(u32, Option<Product>), ReportError> {
    let version = report.u32_at::<0x000>();
    if !(2..=5).contains(&version) {
        return Err(ReportError::Version { found: version });
    }
    let algorithm = report.u32_at::<0x034>();
    if algorithm != 1 {
        return Err(ReportError::Algorithm { found: algorithm });
    }
    GuestPolicy(report.u64_at::<0x008>())
        .check_reserved(version)
        .map_err(|bit| ReportError::Bit { field: "POLICY", bit })?;
    PlatformInfo(report.u64_at::<0x040>())
        .check_reserved(version)
        .map_err(|bit| ReportError::Bit { field: "PLATFORM_INFO", bit })?;
    report.zero::<0x04C, 4>()?;
    report.zero::<0x18B, 21>()?;
    report.zero::<0x1EB, 1>()?;
    report.zero::<0x1EF, 1>()?;
    report.zero::<0x208, 152>()?;
    if version < 5 {
        report.zero::<0x1F8, 16>()?;
    }
    if version == 2 {
        report.zero::<0x188, 3>()?;
        return Ok((version, None));
    }
    let [family, model, stepping] = *report.at::<0x188, 3>();
    let product = Product::from_cpuid(family, model).ok_or(if Product::is_venice(family, model) {
        ReportError::Venice { model, stepping }
    } else {
        ReportError::Cpuid { family, model, stepping }
    })?;
    Ok((version, Some(product)))
}

fn vmpl(report: &SignedReport<'_>) -> Result<Vmpl, ReportError> {
    match report.u32_at::<0x030>() {
        u32::MAX => Ok(Vmpl::Host),
        level => match u8::try_from(level) {
            Ok(level @ 0..=3) => Ok(Vmpl::Guest(level)),
            _ => Err(ReportError::Vmpl { found: level }),
        },
    }
}

fn key_info(report: &SignedReport<'_>) -> Result<KeyInfo, ReportError> {
    let bits = report.u32_at::<0x048>();
    if let Some(bit) = (5..32).find(|bit| bits >> bit & 1 == 1) {
        return Err(ReportError::Bit { field: "KEY_INFO", bit });
    }
    let signing_key = match bits >> 2 & 7 {
        0 => Some(VekKind::Vcek),
        1 => Some(VekKind::Vlek),
        7 => None,
        found => return Err(ReportError::SigningKey { found }),
    };
    Ok(KeyInfo { author_key: bits & 1 == 1, mask_chip_key: bits >> 1 & 1 == 1, signing_key })
}

/// SHA-256 of a report's signed bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EvidenceId(pub [u8; 32]);

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Bytes that are no report we know.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// Not 1184 bytes.
    #[error("report: {found} bytes, a report has 1184")]
    Length {
        /// Bytes received.
        found: usize,
    },
    /// A byte that no signature covers is not zero.
    #[error("report, offset {offset:#05x}: must be zero, the signature does not cover it")]
    Unsigned {
        /// The first such byte.
        offset: usize,
    },
    /// A version outside 2–5.
    #[error("report.VERSION: {found}, known are 2 to 5")]
    Version {
        /// As found.
        found: u32,
    },
    /// Not ECDSA P-384 with SHA-384.
    #[error("report.SIGNATURE_ALGO: {found}, known is 1 (ECDSA P-384 with SHA-384)")]
    Algorithm {
        /// As found.
        found: u32,
    },
    /// A bit without a meaning in this version is set.
    #[error("report.{field}: bit {bit} is set, which has no meaning in this version")]
    Bit {
        /// The field.
        field: &'static str,
        /// The lowest such bit.
        bit: u32,
    },
    /// A reserved byte is not zero.
    #[error("report, offset {offset:#05x}: reserved byte is not zero")]
    Reserved {
        /// The byte, or the field that holds it.
        offset: usize,
    },
    /// Neither 0–3 nor the host's value.
    #[error("report.VMPL: {found:#x}, known are 0 to 3 and 0xffffffff")]
    Vmpl {
        /// As found.
        found: u32,
    },
    /// SIGNING_KEY is not VCEK, VLEK or none.
    #[error("report.KEY_INFO.SIGNING_KEY: {found}, known are 0 (VCEK), 1 (VLEK) and 7 (none)")]
    SigningKey {
        /// As found.
        found: u32,
    },
    /// A processor we have no layout for.
    #[error("report.CPUID: family {family:#x} model {model:#x} stepping {stepping} is no product we know")]
    Cpuid {
        /// CPUID family, extended and base combined.
        family: u8,
        /// CPUID model, extended and base combined.
        model: u8,
        /// CPUID stepping.
        stepping: u8,
    },
    /// A processor of which too little is known to judge its reports.
    #[error(
        "report.CPUID: family 0x1a model {model:#x} stepping {stepping} is a Venice; missing here are AMD's root \
         certificate (ARK-Venice) and the layout of its TCB_VERSION"
    )]
    Venice {
        /// CPUID model, extended and base combined.
        model: u8,
        /// CPUID stepping.
        stepping: u8,
    },
    /// Chain and report name different products.
    #[error("report.CPUID: the report is from {found}, its certificate chain is of {chain}")]
    Product {
        /// The product of the certificate chain.
        chain: Product,
        /// The product by CPUID.
        found: Product,
    },
    /// Version 2 cannot say how Turin's TCB is laid out.
    #[error("report.VERSION: 2, under a Turin chain: the layout of its TCB fields is ambiguous")]
    AmbiguousTurin,
}

impl ReportError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Length { .. } => "give the raw 1184-byte report, the ioctl response or the Azure HCL blob, unchanged",
            Self::Unsigned { .. } | Self::Reserved { .. } => "fetch the report again; do not edit or re-encode it",
            Self::Version { .. } | Self::Algorithm { .. } | Self::Bit { .. } | Self::Vmpl { .. } => {
                "if newer firmware made this report, use a newer verifier"
            }
            Self::SigningKey { .. } | Self::Cpuid { .. } | Self::Venice { .. } => {
                "if a newer processor made this report, use a newer verifier"
            }
            Self::Product { .. } => "give the endorsement certificate of the processor that made the report",
            Self::AmbiguousTurin => "ask the guest for a report of version 3 or later (newer SNP firmware)",
        }
    }
}

/// The report is not signed by the chain's key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// R and S are zero: the host set MASK_CHIP_KEY.
    #[error("report.SIGNATURE: zero, the firmware was told not to sign (MASK_CHIP_KEY)")]
    Absent,
    /// The signature is not by this key over these bytes.
    #[error("report.SIGNATURE: not by the key of this certificate over these bytes")]
    Mismatch,
}

impl SignatureError {
    /// What to do about it.
    pub fn fix(self) -> &'static str {
        match self {
            Self::Absent => "the host must clear MASK_CHIP_KEY; without a signature there is no evidence",
            Self::Mismatch => "give the certificate of the chip and TCB that made the report, and the report unchanged",
        }
    }
}
