//! Builds PE images and unified kernel images byte by byte, independently of the reader: Microsoft PE/COFF, UAPI.5.
#![allow(dead_code, reason = "each test file uses a part of it")]

/// Where headers end.
pub(crate) const HEADERS: usize = 0x400;
/// File alignment.
const FILE: usize = 0x200;
/// Section alignment.
const MEMORY: usize = 0x1000;
/// Offset of the PE signature.
pub(crate) const PE: usize = 0x80;
/// Offset of the optional header.
pub(crate) const OPTIONAL: usize = PE + 24;
/// Offset of the section table.
pub(crate) const TABLE: usize = OPTIONAL + 112 + 16 * 8;
/// Offset of the certificate table's directory entry.
pub(crate) const CERTIFICATES: usize = OPTIONAL + 112 + 4 * 8;

/// A PE32+ image with these sections.
pub(crate) fn pe(sections: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = b"MZ".to_vec();
    file.resize(HEADERS, 0);
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x3C, &u32::try_from(PE).unwrap().to_le_bytes());
    put(PE, b"PE\0\0");
    put(PE + 4, &0x8664_u16.to_le_bytes());
    put(PE + 6, &u16::try_from(sections.len()).unwrap().to_le_bytes());
    put(PE + 20, &(112_u16 + 16 * 8).to_le_bytes());
    put(OPTIONAL, &0x20B_u16.to_le_bytes());
    put(OPTIONAL + 60, &u32::try_from(HEADERS).unwrap().to_le_bytes());
    put(OPTIONAL + 64, &[0xC5; 4]); // a checksum, which no hash covers
    put(OPTIONAL + 108, &16_u32.to_le_bytes());
    let (mut offset, mut address) = (HEADERS, MEMORY);
    for (number, (name, content)) in sections.iter().enumerate() {
        let header = TABLE + 40 * number;
        let raw = content.len().next_multiple_of(FILE);
        put(header, name.as_bytes());
        for (at, value) in [(8, content.len()), (12, address), (16, raw), (20, offset)] {
            put(header + at, &u32::try_from(value).unwrap().to_le_bytes());
        }
        offset += raw;
        address += content.len().next_multiple_of(MEMORY).max(MEMORY);
    }
    for (_, content) in sections {
        file.extend(*content);
        file.resize(file.len().next_multiple_of(FILE), 0);
    }
    file
}

/// What a stub of systemd says of itself.
pub(crate) fn magic(version: &str) -> Vec<u8> {
    format!("#### LoaderInfo: systemd-stub {version} ####\0").into_bytes()
}

/// A unified kernel image of this stub.
pub(crate) fn uki(version: &str, sections: &[(&str, &[u8])]) -> Vec<u8> {
    let magic = magic(version);
    let mut all: Vec<(&str, &[u8])> = vec![(".text", b"code"), (".sdmagic", &magic)];
    all.extend(sections);
    pe(&all)
}

/// A program that says it is Linux of this version.
pub(crate) fn kernel(version: &str) -> Vec<u8> {
    let mut text = [version.as_bytes(), &[0]].concat();
    text.resize(0x40, 0);
    let mut file = pe(&[(".text", &text)]);
    // The boot header stands between the section table and the end of the headers.
    file[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
    file[0x20E..0x210].copy_from_slice(&u16::try_from(HEADERS - 0x200).unwrap().to_le_bytes());
    file[0x236] = 0x7F;
    file
}
