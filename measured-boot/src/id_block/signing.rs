//! ECDSA P-384 with SHA-384, by `p384`.

use std::fmt;

use p384::{
    EncodedPoint, SecretKey,
    ecdsa::{
        self, VerifyingKey,
        signature::{Signer as _, Verifier as _},
    },
    elliptic_curve::sec1::ToEncodedPoint as _,
    pkcs8::{DecodePrivateKey as _, DecodePublicKey as _},
};

use super::{IdAuth, IdBlock, PublicKey, Signature};

/// What a SEC1 key begins with. `openssl ecparam -genkey` writes a block of parameters before it.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----";

/// A private key. Wiped when dropped, never shown.
pub struct SigningKey(ecdsa::SigningKey);

/// Text that holds no P-384 key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SigningKeyError {
    /// An encrypted key; where it came from nobody can be asked for a password.
    #[error("the key is encrypted")]
    Encrypted,
    /// Something else, or a key of another curve.
    #[error("no P-384 key in PEM (PKCS #8 or SEC1): {0}")]
    Format(String),
}

impl SigningKey {
    /// Reads a P-384 private key in PEM, PKCS #8 or SEC1.
    ///
    /// # Errors
    /// It is encrypted, of another curve, or something else.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        if pem.contains("BEGIN ENCRYPTED PRIVATE KEY") || pem.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(SigningKeyError::Encrypted);
        }
        let key = match pem.find(SEC1).and_then(|start| pem.get(start..)) {
            Some(sec1) => SecretKey::from_sec1_pem(sec1).map_err(|error| error.to_string()),
            None => SecretKey::from_pkcs8_pem(pem).map_err(|error| error.to_string()),
        };
        key.map(|key| Self(key.into())).map_err(SigningKeyError::Format)
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        public_key(&self.0.verifying_key().to_encoded_point(false))
    }

    /// Signs; deterministic (RFC 6979), so the same block gives the same bytes.
    pub fn sign(&self, message: &[u8]) -> Signature {
        let signature: ecdsa::Signature = self.0.sign(message);
        let (r, s) = signature.split_bytes();
        Signature { r: r.into(), s: s.into() }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl PublicKey {
    /// Reads a P-384 public key in PEM.
    ///
    /// # Errors
    /// It is of another curve, or something else.
    pub fn from_pem(pem: &str) -> Result<Self, SigningKeyError> {
        let key = p384::PublicKey::from_public_key_pem(pem);
        let key = key.map_err(|error| SigningKeyError::Format(error.to_string()))?;
        Ok(public_key(&key.to_encoded_point(false)))
    }
}

impl IdAuth {
    /// Signs `block` with the ID key, and the ID key with the author's.
    pub fn sign(block: &IdBlock, id_key: &SigningKey, author_key: Option<&SigningKey>) -> Self {
        let public = id_key.public_key();
        Self {
            id_block_signature: id_key.sign(&block.to_bytes()),
            id_key: public,
            author: author_key.map(|author| (author.public_key(), author.sign(&public.to_bytes()))),
        }
    }
}

/// Whether `key` signed `message`. A key that is no point of the curve signed nothing.
pub fn verifies(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let point = EncodedPoint::from_affine_coordinates(&key.x.into(), &key.y.into(), false);
    let Ok(key) = VerifyingKey::from_encoded_point(&point) else { return false };
    let Ok(signature) = ecdsa::Signature::from_scalars(signature.r, signature.s) else { return false };
    key.verify(message, &signature).is_ok()
}

fn public_key(point: &EncodedPoint) -> PublicKey {
    let coordinate = |part: Option<&p384::FieldBytes>| part.copied().unwrap_or_default().into();
    PublicKey { x: coordinate(point.x()), y: coordinate(point.y()) }
}
