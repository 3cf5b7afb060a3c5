//! What the vTPM signs: the attestation key and quotes of registers.

use crate::TpmError;

/// The key that signs quotes, as the core names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AttestationKey {
    /// TPM Name: hash algorithm and digest of the public area (TPM 2.0 part 1, 16).
    pub name: [u8; 34],
    /// SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
    /// Name of the endorsement key, where it is known.
    pub ek_name: Option<[u8; 34]>,
}

/// A quote as the TPM gave it; nothing about it has been checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TpmQuote {
    /// TPMS_ATTEST.
    pub attest: Vec<u8>,
    /// TPMT_SIGNATURE.
    pub signature: Vec<u8>,
    /// Register and value, SHA-256 bank, ascending: read until they agree with the quote's digest.
    pub pcrs: Vec<(u8, [u8; 32])>,
}

/// Refuses what is no ascending list of registers 0 to 23.
pub(crate) fn registers(indices: &[u8]) -> Result<(), TpmError> {
    let refuse = |what| Err(TpmError::BadSelection { what });
    if indices.is_empty() {
        return refuse("there is none");
    }
    if indices.iter().any(|index| *index > 23) {
        return refuse("one is above 23");
    }
    let ascending = indices.iter().zip(indices.iter().skip(1)).all(|(one, next)| one < next);
    if ascending { Ok(()) } else { refuse("they are not ascending") }
}

/// Quotes registers with one attestation key.
pub trait Quoter: Send + Sync {
    /// The key.
    fn key(&self) -> &AttestationKey;

    /// A quote over `qualifying` (Q of docs/WIRE.md, P3) and these registers of the SHA-256 bank.
    ///
    /// # Errors
    /// [`TpmError`].
    fn quote(&self, qualifying: &[u8; 32], pcrs: &[u8]) -> Result<TpmQuote, TpmError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ascending_registers_that_exist_are_quoted() {
        assert!(registers(&[0, 23]).is_ok());
        for (indices, said) in [(&[][..], "none"), (&[24], "above"), (&[4, 4], "ascending"), (&[7, 4], "ascending")] {
            let error = registers(indices).expect_err("refused").to_string();
            assert!(error.contains(said), "{indices:?}: {error}");
        }
    }
}
