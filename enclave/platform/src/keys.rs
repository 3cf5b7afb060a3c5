//! Keys that live in memory. Made at boot and gone with it, unsealed at boot, or lasting ([`LastingKeys`]); none leaves as
//! bytes but those that another library must sign with, and those leave as a [`Secret`].

mod account;
mod curve;
mod lasting;
mod pseudonym;
mod row;
mod vault;
#[cfg(test)]
pub(crate) mod vectors;

pub use account::{FeePayerKey, ReceiptKey};
pub use curve::{SessionKey, TlsKey};
pub use lasting::LastingKeys;
pub(crate) use lasting::{create, path};
pub use pseudonym::PseudonymKey;
pub use row::RowKey;
pub use vault::{EnvWrapError, VaultMaster};

use ed25519_dalek::{Signer, SigningKey};
use evidence::Digest;
use hkdf::Hkdf;
use sha2::Sha256;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::{Genesis, Secret, WrapError, WrappedSecret};

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no randomness from the operating system: {0}")]
pub struct NoRandomness(getrandom::Error);

/// What was sealed: made once by `keys init`, the same at every boot of the lineage.
#[derive(Debug)]
pub struct SealedKeys {
    hmac_seed: Secret<[u8; 32]>,
    kek: Secret<[u8; 32]>,
    genesis: Genesis,
}

impl SealedKeys {
    pub(crate) fn new(both: &Secret<[u8; 64]>, genesis: Genesis) -> Self {
        let half = |at: usize| {
            both.expose(|both| {
                let mut half = [0; 32];
                for (slot, byte) in half.iter_mut().zip(both.iter().skip(at)) {
                    *slot = *byte;
                }
                Secret::new(half)
            })
        };
        Self { hmac_seed: half(0), kek: half(32), genesis }
    }

    /// Seed of the HMAC chain (docs/WIRE.md, P6).
    pub fn hmac_seed(&self) -> &Secret<[u8; 32]> {
        &self.hmac_seed
    }

    /// Wraps another lasting key with the KEK, which itself never leaves; `name` and `version` must be given again to
    /// unwrap it.
    ///
    /// # Errors
    /// [`WrapError`]: no randomness, or more than 4 KiB.
    pub fn wrap(&self, name: &str, version: u32, secret: &[u8]) -> Result<WrappedSecret, WrapError> {
        self.kek.expose(|kek| WrappedSecret::wrap(kek, &self.lineage(), name, version, secret))
    }

    /// Opens what [`SealedKeys::wrap`] made in this lineage under this name and version.
    ///
    /// # Errors
    /// [`WrapError::Refused`].
    pub fn unwrap(&self, name: &str, version: u32, wrapped: &WrappedSecret) -> Result<Secret<Vec<u8>>, WrapError> {
        self.kek.expose(|kek| wrapped.open(kek, &self.lineage(), name, version))
    }

    /// The lineage's first entry.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Digest of that entry.
    pub fn lineage(&self) -> Digest {
        self.genesis.lineage()
    }
}

/// Ed25519 key of one boot: signs proofs, states, settlements, evidence and verdicts, each under its own tag.
pub struct ProofKey(SigningKey);

impl ProofKey {
    /// The 32 bytes the core names.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Ed25519 (RFC 8032) over `T(tag, parts)`: there is no way to sign bytes without a tag.
    pub fn sign(&self, tag: &str, parts: &[&[u8]]) -> [u8; 64] {
        self.0.sign(&evidence::t(tag, parts)).to_bytes()
    }
}

/// X25519 key of one boot, for transfers between nodes.
pub struct PeerKey {
    #[expect(
        dead_code,
        reason = "the core names the public half from the first boot; transfers come with several nodes"
    )]
    secret: StaticSecret,
    public: [u8; 32],
}

impl PeerKey {
    /// The 32 bytes the core names.
    pub fn public(&self) -> [u8; 32] {
        self.public
    }
}

/// Everything that is new at each boot.
pub struct BootKeys {
    /// Signs.
    pub proof: ProofKey,
    /// Receives.
    pub peer: PeerKey,
    /// 32 random bytes that name this run; not secret.
    pub instance: [u8; 32],
}

impl BootKeys {
    /// Fresh keys from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn make() -> Result<Self, NoRandomness> {
        let proof = ProofKey(SigningKey::from_bytes(&*random()?));
        let secret = StaticSecret::from(*random::<32>()?);
        let peer = PeerKey { public: PublicKey::from(&secret).to_bytes(), secret };
        Ok(Self { proof, peer, instance: *random()? })
    }
}

/// 32 bytes of HKDF-SHA256 (RFC 5869).
pub(crate) fn derive(ikm: &[u8], salt: &[u8], info: &[u8]) -> Secret<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
    Hkdf::<Sha256>::new(Some(salt), ikm).expand(info, key.as_mut_slice()).expect("32 bytes");
    Secret::new(*key)
}

/// Bytes of the operating system.
pub(crate) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::VerifyingKey;

    use super::*;

    #[test]
    fn a_signature_is_over_the_framed_parts() {
        let keys = BootKeys::make().expect("randomness");
        let signature = keys.proof.sign("sealgate/test/v1", &[b"a", b"bc"]);
        let key = VerifyingKey::from_bytes(&keys.proof.public()).expect("public key");
        let framed = evidence::t("sealgate/test/v1", &[b"a", b"bc"]);
        key.verify_strict(&framed, &signature.into()).expect("our own signature");
        let other = evidence::t("sealgate/test/v1", &[b"ab", b"c"]);
        key.verify_strict(&other, &signature.into()).expect_err("other parts");
    }

    #[test]
    fn two_boots_share_nothing() {
        let (one, two) = (BootKeys::make().expect("randomness"), BootKeys::make().expect("randomness"));
        assert_ne!(one.proof.public(), two.proof.public());
        assert_ne!(one.peer.public(), two.peer.public());
        assert_ne!(one.instance, two.instance);
    }

    #[test]
    fn the_sealed_bytes_are_seed_then_kek() {
        let mut both = [1; 64];
        both[32..].fill(2);
        let keys = SealedKeys::new(&Secret::new(both), Genesis::new([0; 32], evidence::UnixSeconds(0)));
        assert!(keys.hmac_seed().expose(|seed| *seed == [1; 32]));
        assert!(keys.kek.expose(|kek| *kek == [2; 32]));
        assert_eq!(format!("{keys:?}").matches("Secret(..)").count(), 2);
    }
}
