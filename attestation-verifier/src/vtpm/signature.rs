//! TPMT_SIGNATURE: TPM 2.0 Library Specification part 2, section 11.3.4.

use super::{
    key::{Scheme, TpmKey, ecdsa_der},
    reader::{MarshalError, MarshalProblem, Reader},
};

/// How the bytes of a signature are to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureForm {
    /// TPMT_SIGNATURE, nothing else: what bundles carry.
    Tpm,
    /// Also what tools write instead: an RSA number as long as the key's modulus (RSASSA with SHA-256), or the DER
    /// `ECDSA-Sig-Value` of an elliptic key. The key decides, never the bytes.
    Tool,
}

/// A signature, read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Signature<'a> {
    pub(super) scheme: Scheme<'a>,
    /// For people: scheme, hash, and in which form it came.
    pub(super) name: &'static str,
}

impl<'a> Signature<'a> {
    /// Reads a signature that should be by `key`.
    pub(super) fn parse(bytes: &'a [u8], form: SignatureForm, key: &TpmKey) -> Result<Self, MarshalError> {
        if form == SignatureForm::Tool
            && let Some(signature) = bare(bytes, key)
        {
            return Ok(signature);
        }
        let mut reader = Reader::new(bytes);
        let algorithm = reader.u16("sigAlg")?;
        let before_hash = reader;
        let hash = reader.u16("hash")?;
        let signature = match (algorithm, hash) {
            (0x0014, 0x000B) => Self { scheme: Scheme::Rsassa(reader.sized("sig", 512)?), name: "RSASSA with SHA-256" },
            (0x0016, 0x000B) => Self { scheme: Scheme::Rsapss(reader.sized("sig", 512)?), name: "RSAPSS with SHA-256" },
            (0x0018, 0x000B) => {
                let (r, s) = (reader.number::<32>("signatureR")?, reader.number::<32>("signatureS")?);
                Self { scheme: Scheme::EcdsaP256(join(&r, &s)), name: "ECDSA with SHA-256" }
            }
            (0x0018, 0x000C) => {
                let (r, s) = (reader.number::<48>("signatureR")?, reader.number::<48>("signatureS")?);
                Self { scheme: Scheme::EcdsaP384(join(&r, &s)), name: "ECDSA with SHA-384" }
            }
            (0x0014 | 0x0016 | 0x0018, _) => {
                let problem = MarshalProblem::Value { found: hash.into(), wanted: "SHA-256, or SHA-384 with P-384" };
                return Err(before_hash.wrong("hash", problem));
            }
            _ => {
                let wanted = "RSASSA (0x14), RSAPSS (0x16) or ECDSA (0x18)";
                return Err(
                    Reader::new(bytes).wrong("sigAlg", MarshalProblem::Value { found: algorithm.into(), wanted })
                );
            }
        };
        reader.finish("TPMT_SIGNATURE")?;
        Ok(signature)
    }
}

/// What tools write; `None` if it is not that.
fn bare<'a>(bytes: &'a [u8], key: &TpmKey) -> Option<Signature<'a>> {
    if key.rsa_length() == Some(bytes.len()) {
        return Some(Signature { scheme: Scheme::Rsassa(bytes), name: "RSASSA with SHA-256, a bare number" });
    }
    let (r, s) = ecdsa_der(bytes)?;
    match key.scalar_length()? {
        32 => Some(Signature {
            scheme: Scheme::EcdsaP256(join(&padded::<32>(r)?, &padded::<32>(s)?)),
            name: "ECDSA with SHA-256, in DER",
        }),
        _ => Some(Signature {
            scheme: Scheme::EcdsaP384(join(&padded::<48>(r)?, &padded::<48>(s)?)),
            name: "ECDSA with SHA-384, in DER",
        }),
    }
}

fn padded<const N: usize>(number: &[u8]) -> Option<[u8; N]> {
    let mut padded = [0; N];
    padded.get_mut(N.checked_sub(number.len())?..)?.copy_from_slice(number);
    Some(padded)
}

fn join<const N: usize>(r: &[u8], s: &[u8]) -> [u8; N] {
    let mut both = [0; N];
    let (first, second) = both.split_at_mut(N / 2);
    first.copy_from_slice(r);
    second.copy_from_slice(s);
    both
}
