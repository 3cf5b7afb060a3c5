//! Reading the files that were named.

use std::{io::Read, path::Path};

use sha2::{Digest as _, Sha256};

use super::Usage;

/// Largest file read; evidence of one report has a few kilobytes, bundles less than a megabyte.
const LONGEST: u64 = 4 * 1024 * 1024;

/// The bytes of a file of at most 4 MiB. `role` is the argument that named it.
#[expect(clippy::disallowed_methods, reason = "the program, never the library, reads files")]
pub(crate) fn read(role: &str, path: &Path) -> Result<Vec<u8>, Usage> {
    let name = path.display();
    let fail = |error: std::io::Error| {
        Usage::new(format!("{role} {name}: {error}"), "name a file that exists and that you may read")
    };
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes)).map_err(fail)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= LONGEST) {
        Ok(bytes)
    } else {
        Err(Usage::new(format!("{role} {name}: longer than 4 MiB"), "no evidence is that long: check the name"))
    }
}

/// SHA-256 of a file of any length.
#[expect(clippy::disallowed_methods, reason = "the program, never the library, reads files")]
pub(crate) fn sha256(role: &str, path: &Path) -> Result<[u8; 32], Usage> {
    let fail = |error: std::io::Error| {
        Usage::new(format!("{role} {}: {error}", path.display()), "name a file that exists and that you may read")
    };
    let mut hasher = Sha256::new();
    std::fs::File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut hasher)).map_err(fail)?;
    Ok(hasher.finalize().into())
}
