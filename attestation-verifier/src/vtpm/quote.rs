//! A quote of registers: signature first, over the bytes as received; then what they say; then the registers, and of
//! them only the ones that the quote names.
//!
//! TPM 2.0 Library Specification part 3, `TPM2_Quote`: the digest over the registers is made with the hash of the
//! signing scheme, so a P-384 key with SHA-384 signs a digest of 48 bytes over the same SHA-256 registers.

use std::collections::BTreeMap;

use measured_boot::{Bank, Digest, PcrIndex, PcrSet, PcrValue};
use sha2::{Digest as _, Sha256, Sha384};

use super::{
    attest::{Attest, AttestError, ClockInfo},
    key::{Scheme, TpmKey},
    reader::MarshalError,
    signature::{Signature, SignatureForm},
};
use crate::{Crypto, Unverified, Verified};

/// A quote as it was handed over: nothing in it can be looked at before its signature was checked.
///
/// ```compile_fail,E0599
/// use attestation_verifier::{SignedQuote, Unverified};
///
/// fn nonce_of_a_quote_nobody_checked(quote: Unverified<SignedQuote<'_>>) -> Vec<u8> {
///     quote.0.extra_data().to_vec()
/// }
/// ```
///
/// The door that does exist:
///
/// ```
/// use attestation_verifier::{Quote, QuoteError, Ring, SignatureForm, SignedQuote, TpmKey, Unverified, Verified};
///
/// fn check(attest: &[u8], signature: &[u8], key: &TpmKey) -> Result<Verified<Quote>, QuoteError> {
///     Unverified(SignedQuote { attest, signature, form: SignatureForm::Tpm }).verify(key, &Ring)
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SignedQuote<'a> {
    /// TPMS_ATTEST.
    pub attest: &'a [u8],
    /// The signature over it.
    pub signature: &'a [u8],
    /// In which form it is.
    pub form: SignatureForm,
}

/// What a quote says. Behind [`Verified`] the holder of the key said it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Quote {
    attest: Attest,
    hash: RegistersHash,
    scheme: &'static str,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RegistersHash {
    Sha256,
    Sha384,
}

impl Unverified<SignedQuote<'_>> {
    /// Checks the signature by `key` over the bytes as received, then reads them.
    ///
    /// # Errors
    /// [`QuoteError`]: no signature by this key, or a signed statement that is no quote of the SHA-256 bank.
    pub fn verify(self, key: &TpmKey, crypto: &impl Crypto) -> Result<Verified<Quote>, QuoteError> {
        let SignedQuote { attest, signature, form } = self.0;
        let signature = Signature::parse(signature, form, key).map_err(QuoteError::SignatureForm)?;
        key.check(attest, &signature.scheme, crypto)
            .map_err(|_| QuoteError::Signature { key: key.to_string(), scheme: signature.name })?;
        let hash = match signature.scheme {
            Scheme::EcdsaP384(_) => RegistersHash::Sha384,
            Scheme::Rsassa(_) | Scheme::Rsapss(_) | Scheme::EcdsaP256(_) => RegistersHash::Sha256,
        };
        Ok(Verified::by_check(Quote { attest: Attest::parse(attest)?, hash, scheme: signature.name }))
    }
}

impl Quote {
    /// `extraData`: what whoever asked for the quote put in; up to 66 bytes.
    pub fn extra_data(&self) -> &[u8] {
        &self.attest.extra_data
    }

    /// `qualifiedSigner`: Name of the key within its hierarchy ([`super::PublicArea::primary_of`]).
    pub fn qualified_signer(&self) -> &[u8] {
        &self.attest.qualified_signer
    }

    /// Counters of the TPM.
    pub fn clock(&self) -> ClockInfo {
        self.attest.clock
    }

    /// Version of the TPM's firmware, vendor-defined; see [`ClockInfo`].
    pub fn firmware_version(&self) -> u64 {
        self.attest.firmware_version
    }

    /// Registers of the SHA-256 bank that it signs, ascending.
    pub fn selection(&self) -> &[u8] {
        &self.attest.selection
    }

    /// Scheme, hash and form of the signature, for people.
    pub fn scheme(&self) -> &'static str {
        self.scheme
    }
}

