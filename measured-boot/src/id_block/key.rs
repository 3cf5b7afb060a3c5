//! A public key as the secure processor reads it: AMD 56860, "Format for an ECDSA P-384 Public Key".

use std::fmt;

use sha2::{Digest as _, Sha384};

/// CURVE for P-384.
const P384: u32 = 2;
/// Where a coordinate of 48 bytes ends in its field of 72.
const COORDINATE_BYTES: usize = 72;

/// A P-384 key: coordinates big-endian, as everybody but AMD writes them. Not necessarily a point of the curve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PublicKey {
    /// Affine x.
    pub x: [u8; 48],
    /// Affine y.
    pub y: [u8; 48],
}

/// SHA-384 over a key's structure: ID_KEY_DIGEST or AUTHOR_KEY_DIGEST of a report.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct KeyDigest(pub [u8; 48]);

impl PublicKey {
    /// Length of the structure.
    pub const BYTES: usize = 0x404;

    /// CURVE, QX and QY (little-endian, 72 bytes each), zeros.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let x = padded(&self.x);
        let y = padded(&self.y);
        for (place, byte) in bytes.iter_mut().zip(P384.to_le_bytes().into_iter().chain(x).chain(y)) {
            *place = byte;
        }
        bytes
    }

    /// Reads the structure. Err says the offset of what does not belong there.
    pub(super) fn parse(bytes: &[u8; Self::BYTES]) -> Result<Self, usize> {
        let field = |offset: usize| {
            let field: [u8; COORDINATE_BYTES] =
                *bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or(offset)?;
            number(&field).map_err(|inside| offset.saturating_add(inside))
        };
        if bytes.first_chunk() != Some(&P384.to_le_bytes()) {
            return Err(0);
        }
        let key = Self { x: field(4)?, y: field(4 + COORDINATE_BYTES)? };
        match first_not_zero(bytes, 4 + 2 * COORDINATE_BYTES) {
            Some(offset) => Err(offset),
            None => Ok(key),
        }
    }

    /// As reports show it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha384::digest(self.to_bytes()).into())
    }
}

impl fmt::Display for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyDigest({self})")
    }
}

/// A number of 48 bytes, big-endian, as AMD writes it: little-endian in 72.
pub(super) fn padded(number: &[u8; 48]) -> [u8; COORDINATE_BYTES] {
    let mut field = [0; COORDINATE_BYTES];
    for (place, byte) in field.iter_mut().zip(number.iter().rev()) {
        *place = *byte;
    }
    field
}

/// The other way. Err says the offset of a byte that is not part of a number of 48.
pub(super) fn number(field: &[u8; COORDINATE_BYTES]) -> Result<[u8; 48], usize> {
    if let Some(offset) = first_not_zero(field, 48) {
        return Err(offset);
    }
    let mut number = [0; 48];
    for (place, byte) in number.iter_mut().rev().zip(field) {
        *place = *byte;
    }
    Ok(number)
}

/// Of `bytes` from `start` on.
pub(super) fn first_not_zero(bytes: &[u8], start: usize) -> Option<usize> {
    bytes.iter().enumerate().skip(start).find(|(_, byte)| **byte != 0).map(|(offset, _)| offset)
}
