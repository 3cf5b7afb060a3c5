//! One connection to a TPM 2.0, through the kernel's resource manager or to a software TPM.

use std::{fs, io, str::FromStr, thread, time::Duration};

use sha2::{Digest as _, Sha256};
use tss_esapi::{
    Context, Error, TctiNameConf,
    attributes::SessionAttributesBuilder,
    constants::{
        CapabilityType, PropertyTag, SessionType,
        response_code::{Tss2ResponseCode, Tss2ResponseCodeKind},
    },
    handles::{KeyHandle, ObjectHandle, PcrHandle, SessionHandle},
    interface_types::{algorithm::HashingAlgorithm, resource_handles::Hierarchy, session_handles::AuthSession},
    structures::{CapabilityData, Digest, DigestValues, PcrSelectionList, PcrSlot, Public, SymmetricDefinition},
    traits::Marshall,
};

use super::{attestation::LoadedKey, template};
use crate::{PcrSet, PcrValues, Secret, TpmError, TpmProperties};

/// How often an answer "registers changed meanwhile" is tried again.
pub(super) const ATTEMPTS: usize = 5;

/// How often a session is asked for, and how long we wait between.
const SESSION_ATTEMPTS: usize = 40;
const SESSION_PAUSE: Duration = Duration::from_millis(25);

/// An open TPM. A software TPM serves one connection at a time, so open it, use it and drop it.
pub struct Tpm {
    pub(super) context: Context,
    primary: Option<Primary>,
    pub(super) attestation: Option<LoadedKey>,
}

/// The storage primary of this TPM, loaded, with a session that hides what passes between.
#[derive(Clone)]
pub(super) struct Primary {
    pub(super) handle: KeyHandle,
    pub(super) name: Vec<u8>,
    pub(super) session: AuthSession,
    /// Authenticates answers that need no secrecy.
    pub(super) audit: AuthSession,
}

impl Tpm {
    /// Connects: `device:/dev/tpmrm0` or `swtpm:host=127.0.0.1,port=2321` (which uses the next port for control).
    ///
    /// # Errors
    /// [`TpmError::BadAddress`], [`TpmError::Missing`], [`TpmError::PermissionDenied`].
    pub fn open(tcti: &str) -> Result<Self, TpmError> {
        if let Some(path) = tcti.strip_prefix("device:") {
            // The library's error does not tell these apart.
            let opened = fs::OpenOptions::new().read(true).write(true).open(path);
            match opened.map_err(|error| (error.kind(), error)) {
                Ok(_) => {}
                Err((io::ErrorKind::PermissionDenied, _)) => {
                    return Err(TpmError::PermissionDenied { path: path.to_owned() });
                }
                Err((_, error)) => return Err(TpmError::Missing { tcti: tcti.to_owned(), why: error.to_string() }),
            }
        } else if !tcti.starts_with("swtpm:") {
            return Err(TpmError::BadAddress { tcti: tcti.to_owned() });
        }
        let address = TctiNameConf::from_str(tcti).map_err(|_| TpmError::BadAddress { tcti: tcti.to_owned() })?;
        let missing = |error: Error| TpmError::Missing { tcti: tcti.to_owned(), why: error.to_string() };
        let mut context = Context::new(address).map_err(missing)?;
        // The first command tells whether a TPM is behind the address.
        context.get_tpm_property(PropertyTag::Revision).map_err(missing)?;
        Ok(Self { context, primary: None, attestation: None })
    }

    /// Who made it.
    ///
    /// # Errors
    /// [`TpmError::Failed`].
    pub fn properties(&mut self) -> Result<TpmProperties, TpmError> {
        let mut number = |tag| {
            let value = self.context.get_tpm_property(tag).map_err(failed("read its properties"))?;
            Ok::<u32, TpmError>(value.unwrap_or(0))
        };
        let manufacturer = letters(&[number(PropertyTag::Manufacturer)?]);
        let vendor = letters(&[
            number(PropertyTag::VendorString1)?,
            number(PropertyTag::VendorString2)?,
            number(PropertyTag::VendorString3)?,
            number(PropertyTag::VendorString4)?,
        ]);
        let firmware = (number(PropertyTag::FirmwareVersion1)?, number(PropertyTag::FirmwareVersion2)?);
        Ok(TpmProperties { manufacturer, vendor, firmware, revision: number(PropertyTag::Revision)? })
    }

