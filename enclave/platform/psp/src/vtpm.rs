//! What virtual TPMs, Azure's paravisor and an SVSM write, made in software: quotes, the HCL blob, the services manifest.
//! As with the processor, it proves nothing, and every field may be made to lie.
//!
//! Sources: TPM 2.0 Library Specification part 2 (TPMS_ATTEST 10.12.8, TPMT_SIGNATURE 11.3.4, TPMT_PUBLIC 12.2.4) and
//! part 1, 16 (Names); Azure guest attestation and openhcl `hcl_report`; AMD 58019 (services manifest).

use p256::ecdsa::signature::Signer as _;
use rsa::{
    RsaPrivateKey, RsaPublicKey,
    pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey},
    rand_core::{CryptoRngCore, OsRng},
    signature::{RandomizedSigner, SignatureEncoding},
    traits::PublicKeyParts,
};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::{PspError, REPORT_LENGTH};

/// TPM_ALG_SHA256.
const SHA256: u16 = 0x000B;
/// TPM_ALG_SHA384.
const SHA384: u16 = 0x000C;
/// fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, sign.
const ATTESTS: u32 = 0x0005_0472;
/// TPM_RH_ENDORSEMENT.
const ENDORSEMENT: u32 = 0x4000_000B;

/// A key that signs quotes.
pub enum QuoteKey {
    /// RSA-2048 with RSASSA and SHA-256, as on Azure.
    Rsassa(RsaPrivateKey),
    /// RSA-2048 with RSAPSS and SHA-256.
    Rsapss(RsaPrivateKey),
    /// P-256 with SHA-256.
    P256(p256::ecdsa::SigningKey),
    /// P-384 with SHA-384.
    P384(p384::ecdsa::SigningKey),
}

impl QuoteKey {
    /// A new RSA key.
    ///
    /// # Errors
    /// [`PspError::Rsa`].
    pub fn rsassa(rng: &mut impl CryptoRngCore) -> Result<Self, PspError> {
        Ok(Self::Rsassa(RsaPrivateKey::new(rng, 2048)?))
    }

    /// A new RSA key for the other scheme.
    ///
    /// # Errors
    /// [`PspError::Rsa`].
    pub fn rsapss(rng: &mut impl CryptoRngCore) -> Result<Self, PspError> {
        Ok(Self::Rsapss(RsaPrivateKey::new(rng, 2048)?))
    }

    /// A new P-256 key.
    pub fn p256(rng: &mut impl CryptoRngCore) -> Self {
        Self::P256(p256::ecdsa::SigningKey::random(rng))
    }

    /// A new P-384 key.
    pub fn p384(rng: &mut impl CryptoRngCore) -> Self {
        Self::P384(p384::ecdsa::SigningKey::random(rng))
    }

    /// An RSA key in PKCS #8, for those who keep one.
    ///
    /// # Errors
    /// [`PspError::Encoding`] for a key of another kind.
    pub fn to_pkcs8(&self) -> Result<Vec<u8>, PspError> {
        match self {
            Self::Rsassa(key) | Self::Rsapss(key) => key.to_pkcs8_der().map(|der| der.as_bytes().to_vec()).ok(),
            Self::P256(_) | Self::P384(_) => None,
        }
        .ok_or_else(|| PspError::Encoding("RSA private key".into()))
    }

    /// The same, back.
    ///
    /// # Errors
    /// [`PspError::Encoding`].
    pub fn rsassa_from_pkcs8(der: &[u8]) -> Result<Self, PspError> {
        let key = RsaPrivateKey::from_pkcs8_der(der);
        key.map(Self::Rsassa).map_err(|_| PspError::Encoding("RSA private key".into()))
    }

    /// SubjectPublicKeyInfo, DER.
    ///
    /// # Errors
    /// [`PspError::Encoding`].
    pub fn spki(&self) -> Result<Vec<u8>, PspError> {
        match self {
            Self::Rsassa(key) | Self::Rsapss(key) => key.to_public_key().to_public_key_der(),
            Self::P256(key) => key.verifying_key().to_public_key_der(),
            Self::P384(key) => key.verifying_key().to_public_key_der(),
        }
        .map(|der| der.as_bytes().to_vec())
        .map_err(|_| PspError::Encoding("quote key".into()))
    }

    /// TPMT_PUBLIC of a restricted signing key.
    pub fn public_area(&self) -> Vec<u8> {
        let scheme = |id: u16, hash: u16| [id.to_be_bytes(), hash.to_be_bytes()].concat();
        match self {
            Self::Rsassa(key) => rsa_area(&key.to_public_key(), &scheme(0x0014, SHA256)),
            Self::Rsapss(key) => rsa_area(&key.to_public_key(), &scheme(0x0016, SHA256)),
            Self::P256(key) => {
                curve_area(key.verifying_key().to_encoded_point(false).as_bytes(), 3, &scheme(0x0018, SHA256))
            }
            Self::P384(key) => {
                curve_area(key.verifying_key().to_encoded_point(false).as_bytes(), 4, &scheme(0x0018, SHA384))
            }
        }
    }

