//! `aws-lc-rs` keeps the interface of `ring`, so one text is the [`Crypto`](super::Crypto) of both: what is asked of keys and
//! signatures cannot differ between them.

/// `back_end!(Type, library)`: [`Crypto`](super::Crypto) for the type, by that library.
macro_rules! back_end {
    ($name:ty, $library:ident) => {
        use $library::signature::{self, UnparsedPublicKey};

        use super::{
            BadSignature, Crypto,
            keys::{self, RsaKey, uncompressed},
        };

        impl Crypto for $name {
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
            // By itself ring counts the bits of a modulus in whole bytes, and AWS-LC reads a key in other wrappings too.
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
    };
}

pub(super) use back_end;