    /// Registers of the SHA-256 bank. The answer is authenticated by an audit session salted to the storage primary, so
    /// that what sits on the bus cannot choose the state that keys are sealed to.
    ///
    /// # Errors
    /// [`TpmError::Failed`]; [`TpmError::Wrong`] if the TPM has no such bank; [`TpmError::Unsteady`].
    pub fn read_pcrs(&mut self, set: &PcrSet) -> Result<PcrValues, TpmError> {
        let audit = self.primary()?.audit;
        // One command returns at most eight values; the counter tells whether a second saw the same state.
        for _ in 0..ATTEMPTS {
            let mut values = Vec::new();
            let mut counters = Vec::new();
            for eight in set.indices().chunks(8) {
                let selected = selection(eight)?;
                let (counter, _, digests) = self
                    .context
                    .execute_with_session(Some(audit), |context| context.pcr_read(selected))
                    .map_err(failed("read its registers"))?;
                counters.push(counter);
                if digests.len() != eight.len() {
                    return Err(TpmError::Wrong { what: "it has no SHA-256 bank with these registers" });
                }
                for (index, digest) in eight.iter().zip(digests.value()) {
                    let digest = <[u8; 32]>::try_from(digest.value())
                        .map_err(|_| TpmError::Wrong { what: "a SHA-256 register that is not 32 bytes" })?;
                    values.push((*index, digest));
                }
            }
            if counters.iter().all(|counter| Some(counter) == counters.first()) {
                return PcrValues::new(values).map_err(|_| TpmError::Wrong { what: "registers out of order" });
            }
        }
        Err(TpmError::Unsteady)
    }

    /// New value = SHA-256(old value ‖ digest), in the SHA-256 bank alone.
    ///
    /// # Errors
    /// [`TpmError::Failed`]; [`TpmError::Wrong`] for an index above 23.
    pub fn extend_pcr(&mut self, index: u8, digest: &[u8; 32]) -> Result<(), TpmError> {
        let handle =
            PCR_HANDLES.get(usize::from(index)).ok_or(TpmError::Wrong { what: "there is no such register" })?;
        let session = self.primary()?.session;
        let mut digests = DigestValues::new();
        digests.set(HashingAlgorithm::Sha256, to_digest(digest)?);
        self.context
            .execute_with_session(Some(session), |context| context.pcr_extend(*handle, digests))
            .map_err(failed("extend a register"))
    }

    /// Whether an NV index is defined: Azure keeps its attestation report in 0x01400001.
    ///
    /// # Errors
    /// [`TpmError::Failed`].
    pub fn has_nv_index(&mut self, index: u32) -> Result<bool, TpmError> {
        self.has_handle(index)
    }

    /// Whether an object is kept at a persistent handle.
    pub(crate) fn has_key(&mut self, handle: u32) -> Result<bool, TpmError> {
        self.has_handle(handle)
    }

    /// Whether something is defined or kept at a handle.
    pub(super) fn has_handle(&mut self, handle: u32) -> Result<bool, TpmError> {
        let (data, _) = self
            .context
            .execute_without_session(|context| context.get_capability(CapabilityType::Handles, handle, 1))
            .map_err(failed("list what it keeps"))?;
        Ok(match data {
            CapabilityData::Handles(handles) => handles.into_inner().iter().any(|found| u32::from(*found) == handle),
            _ => false,
        })
    }

    /// 32 bytes of the TPM's generator, encrypted on the way.
    pub(crate) fn random(&mut self) -> Result<Secret<[u8; 32]>, TpmError> {
        let session = self.primary()?.session;
        let bytes = self
            .context
            .execute_with_session(Some(session), |context| context.get_random(32))
            .map_err(failed("get random bytes"))?;
        <[u8; 32]>::try_from(bytes.value())
            .map(Secret::new)
            .map_err(|_| TpmError::Wrong { what: "fewer random bytes than were asked for" })
    }

    /// Name of the storage primary: 0x000B ‖ SHA-256 of its public area, computed here.
    pub(crate) fn primary_name(&mut self) -> Result<Vec<u8>, TpmError> {
        Ok(self.primary()?.name)
    }

    /// Derives the storage primary once per connection and opens two HMAC sessions salted to it: one with AES-128-CFB
    /// parameter encryption in both directions, one for audit.
    pub(super) fn primary(&mut self) -> Result<Primary, TpmError> {
        if let Some(primary) = &self.primary {
            return Ok(primary.clone());
        }
        let template = template::storage().map_err(failed("build the storage key's template"))?;
        let created = self
            .context
            .execute_with_session(Some(AuthSession::Password), |context| {
                context.create_primary(Hierarchy::Owner, template, None, None, None, None)
            })
            .map_err(failed("derive its storage key"))?;
        let name = name(&created.out_public)?;
        let handle = created.key_handle;
        let encrypting = || SessionAttributesBuilder::new().with_decrypt(true).with_encrypt(true);
        let session = self.salted_session(handle, SessionType::Hmac, encrypting())?;
        let audit = self.salted_session(handle, SessionType::Hmac, SessionAttributesBuilder::new().with_audit(true))?;
        let primary = Primary { handle, name, session, audit };
        self.primary = Some(primary.clone());
        Ok(primary)
    }

