//! What several targets need.

use attestation_verifier::{BadSignature, Crypto, Ring};

/// Signatures that count as good without a look, so that the fuzzer gets past them: those of recorded chains and reports
/// are not what is fuzzed, and take a thousand times as long as the rest.
pub enum CountAsGood {
    /// All.
    Every,
    /// All but those by Ed25519, which a proof has of its own: these have to be real.
    EveryButEd25519,
}

impl Crypto for CountAsGood {
    fn rsa_pss_sha384(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn rsa_pss_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn rsa_pkcs1_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ecdsa_p384_sha384(&self, _: &[u8], _: &[u8], _: &[u8; 96]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ecdsa_p256_sha256(&self, _: &[u8], _: &[u8], _: &[u8; 64]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ed25519(&self, key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
        match self {
            Self::Every => Ok(()),
            Self::EveryButEd25519 => Ring.ed25519(key, message, signature),
        }
    }
}
