//! The signature schemes of the evidence, behind a trait: `ring` natively, AWS-LC for those who verify much, RustCrypto for
//! WebAssembly. All accept the same signatures by the same keys (tests/wycheproof.rs).

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(any(feature = "aws-lc", feature = "ring"))]
mod back_end;
#[cfg(any(feature = "aws-lc", feature = "ring", feature = "rustcrypto"))]
mod keys;
#[cfg(feature = "rustcrypto")]
mod p384_verify;
#[cfg(feature = "ring")]
mod ring;
#[cfg(feature = "rustcrypto")]
mod rust_crypto;

#[cfg(feature = "aws-lc")]
pub use self::aws_lc::AwsLc;
#[cfg(feature = "ring")]
pub use self::ring::Ring;
#[cfg(feature = "rustcrypto")]
pub use self::rust_crypto::RustCrypto;

/// The signature does not verify, or key or signature do not have the shape of the scheme.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// Signature checks over messages as received. An implementation holds no state and reads no clock.
pub trait Crypto {
    /// RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt 48 bytes (RFC 8017). `key` is a DER `RSAPublicKey`, 2048 to 8192
    /// bits.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn rsa_pss_sha384(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature>;

    /// RSASSA-PSS, SHA-256, MGF1 with SHA-256, salt 32 bytes (RFC 8017): a TPM's RSAPSS. `key` is a DER `RSAPublicKey`,
    /// 2048 to 8192 bits.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn rsa_pss_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature>;

    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017). `key` is a DER `RSAPublicKey`, 2048 to 8192 bits.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn rsa_pkcs1_sha256(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), BadSignature>;

    /// ECDSA on P-384 with SHA-384 (FIPS 186-5). `key` is the uncompressed point, 97 bytes; `signature` is R ‖ S, 48
    /// bytes each, big-endian, both in 1…n−1. S is not required to be low: the secure processor's is not.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn ecdsa_p384_sha384(&self, key: &[u8], message: &[u8], signature: &[u8; 96]) -> Result<(), BadSignature>;

    /// ECDSA on P-256 with SHA-256 (FIPS 186-5). `key` is the uncompressed point, 65 bytes; `signature` is R ‖ S, 32
    /// bytes each, big-endian, both in 1…n−1.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn ecdsa_p256_sha256(&self, key: &[u8], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature>;

    /// Ed25519 by RFC 8032 without cofactor: s < ℓ, R compared as bytes; the key canonical and not of small order
    /// (docs/WIRE.md, P0).
    ///
    /// # Errors
    /// [`BadSignature`].
    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature>;
}
