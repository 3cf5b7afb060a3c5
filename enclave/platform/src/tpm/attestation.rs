//! Attestation keys, and quotes by them.

use attestation_verifier::PublicArea;
use sha2::{Digest as _, Sha256};
use tss_esapi::{
    handles::{KeyHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{resource_handles::Hierarchy, session_handles::AuthSession},
    structures::{Attest, AttestInfo, Data, PcrSelectionList, Public, Signature, SignatureScheme},
    traits::Marshall,
};

use super::{
    linux::{ATTEMPTS, Tpm, failed, selection},
    template,
};
use crate::{AkChoice, AttestationKey, TpmError, TpmQuote};

/// An attestation key that is loaded.
#[derive(Clone)]
pub(super) struct LoadedKey {
    choice: AkChoice,
    handle: KeyHandle,
    key: AttestationKey,
    /// Name of the key below its hierarchy: every quote carries it as `qualifiedSigner`.
    qualified: Vec<u8>,
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
        let loaded = self.load_key(choice)?;
        let data = Data::try_from(qualifying.as_slice()).map_err(failed("encode what a quote is over"))?;
        for _ in 0..ATTEMPTS {
            let pcrs = self.register_values(indices)?;
            let selected = selection(indices)?;
            let (attest, signature) = self
                .context
                .execute_with_session(Some(AuthSession::Password), |context| {
                    context.quote(loaded.handle, data.clone(), SignatureScheme::Null, selected.clone())
                })
                .map_err(failed("quote its registers"))?;
            // A persistent handle may hold another key by now.
            if attest.qualified_signer().value() != loaded.qualified {
                return Err(TpmError::OtherKey);
            }
            if covers(&attest, &signature, &data, &selected)? == digest(&pcrs) {
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
        let handle = match choice {
            AkChoice::Ours => self.make_key()?,
            AkChoice::Persistent(handle) => self.find_key(handle)?.ok_or(TpmError::NoKey { handle })?,
        };
        let (public, qualified) = self.read_key(handle)?;
        let area = public_area(&public)?;
        if !area.attests() {
            return Err(TpmError::UnfitKey { choice });
        }
        // An endorsement key of a kind that verifiers do not take has no name to give them.
        let ek = match self.find_key(AkChoice::ENDORSEMENT)? {
            Some(handle) => public_area(&self.read_key(handle)?.0).ok(),
            None => None,
        };
        let key = AttestationKey {
            name: *area.name(),
            spki: area.key().spki().to_vec(),
            ek_name: ek.map(|area| *area.name()),
        };
        self.release_primary()?;
        let loaded = LoadedKey { choice, handle, key, qualified };
        self.attestation = Some(loaded.clone());
        Ok(loaded)
    }

    /// A primary of the endorsement hierarchy: the same at every boot, also after TPM2_Clear, until the maker's seed is
    /// changed. It never leaves the TPM and is not kept in it.
    fn make_key(&mut self) -> Result<KeyHandle, TpmError> {
        let session = self.primary()?.session;
        let template = template::attestation().map_err(failed("build the attestation key's template"))?;
        self.context
            .execute_with_session(Some(session), |context| {
                context.create_primary(Hierarchy::Endorsement, template, None, None, None, None)
            })
            .map(|created| created.key_handle)
            .map_err(failed("derive its attestation key"))
    }

    /// A persistent object; none if there is none.
    fn find_key(&mut self, handle: u32) -> Result<Option<KeyHandle>, TpmError> {
        let persistent = PersistentTpmHandle::new(handle).map_err(failed("encode a persistent handle"))?;
        if !self.has_key(handle)? {
            return Ok(None);
        }
        self.context
            .execute_without_session(|context| context.tr_from_tpm_public(TpmHandle::Persistent(persistent)))
            .map(|object| Some(KeyHandle::from(object)))
            .map_err(failed("find a persistent key"))
    }

    /// Public area and qualified name.
    fn read_key(&mut self, handle: KeyHandle) -> Result<(Public, Vec<u8>), TpmError> {
        let audit = self.primary()?.audit;
        self.context
            .execute_with_session(Some(audit), |context| context.read_public(handle))
            .map(|(public, _, qualified)| (public, qualified.value().to_vec()))
            .map_err(failed("read a key's public area"))
    }
}

/// What the TPM hashes: the values in ascending order of their registers.
fn digest(pcrs: &[(u8, [u8; 32])]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for (_, value) in pcrs {
        hash.update(value);
    }
    hash.finalize().to_vec()
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread, time::Duration};

    use sealgate_tests::Swtpm;
    use tss_esapi::{
        Error,
        constants::SessionType,
        interface_types::{dynamic_handles::Persistent, resource_handles::Provision},
    };

    use super::*;

    #[test]
    fn sessions_that_others_hold_for_a_moment_are_waited_for_and_not_for_ever() {
        let tpm = Swtpm::start();
        let (held, freed) = (mpsc::channel(), mpsc::channel::<()>());
        let tcti = tpm.tcti();
        let other = thread::spawn(move || {
            let mut other = Tpm::open(&tcti).expect("open");
            // All that the software TPM keeps.
            for _ in 0..3 {
                other.session(None, SessionType::Trial).expect("a session");
            }
            held.0.send(()).expect("listening");
            freed.1.recv().expect("told");
            thread::sleep(Duration::from_millis(200));
        });
        held.1.recv().expect("told");
        let mut tpm = Tpm::open(&tpm.tcti()).expect("open");
        let refused = tpm.session(None, SessionType::Trial).map(drop).expect_err("there is none").to_string();
        assert!(refused.contains("out of memory for session contexts"), "{refused}");
        freed.0.send(()).expect("listening");
        tpm.session(None, SessionType::Trial).expect("one is free after a moment");
        other.join().expect("no panic");
    }

    #[test]
    fn a_persistent_key_that_is_replaced_while_we_are_connected_does_not_quote() {
        let tpm = Swtpm::start();
        let mut tpm = Tpm::open(&tpm.tcti()).expect("open");
        let at = Persistent::Persistent(PersistentTpmHandle::new(AkChoice::AZURE).expect("a handle"));
        let keep = |tpm: &mut Tpm, hierarchy| {
            let template = template::attestation().expect("template");
            let kept = tpm.context.execute_with_session(Some(AuthSession::Password), |context| {
                let made = context.create_primary(hierarchy, template, None, None, None, None)?.key_handle;
                let kept = context.evict_control(Provision::Owner, made.into(), at)?;
                context.execute_without_session(|context| context.flush_context(made.into()))?;
                Ok::<_, Error>(kept)
            });
            kept.expect("kept")
        };
        let first = keep(&mut tpm, Hierarchy::Endorsement);
        let choice = AkChoice::Persistent(AkChoice::AZURE);
        tpm.quote(choice, &[1; 32], &[4]).expect("quote");
        tpm.context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.evict_control(Provision::Owner, first, at)
            })
            .expect("removed");
        keep(&mut tpm, Hierarchy::Owner);
        let error = tpm.quote(choice, &[1; 32], &[4]).expect_err("another key");
        assert!(matches!(error, TpmError::OtherKey), "{error}");
    }
}
