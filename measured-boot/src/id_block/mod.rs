//! ID block: what a guest's owner signs so that the firmware refuses any other launch, and so that reports carry the
//! owner's key over all releases. AMD 56860 (SEV-SNP firmware ABI), SNP_LAUNCH_FINISH, "ID Block" and "ID Authentication
//! Information Structure". All numbers little-endian.
//!
//! The structures are plain bytes; keys and signatures need the feature `keys`.

mod auth;
mod key;
#[cfg(feature = "keys")]
mod signing;

pub use auth::{IdAuth, IdAuthError, Signature};
pub use key::{KeyDigest, PublicKey};
#[cfg(feature = "keys")]
pub use signing::{SigningKey, SigningKeyError, verifies};

use crate::launch::LaunchDigest;

/// What the owner says of a launch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IdBlock {
    /// The only launch it lets pass.
    pub launch_digest: LaunchDigest,
    /// Which family of guests, the owner's choice. FAMILY_ID of a report.
    pub family_id: [u8; 16],
    /// Which image, the owner's choice. IMAGE_ID of a report.
    pub image_id: [u8; 16],
    /// Security version of the guest. GUEST_SVN of a report.
    pub guest_svn: u32,
    /// The policy that the guest has to be started with.
    pub policy: u64,
}

/// Bytes that are not an ID block.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdBlockError {
    /// Of another length.
    #[error("has {found} bytes, an ID block has {}", IdBlock::BYTES)]
    Length {
        /// Bytes.
        found: usize,
    },
    /// Of a version we do not know.
    #[error("offset 0x50: version {found}, want 1")]
    Version {
        /// What stands there.
        found: u32,
    },
}

impl IdBlock {
    /// Length of the structure.
    pub const BYTES: usize = 96;

    /// The structure, as it is signed and handed to the firmware.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let parts: [&[u8]; 6] = [
            self.launch_digest.as_bytes(),
            &self.family_id,
            &self.image_id,
            &1_u32.to_le_bytes(),
            &self.guest_svn.to_le_bytes(),
            &self.policy.to_le_bytes(),
        ];
        let mut bytes = [0; Self::BYTES];
        for (place, byte) in bytes.iter_mut().zip(parts.concat()) {
            *place = byte;
        }
        bytes
    }

    /// Reads the structure.
    ///
    /// # Errors
    /// Another length or version.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdBlockError> {
        let length = IdBlockError::Length { found: bytes.len() };
        if bytes.len() != Self::BYTES {
            return Err(length);
        }
        let (digest, rest) = bytes.split_first_chunk().ok_or(length)?;
        let (family, rest) = rest.split_first_chunk().ok_or(length)?;
        let (image, rest) = rest.split_first_chunk().ok_or(length)?;
        let (version, rest) = rest.split_first_chunk().ok_or(length)?;
        let (svn, rest) = rest.split_first_chunk().ok_or(length)?;
        let (policy, _) = rest.split_first_chunk().ok_or(length)?;
        match u32::from_le_bytes(*version) {
            1 => Ok(Self {
                launch_digest: LaunchDigest::from_bytes(*digest),
                family_id: *family,
                image_id: *image,
                guest_svn: u32::from_le_bytes(*svn),
                policy: u64::from_le_bytes(*policy),
            }),
            found => Err(IdBlockError::Version { found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> IdBlock {
        IdBlock {
            launch_digest: LaunchDigest::from_bytes([1; 48]),
            family_id: [2; 16],
            image_id: [3; 16],
            guest_svn: 0x0405_0607,
            policy: 0x0008_090A_0B0C_0D0E,
        }
    }

    #[test]
    fn fields_lie_where_the_table_says() {
        let bytes = block().to_bytes();
        assert_eq!(bytes[..0x30], [1; 48]);
        assert_eq!(bytes[0x30..0x40], [2; 16]);
        assert_eq!(bytes[0x40..0x50], [3; 16]);
        assert_eq!(bytes[0x50..0x54], [1, 0, 0, 0]);
        assert_eq!(bytes[0x54..0x58], [7, 6, 5, 4]);
        assert_eq!(bytes[0x58..], [0x0E, 0x0D, 0x0C, 0x0B, 0x0A, 9, 8, 0]);
        assert_eq!(IdBlock::parse(&bytes), Ok(block()));
    }

    #[test]
    fn another_length_or_version_is_refused() {
        let mut bytes = block().to_bytes();
        assert_eq!(IdBlock::parse(&bytes[..95]), Err(IdBlockError::Length { found: 95 }));
        assert_eq!(IdBlock::parse(&[bytes.as_slice(), &[0]].concat()), Err(IdBlockError::Length { found: 97 }));
        bytes[0x50] = 2;
        assert_eq!(IdBlock::parse(&bytes), Err(IdBlockError::Version { found: 2 }));
    }
}