    /// The Name of that public area.
    pub fn name(&self) -> [u8; 34] {
        name_of(&self.public_area())
    }

    /// `qualifiedSigner` of a primary key of the endorsement hierarchy.
    pub fn qualified_name(&self) -> [u8; 34] {
        name_of(&[&ENDORSEMENT.to_be_bytes()[..], &self.name()].concat())
    }

    /// TPMT_SIGNATURE over any bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let head = |id: u16, hash: u16| [id.to_be_bytes(), hash.to_be_bytes()].concat();
        match self {
            Self::Rsassa(key) => {
                let signer = rsa::pkcs1v15::SigningKey::<Sha256>::new(key.clone());
                [head(0x0014, SHA256), sized(&signer.sign_with_rng(&mut OsRng, message).to_vec())].concat()
            }
            Self::Rsapss(key) => {
                let signer = rsa::pss::SigningKey::<Sha256>::new(key.clone());
                [head(0x0016, SHA256), sized(&signer.sign_with_rng(&mut OsRng, message).to_vec())].concat()
            }
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.split_bytes();
                [head(0x0018, SHA256), sized(&r), sized(&s)].concat()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.split_bytes();
                [head(0x0018, SHA384), sized(&r), sized(&s)].concat()
            }
        }
    }

    fn register_digest(&self, values: &[u8]) -> Vec<u8> {
        match self {
            Self::P384(_) => Sha384::digest(values).to_vec(),
            _ => Sha256::digest(values).to_vec(),
        }
    }
}

/// What a TPM is asked to quote, and how it may lie.
#[derive(Clone, Debug)]
pub struct QuoteRequest {
    /// TPM_GENERATED_VALUE.
    pub magic: u32,
    /// TPM_ST_ATTEST_QUOTE.
    pub kind: u16,
    /// `extraData`.
    pub extra_data: Vec<u8>,
    /// TPM_ALG_ID of the bank.
    pub bank: u16,
    /// Register and value, ascending; all are selected.
    pub registers: Vec<(u8, [u8; 32])>,
}

impl QuoteRequest {
    /// What an honest gateway asks for: registers 4, 7, 11 to 15 of the SHA-256 bank, 15 holding the core.
    pub fn new(extra_data: [u8; 32], core_register: [u8; 32]) -> Self {
        let predicted = [4, 7, 11, 12, 13, 14].map(|register| (register, [register; 32]));
        Self {
            magic: 0xFF54_4347,
            kind: 0x8018,
            extra_data: extra_data.to_vec(),
            bank: SHA256,
            registers: predicted.into_iter().chain([(15, core_register)]).collect(),
        }
    }

    /// TPMS_ATTEST for this key.
    pub fn attest(&self, key: &QuoteKey) -> Vec<u8> {
        let values: Vec<u8> = self.registers.iter().flat_map(|(_, value)| *value).collect();
        let selected = self.registers.iter().fold(0_u32, |bits, (register, _)| bits | 1 << register).to_le_bytes();
        [
            &self.magic.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &sized(&key.qualified_name()),
            &sized(&self.extra_data),
            // Clock, resets, restarts, safe; firmware.
            &[0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 1],
            &[0x20, 0x16, 0, 0, 0, 0, 0, 1],
            &1_u32.to_be_bytes(),
            &self.bank.to_be_bytes(),
            &[3],
            selected.get(..3).unwrap_or_default(),
            &sized(&key.register_digest(&values)),
        ]
        .concat()
    }
}

/// Azure's claims: the keys of the vTPM, and what the guest wrote into index 0x01400002. Without `ek` as the oldest
/// blobs have them. Keys that are not RSA have an empty modulus.
pub fn runtime_claims(ak: &QuoteKey, ek: Option<&QuoteKey>, user_data: &[u8; 64]) -> String {
    let jwk = |kid: &str, key: &QuoteKey, use_for: &str| {
        let n = match key {
            QuoteKey::Rsassa(key) | QuoteKey::Rsapss(key) => base64url(&key.n().to_bytes_be()),
            QuoteKey::P256(_) | QuoteKey::P384(_) => String::new(),
        };
        format!(r#"{{"kid":"{kid}","key_ops":["{use_for}"],"kty":"RSA","e":"AQAB","n":"{n}"}}"#)
    };
    let keys = [Some(jwk("HCLAkPub", ak, "sign")), ek.map(|ek| jwk("HCLEkPub", ek, "encrypt"))];
    let keys: Vec<String> = keys.into_iter().flatten().collect();
    let user_data = hex::encode_upper(user_data);
    format!(
        r#"{{"keys":[{}],"vm-configuration":{{"console-enabled":true,"secure-boot":true,"tpm-enabled":true}},"user-data":"{user_data}"}}"#,
        keys.join(",")
    )
}

/// The hash of Azure's claims in REPORT_DATA.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimsHash {
    /// Type 1.
    Sha256,
    /// Type 2.
    Sha384,
    /// Type 3.
    Sha512,
}

