//! What firmware starts: PE images, and among them unified kernel images and kernels.

pub(crate) mod linux;
pub(crate) mod pe;
pub(crate) mod qemu;
pub(crate) mod uki;

pub use linux::Kernel;
pub use pe::{MAX_IMAGE_BYTES, MAX_SECTION_ZEROS, MAX_SECTIONS, Pe, PeError, PeProblem, Section};
pub use uki::{Phase, StubVersion, Uki, UkiError};
