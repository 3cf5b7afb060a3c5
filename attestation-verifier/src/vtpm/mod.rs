//! What a virtual TPM says, and how it is bound to a report: Azure's HCL blob, SVSM's manifest, quotes, event logs.

mod attest;
mod azure;
mod claims;
mod event_log;
mod event_policy;
pub(crate) mod events;
pub(crate) mod explained_log;
mod hcl;
mod key;
mod key_file;
mod kind;
mod public_area;
mod quote;
mod quoted;
mod reader;
mod service_module;
mod signature;
mod svsm;

pub use attest::{AttestError, ClockInfo};
pub use azure::{AzureQuestion, appraise_azure};
pub use claims::{ClaimsError, RuntimeClaims};
pub use event_log::{RegistersError, appraise_event_log, check_event_log, registers};
pub use event_policy::{EventPolicy, MeasuredBinary};
pub use hcl::{Hcl, HclError};
pub use key::{KeyError, TpmKey};
pub use key_file::{GivenKey, KeyFileError};
pub use kind::VtpmKind;
pub use measured_boot::EventMeaning;
pub use public_area::{PublicArea, PublicAreaError};
pub use quote::{Quote, QuoteError, Registers, SignedQuote};
pub use quoted::{QuoteQuestion, appraise_quote};
pub use reader::{MarshalError, MarshalProblem};
pub use service_module::appraise_svsm;
pub use signature::SignatureForm;
pub use svsm::{SvsmError, SvsmManifest};
