//! An image that describes itself to the monitor, OVMF or COCONUT-SVSM: the table of GUIDs that ends 32 bytes before the
//! file does (edk2 OvmfPkg/ResetVector/Ia16/ResetVectorVtf0.asm), and the SEV metadata it points to
//! (OvmfPkg/ResetVector/X64/OvmfSevMetadata.asm).

use super::{
    chain::PAGE_BYTES,
    image_error::{ImageError, ImageProblem},
};
use crate::efi::guid::guid;

/// The longest image: QEMU's upper bound for `max-fw-size`, 16 MiB.
pub const MAX_IMAGE_BYTES: usize = 16 << 20;
/// Sections in the metadata. OVMF has 6 to 8.
pub const MAX_SECTIONS: u32 = 64;
/// Bytes of all sections together. OVMF's have less than 1 MiB.
pub const MAX_SECTION_BYTES: u64 = 64 << 20;

const FOOTER: [u8; 16] = guid(0x96b5_82de, 0x1fb2, 0x45f7, [0xba, 0xea, 0xa3, 0x66, 0xc5, 0x5a, 0x08, 0x2d]);
const ENTRY_HEAD_BYTES: usize = 18;
/// Reset vector code after the table.
const AFTER_TABLE_BYTES: usize = 32;
const METADATA_HEAD_BYTES: usize = 16;
const SECTION_BYTES: usize = 12;

/// An entry of the table that we read.
struct Known {
    name: &'static str,
    guid: [u8; 16],
    /// Bytes it has at least.
    want: usize,
}

const HASH_TABLE: Known = Known {
    name: "SEV_HASH_TABLE_RV_GUID",
    guid: guid(0x7255_371f, 0x3a3b, 0x4b04, [0x92, 0x7b, 0x1d, 0xa6, 0xef, 0xa8, 0xd4, 0x54]),
    want: 8,
};
const RESET_BLOCK: Known = Known {
    name: "SEV_ES_RESET_BLOCK_GUID",
    guid: guid(0x00f7_71de, 0x1a7e, 0x4fcb, [0x89, 0x0e, 0x68, 0xc7, 0x7e, 0x2f, 0xb4, 0x4e]),
    want: 4,
};
const METADATA: Known = Known {
    name: "OVMF_SEV_META_DATA_GUID",
    guid: guid(0xdc88_6566, 0x984a, 0x4798, [0xa7, 0x5e, 0x55, 0x85, 0xa7, 0xbf, 0x67, 0xcc]),
    want: 4,
};
const SVSM_INFO: Known = Known {
    name: "SVSM_INFO_GUID",
    guid: guid(0xa789_a612, 0x0597, 0x4c4b, [0xa4, 0x9f, 0xcb, 0xb1, 0xfe, 0x9d, 0x1d, 0xdd]),
    want: 4,
};

/// What the metadata want a stretch of memory to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SectionKind {
    /// Memory the firmware uses before it can accept any: zeros.
    SecMem,
    /// The secrets page.
    Secrets,
    /// The CPUID page.
    Cpuid,
    /// The calling area of an SVSM: zeros.
    SvsmCallingArea,
    /// The page for kernel hashes.
    KernelHashes,
}

impl SectionKind {
    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0x1 => Self::SecMem,
            0x2 => Self::Secrets,
            0x3 => Self::Cpuid,
            0x4 => Self::SvsmCallingArea,
            0x10 => Self::KernelHashes,
            _ => return None,
        })
    }

    /// As OVMF calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecMem => "SNP_SEC_MEM",
            Self::Secrets => "SNP_SECRETS",
            Self::Cpuid => "CPUID",
            Self::SvsmCallingArea => "SVSM_CAA",
            Self::KernelHashes => "SNP_KERNEL_HASHES",
        }
    }
}

/// A stretch of guest memory that the metadata name: whole pages below 4 GiB.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Section {
    /// What it is.
    pub kind: SectionKind,
    /// Guest address of its first page.
    pub gpa: u32,
    /// Bytes.
    pub length: u32,
}

/// Where the firmware looks for kernel hashes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HashTable {
    /// Guest address.
    pub base: u32,
    /// Bytes.
    pub length: u32,
}

/// An image whose table and metadata could be read.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    sections: Vec<Section>,
    metadata_offset: usize,
    table_offset: usize,
    hash_table: Option<(usize, HashTable)>,
    reset_eip: Option<u32>,
    svsm_entry: Option<u32>,
}

