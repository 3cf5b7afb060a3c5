//! What a guest may do with the paravisor's vTPM.

use std::{thread, time::Duration};

use crate::{AkChoice, AttestationKey, Tpm, TpmError};

/// The operations that evidence needs. [`AzureVtpm`] is the real one; tests put a double here, because a paravisor
/// cannot be had elsewhere.
pub trait Vtpm: Send {
    /// Whether an NV index is defined.
    ///
    /// # Errors
    /// [`TpmError`].
    fn has(&mut self, index: u32) -> Result<bool, TpmError>;

    /// The whole of an NV index, read from its first byte on. None if it is not defined, empty if never written.
    ///
    /// # Errors
    /// [`TpmError`].
    fn read(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError>;

    /// Writes an NV index from its first byte on.
    ///
    /// # Errors
    /// [`TpmError`].
    fn write(&mut self, index: u32, bytes: &[u8]) -> Result<(), TpmError>;

    /// Defines an NV index of the owner's.
    ///
    /// # Errors
    /// [`TpmError`].
    fn define(&mut self, index: u32, size: u16) -> Result<(), TpmError>;

    /// The key at 0x81000003.
    ///
    /// # Errors
    /// [`TpmError`].
    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError>;

    /// Waits between two reads.
    fn pause(&mut self, wait: Duration);
}

/// The vTPM at an address. Connected for each operation, because a software TPM in its place serves one at a time.
pub struct AzureVtpm {
    tcti: String,
}

impl AzureVtpm {
    /// Nothing is opened yet.
    pub fn at(tcti: &str) -> Self {
        Self { tcti: tcti.to_owned() }
    }
}

impl Vtpm for AzureVtpm {
    fn has(&mut self, index: u32) -> Result<bool, TpmError> {
        Tpm::open(&self.tcti)?.has_nv_index(index)
    }

    fn read(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmError> {
        Tpm::open(&self.tcti)?.read_nv(index)
    }

    fn write(&mut self, index: u32, bytes: &[u8]) -> Result<(), TpmError> {
        Tpm::open(&self.tcti)?.write_nv(index, bytes)
    }

    fn define(&mut self, index: u32, size: u16) -> Result<(), TpmError> {
        Tpm::open(&self.tcti)?.define_nv(index, size)
    }

    fn attestation_key(&mut self) -> Result<AttestationKey, TpmError> {
        Tpm::open(&self.tcti)?.attestation_key(AkChoice::Persistent(AkChoice::AZURE))
    }

    fn pause(&mut self, wait: Duration) {
        thread::sleep(wait);
    }
}
