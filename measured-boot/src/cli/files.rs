//! Files that the command is given.

use std::{fs, io, path::Path};

use measured_boot::{Bank, Digest, PcrIndex, PcrSet, PcrValue};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Stop;

/// Four banks of 24 registers are below 16 KiB.
const MAX_REGISTER_FILE_BYTES: usize = 64 * 1024;

/// The bytes of a file, of one more than `limit` at most: so a parser sees and names what is too long, and a file of ten
/// gigabytes is not read.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Stop> {
    let fail = |error| unreadable(path, &error);
    let file = fs::File::open(path).map_err(fail)?;
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let length = file.metadata().map_err(fail)?.len().min(limit);
    // One more than there should be: the read that finds the end has room.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0).saturating_add(1));
    io::Read::read_to_end(&mut io::Read::take(file, limit), &mut bytes).map_err(fail)?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Stop {
    let fix = match error.kind() {
        io::ErrorKind::PermissionDenied => "give a readable file; the kernel's own event log is readable by root only",
        io::ErrorKind::NotFound => "name a file that is there",
        _ => "give a readable file",
    };
    Stop::usage(path.display(), error, fix)
}

/// An attestation report: AMD 56860, Table 23.
const REPORT_BYTES: usize = 1184;

/// A report as it stands: nobody has looked at its signature.
pub(super) fn read_report(path: &Path) -> Result<[u8; REPORT_BYTES], Stop> {
    let bytes = read(path, REPORT_BYTES)?;
    let end = bytes.len().min(REPORT_BYTES);
    bytes.try_into().map_err(|_| {
        let what = format!("offset {end:#x}: ends here or goes on, a report has {REPORT_BYTES} bytes");
        Stop::malformed(path, what, "give the report alone, as attestation-verifier takes it")
    })
}

/// SHA-256 of a file that may be large, read piece by piece. A file longer than `limit` is not read to its end.
pub(super) fn sha256_of(path: &Path, limit: u64) -> Result<[u8; 32], Stop> {
    let fail = |error| unreadable(path, &error);
    let too_long = || {
        let what = format!("offset {limit:#x}: goes on past {limit} bytes, more than the monitor can hand over");
        Stop::malformed(path, what, "give the file that the guest boots, not a disk")
    };
    let file = fs::File::open(path).map_err(fail)?;
    if file.metadata().map_err(fail)?.len() > limit {
        return Err(too_long());
    }
    let mut hash = Sha256::new();
    let read = io::copy(&mut io::Read::take(file, limit.saturating_add(1)), &mut hash).map_err(fail)?;
    if read > limit { Err(too_long()) } else { Ok(hash.finalize().into()) }
}

/// Registers as `{"sha256":{"0":"<hex>"}}`, one set for each bank.
pub(super) fn read_pcrs(path: &Path) -> Result<Vec<PcrSet>, Stop> {
    let fix = r#"write {"sha256":{"0":"<64 hexadecimal digits>"}}, a member for each bank and register"#;
    let malformed = |what: String| Stop::malformed(path, what, fix);
    let bytes = read(path, MAX_REGISTER_FILE_BYTES)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let banks = value.as_object().ok_or_else(|| malformed("want a JSON object".to_owned()))?;
    if banks.is_empty() {
        return Err(malformed("no bank in it".to_owned()));
    }
    let mut sets = Vec::new();
    for (name, registers) in banks {
        let bank = Bank::from_name(name).ok_or_else(|| malformed(format!("{name}: not a bank")))?;
        let registers = registers.as_object().ok_or_else(|| malformed(format!("{name}: want a JSON object")))?;
        let mut set = PcrSet::new(bank);
        for (number, hex) in registers {
            let place = format!("{name}.{number}");
            let index = number.parse().ok().and_then(PcrIndex::new);
            let index = index.ok_or_else(|| malformed(format!("{place}: not a register, want 0 to 23")))?;
            let digest = hex.as_str().ok_or_else(|| malformed(format!("{place}: want a string")))?;
            let digest = Digest::from_hex(bank, digest).map_err(|error| malformed(format!("{place}: {error}")))?;
            let inserted = set.insert(index, PcrValue::from_digest(digest));
            inserted.map_err(|error| malformed(format!("{place}: {error}")))?;
        }
        if set.is_empty() {
            return Err(malformed(format!("{name}: no register in it")));
        }
        sets.push(set);
    }
    Ok(sets)
}
