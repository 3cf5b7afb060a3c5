//! Lasting keys at rest: AES-256-GCM under the KEK, bound to lineage, name and version (docs/WIRE.md, keys).

use evidence::{Digest, tag};

use crate::{
    Secret,
    aead::{self, NONCE, SealError, TAG},
    keys::NoRandomness,
};

const VERSION: u8 = 1;
/// A key, a key pair, a certificate's key: nothing longer is wrapped.
const LIMIT: usize = 4096;

/// A wrapped key: version byte, 12-byte nonce, ciphertext, 16-byte tag. May lie on any disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrappedSecret(Vec<u8>);

/// Why a key was not wrapped or unwrapped.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WrapError {
    /// No nonce could be made.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// Longer than 4 KiB.
    #[error("wrapped key: longer than 4096 bytes")]
    TooLong,
    /// Not in the form of a wrapped key.
    #[error("wrapped key: not one, or of an unknown version")]
    Malformed,
    /// Damaged, or of another lineage, name or version.
    #[error("wrapped key: damaged, or wrapped in another lineage, under another name or version")]
    Refused,
}

impl WrapError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Randomness(_) => "the kernel's random generator does not answer: this machine cannot hold keys",
            Self::TooLong => "wrap a key, not a file",
            Self::Malformed | Self::Refused => {
                "restore the wrapped key from a backup of this lineage; it opens with this machine's sealed keys only"
            }
        }
    }
}

impl WrappedSecret {
    /// Reads one back; whether it opens shows when it is opened.
    ///
    /// # Errors
    /// [`WrapError::Malformed`], [`WrapError::TooLong`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WrapError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) if rest.len() > NONCE + TAG + LIMIT => Err(WrapError::TooLong),
            Some((&VERSION, rest)) if rest.len() >= NONCE + TAG => Ok(Self(bytes.to_vec())),
            _ => Err(WrapError::Malformed),
        }
    }

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn wrap(
        kek: &[u8; 32],
        lineage: &Digest,
        name: &str,
        version: u32,
        secret: &[u8],
    ) -> Result<Self, WrapError> {
        if secret.len() > LIMIT {
            return Err(WrapError::TooLong);
        }
        let sealed = aead::seal(kek, &associated(lineage, name, version), secret).map_err(|error| match error {
            SealError::Randomness(error) => WrapError::Randomness(error),
            SealError::TooLong => WrapError::TooLong,
        })?;
        Ok(Self([&[VERSION][..], &sealed].concat()))
    }

    pub(crate) fn open(
        &self,
        kek: &[u8; 32],
        lineage: &Digest,
        name: &str,
        version: u32,
    ) -> Result<Secret<Vec<u8>>, WrapError> {
        let rest = self.0.get(1..).ok_or(WrapError::Malformed)?;
        aead::open(kek, &associated(lineage, name, version), rest).ok_or(WrapError::Refused)
    }
}

fn associated(lineage: &Digest, name: &str, version: u32) -> Vec<u8> {
    evidence::t(tag::WRAP, &[lineage, name.as_bytes(), &version.to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped() -> WrappedSecret {
        WrappedSecret::wrap(&[1; 32], &[2; 32], "tls", 3, b"a key").expect("wrapped")
    }

    #[test]
    fn what_was_wrapped_opens_under_the_same_names() {
        let opened = wrapped().open(&[1; 32], &[2; 32], "tls", 3).expect("opened");
        assert!(opened.expose(|key| key == b"a key"));
        let again = WrappedSecret::from_bytes(wrapped().as_bytes()).expect("well formed");
        again.open(&[1; 32], &[2; 32], "tls", 3).expect("opened");
    }

    #[test]
    fn another_key_lineage_name_or_version_does_not_open_it() {
        let refused = |kek, lineage, name, version| {
            assert_eq!(wrapped().open(kek, lineage, name, version).err(), Some(WrapError::Refused));
        };
        refused(&[9; 32], &[2; 32], "tls", 3);
        refused(&[1; 32], &[9; 32], "tls", 3);
        refused(&[1; 32], &[2; 32], "log", 3);
        refused(&[1; 32], &[2; 32], "tls", 4);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let bytes = wrapped().as_bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = WrappedSecret::from_bytes(&flipped).and_then(|one| one.open(&[1; 32], &[2; 32], "tls", 3));
            assert!(opened.is_err(), "bit {bit}");
        }
    }

    #[test]
    fn limits_are_errors() {
        assert!(WrappedSecret::wrap(&[1; 32], &[2; 32], "n", 0, &[0; LIMIT]).is_ok());
        assert_eq!(WrappedSecret::wrap(&[1; 32], &[2; 32], "n", 0, &[0; LIMIT + 1]).err(), Some(WrapError::TooLong));
        assert_eq!(WrappedSecret::from_bytes(&[]).err(), Some(WrapError::Malformed));
        assert_eq!(WrappedSecret::from_bytes(&[VERSION; NONCE + TAG]).err(), Some(WrapError::Malformed));
        assert_eq!(WrappedSecret::from_bytes(&[VERSION; NONCE + TAG + LIMIT + 2]).err(), Some(WrapError::TooLong));
    }

    #[test]
    fn two_wrappings_of_one_key_differ() {
        assert_ne!(wrapped(), wrapped());
    }
}
