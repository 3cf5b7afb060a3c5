//! Where there is no TPM code: everything answers [`TpmError::Unsupported`].

use crate::{AkChoice, AttestationKey, PcrSet, PcrValues, Secret, TpmError, TpmProperties, TpmQuote, blob::Sealed};

/// Cannot be made here.
pub enum Tpm {}

impl Tpm {
    /// Always refuses.
    ///
    /// # Errors
    /// [`TpmError::Unsupported`].
    pub fn open(_: &str) -> Result<Self, TpmError> {
        Err(TpmError::Unsupported)
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn properties(&mut self) -> Result<TpmProperties, TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn read_pcrs(&mut self, _: &PcrSet) -> Result<PcrValues, TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn extend_pcr(&mut self, _: u8, _: &[u8; 32]) -> Result<(), TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn has_nv_index(&mut self, _: u32) -> Result<bool, TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn read_nv(&mut self, _: u32) -> Result<Option<Vec<u8>>, TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn write_nv(&mut self, _: u32, _: &[u8]) -> Result<(), TpmError> {
        match *self {}
    }

    /// Never runs.
    ///
    /// # Errors
    /// None.
    pub fn define_nv(&mut self, _: u32, _: u16) -> Result<(), TpmError> {
        match *self {}
    }

    pub(crate) fn has_key(&mut self, _: u32) -> Result<bool, TpmError> {
        match *self {}
    }

    pub(crate) fn attestation_key(&mut self, _: AkChoice) -> Result<AttestationKey, TpmError> {
        match *self {}
    }

    pub(crate) fn quote(&mut self, _: AkChoice, _: &[u8; 32], _: &[u8]) -> Result<TpmQuote, TpmError> {
        match *self {}
    }

    pub(crate) fn random(&mut self) -> Result<Secret<[u8; 32]>, TpmError> {
        match *self {}
    }

    pub(crate) fn primary_name(&mut self) -> Result<Vec<u8>, TpmError> {
        match *self {}
    }

    pub(crate) fn seal(&mut self, _: &Secret<[u8; 64]>, _: &PcrSet) -> Result<Sealed, TpmError> {
        match *self {}
    }

    pub(crate) fn unseal(&mut self, _: &Sealed) -> Result<Secret<[u8; 64]>, TpmError> {
        match *self {}
    }
}
