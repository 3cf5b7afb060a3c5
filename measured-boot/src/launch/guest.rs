//! A guest, and the digest its launch leads to.

use super::{
    GuestFeatures, Image, ImageError, ImageKind, ImageProblem, KernelHashes, LaunchDigest, Machine, SaveArea, Section,
    SectionKind, VcpuCount,
    chain::{Chain, PAGE_BYTES, PageKind, page_hash},
    kernel_hashes::TABLE_BYTES,
};

/// Firmware ends where 32-bit addresses do.
const FIRMWARE_END: u64 = 1 << 32;
/// The longest variable store: that of the longest firmware.
pub const MAX_VARS_BYTES: u64 = 16 << 20;

/// What is started: everything a launch digest depends on.
#[derive(Clone, Debug)]
pub struct Guest<'a> {
    /// OVMF.
    pub firmware: Image<'a>,
    /// The digest of the firmware's pages alone, if somebody else computed it ([`Guest::firmware_digest`]): then only table
    /// and metadata of the firmware are read.
    pub firmware_digest: Option<LaunchDigest>,
    /// Of a kernel that the monitor hands to the firmware with `kernel-hashes=on`.
    pub kernel: Option<KernelHashes>,
    /// By whom.
    pub machine: Machine<'a>,
    /// How many.
    pub vcpus: VcpuCount,
    /// SEV_FEATURES. An SVSM starts with SNP_ACTIVE alone, whatever stands here.
    pub features: GuestFeatures,
}

/// Why there is no digest.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LaunchError {
    /// An image has not what this guest needs.
    #[error("{error}")]
    Image {
        /// Which.
        kind: ImageKind,
        /// What and where.
        error: ImageError,
    },
    /// Variables that are not whole pages, or too many.
    #[error("variables of {bytes} bytes: want whole pages of 4096, at most {MAX_VARS_BYTES}")]
    VarsLength {
        /// Bytes.
        bytes: u64,
    },
    /// An SVSM does not measure a kernel.
    #[error("a guest under an SVSM has no kernel hashes in its measurement")]
    KernelUnderSvsm,
    /// The digest of the firmware alone says nothing where an SVSM lies below it.
    #[error("a digest of the firmware alone cannot be used under an SVSM")]
    FirmwareDigestUnderSvsm,
}

impl LaunchError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Image { error, .. } => error.fix(),
            Self::VarsLength { .. } => "give the length of OVMF_VARS.fd in bytes, 540672 for most builds of 4 MiB",
            Self::KernelUnderSvsm => "leave kernel, initrd and command line out",
            Self::FirmwareDigestUnderSvsm => "give the firmware itself",
        }
    }

    pub(crate) fn firmware(error: ImageError) -> Self {
        Self::Image { kind: ImageKind::Firmware, error }
    }

    pub(crate) fn svsm(error: ImageError) -> Self {
        Self::Image { kind: ImageKind::Svsm, error }
    }
}

impl<'a> Guest<'a> {
    /// Without a kernel, with SNP and no other feature.
    pub fn new(firmware: Image<'a>, machine: Machine<'a>, vcpus: VcpuCount) -> Self {
        Self { firmware, firmware_digest: None, kernel: None, machine, vcpus, features: GuestFeatures::SNP_ACTIVE }
    }

    /// What MEASUREMENT of this guest's reports will be.
    ///
    /// # Errors
    /// An image has not what this guest needs, or two things exclude each other.
    pub fn launch_digest(&self) -> Result<LaunchDigest, LaunchError> {
        let (first, other) = self.save_areas()?;
        let mut chain = self.before_vcpus()?;
        add_vcpus(&mut chain, &page_hash(first.as_bytes()), &page_hash(other.as_bytes()), self.vcpus);
        Ok(chain.digest())
    }

    /// The digest of the firmware's pages alone (`snp:ovmf-hash` of sev-snp-measure).
    pub fn firmware_digest(firmware: &Image<'_>) -> LaunchDigest {
        with_firmware(firmware).digest()
    }

    /// The registers of the first vCPU, and those of every other one.
    ///
    /// # Errors
    /// More than one vCPU and the firmware does not say where they start; an SVSM that does not say where it does.
    pub fn save_areas(&self) -> Result<(SaveArea, SaveArea), LaunchError> {
        let (features, entry) = match &self.machine {
            Machine::Svsm { image, vars_bytes, .. } => {
                let base = svsm_base(&self.firmware, image, *vars_bytes)?;
                let entry = image.svsm_entry().ok_or_else(|| LaunchError::svsm(image.without_svsm_info()))?;
                let entry = u32::try_from(base.saturating_add(u64::from(entry)));
                let entry = entry.map_err(|_| LaunchError::svsm(image.without_svsm_info()))?;
                (GuestFeatures::SNP_ACTIVE, entry)
            }
            _ => match self.firmware.reset_eip() {
                Some(entry) => (self.features, entry),
                None if self.vcpus.number() == 1 => (self.features, 0),
                None => return Err(LaunchError::firmware(self.firmware.without_reset_block())),
            },
        };
        let first = SaveArea::first(&self.machine, features, entry);
        Ok((first, SaveArea::other(&self.machine, features, entry)))
    }

