//! SEV-SNP attestation report: AMD 56860 rev 1.58, table 23. 1184 bytes, little-endian, 0x000..0x2A0 signed with ECDSA
//! P-384 over SHA-384, R and S little-endian in 72 bytes each.

use p384::ecdsa::{Signature, SigningKey, signature::Signer};

use crate::{ChipId, Product, Tcb, VekKind};

/// Length of a report, in bytes.
pub const REPORT_LENGTH: usize = 0x4A0;

/// Length of its signed part, in bytes.
pub const SIGNED_LENGTH: usize = 0x2A0;

/// The signed part before it is signed. Fields may be overwritten to make what no honest processor makes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Body(pub [u8; SIGNED_LENGTH]);

impl Body {
    /// Overwrites bytes from `offset`; what would not fit is left out.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        for (slot, byte) in self.0.iter_mut().skip(offset).zip(bytes) {
            *slot = *byte;
        }
    }
}

/// Everything a report can say.
#[derive(Clone, Debug)]
pub struct ReportRequest {
    /// 2 to 5.
    pub version: u32,
    /// Decides the layout of firmware levels and the CPUID bytes.
    pub product: Product,
    /// Caller's 64 bytes.
    pub report_data: [u8; 64],
    /// 0 to 3; `u32::MAX` when the host asks.
    pub vmpl: u32,
    /// Guest policy, table 10.
    pub policy: u64,
    /// GUEST_SVN.
    pub guest_svn: u32,
    /// FAMILY_ID.
    pub family_id: [u8; 16],
    /// IMAGE_ID.
    pub image_id: [u8; 16],
    /// PLATFORM_INFO bits.
    pub platform_info: u64,
    /// MASK_CHIP_KEY: the signature is zero then.
    pub mask_chip_key: bool,
    /// Launch digest.
    pub measurement: [u8; 48],
    /// HOST_DATA.
    pub host_data: [u8; 32],
    /// ID_KEY_DIGEST.
    pub id_key_digest: [u8; 48],
    /// AUTHOR_KEY_DIGEST; AUTHOR_KEY_EN says that there is one.
    pub author_key_digest: Option<[u8; 48]>,
    /// REPORT_ID, the same for all reports of one run of a guest.
    pub report_id: [u8; 32],
    /// REPORTED_TCB, from which the endorsement key is derived; CURRENT, COMMITTED and LAUNCH are set alike.
    pub tcb: Tcb,
    /// CHIP_ID.
    pub chip_id: ChipId,
    /// Firmware build, minor, major.
    pub firmware: [u8; 3],
    /// LAUNCH_MIT_VECTOR and CURRENT_MIT_VECTOR (version 5).
    pub mitigations: u64,
    /// Which key signs.
    pub signer: VekKind,
}

impl ReportRequest {
    /// A well-behaved guest at VMPL 0: no debugging, no migration, SMT allowed, alias check done where it can be shown.
    pub fn new(product: Product, version: u32, chip_id: ChipId, report_data: [u8; 64]) -> Self {
        Self {
            version,
            product,
            report_data,
            vmpl: 0,
            policy: 0x3_0000,
            guest_svn: 0,
            family_id: [0; 16],
            image_id: [0; 16],
            platform_info: match (version, product) {
                (..=2, _) => 0x01,
                // Real Turin reports set bit 6 as well.
                (_, Product::Turin) => 0x65,
                _ => 0x25,
            },
            mask_chip_key: false,
            measurement: [0; 48],
            host_data: [0; 32],
            id_key_digest: [0; 48],
            author_key_digest: None,
            report_id: [0; 32],
            tcb: Tcb::recent(product),
            chip_id,
            firmware: if version <= 2 { [4, 52, 1] } else { [29, 55, 1] },
            mitigations: if version >= 5 { 0x3F } else { 0 },
            signer: VekKind::Vcek,
        }
    }

    /// The signed part.
    pub fn body(&self) -> Body {
        let mut body = Body([0; SIGNED_LENGTH]);
        let tcb = self.tcb.bytes(self.product);
        body.put(0x000, &self.version.to_le_bytes());
        body.put(0x004, &self.guest_svn.to_le_bytes());
        body.put(0x008, &self.policy.to_le_bytes());
        body.put(0x010, &self.family_id);
        body.put(0x020, &self.image_id);
        body.put(0x030, &self.vmpl.to_le_bytes());
        body.put(0x034, &1u32.to_le_bytes());
        body.put(0x038, &tcb);
        body.put(0x040, &self.platform_info.to_le_bytes());
        body.put(0x048, &self.key_info().to_le_bytes());
        body.put(0x050, &self.report_data);
        body.put(0x090, &self.measurement);
        body.put(0x0C0, &self.host_data);
        body.put(0x0E0, &self.id_key_digest);
        body.put(0x110, &self.author_key_digest.unwrap_or([0; 48]));
        body.put(0x140, &self.report_id);
        body.put(0x160, &[0xFF; 32]);
        body.put(0x180, &tcb);
        if self.version >= 3 {
            body.put(0x188, &self.product.cpuid());
        }
        body.put(0x1A0, &self.chip_id.0);
        body.put(0x1E0, &tcb);
        body.put(0x1E8, &self.firmware);
        body.put(0x1EC, &self.firmware);
        body.put(0x1F0, &tcb);
        if self.version >= 5 {
            body.put(0x1F8, &self.mitigations.to_le_bytes());
            body.put(0x200, &self.mitigations.to_le_bytes());
        }
        body
    }

    fn key_info(&self) -> u32 {
        let signer = match self.signer {
            VekKind::Vcek => 0,
            VekKind::Vlek => 1,
        };
        u32::from(self.author_key_digest.is_some()) | u32::from(self.mask_chip_key) << 1 | signer << 2
    }
}

/// An endorsement key with its certificate.
pub struct Vek {
    kind: VekKind,
    key: SigningKey,
    der: Vec<u8>,
}

impl Vek {
    /// A key with any certificate, also one that is not its own.
    pub fn new(kind: VekKind, key: SigningKey, der: Vec<u8>) -> Self {
        Self { kind, key, der }
    }

    /// Chip or provider.
    pub fn kind(&self) -> VekKind {
        self.kind
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// A report over any body; ECDSA by RFC 6979, so the same body gives the same bytes.
    pub fn sign(&self, body: &Body) -> [u8; REPORT_LENGTH] {
        let signature: Signature = self.key.sign(&body.0);
        let (r, s) = signature.split_bytes();
        let mut report = unsigned(body);
        for (offset, number) in [(0x2A0, r), (0x2E8, s)] {
            for (slot, byte) in report.iter_mut().skip(offset).zip(number.iter().rev()) {
                *slot = *byte;
            }
        }
        report
    }
}

/// A report with a zero signature, as MASK_CHIP_KEY gives it.
pub(crate) fn unsigned(body: &Body) -> [u8; REPORT_LENGTH] {
    let mut report = [0; REPORT_LENGTH];
    report.split_at_mut(SIGNED_LENGTH).0.copy_from_slice(&body.0);
    report
}
