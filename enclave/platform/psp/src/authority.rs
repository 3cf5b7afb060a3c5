//! ARK, ASK and ASVK of one product.

use p384::{ecdsa::SigningKey, pkcs8::EncodePublicKey};
use rsa::{RsaPrivateKey, rand_core::CryptoRngCore};
use time::OffsetDateTime;

use crate::{
    Draft, Extension, Product, PspError, Vek, VekKind, VekRequest,
    certificate::{self, CaProfile},
};

/// Which intermediate signs: an honest processor uses ASK for a VCEK and ASVK for a VLEK, a vector may not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Intermediate {
    /// SEV signing key, for chips.
    Ask,
    /// SEV VLEK signing key, for cloud providers.
    Asvk,
}

/// What a revocation list says.
#[derive(Clone, Debug)]
pub struct CrlRequest {
    /// CRL number.
    pub number: u64,
    /// Issued.
    pub this_update: OffsetDateTime,
    /// To be replaced by.
    pub next_update: OffsetDateTime,
    /// Serial numbers of revoked intermediates; see [`Authority::serial`].
    pub revoked: Vec<u64>,
}

pub(crate) struct Ca {
    pub(crate) key: RsaPrivateKey,
    pub(crate) der: Vec<u8>,
}

/// The root of one product with its two intermediates. Nothing it signs proves anything.
pub struct Authority {
    pub(crate) product: Product,
    pub(crate) ark: Ca,
    pub(crate) ask: Ca,
    pub(crate) asvk: Option<Ca>,
}

