//! Attestation keys, and quotes by them.

use attestation_verifier::PublicArea;
use tss_esapi::{
    Error,
    attributes::ObjectAttributesBuilder,
    handles::{KeyHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        ecc::EccCurve,
        resource_handles::Hierarchy,
        session_handles::AuthSession,
    },
    structures::{
        Attest, AttestInfo, Data, EccPoint, EccScheme, HashScheme, PcrSelectionList, Public, PublicBuilder,
        PublicEccParametersBuilder, Signature, SignatureScheme,
    },
    traits::Marshall,
};

use super::linux::{ATTEMPTS, Tpm, failed, selection};
use crate::{AkChoice, AttestationKey, TpmError, TpmQuote, quote::registers};

/// An attestation key that is loaded.
#[derive(Clone)]
pub(super) struct LoadedKey {
    choice: AkChoice,
    handle: KeyHandle,
    key: AttestationKey,
}

impl Tpm {
    /// Loads the key and says what it is. Every answer that matters is authenticated by a session salted to the storage
    /// primary.
    pub(crate) fn attestation_key(&mut self, choice: AkChoice) -> Result<AttestationKey, TpmError> {
        Ok(self.load_key(choice)?.key)
    }

    /// A quote whose registers agree with it: read, quoted, compared; again if somebody extended one meanwhile.
    pub(crate) fn quote(
        &mut self,
        choice: AkChoice,
        qualifying: &[u8; 32],
        indices: &[u8],
    ) -> Result<TpmQuote, TpmError> {
        registers(indices)?;
        let handle = self.load_key(choice)?.handle;
        let data = Data::try_from(qualifying.as_slice()).map_err(failed("encode what a quote is over"))?;
        for _ in 0..ATTEMPTS {
            let pcrs = self.register_values(indices)?;
            let selected = selection(indices)?;
            let (attest, signature) = self
                .context
                .execute_with_session(Some(AuthSession::Password), |context| {
                    context.quote(handle, data.clone(), SignatureScheme::Null, selected.clone())
                })
                .map_err(failed("quote its registers"))?;
            if covers(&attest, &signature, &data, &selected)? == TpmQuote::digest_of(&pcrs) {
                return Ok(TpmQuote {
                    attest: attest.marshall().map_err(failed("encode a quote"))?,
                    signature: signature.marshall().map_err(failed("encode a quote's signature"))?,
                    pcrs,
                });
            }
        }
        Err(TpmError::Unsteady)
    }

    /// Values of the SHA-256 bank, any register. Not authenticated: the quote that follows decides.
    fn register_values(&mut self, indices: &[u8]) -> Result<Vec<(u8, [u8; 32])>, TpmError> {
        let mut values = Vec::with_capacity(indices.len());
        for eight in indices.chunks(8) {
            let selected = selection(eight)?;
            let (_, _, digests) = self
                .context
                .execute_without_session(|context| context.pcr_read(selected))
                .map_err(failed("read its registers"))?;
            if digests.len() != eight.len() {
                return Err(TpmError::Wrong { what: "it has no SHA-256 bank with these registers" });
            }
            for (index, digest) in eight.iter().zip(digests.value()) {
                let digest = <[u8; 32]>::try_from(digest.value())
                    .map_err(|_| TpmError::Wrong { what: "a SHA-256 register that is not 32 bytes" })?;
                values.push((*index, digest));
            }
        }
        Ok(values)
    }

    fn load_key(&mut self, choice: AkChoice) -> Result<LoadedKey, TpmError> {
        if let Some(loaded) = self.attestation.as_ref().filter(|loaded| loaded.choice == choice) {
            return Ok(loaded.clone());
        }
        let (handle, public) = match choice {
            AkChoice::Ours => self.make_key()?,
            AkChoice::Persistent(handle) => self.read_key(handle)?.ok_or(TpmError::NoKey { handle })?,
        };
        let area = public_area(&public)?;
        if !area.attests() {
            return Err(TpmError::UnfitKey { choice });
        }
        // An endorsement key of a kind that verifiers do not take has no name to give them.
        let ek = self.read_key(AkChoice::ENDORSEMENT)?.and_then(|(_, public)| public_area(&public).ok());
        let key = AttestationKey {
            name: *area.name(),
            spki: area.key().spki().to_vec(),
            ek_name: ek.map(|area| *area.name()),
        };
        let loaded = LoadedKey { choice, handle, key };
        self.attestation = Some(loaded.clone());
        Ok(loaded)
    }

    /// A primary of the endorsement hierarchy: the same at every boot, also after TPM2_Clear, until the maker's seed is
    /// changed. It never leaves the TPM and is not kept in it.
    fn make_key(&mut self) -> Result<(KeyHandle, Public), TpmError> {
        let session = self.primary()?.session;
        let template = attestation_template().map_err(failed("build the attestation key's template"))?;
        let created = self
            .context
            .execute_with_session(Some(session), |context| {
                context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
            })
            .map_err(failed("derive its attestation key"))?;
        Ok((created.key_handle, created.out_public))
    }

    /// Handle and public area of a persistent object; none if there is none.
    fn read_key(&mut self, handle: u32) -> Result<Option<(KeyHandle, Public)>, TpmError> {
        let audit = self.primary()?.audit;
        let persistent = PersistentTpmHandle::new(handle).map_err(failed("encode a persistent handle"))?;
        if !self.has_handle(handle)? {
            return Ok(None);
        }
        let object = self
            .context
            .execute_without_session(|context| context.tr_from_tpm_public(TpmHandle::Persistent(persistent)))
            .map(KeyHandle::from)
            .map_err(failed("find a persistent key"))?;
        let (public, _, _) = self
            .context
            .execute_with_session(Some(audit), |context| context.read_public(object))
            .map_err(failed("read a persistent key"))?;
        Ok(Some((object, public)))
    }
}

/// The digest of registers in a quote that is over `data` and `selected`; any other quote is refused.
fn covers(
    attest: &Attest,
    signature: &Signature,
    data: &Data,
    selected: &PcrSelectionList,
) -> Result<Vec<u8>, TpmError> {
    let AttestInfo::Quote { info } = attest.attested() else {
        return Err(TpmError::Wrong { what: "it attests something else than its registers" });
    };
    if attest.extra_data() != data || info.pcr_selection() != selected {
        return Err(TpmError::Wrong { what: "a quote over something else than was asked for" });
    }
    if matches!(signature, Signature::Null) {
        return Err(TpmError::Wrong { what: "a quote without a signature" });
    }
    Ok(info.pcr_digest().value().to_vec())
}

/// The public area as a verifier will read it.
fn public_area(public: &Public) -> Result<PublicArea, TpmError> {
    let doing = "read a key's public area";
    let bytes = public.marshall().map_err(failed(doing))?;
    PublicArea::parse(&bytes).map_err(|error| TpmError::Failed { doing, why: error.to_string() })
}

/// ECC P-256, ECDSA with SHA-256, restricted, signing only, empty password. Changing one bit of it changes the key.
fn attestation_template() -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_sign_encrypt(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new_unrestricted_signing_key(
        EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)),
        EccCurve::NistP256,
    )
    .with_restricted(true)
    .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::default())
        .build()
}
