//! P-256 keys for libraries that sign by themselves: TLS and session tokens.

use std::fmt;

use evidence::Digest;
use p256::{
    SecretKey,
    elliptic_curve::sec1::ToEncodedPoint,
    pkcs8::{EncodePrivateKey, EncodePublicKey},
};
use sha2::Digest as _;

use crate::Secret;

struct Key {
    /// PKCS#8 DER (RFC 5958 version 1, with the public key inside the RFC 5915 structure).
    pkcs8: Secret<Vec<u8>>,
    /// SubjectPublicKeyInfo DER.
    spki: Vec<u8>,
    /// x ‖ y, big-endian.
    point: [u8; 64],
}

impl Key {
    fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        let key = secret_key(scalar)?;
        let public = key.public_key();
        let pkcs8 = key.to_pkcs8_der().ok()?;
        let point = public.to_encoded_point(false);
        Some(Self {
            pkcs8: Secret::new(pkcs8.as_bytes().to_vec()),
            spki: public.to_public_key_der().ok()?.into_vec(),
            point: point.as_bytes().get(1..)?.try_into().ok()?,
        })
    }
}

/// Whether it is a number from 1 to the order of P-256 less 1.
pub(super) fn is_key(scalar: &Secret<[u8; 32]>) -> bool {
    secret_key(scalar).is_some()
}

fn secret_key(scalar: &Secret<[u8; 32]>) -> Option<SecretKey> {
    scalar.expose(|scalar| SecretKey::from_slice(scalar).ok())
}

/// The key of every certificate of this node.
pub struct TlsKey(Key);

impl TlsKey {
    pub(crate) fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        Key::new(scalar).map(Self)
    }

    /// PKCS#8 DER, for the TLS library.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.0.pkcs8
    }

    /// SubjectPublicKeyInfo DER (RFC 5280 section 4.1.2.7).
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// SHA-256 of [`TlsKey::spki`]: what a state names.
    pub fn spki_sha256(&self) -> Digest {
        sha2::Sha256::digest(&self.0.spki).into()
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey(..)")
    }
}

/// Signs session tokens (ES256).
pub struct SessionKey(Key);

impl SessionKey {
    pub(crate) fn new(scalar: &Secret<[u8; 32]>) -> Option<Self> {
        Key::new(scalar).map(Self)
    }

    /// PKCS#8 DER, for the library that signs tokens.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.0.pkcs8
    }

    /// SubjectPublicKeyInfo DER.
    pub fn spki(&self) -> &[u8] {
        &self.0.spki
    }

    /// x ‖ y of the public key, 32 bytes each, big-endian: members `x` and `y` of a JWK (RFC 7518 section 6.2.1).
    pub fn public_point(&self) -> &[u8; 64] {
        &self.0.point
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    /// Python's `cryptography`: SHA-256 over the DER SubjectPublicKeyInfo of
    /// `ec.derive_private_key(int("11" * 32, 16), ec.SECP256R1()).public_key()`.
    const SPKI_SHA256: &str = "76805a63a6980c18075424a13f32772d02d7c71b4965754c1ce84f5841220327";

    #[test]
    fn the_digest_of_the_public_key_is_the_one_other_libraries_compute() {
        let key = TlsKey::new(&Secret::new([0x11; 32])).expect("key");
        assert_eq!(hex::encode(key.spki_sha256()), SPKI_SHA256);
        assert!(key.spki().ends_with(&key.0.point));
    }

    #[test]
    fn another_library_takes_the_private_key_and_finds_the_same_public_one() {
        let key = SessionKey::new(&Secret::new([0x11; 32])).expect("key");
        let pair = key.pkcs8().expose(|pkcs8| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &ring::rand::SystemRandom::new())
        });
        let pair = pair.expect("PKCS#8 as ring wants it");
        assert_eq!(pair.public_key().as_ref()[1..], key.public_point()[..]);
    }

    #[test]
    fn neither_key_prints() {
        let scalar = Secret::new([0x11; 32]);
        let printed = format!("{:?} {:?}", TlsKey::new(&scalar), SessionKey::new(&scalar));
        assert_eq!(printed, "Some(TlsKey(..)) Some(SessionKey(..))");
    }
}