impl Authority {
    /// Makes ARK and ASK (two RSA-4096 keys: seconds). A VLEK needs [`Authority::with_asvk`] too.
    ///
    /// # Errors
    /// [`PspError::Rsa`] or [`PspError::Encoding`] when a key cannot be made.
    pub fn generate(
        product: Product,
        not_before: OffsetDateTime,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, PspError> {
        let ark_key = RsaPrivateKey::new(rng, 4096)?;
        let ask_key = RsaPrivateKey::new(rng, 4096)?;
        Self::from_keys(product, ark_key, ask_key, not_before, rng)
    }

    /// The same around keys that are there already.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if a key does not encode.
    pub fn from_keys(
        product: Product,
        ark_key: RsaPrivateKey,
        ask_key: RsaPrivateKey,
        not_before: OffsetDateTime,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, PspError> {
        let [ark_serial, ..] = product.serials();
        let profile = CaProfile {
            common_name: ark_name(product),
            issuer_name: ark_name(product),
            serial: ark_serial,
            crl_path: "vcek",
            issuer_key_id: None,
            authority: true,
        };
        let ark = certificate::ca(product, &profile, &ark_key.to_public_key(), not_before)?.sign(&ark_key, rng);
        let ark = Ca { key: ark_key, der: ark };
        let ask = intermediate(product, Intermediate::Ask, ask_key, &ark.key, true, not_before, rng)?;
        Ok(Self { product, ark, ask, asvk: None })
    }

    /// Adds the intermediate for cloud providers: one more RSA-4096 key.
    ///
    /// # Errors
    /// As [`Authority::generate`].
    pub fn with_asvk(self, not_before: OffsetDateTime, rng: &mut impl CryptoRngCore) -> Result<Self, PspError> {
        let key = RsaPrivateKey::new(rng, 4096)?;
        self.with_asvk_key(key, not_before, rng)
    }

    /// The same, with a key that was made before.
    ///
    /// # Errors
    /// [`PspError::Encoding`] when the certificate does not encode.
    pub fn with_asvk_key(
        mut self,
        key: RsaPrivateKey,
        not_before: OffsetDateTime,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Self, PspError> {
        self.asvk = Some(intermediate(self.product, Intermediate::Asvk, key, &self.ark.key, true, not_before, rng)?);
        Ok(self)
    }

    /// The product whose names it uses.
    pub fn product(&self) -> Product {
        self.product
    }

    /// The root's certificate, DER.
    pub fn ark(&self) -> &[u8] {
        &self.ark.der
    }

    /// An intermediate's certificate, DER; none for an ASVK that was not asked for.
    pub fn intermediate(&self, which: Intermediate) -> Option<&[u8]> {
        self.ca(which).map(|ca| ca.der.as_slice())
    }

    /// An intermediate's serial number, which a revocation list names.
    pub fn serial(&self, which: Intermediate) -> u64 {
        let [_, ask, asvk] = self.product.serials();
        match which {
            Intermediate::Ask => ask,
            Intermediate::Asvk => asvk,
        }
    }

    /// An endorsement key with its certificate, signed by `by`.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if the key does not encode or that intermediate was never made.
    pub fn endorse(
        &self,
        by: Intermediate,
        request: &VekRequest,
        key: SigningKey,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vek, PspError> {
        let ca = self.ca(by).ok_or_else(|| PspError::Encoding("VLEK: no ASVK was made".into()))?;
        let spki =
            key.verifying_key().to_public_key_der().map_err(|_| PspError::Encoding("P-384 public key".into()))?;
        let issuer = intermediate_name(self.product, by);
        let der = certificate::vek(self.product, request, &issuer, spki.as_bytes()).sign(&ca.key, rng);
        Ok(Vek::new(request.kind, key, der))
    }

    /// The endorsement an honest processor would get.
    ///
    /// # Errors
    /// As [`Authority::endorse`].
    pub fn vek(&self, request: &VekRequest, rng: &mut impl CryptoRngCore) -> Result<Vek, PspError> {
        let by = match request.kind {
            VekKind::Vcek => Intermediate::Ask,
            VekKind::Vlek => Intermediate::Asvk,
        };
        let key = SigningKey::random(rng);
        self.endorse(by, request, key, rng)
    }

    /// A revocation list signed by the root, DER.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if the root's key does not encode.
    pub fn crl(&self, request: &CrlRequest, rng: &mut impl CryptoRngCore) -> Result<Vec<u8>, PspError> {
        self.crl_with(request, &[], &[], rng)
    }

    /// The same with extensions in each entry, and more extensions of the list than AMD's have.
    ///
    /// # Errors
    /// As [`Authority::crl`].
    pub fn crl_with(
        &self,
        request: &CrlRequest,
        of_entries: &[Extension],
        of_list: &[Extension],
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, PspError> {
        let key_id = certificate::key_id(&self.ark.key.to_public_key())?;
        let (name, key) = (ark_name(self.product), &self.ark.key);
        Ok(certificate::crl(&name, key_id, request, (of_entries, of_list), key, rng))
    }

    /// An endorsement certificate as AMD would write it, for any key, to be changed at will before
    /// [`Authority::sign`]. `spki` is the key's DER `SubjectPublicKeyInfo`.
    pub fn vek_draft(&self, request: &VekRequest, spki: &[u8]) -> Draft {
        let by = match request.kind {
            VekKind::Vcek => Intermediate::Ask,
            VekKind::Vlek => Intermediate::Asvk,
        };
        certificate::vek(self.product, request, &intermediate_name(self.product, by), spki)
    }

    /// The ASK's certificate once more, same key, to be changed at will before [`Authority::sign`].
    ///
    /// # Errors
    /// [`PspError::Encoding`] if a key does not encode.
    pub fn ask_draft(&self, not_before: OffsetDateTime) -> Result<Draft, PspError> {
        intermediate_draft(self.product, Intermediate::Ask, &self.ask.key, &self.ark.key, true, not_before)
    }

    /// Signs whatever the draft says, with the root's key or, if `by` names one, an intermediate's.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if that intermediate was never made.
    pub fn sign(
        &self,
        by: Option<Intermediate>,
        draft: &Draft,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, PspError> {
        let ca = match by {
            None => Some(&self.ark),
            Some(which) => self.ca(which),
        };
        Ok(draft.sign(&ca.ok_or_else(|| PspError::Encoding("VLEK: no ASVK was made".into()))?.key, rng))
    }

    /// A certificate around any signed part, with any algorithm named beside it and any length of salt, by the root's key
    /// or, if `by` names one, an intermediate's.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if that intermediate was never made.
    pub fn forge(
        &self,
        by: Option<Intermediate>,
        to_be_signed: &[u8],
        algorithm: &[u8],
        salt: usize,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, PspError> {
        let ca = match by {
            None => Some(&self.ark),
            Some(which) => self.ca(which),
        };
        let ca = ca.ok_or_else(|| PspError::Encoding("VLEK: no ASVK was made".into()))?;
        Ok(certificate::signed_with_salt(to_be_signed, algorithm, &ca.key, salt, rng))
    }

    /// The ASK once more, same key, but without the right to sign certificates: a verifier must refuse it.
    ///
    /// # Errors
    /// [`PspError::Encoding`] if a key does not encode.
    pub fn ask_without_authority(
        &self,
        not_before: OffsetDateTime,
        rng: &mut impl CryptoRngCore,
    ) -> Result<Vec<u8>, PspError> {
        let key = self.ask.key.clone();
        Ok(intermediate(self.product, Intermediate::Ask, key, &self.ark.key, false, not_before, rng)?.der)
    }

    fn ca(&self, which: Intermediate) -> Option<&Ca> {
        match which {
            Intermediate::Ask => Some(&self.ask),
            Intermediate::Asvk => self.asvk.as_ref(),
        }
    }
}

fn intermediate(
    product: Product,
    which: Intermediate,
    key: RsaPrivateKey,
    ark: &RsaPrivateKey,
    authority: bool,
    not_before: OffsetDateTime,
    rng: &mut impl CryptoRngCore,
) -> Result<Ca, PspError> {
    let der = intermediate_draft(product, which, &key, ark, authority, not_before)?.sign(ark, rng);
    Ok(Ca { key, der })
}

fn intermediate_draft(
    product: Product,
    which: Intermediate,
    key: &RsaPrivateKey,
    ark: &RsaPrivateKey,
    authority: bool,
    not_before: OffsetDateTime,
) -> Result<Draft, PspError> {
    let [_, ask_serial, asvk_serial] = product.serials();
    let (serial, crl_path) = match which {
        Intermediate::Ask => (ask_serial, "vcek"),
        Intermediate::Asvk => (asvk_serial, "vlek"),
    };
    let profile = CaProfile {
        common_name: intermediate_name(product, which),
        issuer_name: ark_name(product),
        serial,
        crl_path,
        issuer_key_id: Some(certificate::key_id(&ark.to_public_key())?),
        authority,
    };
    certificate::ca(product, &profile, &key.to_public_key(), not_before)
}

fn ark_name(product: Product) -> String {
    format!("ARK-{}", product.name())
}

fn intermediate_name(product: Product, which: Intermediate) -> String {
    match which {
        Intermediate::Ask => format!("SEV-{}", product.name()),
        Intermediate::Asvk => format!("SEV-VLEK-{}", product.name()),
    }
}
