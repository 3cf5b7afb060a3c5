//! [`Crypto`] by AWS-LC: a P-384 with code for the processor, four times as fast as that of `ring`.

use aws_lc_rs::signature::{self, UnparsedPublicKey};

use super::{
    BadSignature, Crypto,
    keys::{self, RsaKey, uncompressed},
};

/// [`Crypto`] by AWS-LC, the C library underneath `aws-lc-rs`.
#[derive(Clone, Copy, Debug, Default)]
pub struct AwsLc;

impl Crypto for AwsLc {
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
        check(&signature::ECDSA_P384_SHA384_FIXED, uncompressed::<97>(key)?, message, signature)
    }

    fn ecdsa_p256_sha256(&self, key: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        check(&signature::ECDSA_P256_SHA256_FIXED, uncompressed::<65>(key)?, message, signature)
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
    // By itself it reads a key in other wrappings too.
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
