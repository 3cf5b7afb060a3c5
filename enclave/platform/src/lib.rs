//! The machine under the gateway: its secure processor, its TPM, and the keys that only exist because of them.
//!
//! - [`EvidenceSource`] asks the secure processor for a report over 64 bytes of the caller's choice, with the
//!   certificates a stranger needs. [`Simulated`] is a processor in software, [`Hardware`] AMD's through [`Tsm`] (the
//!   kernel's configfs interface) or [`SevGuest`] (the device of older kernels), [`Azure`] a paravisor's vTPM.
//! - [`Collateral`] finds a report's certificates: [`Kds`] at AMD's key distribution service, [`Imds`] at Azure's
//!   metadata service, both checked before use, kept on disk, and asked with patience.
//! - [`TpmQuoter`] has the TPM sign its registers with an attestation key.
//! - [`Tpm`] and [`keystore`] keep one sealed object: the HMAC seed and the key that wraps all other lasting keys.
//! - [`keys`] holds what lives in memory. A key leaves this crate as a signature or as a [`Secret`], never as bytes.
//! - [`doctor`] looks at the machine and says what each finding proves.
//!
//! **Invariant.** Nothing here falls back to something weaker: a missing device, a wrong PCR or a damaged blob is an
//! error with a fix. A certificate that the host leaves out may be fetched, for it is judged by who signed it.
//!
//! The TPM library prints to standard error on its own; [`silence_tpm_library`] keeps it quiet. Everything it would say
//! is in the errors here.

#![cfg_attr(
    test,
    allow(
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a failed expectation is the test's answer"
    )
)]

mod aead;
mod azure;
mod blob;
mod certificate_table;
mod collateral;
mod cpu;
mod device;
pub mod doctor;
mod event_log;
mod genesis;
mod hardware;
pub mod keys;
pub mod keystore;
mod pcrs;
mod quote;
mod secret;
mod sev_guest;
mod simulated;
mod source;
mod state_file;
mod tpm;
mod tsm;
mod wrap;

pub use azure::{Azure, AzureError, AzureVtpm, Patience, Vtpm};
pub use collateral::{Chain, Collateral, CollateralError, Imds, Kds};
pub use device::DeviceAnswer;
pub use event_log::{EVENT_LOG, EventLogError, LONGEST_EVENT_LOG, read_event_log};
pub use genesis::Genesis;
pub use hardware::{Hardware, HardwareConfig, HardwareKind};
pub use keystore::KeystoreError;
pub use pcrs::{PcrChange, PcrSet, PcrSetError, PcrValues};
pub use quote::{AttestationKey, Quoter, TpmQuote};
pub use secret::Secret;
pub use sev_guest::{GuestDevice, GuestReply, GuestRequest, KernelDevice, SevGuest};
pub use simulated::{DevelopmentMode, Simulated};
pub use source::{Der, Evidence, EvidenceError, EvidenceSource, LiveEvidence, VekKind};
#[cfg(unix)]
pub use tpm::silence_tpm_library;
pub use tpm::{AkChoice, Tpm, TpmError, TpmProperties, TpmQuoter};
pub use tsm::{KernelFiles, Tsm, TsmFiles};
pub use wrap::{WrapError, WrappedSecret};
