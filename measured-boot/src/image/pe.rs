//! Programs that firmware starts: Microsoft Portable Executable and Common Object File Format Specification, and the
//! hash that UEFI measures of them, "Windows Authenticode Portable Executable Signature Format", "Calculating the PE
//! Image Hash". Little-endian.

use std::ops::Range;

use crate::pcr::{Bank, Digest};

/// Longest image that is read. A unified kernel image with a large initrd has some 150 MB.
pub const MAX_IMAGE_BYTES: usize = 1 << 30;
/// Most sections of an image. The format allows 65,535; Windows loads 96, and no unified kernel image comes near.
pub const MAX_SECTIONS: usize = 256;
/// Most zeros that loading adds to a section whose memory is longer than its bytes in the file.
pub const MAX_SECTION_ZEROS: usize = 64 << 20;

/// IMAGE_DIRECTORY_ENTRY_SECURITY.
const CERTIFICATE_TABLE: usize = 4;
/// Of the signature `PE\0\0` and the COFF header.
const COFF_BYTES: usize = 24;
const SECTION_BYTES: usize = 40;

/// A PE image, whose headers and sections lie within its file.
///
/// ```
/// let error = measured_boot::Pe::parse(b"\x7fELF").unwrap_err();
/// assert_eq!(error.to_string(), "PE image, offset 0x0: not a PE image: no MZ");
/// ```
#[derive(Clone, Debug)]
pub struct Pe<'a> {
    file: &'a [u8],
    /// Of the checksum, which is not hashed.
    checksum: Range<usize>,
    /// Of the directory entry of the certificate table, which is not hashed either, if the image has one.
    certificate_entry: Option<Range<usize>>,
    /// Of the certificate table itself; empty if there is none.
    certificates: Range<usize>,
    headers_bytes: usize,
    sections: Vec<Section<'a>>,
}

/// A section, as the section table of an image states it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section<'a> {
    name: [u8; 8],
    /// Where its bytes begin in the file.
    pub offset: usize,
    /// How long it is in memory.
    pub virtual_bytes: usize,
    /// Where it begins in memory, from the image's base.
    pub address: usize,
    /// Its bytes in the file, with the padding to the file's alignment.
    pub raw: &'a [u8],
}

impl<'a> Section<'a> {
    /// The name without its padding; `None` if it is not ASCII.
    pub fn name(&self) -> Option<&str> {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(self.name.len());
        std::str::from_utf8(self.name.get(..end)?).ok().filter(|name| name.is_ascii())
    }

    /// The bytes of the file that a loader puts into the section's memory, without the zeros behind them.
    pub fn content(&self) -> &'a [u8] {
        self.raw.get(..self.virtual_bytes).unwrap_or(self.raw)
    }

    /// How many zeros follow [`Section::content`] in memory.
    pub fn zeros(&self) -> usize {
        self.virtual_bytes.saturating_sub(self.raw.len())
    }

    /// The digest of the section's whole memory.
    pub fn memory_digest(&self, bank: Bank) -> Digest {
        match self.zeros() {
            0 => bank.hash(self.content()),
            zeros => bank.hash_parts(&[self.content(), &vec![0; zeros]]),
        }
    }
}

impl<'a> Pe<'a> {
    /// Reads the headers of an image and places its sections.
    ///
    /// # Errors
    /// [`PeError`] with the offset of the field that is wrong: not an image, truncated, sections outside the file or
    /// over each other, more than a limit.
    pub fn parse(file: &'a [u8]) -> Result<Self, PeError> {
        let fail = |offset, problem| Err(PeError { offset, problem });
        if file.len() > MAX_IMAGE_BYTES {
            return fail(MAX_IMAGE_BYTES, PeProblem::ImageTooLong { bytes: file.len() });
        }
        let reader = Reader(file);
        if file.get(..2) != Some(b"MZ") {
            return fail(0, PeProblem::NotPe { missing: "MZ" });
        }
        let start = reader.word(0x3C, "e_lfanew")?;
        if reader.bytes(start, 4, "PE signature")? != b"PE\0\0" {
            return fail(start, PeProblem::NotPe { missing: "PE signature" });
        }
        let section_count = usize::from(reader.half(start + 6, "NumberOfSections")?);
        if section_count > MAX_SECTIONS {
            return fail(start + 6, PeProblem::TooManySections { sections: section_count });
        }
        let optional_bytes = usize::from(reader.half(start + 20, "SizeOfOptionalHeader")?);
        let optional = start + COFF_BYTES;
        let magic = reader.half(optional, "Magic")?;
        // PE32 has a field BaseOfData more and shorter addresses.
        let directories = match magic {
            0x10B => optional + 96,
            0x20B => optional + 112,
            _ => return fail(optional, PeProblem::UnknownMagic { found: magic }),
        };
        let directory_count = reader.word(directories - 4, "NumberOfRvaAndSizes")?;
        let headers_bytes = reader.word(optional + 60, "SizeOfHeaders")?;
        let table = optional + optional_bytes;
        let directories_end = directory_count.checked_mul(8).and_then(|bytes| bytes.checked_add(directories));
        if directories_end.is_none_or(|end| end > table) {
            return fail(directories - 4, PeProblem::DirectoriesOutside { directories: directory_count });
        }
        let table_end = table + section_count * SECTION_BYTES;
        if headers_bytes > file.len() || table_end > headers_bytes {
            let problem = PeProblem::HeadersOutside { headers: headers_bytes, table_end, file: file.len() };
            return fail(optional + 60, problem);
        }
        let entry = directories + 8 * CERTIFICATE_TABLE;
        let mut pe = Self {
            file,
            checksum: optional + 64..optional + 68,
            certificate_entry: None,
            certificates: file.len()..file.len(),
            headers_bytes,
            sections: Vec::with_capacity(section_count),
        };
        if directory_count > CERTIFICATE_TABLE {
            pe.certificate_entry = Some(entry..entry + 8);
            let (offset, bytes) = (reader.word(entry, "certificate table")?, reader.word(entry + 4, "its size")?);
            if bytes > 0 {
                // UEFI hashes to the end of the file but for as many bytes: only at the end is that the table.
                if offset.checked_add(bytes) != Some(file.len()) {
                    return fail(entry, PeProblem::CertificatesNotLast { offset, bytes, file: file.len() });
                }
                pe.certificates = offset..file.len();
            }
        }
        for number in 0..section_count {
            let section = pe.read_section(reader, table + number * SECTION_BYTES)?;
            pe.sections.push(section);
        }
        pe.check_places(table)?;
        Ok(pe)
    }

