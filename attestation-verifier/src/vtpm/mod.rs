//! What a virtual TPM says, and how it is bound to a report: Azure's HCL blob, quotes, event logs.

mod event_log;
mod hcl;
mod kind;

pub use event_log::{RegistersError, check_event_log, registers};
pub use hcl::{Hcl, HclError};
pub use kind::VtpmKind;
