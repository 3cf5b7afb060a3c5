//! Sealing 64 bytes to registers, and opening them.

use tss_esapi::{
    Error,
    attributes::{ObjectAttributesBuilder, SessionAttributesBuilder},
    constants::{SessionType, response_code::Tss2ResponseCodeKind as Kind},
    handles::{ObjectHandle, SessionHandle},
    interface_types::{
        algorithm::{HashingAlgorithm, PublicAlgorithm},
        session_handles::{AuthSession, PolicySession},
    },
    structures::{Digest, KeyedHashScheme, Private, Public, PublicBuilder, PublicKeyedHashParameters, SensitiveData},
    traits::{Marshall, UnMarshall},
};
use zeroize::Zeroizing;

use super::linux::{ATTEMPTS, Tpm, failed, kind, selection, to_digest};
use crate::{PcrSet, PcrValues, Secret, TpmError, blob::Sealed};

impl Tpm {
    /// Seals to the values the registers hold now. The object has no password and can be used by policy alone.
    pub(crate) fn seal(&mut self, secret: &Secret<[u8; 64]>, set: &PcrSet) -> Result<Sealed, TpmError> {
        let primary = self.primary()?;
        let pcrs = self.read_pcrs(set)?;
        let policy = self.trial_policy(&pcrs)?;
        if policy.value() != pcrs.policy() {
            return Err(TpmError::Wrong { what: "its PolicyPCR digest is not the one computed from the registers" });
        }
        let public = sealed_template(policy).map_err(failed("build the sealed object's template"))?;
        let bytes = secret
            .expose(|secret| SensitiveData::try_from(secret.as_slice()))
            .map_err(failed("encode what is to be sealed"))?;
        let created = self
            .context
            .execute_with_session(Some(primary.session), |context| {
                context.create(primary.handle, public, None, Some(bytes), None, None)
            })
            .map_err(failed("seal"))?;
        Ok(Sealed {
            private: created.out_private.value().to_vec(),
            public: created.out_public.marshall().map_err(failed("encode the sealed object"))?,
            primary: primary.name,
            pcrs,
        })
    }

    /// Opens under the registers as they are. [`TpmError::NotOurs`] when the object does not load, [`TpmError::Policy`]
    /// when the registers are others.
    pub(crate) fn unseal(&mut self, sealed: &Sealed) -> Result<Secret<[u8; 64]>, TpmError> {
        let primary = self.primary()?;
        let private = Private::try_from(sealed.private.clone()).map_err(|_| TpmError::NotOurs)?;
        let public = Public::unmarshall(&sealed.public).map_err(|_| TpmError::NotOurs)?;
        let object = self
            .context
            .execute_with_session(Some(primary.session), |context| context.load(primary.handle, private, public))
            .map_err(|error| match kind(&error) {
                // What a broken private or public area is answered with; a failing TPM answers otherwise.
                Some(
                    Kind::Integrity
                    | Kind::Size
                    | Kind::Insufficient
                    | Kind::Binding
                    | Kind::Attributes
                    | Kind::Hash
                    | Kind::Type
                    | Kind::Scheme
                    | Kind::Value
                    | Kind::Key
                    | Kind::Sensitive
                    | Kind::ReservedBits
                    | Kind::Symmetric
                    | Kind::Kdf
                    | Kind::Selector
                    | Kind::Asymmetric,
                ) => TpmError::NotOurs,
                _ => failed("load the sealed object")(error),
            })?;
        let set = sealed.pcrs.set();
        let opened = self.unseal_loaded(object.into(), &set);
        let flushed = self.context.flush_context(object.into()).map_err(failed("unload the sealed object"));
        let opened = opened?;
        flushed?;
        let bytes = Zeroizing::new(opened.value().to_vec());
        // The public area binds the private one, so another length is a sealed object that is not ours.
        <[u8; 64]>::try_from(bytes.as_slice()).map(Secret::new).map_err(|_| TpmError::NotOurs)
    }

    fn unseal_loaded(&mut self, object: ObjectHandle, set: &PcrSet) -> Result<SensitiveData, TpmError> {
        let salt = self.primary()?.handle;
        for _ in 0..ATTEMPTS {
            let encrypting = SessionAttributesBuilder::new().with_decrypt(true).with_encrypt(true);
            let session = self.salted_session(salt, SessionType::Policy, encrypting)?;
            let selected = selection(set.indices())?;
            let answer = PolicySession::try_from(session)
                // An empty digest takes the registers as they are; the policy itself decides.
                .and_then(|policy| self.context.policy_pcr(policy, Digest::default(), selected))
                .and_then(|()| self.context.execute_with_session(Some(session), |context| context.unseal(object)));
            // After a failed answer the library may refuse to close too: the first error is the one that tells.
            let closed = self.close(session);
            match answer {
                Ok(bytes) => return closed.map(|()| bytes),
                // Somebody extended a register between the two commands: look again.
                Err(error) if kind(&error) == Some(Kind::PcrChanged) => closed?,
                Err(error) if kind(&error) == Some(Kind::PolicyFail) => return Err(TpmError::Policy),
                Err(error) => return Err(failed("unseal")(error)),
            }
        }
        Err(TpmError::Unsteady)
    }

    /// The policy digest from a trial session, which computes and proves nothing.
    fn trial_policy(&mut self, pcrs: &PcrValues) -> Result<Digest, TpmError> {
        let session = self.session(None, SessionType::Trial)?;
        let digest = to_digest(&pcrs.digest())?;
        let selected = selection(pcrs.set().indices())?;
        let policy = PolicySession::try_from(session).and_then(|trial| {
            self.context.policy_pcr(trial, digest, selected)?;
            self.context.policy_get_digest(trial)
        });
        let closed = self.close(session);
        let policy = policy.map_err(failed("compute the policy"))?;
        closed.map(|()| policy)
    }

    fn close(&mut self, session: AuthSession) -> Result<(), TpmError> {
        self.context.flush_context(SessionHandle::from(session).into()).map_err(failed("close a session"))
    }
}

/// KEYEDHASH without a scheme: sealed data. No userWithAuth, so an empty password opens nothing.
fn sealed_template(policy: Digest) -> Result<Public, Error> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_admin_with_policy(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_auth_policy(policy)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Digest::default())
        .build()
}