    /// Unloads the storage primary and ends its sessions. A session that is left open for days makes the kernel's
    /// resource manager fail for everybody: the TPM saves no new context once the oldest is too far behind.
    pub(super) fn release_primary(&mut self) -> Result<(), TpmError> {
        let Some(primary) = self.primary.take() else { return Ok(()) };
        let objects = [
            SessionHandle::from(primary.session).into(),
            SessionHandle::from(primary.audit).into(),
            ObjectHandle::from(primary.handle),
        ];
        for object in objects {
            self.context
                .execute_without_session(|context| context.flush_context(object))
                .map_err(failed("unload its storage key"))?;
        }
        Ok(())
    }

    /// A TPM keeps few sessions at a time (three, often), and without a resource manager others hold some of them for the
    /// length of a command or two: TPM_RC_SESSION_MEMORY is a warning (TPM 2.0 part 2, 6.6.3), and asked again.
    pub(super) fn session(&mut self, salt: Option<KeyHandle>, kind: SessionType) -> Result<AuthSession, TpmError> {
        let mut left = SESSION_ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            let (symmetric, hash) = (SymmetricDefinition::AES_128_CFB, HashingAlgorithm::Sha256);
            match self.context.start_auth_session(salt, None, None, kind, symmetric, hash) {
                Ok(session) => return session.ok_or(TpmError::Wrong { what: "a session without a handle" }),
                Err(error) if left > 0 && self::kind(&error) == Some(Tss2ResponseCodeKind::SessionMemory) => {
                    thread::sleep(SESSION_PAUSE);
                }
                Err(error) => return Err(failed("open a session")(error)),
            }
        }
    }

    pub(super) fn salted_session(
        &mut self,
        salt: KeyHandle,
        kind: SessionType,
        attributes: SessionAttributesBuilder,
    ) -> Result<AuthSession, TpmError> {
        let session = self.session(Some(salt), kind)?;
        let (attributes, mask) = attributes.with_continue_session(true).build();
        self.context
            .tr_sess_set_attributes(session, attributes, mask)
            .map_err(failed("set what a session protects"))?;
        Ok(session)
    }
}

/// TPM 2.0 part 1, 16: nameAlg ‖ H(public area).
pub(super) fn name(public: &Public) -> Result<Vec<u8>, TpmError> {
    let bytes = public.marshall().map_err(failed("encode a public area"))?;
    Ok([&[0x00, 0x0B][..], &Sha256::digest(bytes)].concat())
}

pub(super) fn to_digest(bytes: &[u8; 32]) -> Result<Digest, TpmError> {
    Digest::try_from(bytes.as_slice()).map_err(failed("encode a digest"))
}

pub(super) fn selection(indices: &[u8]) -> Result<PcrSelectionList, TpmError> {
    let slots: Vec<PcrSlot> = indices
        .iter()
        .map(|index| PcrSlot::try_from(1u32 << index))
        .collect::<Result<_, Error>>()
        .map_err(failed("encode a selection"))?;
    PcrSelectionList::builder()
        .with_selection(HashingAlgorithm::Sha256, &slots)
        .build()
        .map_err(failed("encode a selection"))
}

pub(super) fn failed(doing: &'static str) -> impl Fn(Error) -> TpmError {
    move |error| {
        let code = match error {
            Error::Tss2Error(code) => format!(" ({code:?})"),
            Error::WrapperError(_) => String::new(),
        };
        TpmError::Failed { doing, why: format!("{error}{code}") }
    }
}

/// What a response code says, where it says something.
pub(super) fn kind(error: &Error) -> Option<Tss2ResponseCodeKind> {
    match error {
        Error::Tss2Error(Tss2ResponseCode::FormatZero(_) | Tss2ResponseCode::FormatOne(_)) => match error {
            Error::Tss2Error(code) => code.kind(),
            Error::WrapperError(_) => None,
        },
        _ => None,
    }
}

/// Four letters per word, as TPM_PT_MANUFACTURER and TPM_PT_VENDOR_STRING hold them.
fn letters(words: &[u32]) -> String {
    let bytes = words.iter().flat_map(|word| word.to_be_bytes());
    bytes.filter(u8::is_ascii_graphic).map(char::from).collect()
}

const PCR_HANDLES: [PcrHandle; 24] = [
    PcrHandle::Pcr0,
    PcrHandle::Pcr1,
    PcrHandle::Pcr2,
    PcrHandle::Pcr3,
    PcrHandle::Pcr4,
    PcrHandle::Pcr5,
    PcrHandle::Pcr6,
    PcrHandle::Pcr7,
    PcrHandle::Pcr8,
    PcrHandle::Pcr9,
    PcrHandle::Pcr10,
    PcrHandle::Pcr11,
    PcrHandle::Pcr12,
    PcrHandle::Pcr13,
    PcrHandle::Pcr14,
    PcrHandle::Pcr15,
    PcrHandle::Pcr16,
    PcrHandle::Pcr17,
    PcrHandle::Pcr18,
    PcrHandle::Pcr19,
    PcrHandle::Pcr20,
    PcrHandle::Pcr21,
    PcrHandle::Pcr22,
    PcrHandle::Pcr23,
];