impl Verified<Quote> {
    /// Believes these registers if they are exactly the ones that the quote signs.
    ///
    /// # Errors
    /// [`QuoteError::Selection`] if one is missing, too many, or twice; [`QuoteError::Registers`] if their digest is
    /// another.
    pub fn registers(&self, given: &[(u8, [u8; 32])]) -> Result<Registers, QuoteError> {
        let values: BTreeMap<u8, [u8; 32]> = given.iter().copied().collect();
        let selection = self.selection();
        if values.len() != given.len() || !values.keys().eq(selection) {
            let given = given.iter().map(|(register, _)| *register).collect();
            return Err(QuoteError::Selection { signed: selection.to_vec(), given });
        }
        let found = self.hash.digest(values.values());
        if found == self.attest.pcr_digest {
            Ok(Registers(values))
        } else {
            Err(QuoteError::Registers { signed: hex::encode(&self.attest.pcr_digest), given: hex::encode(found) })
        }
    }
}

impl RegistersHash {
    fn digest<'a>(self, values: impl Iterator<Item = &'a [u8; 32]>) -> Vec<u8> {
        let all: Vec<u8> = values.copied().flatten().collect();
        match self {
            Self::Sha256 => Sha256::digest(all).to_vec(),
            Self::Sha384 => Sha384::digest(all).to_vec(),
        }
    }
}

/// Registers of the SHA-256 bank that a verified quote signs: [`Verified::registers`] is the only door, and a register
/// that is not in the signed selection is not in here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Registers(BTreeMap<u8, [u8; 32]>);

impl Registers {
    /// The value of a register; `None` if the quote does not sign it.
    pub fn value(&self, register: u8) -> Option<&[u8; 32]> {
        self.0.get(&register)
    }

    /// Register and value, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &[u8; 32])> {
        self.0.iter().map(|(register, value)| (*register, value))
    }

    /// The same registers for a replay.
    pub fn to_set(&self) -> PcrSet {
        let mut set = PcrSet::new(Bank::Sha256);
        for (register, value) in self.iter() {
            let digest = Digest::from_bytes(Bank::Sha256, value);
            if let (Some(index), Some(digest)) = (PcrIndex::new(register.into()), digest) {
                // Ascending and below 24, so none is there already.
                let _ = set.insert(index, PcrValue::from_digest(digest));
            }
        }
        set
    }
}

/// A quote that shows nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuoteError {
    /// The signature is none that TPMs make.
    #[error("signature of the quote: {0}")]
    SignatureForm(MarshalError),
    /// It does not verify.
    #[error("the {key} attestation key did not sign this ({scheme})")]
    Signature {
        /// Kind of key.
        key: String,
        /// Scheme of the signature.
        scheme: &'static str,
    },
    /// The key signed something else than a quote.
    #[error(transparent)]
    Attest(#[from] AttestError),
    /// The registers given are not the registers signed.
    #[error("the quote signs registers {}, given are {}", list(signed), list(given))]
    Selection {
        /// As signed.
        signed: Vec<u8>,
        /// As given.
        given: Vec<u8>,
    },
    /// The values given are not the values signed.
    #[error("the quote signs the digest {signed}, the registers given have {given}")]
    Registers {
        /// As signed.
        signed: String,
        /// Of what was given.
        given: String,
    },
}

impl QuoteError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::SignatureForm(_) => "give the TPMT_SIGNATURE that came with the quote, whole",
            Self::Signature { .. } => "give quote and signature of one call, and the key that signed them",
            Self::Attest(AttestError::Marshal(_)) => "the signer made no TPMS_ATTEST; ask for a quote by a TPM",
            Self::Attest(AttestError::Magic { .. }) => {
                "the key signs what its user makes up: use a restricted key of a TPM"
            }
            Self::Attest(AttestError::Type { .. }) => "give what TPM2_Quote returned",
            Self::Attest(AttestError::Banks { .. } | AttestError::NothingSelected) => {
                "ask for a quote of registers of the SHA-256 bank alone"
            }
            Self::Selection { .. } => "give exactly the registers that the quote selects",
            Self::Registers { .. } => "read registers and quote again until nothing changed between the two",
        }
    }
}

pub(super) fn list(registers: &[u8]) -> String {
    if registers.is_empty() {
        return "none".to_owned();
    }
    registers.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}
