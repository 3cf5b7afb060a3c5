//! The files of a wheel, which is a ZIP archive (PKWARE APPNOTE 6.3; PyPA, "Binary distribution format").

use std::{collections::BTreeMap, io::Read};

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive};

use super::wheel::WheelError;
use crate::{layer::SIZE_LIMIT, package::is_inner_path};

/// Most files of one wheel.
const FILES_LIMIT: usize = 100_000;
/// Type bits of a Unix mode, and what they are for a regular file; 0: the archive does not say.
const TYPE_BITS: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

/// A file of an archive.
pub(super) struct Unpacked {
    pub(super) contents: Vec<u8>,
    pub(super) executable: bool,
}

/// The files of an archive that are wanted, by path. Every name is checked, wanted or not.
pub(super) fn unpack(archive: &[u8], wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, Unpacked>, WheelError> {
    let broken = |error: rawzip::Error| WheelError::Zip(error.to_string());
    let archive = ZipArchive::from_slice(archive).map_err(broken)?;
    let mut entries = archive.entries();
    let (mut files, mut names) = (BTreeMap::new(), std::collections::HashSet::new());
    let mut left = SIZE_LIMIT;
    while let Some(entry) = entries.next_entry().map_err(broken)? {
        let name = entry.file_path();
        let name = String::from_utf8_lossy(name.as_bytes()).into_owned();
        if entry.is_dir() {
            continue;
        }
        if !is_inner_path(&name) {
            return Err(WheelError::Outside { path: name });
        }
        if !names.insert(name.clone()) {
            return Err(WheelError::Twice { path: name });
        }
        if names.len() > FILES_LIMIT {
            return Err(WheelError::TooLarge);
        }
        let mode = entry.mode().value();
        if !matches!(mode & TYPE_BITS, 0 | REGULAR) {
            return Err(WheelError::Kind { path: name });
        }
        if !wanted(&name) {
            continue;
        }
        let packed = archive.get_entry(entry.wayfinder()).map_err(broken)?;
        // Readers differ in which of the two names they believe.
        if packed.file_path().as_bytes() != name.as_bytes() {
            return Err(WheelError::Twice { path: name });
        }
        let mut contents = Vec::new();
        let read = match entry.compression_method() {
            CompressionMethod::Store => {
                packed.verifying_reader(packed.data()).take(left.saturating_add(1)).read_to_end(&mut contents)
            }
            CompressionMethod::Deflate => {
                let inflated = DeflateDecoder::new(packed.data());
                packed.verifying_reader(inflated).take(left.saturating_add(1)).read_to_end(&mut contents)
            }
            other => Err(std::io::Error::other(format!("compressed by {other:?}, want deflate or none"))),
        };
        read.map_err(|error| WheelError::Zip(format!("{name}: {error}")))?;
        left = left.checked_sub(contents.len() as u64).ok_or(WheelError::TooLarge)?;
        files.insert(name, Unpacked { contents, executable: mode & 0o111 != 0 });
    }
    Ok(files)
}
