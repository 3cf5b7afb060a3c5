//! An attestation key in one of the forms in which people have it: SubjectPublicKeyInfo or a certificate, DER or PEM,
//! the TPM's public area, Azure's runtime claims.

use super::{
    claims::{ClaimsError, RuntimeClaims},
    key::{KeyError, TpmKey, spki_of_certificate},
    public_area::{PublicArea, PublicAreaError},
};
use crate::{PemError, snp::pem};

/// A key that the caller names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GivenKey {
    key: TpmKey,
    area: Option<PublicArea>,
    form: &'static str,
}

impl GivenKey {
    /// Reads a key. What it is is told by its first bytes.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read(bytes: &[u8]) -> Result<Self, KeyFileError> {
        if bytes.trim_ascii_start().starts_with(b"{") {
            let key = RuntimeClaims::parse(bytes)?.ak().clone();
            return Ok(Self { key, area: None, form: "Azure's runtime claims, whose report is not looked at" });
        }
        if pem::is_pem(bytes) {
            return match pem::objects(bytes, "PUBLIC KEY") {
                Ok(keys) => Self::spki(one(&keys)?),
                Err(_) => Self::certificate(one(&pem::objects(bytes, "CERTIFICATE")?)?),
            };
        }
        if bytes.starts_with(&[0x30]) {
            return Self::spki(bytes).or_else(|error| Self::certificate(bytes).map_err(|_| error));
        }
        let area = PublicArea::parse(bytes)?;
        Ok(Self { key: area.key().clone(), area: Some(area), form: "the TPM's public area" })
    }

    fn spki(der: &[u8]) -> Result<Self, KeyFileError> {
        Ok(Self { key: TpmKey::from_spki(der)?, area: None, form: "SubjectPublicKeyInfo" })
    }

    fn certificate(der: &[u8]) -> Result<Self, KeyFileError> {
        let spki = spki_of_certificate(der).ok_or(KeyFileError::Key(KeyError::Spki))?;
        Ok(Self { key: TpmKey::from_spki(spki)?, area: None, form: "a certificate, whose issuer is not looked at" })
    }

    /// The key.
    pub fn key(&self) -> &TpmKey {
        &self.key
    }

    /// What the TPM says of it, if that is how it was given.
    pub fn area(&self) -> Option<&PublicArea> {
        self.area.as_ref()
    }

    /// In which form it was given.
    pub fn form(&self) -> &'static str {
        self.form
    }
}

fn one(objects: &[Vec<u8>]) -> Result<&[u8], KeyFileError> {
    match objects {
        [one, ..] => Ok(one),
        [] => Err(KeyFileError::Key(KeyError::Spki)),
    }
}

/// A file that holds no key we take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Neither a key nor a certificate.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// PEM of something else.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// No public area.
    #[error(transparent)]
    PublicArea(#[from] PublicAreaError),
    /// JSON, but no runtime claims.
    #[error(transparent)]
    Claims(#[from] ClaimsError),
}

impl KeyFileError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Key(error) => error.fix(),
            Self::Pem(_) => "give a PUBLIC KEY or a CERTIFICATE",
            Self::PublicArea(error) => error.fix(),
            Self::Claims(error) => error.fix(),
        }
    }
}
