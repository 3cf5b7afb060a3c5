//! Certificate table of an extended report (configfs-tsm `auxblob`, `SNP_GET_EXT_REPORT`): AMD 56421, section 4.1.8.1.
//! Entries of 24 bytes: GUID[16] in printed order, offset u32, length u32, little-endian; ended by a zero entry;
//! offsets count from the start of the table. The host writes it: nothing in it is trusted for being there.

use super::pem;

/// Largest table looked at; hosts pass a few pages.
const LONGEST: usize = 64 * 1024;
/// Entries looked at; six GUIDs are known.
const MOST_ENTRIES: usize = 16;

const ARK: &str = "c0b406a4a803495297433fb6014cd0ae";
const ASK: &str = "4ab7b379bbac4fe4a02f05aef327c782";
const VCEK: &str = "63da758de6644564adc5f4b93be8accd";
const VLEK: &str = "a8074bc2a25a483eaae639c045a0b8a1";
const CRL: &str = "92f81bc358114d3d97ffd19f88dc67ea";
/// Platform information; known so that a table may begin with it, never read.
const EXTRA: &str = "ecae0c0f950243b1afa20ae2e0d565b6";

/// What the table offers, as DER.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct HostTable {
    /// VCEK or VLEK.
    pub vek: Option<Vec<u8>>,
    /// ASK or ASVK.
    pub intermediate: Option<Vec<u8>>,
    /// Revocation list.
    pub crl: Option<Vec<u8>>,
}

impl HostTable {
    /// True if the bytes begin with the GUID of an entry that is known.
    pub fn recognises(bytes: &[u8]) -> bool {
        bytes
            .first_chunk()
            .is_some_and(|guid| [ARK, ASK, VCEK, VLEK, CRL, EXTRA].into_iter().any(|known| is(guid, known)))
    }

    /// Reads a table. An ARK in it is ignored: roots never come with the evidence. Entries of unknown GUID are ignored
    /// too, for nothing is concluded from them.
    ///
    /// # Errors
    /// [`HostTableError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, HostTableError> {
        if bytes.len() > LONGEST {
            return Err(HostTableError::TooLong { found: bytes.len() });
        }
        let mut table = Self::default();
        let mut rest = bytes;
        for number in 0..MOST_ENTRIES {
            let (entry, after) = rest.split_first_chunk::<24>().ok_or(HostTableError::Unfinished)?;
            if entry.iter().all(|byte| *byte == 0) {
                return Ok(table);
            }
            rest = after;
            let (guid, place) = entry.split_first_chunk::<16>().ok_or(HostTableError::Unfinished)?;
            let (offset, length) = place.split_first_chunk::<4>().ok_or(HostTableError::Unfinished)?;
            let length: &[u8; 4] = length.try_into().map_err(|_| HostTableError::Unfinished)?;
            let (offset, length) = (size(*offset), size(*length));
            let content = offset
                .zip(length)
                .and_then(|(offset, length)| bytes.get(offset..offset.checked_add(length)?))
                .ok_or(HostTableError::OutOfBounds { number })?;
            let (slot, label) = if is(guid, VCEK) || is(guid, VLEK) {
                (&mut table.vek, "CERTIFICATE")
            } else if is(guid, ASK) {
                (&mut table.intermediate, "CERTIFICATE")
            } else if is(guid, CRL) {
                (&mut table.crl, "X509 CRL")
            } else {
                continue;
            };
            let der = one_object(content, label).ok_or(HostTableError::Content { number })?;
            if slot.replace(der).is_some() {
                return Err(HostTableError::Twice { number });
            }
        }
        Err(HostTableError::TooMany)
    }
}

/// DER as it is, or the only PEM object.
fn one_object(content: &[u8], label: &'static str) -> Option<Vec<u8>> {
    if !pem::is_pem(content) {
        return Some(content.to_vec());
    }
    let [only] = <[Vec<u8>; 1]>::try_from(pem::objects(content, label).ok()?).ok()?;
    Some(only)
}

fn size(bytes: [u8; 4]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

/// Compares with a GUID written in hexadecimal.
fn is(guid: &[u8; 16], hex: &str) -> bool {
    let mut digits = hex.bytes();
    guid.iter().all(|byte| {
        let mut half = || digits.next().and_then(|digit| char::from(digit).to_digit(16));
        half().zip(half()).is_some_and(|(high, low)| u32::from(*byte) == high << 4 | low)
    })
}

/// A table that is malformed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HostTableError {
    /// Larger than 64 KiB.
    #[error("certificate table: {found} bytes, more than 65536")]
    TooLong {
        /// How many.
        found: usize,
    },
    /// The bytes end before the zero entry.
    #[error("certificate table: ends before its zero entry")]
    Unfinished,
    /// More than 16 entries.
    #[error("certificate table: more than 16 entries")]
    TooMany,
    /// An entry points outside.
    #[error("certificate table, entry {number}: points outside the table")]
    OutOfBounds {
        /// Counted from 0.
        number: usize,
    },
    /// The same kind twice, or a VCEK and a VLEK.
    #[error("certificate table, entry {number}: a second object of the same kind")]
    Twice {
        /// Counted from 0.
        number: usize,
    },
    /// PEM, but not one object of the right kind.
    #[error("certificate table, entry {number}: not one object of its kind")]
    Content {
        /// Counted from 0.
        number: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guid(hex: &str) -> Vec<u8> {
        hex::decode(hex).unwrap()
    }

    fn table(entries: &[(&str, u32, u32)], content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, offset, length) in entries {
            bytes.extend(guid(name));
            bytes.extend(offset.to_le_bytes());
            bytes.extend(length.to_le_bytes());
        }
        bytes.extend([0; 24]);
        bytes.extend(content);
        bytes
    }

    #[test]
    fn entries_are_found_by_their_guid_and_roots_are_ignored() {
        let bytes = table(&[(EXTRA, 0, 4), (ARK, 120, 1), (ASK, 121, 2), (VLEK, 123, 1)], b"abcd");
        assert!(HostTable::recognises(&bytes));
        let found = HostTable::parse(&bytes).unwrap();
        assert_eq!(found, HostTable { vek: Some(b"d".into()), intermediate: Some(b"bc".into()), crl: None });
    }

    #[test]
    fn the_host_cannot_point_outside_or_forever() {
        for (offset, length) in [(48, 1), (49, 0), (u32::MAX, 1), (0, u32::MAX)] {
            let bytes = table(&[(VCEK, offset, length)], b"");
            assert_eq!(HostTable::parse(&bytes), Err(HostTableError::OutOfBounds { number: 0 }), "{offset} {length}");
        }
        let endless = table(&[(ARK, 0, 0); 16], b"");
        assert_eq!(HostTable::parse(&endless), Err(HostTableError::TooMany));
        assert_eq!(HostTable::parse(&table(&[(ARK, 0, 0)], b"")[..47]), Err(HostTableError::Unfinished));
        let twice = table(&[(VCEK, 0, 1), (VLEK, 0, 1)], b"");
        assert_eq!(HostTable::parse(&twice), Err(HostTableError::Twice { number: 1 }));
        assert_eq!(HostTable::parse(&[0; LONGEST + 1]), Err(HostTableError::TooLong { found: LONGEST + 1 }));
    }
}
