//! Who vouches for an ID block: AMD 56860, "ID Authentication Information Structure", 4096 bytes.

use super::key::{PublicKey, first_not_zero, number, padded};

/// `ECDSA P-384 with SHA-384`.
const ECDSA_P384_SHA384: u32 = 1;
const ID_BLOCK_SIGNATURE: usize = 0x40;
const ID_KEY: usize = 0x240;
const ID_KEY_SIGNATURE: usize = 0x680;
const AUTHOR_KEY: usize = 0x880;
/// Stretches that are reserved.
const RESERVED: [(usize, usize); 3] = [(0x8, ID_BLOCK_SIGNATURE), (0x644, ID_KEY_SIGNATURE), (0xC84, IdAuth::BYTES)];

/// An ECDSA P-384 signature: big-endian, as everybody but AMD writes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Signature {
    /// r.
    pub r: [u8; 48],
    /// s.
    pub s: [u8; 48],
}

/// The signature of an ID block and whose it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdAuth {
    /// Over the 96 bytes of the ID block.
    pub id_block_signature: Signature,
    /// By this key.
    pub id_key: PublicKey,
    /// The key above it, if there is one, and its signature over the 0x404 bytes of the ID key.
    pub author: Option<(PublicKey, Signature)>,
}

/// Bytes that are no ID authentication information.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdAuthError {
    /// Of another length.
    #[error("has {found} bytes, ID authentication information has {}", IdAuth::BYTES)]
    Length {
        /// Bytes.
        found: usize,
    },
    /// An algorithm that is not ECDSA P-384 with SHA-384.
    #[error("offset {offset:#x}: algorithm {found}, want 1 (ECDSA P-384 with SHA-384)")]
    Algorithm {
        /// From the beginning, bytes.
        offset: usize,
        /// What stands there.
        found: u32,
    },
    /// A byte that has to be something else: a curve other than P-384, a number too long, a reserved byte that is not zero.
    #[error("offset {offset:#x}: {what}")]
    Byte {
        /// From the beginning, bytes.
        offset: usize,
        /// In which part.
        what: &'static str,
    },
}

impl Signature {
    /// Length of the structure.
    pub const BYTES: usize = 0x200;

    /// r and s (little-endian, 72 bytes each), zeros.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        for (place, byte) in bytes.iter_mut().zip(padded(&self.r).into_iter().chain(padded(&self.s))) {
            *place = byte;
        }
        bytes
    }

    fn parse(bytes: &[u8; Self::BYTES]) -> Result<Self, usize> {
        let field = |offset: usize| {
            let field = bytes.get(offset..).and_then(|rest| rest.first_chunk()).ok_or(offset)?;
            number(field).map_err(|inside| offset.saturating_add(inside))
        };
        match first_not_zero(bytes, 144) {
            Some(offset) => Err(offset),
            None => Ok(Self { r: field(0)?, s: field(72)? }),
        }
    }
}

impl IdAuth {
    /// Length of the structure.
    pub const BYTES: usize = 4096;

    /// The structure, as it is handed to the firmware.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        // The algorithm stands there without author key too: the firmware may look at it.
        bytes.extend(ECDSA_P384_SHA384.to_le_bytes());
        bytes.extend(ECDSA_P384_SHA384.to_le_bytes());
        bytes.resize(ID_BLOCK_SIGNATURE, 0);
        bytes.extend(self.id_block_signature.to_bytes());
        bytes.extend(self.id_key.to_bytes());
        if let Some((key, signature)) = &self.author {
            bytes.resize(ID_KEY_SIGNATURE, 0);
            bytes.extend(signature.to_bytes());
            bytes.extend(key.to_bytes());
        }
        bytes.resize(Self::BYTES, 0);
        bytes
    }

    /// Reads the structure. There is no author if key and signature are all zero.
    ///
    /// # Errors
    /// Another length or algorithm, a key of another curve, anything in a reserved place.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdAuthError> {
        if bytes.len() != Self::BYTES {
            return Err(IdAuthError::Length { found: bytes.len() });
        }
        for (start, end) in RESERVED {
            let offset = first_not_zero(bytes.get(..end).unwrap_or_default(), start);
            if let Some(offset) = offset {
                return Err(IdAuthError::Byte { offset, what: "reserved, and not zero" });
            }
        }
        let id_block_signature = signature(bytes, ID_BLOCK_SIGNATURE)?;
        algorithm(bytes, 0)?;
        let id_key = key(bytes, ID_KEY)?;
        let author = match first_not_zero(bytes, ID_KEY_SIGNATURE) {
            None => None,
            Some(_) => {
                algorithm(bytes, 4)?;
                Some((key(bytes, AUTHOR_KEY)?, signature(bytes, ID_KEY_SIGNATURE)?))
            }
        };
        Ok(Self { id_block_signature, id_key, author })
    }
}