    /// The chain up to the first vCPU's registers.
    fn before_vcpus(&self) -> Result<Chain, LaunchError> {
        if let Machine::Svsm { image, vars_bytes, .. } = &self.machine {
            if self.kernel.is_some() {
                return Err(LaunchError::KernelUnderSvsm);
            }
            if self.firmware_digest.is_some() {
                return Err(LaunchError::FirmwareDigestUnderSvsm);
            }
            let base = svsm_base(&self.firmware, image, *vars_bytes)?;
            let mut chain = with_firmware(&self.firmware);
            chain.add_contents(base, image.bytes());
            add_sections(&mut chain, image, None, &self.machine).map_err(LaunchError::svsm)?;
            return Ok(chain);
        }
        let mut chain = match self.firmware_digest {
            Some(digest) => Chain::resume(digest),
            None => with_firmware(&self.firmware),
        };
        add_sections(&mut chain, &self.firmware, self.kernel.as_ref(), &self.machine).map_err(LaunchError::firmware)?;
        Ok(chain)
    }
}

/// A chain of the firmware's pages.
pub(crate) fn with_firmware(firmware: &Image<'_>) -> Chain {
    let mut chain = Chain::new();
    let bytes = firmware.bytes();
    chain.add_contents(FIRMWARE_END.saturating_sub(length(bytes)), bytes);
    chain
}

/// The pages that the metadata of `image` ask for.
pub(crate) fn add_sections(
    chain: &mut Chain,
    image: &Image<'_>,
    kernel: Option<&KernelHashes>,
    machine: &Machine<'_>,
) -> Result<(), ImageError> {
    let kernel_page = match kernel {
        Some(kernel) => Some(kernel_page(image, kernel)?),
        None => None,
    };
    let (is_ec2, is_gce) = (matches!(machine, Machine::Ec2 { .. }), matches!(machine, Machine::Gce));
    for Section { kind, gpa, length } in image.sections() {
        let (gpa, length) = (u64::from(*gpa), *length);
        match kind {
            SectionKind::SecMem if is_gce => chain.add_empty(PageKind::Unmeasured, gpa, length),
            SectionKind::SecMem | SectionKind::SvsmCallingArea => chain.add_empty(PageKind::Zero, gpa, length),
            SectionKind::Secrets => chain.add_empty(PageKind::Secrets, gpa, length),
            SectionKind::Cpuid if is_ec2 => {}
            SectionKind::Cpuid => chain.add_empty(PageKind::Cpuid, gpa, length),
            SectionKind::KernelHashes => match &kernel_page {
                Some(page) => chain.add_contents(gpa, page),
                None => chain.add_empty(PageKind::Zero, gpa, length),
            },
        }
    }
    if is_ec2 {
        for section in image.sections().iter().filter(|section| section.kind == SectionKind::Cpuid) {
            chain.add_empty(PageKind::Cpuid, u64::from(section.gpa), section.length);
        }
    }
    Ok(())
}

/// The first vCPU's page and those of the others.
fn add_vcpus(chain: &mut Chain, first: &[u8; 48], other: &[u8; 48], vcpus: VcpuCount) {
    chain.add_save_area(first);
    for _ in 1..vcpus.number() {
        chain.add_save_area(other);
    }
}

fn kernel_page(image: &Image<'_>, kernel: &KernelHashes) -> Result<[u8; PAGE_BYTES], ImageError> {
    if !image.sections().iter().any(|section| section.kind == SectionKind::KernelHashes) {
        return Err(ImageError::new(image.metadata_offset(), ImageProblem::NoKernelHashes));
    }
    let table = image.hash_table().ok_or_else(|| image.without_hash_table())?;
    let offset = usize::try_from(table.base).unwrap_or(usize::MAX) % PAGE_BYTES;
    let is_large_enough = table.base != 0 && usize::try_from(table.length).is_ok_and(|length| length >= TABLE_BYTES);
    kernel.page(offset).filter(|_| is_large_enough).ok_or_else(|| {
        let problem = ImageProblem::HashTablePlace { base: table.base, length: table.length };
        ImageError::new(image.hash_table_offset(), problem)
    })
}

/// Where the SVSM begins: below the variables, which lie below the firmware.
pub(crate) fn svsm_base(firmware: &Image<'_>, svsm: &Image<'_>, vars_bytes: u64) -> Result<u64, LaunchError> {
    let page = u64::try_from(PAGE_BYTES).unwrap_or(u64::MAX);
    if vars_bytes > MAX_VARS_BYTES || !vars_bytes.is_multiple_of(page) {
        return Err(LaunchError::VarsLength { bytes: vars_bytes });
    }
    // Three parts of at most 16 MiB each.
    let above = length(firmware.bytes()) + vars_bytes + length(svsm.bytes());
    Ok(FIRMWARE_END.saturating_sub(above))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
