//! TPMT_PUBLIC: a key as its TPM describes it, with the attributes that say what the TPM lets it sign. TPM 2.0 Library
//! Specification part 2, section 12.2; Name: part 1, section 16.

use sha2::{Digest as _, Sha256};

use super::{
    key::{KeyError, TpmKey},
    reader::{MarshalError, MarshalProblem, Reader},
};

const RSA: u16 = 0x0001;
const ECC: u16 = 0x0023;
const NULL: u16 = 0x0010;
const SHA256: u16 = 0x000B;

/// fixedTPM, fixedParent, sensitiveDataOrigin: made inside, never leaves.
const STAYS_INSIDE: u32 = 1 << 1 | 1 << 4 | 1 << 5;
/// Signs only what the TPM says itself, or what does not begin as if the TPM had said it.
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// Hierarchies a primary key can be of: the handle, and its name.
const HIERARCHIES: [(u32, &str); 3] = [(0x4000_000B, "endorsement"), (0x4000_0001, "owner"), (0x4000_000C, "platform")];

/// A key's public area: RSA, P-256 or P-384, name algorithm SHA-256.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicArea {
    key: TpmKey,
    attributes: u32,
    name: [u8; 34],
}

impl PublicArea {
    /// Reads a TPMT_PUBLIC, or the TPM2B_PUBLIC that holds one (a length in front).
    ///
    /// # Errors
    /// [`PublicAreaError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PublicAreaError> {
        // No type of key is the number of bytes that follow it, so there is no doubt which of the two it is.
        let sized =
            bytes.split_first_chunk().filter(|(length, rest)| usize::from(u16::from_be_bytes(**length)) == rest.len());
        let area = sized.map_or(bytes, |(_, rest)| rest);
        let mut reader = Reader::new(area);
        let kind = word(&mut reader, "type", &[RSA, ECC], "RSA or ECC")?;
        word(&mut reader, "nameAlg", &[SHA256], "SHA-256")?;
        let attributes = reader.u32("objectAttributes")?;
        reader.sized("authPolicy", 64)?;
        let symmetric = reader.u16("symmetric.algorithm")?;
        if symmetric != NULL {
            reader.take("symmetric.keyBits and mode", 4)?;
        }
        let key = if kind == RSA { rsa(&mut reader)? } else { ecc(&mut reader)? };
        reader.finish("TPMT_PUBLIC")?;
        let mut name = [0; 34];
        name.copy_from_slice(&[&SHA256.to_be_bytes()[..], &Sha256::digest(area)].concat());
        Ok(Self { key, attributes, name })
    }

    /// The key itself.
    pub fn key(&self) -> &TpmKey {
        &self.key
    }

    /// The Name: algorithm and digest of the public area.
    pub fn name(&self) -> &[u8; 34] {
        &self.name
    }

    /// May this key sign nothing but what the TPM says of itself? Only then is a quote by it the TPM's word: a key
    /// that is not restricted signs whatever its user makes up. That the key is in a TPM at all is not said by these
    /// bytes; something has to vouch for the Name.
    pub fn attests(&self) -> bool {
        self.attributes & (STAYS_INSIDE | RESTRICTED | SIGN | DECRYPT) == STAYS_INSIDE | RESTRICTED | SIGN
    }

    /// The hierarchy of which this key is a primary, if a quote's `qualifiedSigner` says that it is: the Name over the
    /// hierarchy's handle and the key's Name.
    pub fn primary_of(&self, qualified_signer: &[u8]) -> Option<&'static str> {
        let of = |handle: u32| {
            let digest = Sha256::new().chain_update(handle.to_be_bytes()).chain_update(self.name).finalize();
            [&SHA256.to_be_bytes()[..], &digest].concat()
        };
        HIERARCHIES.into_iter().find(|(handle, _)| of(*handle) == qualified_signer).map(|(_, name)| name)
    }
}

/// Bytes that are no public area we take.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicAreaError {
    /// Not marshalled as it should be, or of a kind we do not know.
    #[error("public area: {0}")]
    Marshal(#[from] MarshalError),
    /// The numbers are no key.
    #[error("public area: {0}")]
    Key(#[from] KeyError),
}

impl PublicAreaError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        "give TPMT_PUBLIC or TPM2B_PUBLIC of an RSA, P-256 or P-384 key with name algorithm SHA-256, as tpm2_readpublic writes it"
    }
}

fn word(
    reader: &mut Reader<'_>,
    field: &'static str,
    known: &[u16],
    wanted: &'static str,
) -> Result<u16, MarshalError> {
    let before = *reader;
    let found = reader.u16(field)?;
    if known.contains(&found) {
        Ok(found)
    } else {
        Err(before.wrong(field, MarshalProblem::Value { found: found.into(), wanted }))
    }
}

fn rsa(reader: &mut Reader<'_>) -> Result<TpmKey, PublicAreaError> {
    const SCHEMES: [u16; 5] = [NULL, 0x0014, 0x0015, 0x0016, 0x0017];
    let scheme = word(reader, "scheme", &SCHEMES, "a scheme of RSA")?;
    if !matches!(scheme, NULL | 0x0015) {
        reader.u16("scheme.hashAlg")?;
    }
    reader.u16("keyBits")?;
    let before = *reader;
    let exponent = reader.u32("exponent")?;
    if !matches!(exponent, 0 | 65537) {
        let problem = MarshalProblem::Value { found: exponent.into(), wanted: "0, which means 65537" };
        return Err(before.wrong("exponent", problem).into());
    }
    Ok(TpmKey::from_modulus(reader.sized("unique", 512)?)?)
}

fn ecc(reader: &mut Reader<'_>) -> Result<TpmKey, PublicAreaError> {
    const SCHEMES: [u16; 7] = [NULL, 0x0018, 0x0019, 0x001A, 0x001B, 0x001C, 0x001D];
    let scheme = word(reader, "scheme", &SCHEMES, "a scheme of elliptic curves")?;
    if scheme != NULL {
        reader.u16("scheme.hashAlg")?;
    }
    if scheme == 0x001A {
        reader.u16("scheme.count")?;
    }
    let curve = word(reader, "curveID", &[3, 4], "3 (P-256) or 4 (P-384)")?;
    if reader.u16("kdf")? != NULL {
        reader.u16("kdf.hashAlg")?;
    }
    if curve == 3 {
        let (x, y) = (reader.number::<32>("x")?, reader.number::<32>("y")?);
        Ok(TpmKey::p256(&[&[4][..], &x, &y].concat())?)
    } else {
        let (x, y) = (reader.number::<48>("x")?, reader.number::<48>("y")?);
        Ok(TpmKey::p384(&[&[4][..], &x, &y].concat())?)
    }
}
