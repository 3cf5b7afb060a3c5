//! The launch digest: what an SEV-SNP report calls MEASUREMENT, predicted from files alone.
//!
//! The secure processor hashes each page that the virtual machine monitor hands it, with its address and kind, into a
//! chain of SHA-384 (AMD 56860, SNP_LAUNCH_UPDATE, "PAGE_INFO"). The order is that of the monitor: firmware, the pages that
//! its metadata names, one page of registers for each vCPU. Whoever has the firmware and knows the monitor's start state can
//! say the digest beforehand; it does not depend on the processor the guest runs on.
//!
//! ```
//! use measured_boot::launch::{Guest, Image, Machine, VcpuCount, VcpuType};
//!
//! # let firmware = include_bytes!("../../../tests/vectors/registry/sev-8.0.0/ovmf_AmdSev_suffix.bin");
//! let vcpu = VcpuType::from_name("EPYC-v4")?.signature();
//! let guest = Guest::new(Image::parse(firmware)?, Machine::Qemu { vcpu }, VcpuCount::new(2)?);
//! assert_eq!(guest.launch_digest()?.to_string().len(), 96);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod digest;
mod explain;
mod guest;
mod image;
mod image_error;
mod kernel_hashes;
mod machine;
mod save_area;
mod vcpu;

pub use chain::{Chain, PAGE_BYTES, PageKind};
pub use digest::{LaunchDigest, LaunchDigestError};
pub use explain::{Boot, Explanation, Found, Question, Tried};
pub use guest::{Guest, LaunchError, MAX_VARS_BYTES};
pub use image::{HashTable, Image, MAX_IMAGE_BYTES, MAX_SECTION_BYTES, MAX_SECTIONS, Section, SectionKind};
pub use image_error::{ImageError, ImageKind, ImageProblem};
pub use kernel_hashes::{KernelHashes, Sha256Digest};
pub use machine::{Ec2Rdx, Machine};
pub use save_area::SaveArea;
pub use vcpu::{
    GuestFeatures, GuestFeaturesError, MAX_VCPUS, SignaturePart, UnknownVcpuType, VcpuCount, VcpuCountError,
    VcpuSignature, VcpuSignatureError, VcpuType,
};
