//! Quotes by one key of one TPM.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
};

use super::{Tpm, TpmError};
use crate::{AttestationKey, Quoter, TpmQuote, quote::registers};

/// Which key signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AkChoice {
    /// One that we derive: ECC P-256, the same at every boot.
    Ours,
    /// One that somebody keeps at a persistent handle.
    Persistent(u32),
}

impl AkChoice {
    /// Where Azure's paravisor keeps its key (RSA-2048, RSASSA with SHA-256).
    pub const AZURE: u32 = 0x8100_0003;
    /// Where an RSA-2048 endorsement key is kept by convention (TCG EK credential profile).
    pub const ENDORSEMENT: u32 = 0x8101_0001;
}

impl fmt::Display for AkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours => f.write_str("our attestation key"),
            Self::Persistent(handle) => write!(f, "the key at {handle:#010x}"),
        }
    }
}

/// The TPM at an address with its attestation key.
pub struct TpmQuoter {
    tcti: String,
    choice: AkChoice,
    key: AttestationKey,
    /// The kernel's resource manager serves many, so this connection stays and the key is derived once. A software TPM
    /// serves one at a time: there it is opened for each quote.
    open: Mutex<Option<Tpm>>,
}

impl TpmQuoter {
    /// Connects and learns the key.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn open(tcti: &str, choice: AkChoice) -> Result<Self, TpmError> {
        let mut tpm = Tpm::open(tcti)?;
        let key = tpm.attestation_key(choice)?;
        let open = Mutex::new(shared(tcti).then_some(tpm));
        Ok(Self { tcti: tcti.to_owned(), choice, key, open })
    }
}

impl Quoter for TpmQuoter {
    fn key(&self) -> &AttestationKey {
        &self.key
    }

    fn quote(&self, qualifying: &[u8; 32], pcrs: &[u8]) -> Result<TpmQuote, TpmError> {
        registers(pcrs)?;
        // Poison means that another quote panicked: its connection is not used again.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken out, so that one that failed is not used again. It may have failed because the machine slept.
        if let Some(mut tpm) = open.take() {
            match self.quote_by(&mut tpm, qualifying, pcrs) {
                Err(TpmError::Failed { .. }) => {}
                Ok(quote) => {
                    *open = Some(tpm);
                    return Ok(quote);
                }
                Err(error) => return Err(error),
            }
        }
        let mut tpm = Tpm::open(&self.tcti)?;
        let quote = self.quote_by(&mut tpm, qualifying, pcrs)?;
        *open = shared(&self.tcti).then_some(tpm);
        Ok(quote)
    }
}

impl TpmQuoter {
    fn quote_by(&self, tpm: &mut Tpm, qualifying: &[u8; 32], pcrs: &[u8]) -> Result<TpmQuote, TpmError> {
        if tpm.attestation_key(self.choice)? != self.key {
            return Err(TpmError::OtherKey);
        }
        tpm.quote(self.choice, qualifying, pcrs)
    }
}

/// Whether more than one may be connected.
fn shared(tcti: &str) -> bool {
    tcti.starts_with("device:")
}
