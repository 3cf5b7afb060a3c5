//! [`Crypto`] in Rust alone: the back end for WebAssembly and for builds without a C compiler. It accepts what the
//! native ones accept, no more and no less; the tests hold all to that.

use p256::ecdsa::signature::Verifier as _;
use rsa::{BigUint, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest as _, Sha256, Sha384};

use super::{
    BadSignature, Crypto,
    keys::{self, RsaKey, uncompressed},
    p384_verify,
};

/// [`Crypto`] by the RustCrypto crates `rsa`, `p384`, `p256` and `ed25519-dalek`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RustCrypto;

impl Crypto for RustCrypto {
    fn rsa_pss_sha384(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pss::new_with_salt::<Sha384>(48);
        rsa_key(key)?.verify(scheme, &Sha384::digest(message), signature).map_err(|_| BadSignature)
    }

    fn rsa_pss_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pss::new_with_salt::<Sha256>(32);
        rsa_key(key)?.verify(scheme, &Sha256::digest(message), signature).map_err(|_| BadSignature)
    }

    fn rsa_pkcs1_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let scheme = Pkcs1v15Sign::new::<Sha256>();
        rsa_key(key)?.verify(scheme, &Sha256::digest(message), signature).map_err(|_| BadSignature)
    }

    fn ecdsa_p384_sha384(&self, key: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
        let point = uncompressed::<97>(key)?;
        let key = p384::PublicKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
        let signature = p384::ecdsa::Signature::from_slice(signature).map_err(|_| BadSignature)?;
        if p384_verify::holds(&key, &Sha384::digest(message), &signature) { Ok(()) } else { Err(BadSignature) }
    }

    fn ecdsa_p256_sha256(&self, key: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let point = uncompressed::<65>(key)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map_err(|_| BadSignature)?;
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| BadSignature)?;
        key.verify(message, &signature).map_err(|_| BadSignature)
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        let key = ed25519_dalek::VerifyingKey::from_bytes(keys::ed25519(key)?).map_err(|_| BadSignature)?;
        // Without cofactor, s < ℓ, and R compared as bytes: what RFC 8032 leaves open, this method closes.
        key.verify(message, &ed25519_dalek::Signature::from_bytes(signature)).map_err(|_| BadSignature)
    }
}

fn rsa_key(der: &[u8]) -> Result<RsaPublicKey, BadSignature> {
    let key = RsaKey::read(der)?;
    let (modulus, exponent) = (BigUint::from_bytes_be(key.modulus), BigUint::from(key.exponent));
    RsaPublicKey::new_with_max_size(modulus, exponent, 8192).map_err(|_| BadSignature)
}
