//! Why an image cannot be measured.

use std::fmt;

use super::image::{MAX_IMAGE_BYTES, MAX_SECTION_BYTES, MAX_SECTIONS};

/// Which of the images.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImageKind {
    /// OVMF.
    Firmware,
    /// COCONUT-SVSM.
    Svsm,
}

/// What is wrong with an image, and where in the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ImageError {
    /// From the beginning of the file, bytes.
    pub offset: usize,
    /// What was found there.
    pub problem: ImageProblem,
}

/// What is wrong with an image.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ImageProblem {
    /// Longer than [`MAX_IMAGE_BYTES`].
    TooLong,
    /// Not a number of whole pages.
    NotWholePages {
        /// Bytes.
        length: usize,
    },
    /// The table that OVMF ends with is not there.
    NoTable,
    /// The table's own length cannot be.
    TableLength {
        /// Bytes it says.
        length: usize,
        /// Bytes there are before it.
        available: usize,
    },
    /// An entry's length cannot be.
    EntryLength {
        /// Bytes it says.
        length: usize,
        /// Bytes left of the table.
        available: usize,
    },
    /// An entry that stands there twice: firmware and monitor could read different ones.
    EntryTwice {
        /// Which.
        entry: &'static str,
    },
    /// An entry that is needed here and is not in the table.
    NoEntry {
        /// Which.
        entry: &'static str,
    },
    /// An entry too short for its kind.
    EntryShort {
        /// Which.
        entry: &'static str,
        /// Bytes.
        length: usize,
        /// Bytes it has to have.
        want: usize,
    },
    /// The metadata lie outside the file.
    MetadataOutside {
        /// Bytes from the file's end at which they should begin.
        from_end: u32,
    },
    /// The metadata do not begin with `ASEV`.
    MetadataSignature,
    /// Metadata of a version we do not know.
    MetadataVersion(u32),
    /// The metadata's length does not hold its sections, or passes the end of the file.
    MetadataLength {
        /// Bytes it says.
        length: u32,
        /// Sections it says.
        sections: u32,
    },
    /// More than [`MAX_SECTIONS`].
    TooManySections(u32),
    /// A section of a kind that neither QEMU nor we know.
    SectionKind(u32),
    /// A section that does not begin and end at a page.
    SectionNotPages {
        /// Guest address.
        gpa: u32,
        /// Bytes.
        length: u32,
    },
    /// A secrets or CPUID section that is not one page.
    SectionNotOnePage {
        /// Bytes.
        length: u32,
    },
    /// A section past the end of the 32-bit addresses.
    SectionPastEnd {
        /// Guest address.
        gpa: u32,
        /// Bytes.
        length: u32,
    },
    /// Sections of more than [`MAX_SECTION_BYTES`] together.
    SectionsTooLarge {
        /// Bytes up to and with this one.
        total: u64,
    },
    /// A kernel was given, and the metadata have no page for its hashes.
    NoKernelHashes,
    /// The table of kernel hashes does not fit where the firmware looks for it.
    HashTablePlace {
        /// Guest address.
        base: u32,
        /// Bytes.
        length: u32,
    },
}

impl ImageError {
    pub(crate) fn new(offset: usize, problem: ImageProblem) -> Self {
        Self { offset, problem }
    }

    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self.problem {
            ImageProblem::TooLong | ImageProblem::NotWholePages { .. } => {
                "give the image as the monitor gets it (OVMF.fd, OVMF_CODE.fd, coconut-qemu.bin), not compressed, whole"
            }
            ImageProblem::NoTable => {
                "give the end of the firmware too: OVMF.fd or OVMF_CODE.fd of edk2-stable202205 or later, not OVMF_VARS.fd"
            }
            ImageProblem::NoEntry { .. } => {
                "take firmware built with SEV-SNP support (OvmfPkgX64 or AmdSevX64, edk2-stable202205 or later)"
            }
            ImageProblem::NoKernelHashes => {
                "take firmware that verifies kernels (AmdSevX64, or OvmfPkgX64 of edk2-stable202302 or later), or leave \
                 the kernel out if the machine starts with kernel-hashes=off"
            }
            _ => "the image is damaged or was changed after it was built: take it from its source again",
        }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}: ", self.offset)?;
        match &self.problem {
            ImageProblem::TooLong => write!(f, "goes on past {MAX_IMAGE_BYTES} bytes, more than a monitor takes"),
            ImageProblem::NotWholePages { length } => {
                write!(f, "ends here, {length} bytes are not whole pages of 4096")
            }
            ImageProblem::NoTable => f.write_str("no table of GUIDs (96b582de-1fb2-45f7-baea-a366c55a082d)"),
            ImageProblem::TableLength { length, available } => {
                write!(f, "the table says {length} bytes, {available} bytes can be")
            }
            ImageProblem::EntryLength { length, available } => {
                write!(f, "an entry says {length} bytes, of the table {available} are left")
            }
            ImageProblem::EntryTwice { entry } => write!(f, "{entry} stands here a second time"),
            ImageProblem::NoEntry { entry } => write!(f, "the table of GUIDs has no {entry}"),
            ImageProblem::EntryShort { entry, length, want } => {
                write!(f, "{entry} has {length} bytes, want {want}")
            }
            ImageProblem::MetadataOutside { from_end } => {
                write!(f, "SEV metadata {from_end} bytes before the end are not in the file")
            }
            ImageProblem::MetadataSignature => f.write_str("SEV metadata do not begin with ASEV"),
            ImageProblem::MetadataVersion(version) => write!(f, "SEV metadata of version {version}, want 1"),
            ImageProblem::MetadataLength { length, sections } => {
                write!(f, "SEV metadata of {length} bytes with {sections} sections do not fit")
            }
            ImageProblem::TooManySections(count) => write!(f, "{count} metadata sections, at most {MAX_SECTIONS}"),
            ImageProblem::SectionKind(kind) => write!(f, "metadata section of unknown kind {kind:#x}"),
            ImageProblem::SectionNotPages { gpa, length } => {
                write!(f, "metadata section of {length:#x} bytes at {gpa:#x} is not whole pages")
            }
            ImageProblem::SectionNotOnePage { length } => {
                write!(f, "secrets or CPUID section of {length:#x} bytes, want one page")
            }
            ImageProblem::SectionPastEnd { gpa, length } => {
                write!(f, "metadata section of {length:#x} bytes at {gpa:#x} passes 4 GiB")
            }
            ImageProblem::SectionsTooLarge { total } => {
                write!(f, "metadata sections of {total:#x} bytes together, at most {MAX_SECTION_BYTES:#x}")
            }
            ImageProblem::NoKernelHashes => f.write_str("the SEV metadata have no SNP_KERNEL_HASHES section"),
            ImageProblem::HashTablePlace { base, length } => {
                write!(f, "the table of kernel hashes does not fit into {length} bytes at {base:#x} within a page")
            }
        }
    }
}

impl std::error::Error for ImageError {}