fn algorithm(bytes: &[u8], offset: usize) -> Result<(), IdAuthError> {
    match u32::from_le_bytes(*part(bytes, offset)?) {
        ECDSA_P384_SHA384 => Ok(()),
        found => Err(IdAuthError::Algorithm { offset, found }),
    }
}

fn key(bytes: &[u8], offset: usize) -> Result<PublicKey, IdAuthError> {
    PublicKey::parse(part(bytes, offset)?).map_err(|inside| IdAuthError::Byte {
        offset: offset.saturating_add(inside),
        what: "no P-384 public key in AMD's format",
    })
}

fn signature(bytes: &[u8], offset: usize) -> Result<Signature, IdAuthError> {
    Signature::parse(part(bytes, offset)?).map_err(|inside| IdAuthError::Byte {
        offset: offset.saturating_add(inside),
        what: "no P-384 signature in AMD's format",
    })
}

fn part<const N: usize>(bytes: &[u8], offset: usize) -> Result<&[u8; N], IdAuthError> {
    let part = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    part.ok_or(IdAuthError::Length { found: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auth() -> IdAuth {
        IdAuth {
            id_block_signature: Signature { r: [1; 48], s: [2; 48] },
            id_key: PublicKey { x: [3; 48], y: [4; 48] },
            author: Some((PublicKey { x: [5; 48], y: [6; 48] }, Signature { r: [7; 48], s: [8; 48] })),
        }
    }

    #[test]
    fn what_is_written_reads_back_with_and_without_author() {
        for author in [auth().author, None] {
            let auth = IdAuth { author, ..auth() };
            assert_eq!(IdAuth::parse(&auth.to_bytes()), Ok(auth));
        }
    }

    #[test]
    fn a_byte_where_none_belongs_is_named_by_its_offset() {
        let whole = auth().to_bytes();
        let fields: [(usize, usize); 10] = [
            (0, 8),
            (0x40, 48),
            (0x88, 48),
            (0x240, 4 + 48),
            (0x28C, 48),
            (0x680, 48),
            (0x6C8, 48),
            (0x880, 4 + 48),
            (0x8CC, 48),
            (0x1000, 0),
        ];
        for offset in 0..whole.len() {
            if fields.iter().any(|(start, length)| (*start..start + length).contains(&offset)) {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[offset] = 1;
            assert!(
                matches!(IdAuth::parse(&bytes), Err(IdAuthError::Byte { offset: named, .. }) if named == offset),
                "{offset:#x}: {:?}",
                IdAuth::parse(&bytes)
            );
        }
        for (offset, named) in [(0, 0), (4, 4)] {
            let mut bytes = whole.clone();
            bytes[offset] = 2;
            assert_eq!(IdAuth::parse(&bytes), Err(IdAuthError::Algorithm { offset: named, found: 2 }));
        }
    }

    #[test]
    fn half_an_author_is_refused() {
        let mut bytes = auth().to_bytes();
        bytes[0x880..0xC84].fill(0);
        assert!(matches!(IdAuth::parse(&bytes), Err(IdAuthError::Byte { offset: 0x880, .. })));
        assert_eq!(IdAuth::parse(&bytes[1..]), Err(IdAuthError::Length { found: 4095 }));
    }
}
