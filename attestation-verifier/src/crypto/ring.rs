//! [`Crypto`] by `ring`: the native back end.

use ring::signature::{self, UnparsedPublicKey};

use super::{
    BadSignature, Crypto,
    keys::{self, RsaKey},
};

/// [`Crypto`] by `ring`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ring;

impl Crypto for Ring {
    fn rsa_pss_sha384(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        check_rsa(&signature::RSA_PSS_2048_8192_SHA384, key, message, signature)
    }

    fn rsa_pss_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        check_rsa(&signature::RSA_PSS_2048_8192_SHA256, key, message, signature)
    }

    fn rsa_pkcs1_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        check_rsa(&signature::RSA_PKCS1_2048_8192_SHA256, key, message, signature)
    }

    fn ecdsa_p384_sha384(&self, key: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature> {
        check(&signature::ECDSA_P384_SHA384_FIXED, key, message, signature)
    }

    fn ecdsa_p256_sha256(&self, key: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        check(&signature::ECDSA_P256_SHA256_FIXED, key, message, signature)
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        check(&signature::ED25519, keys::ed25519(key)?, message, signature)
    }
}

fn check_rsa(
    algorithm: &'static signature::RsaParameters,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    // By itself it counts the bits of a modulus in whole bytes.
    RsaKey::read(key)?;
    check(algorithm, key, message, signature)
}

fn check(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| BadSignature)
}
