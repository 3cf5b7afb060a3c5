//! The one TLS key of this gateway.

use std::{fmt, sync::Arc};

use evidence::Digest;
use rustls::{
    SignatureScheme,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer},
    sign::{CertifiedKey, SigningKey},
};
use sha2::{Digest as _, Sha256};

use super::TlsError;

/// An uncompressed point of P-256: 0x04, x, y (SEC 1, 2.3.3). It is the end of the SubjectPublicKeyInfo.
const POINT: usize = 65;

/// A P-256 key that signs handshakes and its own certificates and requests. Its bytes stay in the TLS library.
pub(crate) struct TlsKey {
    signing: Arc<dyn SigningKey>,
    spki: SubjectPublicKeyInfoDer<'static>,
    point: [u8; POINT],
}

impl TlsKey {
    /// From PKCS#8 (RFC 5208) in DER, public key included. The caller wipes its bytes.
    ///
    /// # Errors
    /// [`TlsError::Key`].
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<Self, TlsError> {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der));
        let signing = rustls::crypto::ring::sign::any_ecdsa_type(&der).map_err(|_| TlsError::Key)?;
        if signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]).is_none() {
            return Err(TlsError::Key);
        }
        let spki = signing.public_key().ok_or(TlsError::Key)?.into_owned();
        let (_, point) = spki.split_last_chunk().ok_or(TlsError::Key)?;
        Ok(Self { point: *point, spki, signing })
    }

    /// SHA-256 of the SubjectPublicKeyInfo in DER.
    pub(crate) fn spki_sha256(&self) -> Digest {
        Sha256::digest(self.spki.as_ref()).into()
    }

    /// The SubjectPublicKeyInfo in DER.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The key with a chain for it.
    pub(super) fn certified(&self, chain: Vec<CertificateDer<'static>>) -> CertifiedKey {
        CertifiedKey::new(chain, Arc::clone(&self.signing))
    }
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsKey({})", hex::encode(self.spki_sha256()))
    }
}

impl rcgen::PublicKeyData for TlsKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self.signing.choose_scheme(&[SignatureScheme::ECDSA_NISTP256_SHA256]);
        let signed = signer.and_then(|signer| signer.sign(message).ok());
        signed.ok_or(rcgen::Error::RemoteKeyError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_p256_key_is_taken() {
        let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let key = TlsKey::from_pkcs8(p256.serialized_der()).unwrap();
        assert_eq!(key.spki(), rcgen::PublicKeyData::subject_public_key_info(&p256));
        for other in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519] {
            let other = rcgen::KeyPair::generate_for(other).unwrap();
            assert_eq!(TlsKey::from_pkcs8(other.serialized_der()).unwrap_err(), TlsError::Key);
        }
        for cut in 0..p256.serialized_der().len() {
            assert!(TlsKey::from_pkcs8(&p256.serialized_der()[..cut]).is_err(), "{cut} bytes");
        }
    }
}