impl<'a> Image<'a> {
    /// Reads table and metadata.
    ///
    /// # Errors
    /// What is missing or cannot be, and at which offset.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        if bytes.len() > MAX_IMAGE_BYTES {
            return Err(ImageError::new(MAX_IMAGE_BYTES, ImageProblem::TooLong));
        }
        if bytes.is_empty() || !bytes.len().is_multiple_of(PAGE_BYTES) {
            return Err(ImageError::new(bytes.len(), ImageProblem::NotWholePages { length: bytes.len() }));
        }
        let table = Table::parse(bytes)?;
        let hash_table = table.find(&HASH_TABLE)?;
        let hash_table = hash_table.and_then(|entry| {
            Some((entry.offset, HashTable { base: u32_at(entry.data, 0)?, length: u32_at(entry.data, 4)? }))
        });
        let first = |known| Ok(table.find(known)?.and_then(|entry| u32_at(entry.data, 0)));
        let (reset_eip, svsm_entry) = (first(&RESET_BLOCK)?, first(&SVSM_INFO)?);
        let no_metadata = || ImageError::new(table.offset, ImageProblem::NoEntry { entry: METADATA.name });
        let entry = table.find(&METADATA)?.ok_or_else(no_metadata)?;
        let from_end = u32_at(entry.data, 0).ok_or_else(no_metadata)?;
        let (metadata_offset, sections) = metadata(bytes, entry.offset, from_end)?;
        Ok(Self { bytes, sections, metadata_offset, table_offset: table.offset, hash_table, reset_eip, svsm_entry })
    }

    /// The file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// In the order of the metadata.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Where kernel hashes go; None for firmware that does not verify kernels.
    pub fn hash_table(&self) -> Option<HashTable> {
        self.hash_table.map(|(_, table)| table)
    }

    /// Where all vCPUs but the first start; None where the table does not say.
    pub fn reset_eip(&self) -> Option<u32> {
        self.reset_eip
    }

    /// Where an SVSM starts, counted from its first byte; None if this is none.
    pub fn svsm_entry(&self) -> Option<u32> {
        self.svsm_entry
    }

    /// Of the metadata in the file.
    pub(crate) fn metadata_offset(&self) -> usize {
        self.metadata_offset
    }

    /// Of the entry that names the place of kernel hashes; of the table where there is none.
    pub(crate) fn hash_table_offset(&self) -> usize {
        self.hash_table.map_or(self.table_offset, |(offset, _)| offset)
    }

    pub(crate) fn without_reset_block(&self) -> ImageError {
        ImageError::new(self.table_offset, ImageProblem::NoEntry { entry: RESET_BLOCK.name })
    }

    pub(crate) fn without_svsm_info(&self) -> ImageError {
        ImageError::new(self.table_offset, ImageProblem::NoEntry { entry: SVSM_INFO.name })
    }

    pub(crate) fn without_hash_table(&self) -> ImageError {
        ImageError::new(self.table_offset, ImageProblem::NoEntry { entry: HASH_TABLE.name })
    }
}

struct Table<'a> {
    /// Of its first entry in the file.
    offset: usize,
    entries: Vec<Entry<'a>>,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    /// Of its data in the file.
    offset: usize,
    guid: [u8; 16],
    data: &'a [u8],
}

impl<'a> Table<'a> {
    /// From its end to its beginning, for each entry ends with its own length and GUID.
    fn parse(bytes: &'a [u8]) -> Result<Self, ImageError> {
        // A page at least, so the footer is in it.
        let footer = bytes.len().saturating_sub(AFTER_TABLE_BYTES + ENTRY_HEAD_BYTES);
        let missing = ImageError::new(footer, ImageProblem::NoTable);
        let Some((length, FOOTER)) = entry_head(bytes, footer) else { return Err(missing) };
        let available = footer.saturating_add(ENTRY_HEAD_BYTES);
        let offset = match available.checked_sub(length) {
            Some(offset) if length >= ENTRY_HEAD_BYTES => offset,
            _ => return Err(ImageError::new(footer, ImageProblem::TableLength { length, available })),
        };
        let mut entries = Vec::new();
        let mut end = footer;
        while end > offset {
            let available = end.saturating_sub(offset);
            let head = end.saturating_sub(ENTRY_HEAD_BYTES);
            let wrong = |length| ImageError::new(head, ImageProblem::EntryLength { length, available });
            if available < ENTRY_HEAD_BYTES {
                return Err(wrong(ENTRY_HEAD_BYTES));
            }
            let (length, guid) = entry_head(bytes, head).ok_or_else(|| wrong(0))?;
            if length < ENTRY_HEAD_BYTES || length > available {
                return Err(wrong(length));
            }
            let start = end.saturating_sub(length);
            entries.push(Entry { offset: start, guid, data: bytes.get(start..head).unwrap_or_default() });
            end = start;
        }
        Ok(Self { offset, entries })
    }