    fn read_section(&self, reader: Reader<'a>, header: usize) -> Result<Section<'a>, PeError> {
        let mut name = [0; 8];
        name.copy_from_slice(reader.bytes(header, 8, "Name")?);
        let virtual_bytes = reader.word(header + 8, "VirtualSize")?;
        let address = reader.word(header + 12, "VirtualAddress")?;
        let raw_bytes = reader.word(header + 16, "SizeOfRawData")?;
        let offset = reader.word(header + 20, "PointerToRawData")?;
        let raw = if raw_bytes == 0 { Some(&[][..]) } else { reader.0.get(offset..offset + raw_bytes) };
        let place = |problem| PeError { offset: header + 16, problem };
        let printed = String::from_utf8_lossy(&name).trim_end_matches('\0').escape_debug().to_string();
        let Some(raw) = raw else {
            let file = self.file.len();
            return Err(place(PeProblem::SectionOutside { name: printed, offset, bytes: raw_bytes, file }));
        };
        if raw_bytes > 0 && (offset < self.headers_bytes || offset + raw_bytes > self.certificates.start) {
            return Err(place(PeProblem::SectionOver { name: printed, other: "headers or certificate table".into() }));
        }
        let section = Section { name, offset, virtual_bytes, address, raw };
        if section.zeros() > MAX_SECTION_ZEROS {
            let problem = PeProblem::TooManyZeros { name: printed, bytes: section.zeros() };
            return Err(PeError { offset: header + 8, problem });
        }
        Ok(section)
    }

    /// Sections neither share bytes of the file nor of memory: who reads one would read the other.
    fn check_places(&self, table: usize) -> Result<(), PeError> {
        let places: [fn(&Section<'_>) -> Range<usize>; 2] = [
            |section| section.offset..section.offset + section.raw.len(),
            |section| section.address..section.address + section.virtual_bytes,
        ];
        for place in places {
            let mut order: Vec<(usize, &Section<'_>)> =
                self.sections.iter().enumerate().filter(|(_, section)| !place(section).is_empty()).collect();
            order.sort_by_key(|(_, section)| place(section).start);
            for pair in order.windows(2) {
                let [(_, first), (number, second)] = pair else { continue };
                if place(first).end > place(second).start {
                    let name = |section: &Section<'_>| section.name().unwrap_or("?").escape_debug().to_string();
                    let problem = PeProblem::SectionOver { name: name(second), other: name(first) };
                    return Err(PeError { offset: table + number * SECTION_BYTES, problem });
                }
            }
        }
        Ok(())
    }

    /// The sections, in the order of the table.
    pub fn sections(&self) -> &[Section<'a>] {
        &self.sections
    }

    /// The Authenticode hash in a bank: what firmware extends PCR 4 with when it loads the image.
    pub fn authenticode(&self, bank: Bank) -> Digest {
        let part = |range: Range<usize>| self.file.get(range).unwrap_or_default();
        let mut parts = vec![part(0..self.checksum.start)];
        match &self.certificate_entry {
            Some(entry) => {
                parts.push(part(self.checksum.end..entry.start));
                parts.push(part(entry.end..self.headers_bytes));
            }
            None => parts.push(part(self.checksum.end..self.headers_bytes)),
        }
        let mut sections: Vec<_> = self.sections.iter().filter(|section| !section.raw.is_empty()).collect();
        sections.sort_by_key(|section| section.offset);
        // What lies between sections is not hashed; what lies behind as many bytes as were hashed is.
        let hashed = self.headers_bytes + sections.iter().map(|section| section.raw.len()).sum::<usize>();
        parts.extend(sections.iter().map(|section| section.raw));
        parts.push(part(hashed..self.certificates.start));
        bank.hash_parts(&parts)
    }

    /// The certificate table: its signatures, by which Secure Boot decides. Empty if the image is not signed.
    pub fn certificate_table(&self) -> &'a [u8] {
        self.file.get(self.certificates.clone()).unwrap_or_default()
    }
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(self, offset: usize, needed: usize, field: &'static str) -> Result<&'a [u8], PeError> {
        let left = self.0.len().saturating_sub(offset);
        let found = offset.checked_add(needed).and_then(|end| self.0.get(offset..end));
        found.ok_or(PeError { offset, problem: PeProblem::Truncated { field, needed, left } })
    }

    fn half(self, offset: usize, field: &'static str) -> Result<u16, PeError> {
        Ok(self.bytes(offset, 2, field)?.iter().rev().fold(0, |value, byte| value << 8 | u16::from(*byte)))
    }

    /// 32 bits: sums of a few of them fit the 64 bits of an offset.
    fn word(self, offset: usize, field: &'static str) -> Result<usize, PeError> {
        Ok(self.bytes(offset, 4, field)?.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
    }
}

/// A file that is not the image it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("PE image, offset {offset:#x}: {problem}")]
pub struct PeError {
    /// Offset of the field that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: PeProblem,
}

impl PeError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self.problem {
            PeProblem::NotPe { .. } | PeProblem::UnknownMagic { .. } => {
                "give the EFI program that the firmware starts (a unified kernel image, a boot loader, a bzImage)"
            }
            PeProblem::Truncated { .. } | PeProblem::HeadersOutside { .. } | PeProblem::SectionOutside { .. } => {
                "copy the image again, whole"
            }
            PeProblem::DirectoriesOutside { .. }
            | PeProblem::SectionOver { .. }
            | PeProblem::CertificatesNotLast { .. } => {
                "build the image again: firmwares disagree on what they load and hash of such an image"
            }
            PeProblem::ImageTooLong { .. } | PeProblem::TooManySections { .. } | PeProblem::TooManyZeros { .. } => {
                "give an image that a firmware can load"
            }
        }
    }
}

/// What is wrong with an image.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PeProblem {
    /// Something else than an image.
    #[error("not a PE image: no {missing}")]
    NotPe {
        /// What every image has.
        missing: &'static str,
    },
    /// The file ends inside a field.
    #[error("{field} needs {needed} bytes, {left} are left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// How long it is.
        needed: usize,
        /// How much of the file is left.
        left: usize,
    },
    /// More than [`MAX_IMAGE_BYTES`].
    #[error("the file has more than {MAX_IMAGE_BYTES} bytes, which are the most that are read")]
    ImageTooLong {
        /// Its length, or how much of it was read.
        bytes: usize,
    },
    /// Neither PE32 nor PE32+.
    #[error("optional header of kind {found:#x}, want 0x10b (PE32) or 0x20b (PE32+)")]
    UnknownMagic {
        /// What the image says.
        found: u16,
    },
    /// More than [`MAX_SECTIONS`].
    #[error("{sections} sections, at most {MAX_SECTIONS} are read")]
    TooManySections {
        /// What the image says.
        sections: usize,
    },
    /// More data directories than the optional header has room for.
    #[error("{directories} data directories do not fit the optional header")]
    DirectoriesOutside {
        /// What the image says.
        directories: usize,
    },
    /// Headers that do not hold the section table, or longer than the file.
    #[error("SizeOfHeaders {headers:#x}: the section table ends at {table_end:#x} and the file at {file:#x}")]
    HeadersOutside {
        /// What the image says.
        headers: usize,
        /// Where its section table ends.
        table_end: usize,
        /// How long the file is.
        file: usize,
    },
    /// A section that is not in the file.
    #[error("section {name} is {bytes:#x} bytes at {offset:#x}, the file ends at {file:#x}")]
    SectionOutside {
        /// Its name.
        name: String,
        /// Where its bytes begin.
        offset: usize,
        /// How many it has.
        bytes: usize,
        /// How long the file is.
        file: usize,
    },
    /// Two things at one place.
    #[error("section {name} lies over {other}")]
    SectionOver {
        /// The section.
        name: String,
        /// What it lies over.
        other: String,
    },
    /// More than [`MAX_SECTION_ZEROS`].
    #[error("section {name} is {bytes} bytes longer in memory than in the file, at most {MAX_SECTION_ZEROS} are read")]
    TooManyZeros {
        /// Its name.
        name: String,
        /// How many.
        bytes: usize,
    },
    /// Signatures in the middle of the file.
    #[error("a certificate table of {bytes:#x} bytes at {offset:#x} does not end with the file, at {file:#x}")]
    CertificatesNotLast {
        /// Where it begins.
        offset: usize,
        /// How long it is.
        bytes: usize,
        /// How long the file is.
        file: usize,
    },
}
