//! What a TPM can refuse.

use std::fmt;

use super::AkChoice;

/// The TPM did not do what was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum TpmError {
    /// This build has no TPM code.
    Unsupported,
    /// Neither `device:` nor `swtpm:`.
    BadAddress {
        /// What was configured.
        tcti: String,
    },
    /// Nobody answers.
    Missing {
        /// Where.
        tcti: String,
        /// What the library or the system said.
        why: String,
    },
    /// The device belongs to somebody else.
    PermissionDenied {
        /// The device's path.
        path: String,
    },
    /// The object does not load under the storage primary: its integrity or its form is broken.
    NotOurs,
    /// The registers are not those of the policy.
    Policy,
    /// Registers kept changing while we asked.
    Unsteady,
    /// These registers cannot be quoted together.
    BadSelection {
        /// Why.
        what: &'static str,
    },
    /// No object at a persistent handle.
    NoKey {
        /// The handle.
        handle: u32,
    },
    /// No such NV index.
    NoIndex {
        /// The index.
        index: u32,
    },
    /// A key that must not sign quotes.
    UnfitKey {
        /// Which key.
        choice: AkChoice,
    },
    /// The attestation key is another than when the gateway started.
    OtherKey,
    /// An answer that no correct TPM gives.
    Wrong {
        /// Which.
        what: &'static str,
    },
    /// Any other failure.
    Failed {
        /// What was asked.
        doing: &'static str,
        /// The library's words and code.
        why: String,
    },
}

impl TpmError {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Unsupported => "run the gateway on Linux; verifying needs no TPM and works here".into(),
            Self::BadAddress { .. } => {
                "write `device:/dev/tpmrm0`, or `swtpm:host=127.0.0.1,port=2321` for a software TPM".into()
            }
            Self::Missing { tcti, .. } if tcti.starts_with("swtpm") => format!(
                "start the software TPM that the configuration names ({tcti}); it also needs the next port for control: \
                 `swtpm socket --tpm2 --server type=tcp,port=N --ctrl type=tcp,port=N+1 --tpmstate dir=DIR --flags \
                 not-need-init,startup-clear`"
            ),
            Self::Missing { .. } => {
                "enable the TPM or vTPM of this machine; `enclave doctor` lists what it finds".into()
            }
            Self::PermissionDenied { path } => {
                format!("run as root, or let this user into the group that owns {path} (usually `tss`)")
            }
            Self::NotOurs => "the object belongs to another TPM or is damaged".into(),
            Self::Policy => "boot the state the object was sealed to".into(),
            Self::Unsteady => "something keeps extending the registers: start the gateway later in the boot".into(),
            Self::BadSelection { .. } => "name registers 0 to 23, each once, ascending".into(),
            Self::NoKey { handle: AkChoice::AZURE } => {
                "Azure's paravisor makes this key at the first boot of a confidential VM: this machine is none, or its \
                 vTPM was cleared; create the VM anew"
                    .into()
            }
            Self::NoKey { .. } => "make the key, or let the gateway make its own".into(),
            Self::NoIndex { .. } => "define the index, or run where the platform defines it".into(),
            Self::UnfitKey { .. } => {
                "keep a key there with fixedtpm|fixedparent|sensitivedataorigin|restricted|sign".into()
            }
            Self::OtherKey => {
                "the TPM was replaced or its endorsement seed was changed: find out by whom, then restart the gateway"
                    .into()
            }
            Self::Wrong { .. } => {
                "do not trust this TPM: replace it, or look for what sits between it and this program".into()
            }
            Self::Failed { .. } => "see the code; `enclave doctor` shows whether the TPM answers at all".into(),
        }
    }
}

impl fmt::Display for TpmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("tpm: this build for this system has no TPM code"),
            Self::BadAddress { tcti } => write!(f, "tpm: `{tcti}` is not an address of a TPM"),
            Self::Missing { tcti, why } => write!(f, "tpm: nobody answers at {tcti}: {why}"),
            Self::PermissionDenied { path } => write!(f, "tpm: no permission for {path}"),
            Self::NotOurs => f.write_str("tpm: the sealed object does not load under this TPM's storage key"),
            Self::Policy => f.write_str("tpm: the registers are not those the object was sealed to"),
            Self::Unsteady => f.write_str("tpm: the registers changed at every attempt"),
            Self::BadSelection { what } => write!(f, "tpm: registers to quote: {what}"),
            Self::NoKey { handle } => write!(f, "tpm: there is no key at {handle:#010x}"),
            Self::NoIndex { index } => write!(f, "tpm: there is no NV index {index:#010x}"),
            Self::UnfitKey { choice } => write!(
                f,
                "tpm: {choice} is not a restricted signing key that was made in this TPM and stays there: its quotes \
                 are nobody's word"
            ),
            Self::OtherKey => f.write_str("tpm: the attestation key is not the one of the gateway's start"),
            Self::Wrong { what } => write!(f, "tpm: {what}"),
            Self::Failed { doing, why } => write!(f, "tpm: {doing}: {why}"),
        }
    }
}

impl std::error::Error for TpmError {}