    fn find(&self, known: &Known) -> Result<Option<Entry<'a>>, ImageError> {
        let mut found = self.entries.iter().filter(|entry| entry.guid == known.guid);
        let Some(entry) = found.next() else { return Ok(None) };
        if let Some(second) = found.next() {
            return Err(ImageError::new(second.offset, ImageProblem::EntryTwice { entry: known.name }));
        }
        if entry.data.len() < known.want {
            let (length, want) = (entry.data.len(), known.want);
            return Err(ImageError::new(entry.offset, ImageProblem::EntryShort { entry: known.name, length, want }));
        }
        Ok(Some(*entry))
    }
}

/// Where they begin, and their sections.
fn metadata(bytes: &[u8], entry: usize, from_end: u32) -> Result<(usize, Vec<Section>), ImageError> {
    let outside = || ImageError::new(entry, ImageProblem::MetadataOutside { from_end });
    let start = usize::try_from(from_end).ok().and_then(|from_end| bytes.len().checked_sub(from_end));
    let start = start.ok_or_else(outside)?;
    let here = bytes.get(start..).unwrap_or_default();
    let [Some(length), Some(version), Some(count)] = [4, 8, 12].map(|offset| u32_at(here, offset)) else {
        return Err(outside());
    };
    let fail = |problem| Err(ImageError::new(start, problem));
    if !here.starts_with(b"ASEV") {
        return fail(ImageProblem::MetadataSignature);
    }
    if version != 1 {
        return fail(ImageProblem::MetadataVersion(version));
    }
    if count > MAX_SECTIONS {
        return fail(ImageProblem::TooManySections(count));
    }
    let wrong_length = ImageProblem::MetadataLength { length, sections: count };
    let end = usize::try_from(length).unwrap_or(usize::MAX);
    let Some(list) = here.get(METADATA_HEAD_BYTES..end) else { return fail(wrong_length) };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if list.len() / SECTION_BYTES < count {
        return fail(wrong_length);
    }
    let mut sections = Vec::new();
    let mut total = 0;
    let offsets = (start.saturating_add(METADATA_HEAD_BYTES)..).step_by(SECTION_BYTES);
    for (item, offset) in list.chunks_exact(SECTION_BYTES).take(count).zip(offsets) {
        let section = section(item).map_err(|problem| ImageError::new(offset, problem))?;
        total += u64::from(section.length);
        if total > MAX_SECTION_BYTES {
            return Err(ImageError::new(offset, ImageProblem::SectionsTooLarge { total }));
        }
        sections.push(section);
    }
    Ok((start, sections))
}

fn section(item: &[u8]) -> Result<Section, ImageProblem> {
    let [gpa, length, kind] = [0, 4, 8].map(|offset| u32_at(item, offset).unwrap_or_default());
    let kind = SectionKind::from_number(kind).ok_or(ImageProblem::SectionKind(kind))?;
    let page = u32::try_from(PAGE_BYTES).unwrap_or(u32::MAX);
    if !gpa.is_multiple_of(page) || !length.is_multiple_of(page) {
        return Err(ImageProblem::SectionNotPages { gpa, length });
    }
    if matches!(kind, SectionKind::Secrets | SectionKind::Cpuid | SectionKind::KernelHashes) && length != page {
        return Err(ImageProblem::SectionNotOnePage { length });
    }
    // The last page below 4 GiB is the firmware's own.
    if gpa.checked_add(length).is_none() {
        return Err(ImageProblem::SectionPastEnd { gpa, length });
    }
    Ok(Section { kind, gpa, length })
}

fn entry_head(bytes: &[u8], offset: usize) -> Option<(usize, [u8; 16])> {
    let (length, rest) = bytes.get(offset..)?.split_first_chunk()?;
    Some((usize::from(u16::from_le_bytes(*length)), *rest.first_chunk()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().copied().map(u32::from_le_bytes)
}