impl ClaimsHash {
    /// REPORT_DATA for these claims.
    pub fn report_data(self, claims: &[u8]) -> [u8; 64] {
        let digest = match self {
            Self::Sha256 => Sha256::digest(claims).to_vec(),
            Self::Sha384 => Sha384::digest(claims).to_vec(),
            Self::Sha512 => Sha512::digest(claims).to_vec(),
        };
        std::array::from_fn(|at| digest.get(at).copied().unwrap_or(0))
    }
}

/// vTPM index 0x01400001. `capabilities` stand before the claims in newer blobs.
pub fn hcl_blob(report: &[u8; REPORT_LENGTH], claims: &[u8], hash: ClaimsHash, capabilities: Option<u32>) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let version: usize = if capabilities.is_some() { 2 } else { 1 };
    let mut blob = [&b"HCLA"[..], &word(version), &word(REPORT_LENGTH), &word(2), &[0; 16], report].concat();
    let hash: usize = match hash {
        ClaimsHash::Sha256 => 1,
        ClaimsHash::Sha384 => 2,
        ClaimsHash::Sha512 => 3,
    };
    for number in [claims.len() + 20, version, 2, hash, claims.len()] {
        blob.extend(word(number));
    }
    if let Some(capabilities) = capabilities {
        blob.extend(capabilities.to_le_bytes());
    }
    blob.extend(claims);
    // The index is longer than what it holds.
    blob.resize(blob.len().max(2600), 0);
    blob
}

/// A services manifest with the vTPM service, version 0, of this endorsement key.
pub fn services_manifest(ek: &QuoteKey) -> Vec<u8> {
    const MANIFEST: [u8; 16] = *b"\xBB\x9E\x84\x63\x92\x3D\x70\x46\xA1\xFF\x58\xF9\xC9\x4B\x87\xBB";
    const VTPM: [u8; 16] = *b"\xEB\xF1\x76\xC4\x23\x01\xA5\x45\x96\x41\xB4\xE7\xDD\xE5\xBF\xE3";
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let area = ek.public_area();
    [&MANIFEST[..], &word(48 + area.len()), &word(1), &VTPM, &word(48), &word(area.len()), &area].concat()
}

/// What REPORT_DATA is for a nonce and that manifest.
pub fn manifest_report_data(nonce: &[u8; 64], manifest: &[u8]) -> [u8; 64] {
    Sha512::new().chain_update(nonce).chain_update(manifest).finalize().into()
}

fn name_of(bytes: &[u8]) -> [u8; 34] {
    let digest = Sha256::digest(bytes);
    let name = [&SHA256.to_be_bytes()[..], &digest].concat();
    std::array::from_fn(|at| name.get(at).copied().unwrap_or(0))
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

/// Name algorithm SHA-256, no policy, no symmetric cipher.
fn area(kind: u16, parameters: &[&[u8]]) -> Vec<u8> {
    let head = [&kind.to_be_bytes()[..], &SHA256.to_be_bytes(), &ATTESTS.to_be_bytes(), &[0, 0], &[0, 0x10]].concat();
    [head, parameters.concat()].concat()
}

fn rsa_area(key: &RsaPublicKey, scheme: &[u8]) -> Vec<u8> {
    area(0x0001, &[scheme, &2048_u16.to_be_bytes(), &0_u32.to_be_bytes(), &sized(&key.n().to_bytes_be())])
}

fn curve_area(point: &[u8], curve: u16, scheme: &[u8]) -> Vec<u8> {
    let numbers = point.get(1..).unwrap_or_default();
    let (x, y) = numbers.split_at(numbers.len() / 2);
    area(0x0023, &[scheme, &curve.to_be_bytes(), &[0, 0x10], &sized(x), &sized(y)])
}

/// RFC 4648 section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digit = |bits: u32| DIGITS.get(bits as usize & 63).map_or('A', |digit| char::from(*digit));
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        text.extend((0..=chunk.len()).map(|at| digit(bits >> (18 - 6 * at))));
    }
    text
}
