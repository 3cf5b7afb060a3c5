//! What a machine measured while it booted: registers, the log that explains them, and the replay that decides whether
//! the log may be believed; what it will measure as [`launch`] digest. Bytes in, values out: no files, no clock, no device.
//!
//! ```
//! use measured_boot::{Bank, Digest, PcrValue};
//!
//! // PCR 15 after one extend, as the gateway does with its core digest: SHA-256(0³² ‖ C).
//! let core = Digest::from_hex(Bank::Sha256, &"ab".repeat(32))?;
//! let pcr = PcrValue::zero(Bank::Sha256).extend(&core)?;
//! assert_eq!(pcr.to_string().len(), 64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod boot;
mod device_path;
mod difference;
mod efi_variable;
mod event;
mod eventlog;
mod guid;
pub mod id_block;
pub mod launch;
mod linux;
mod meaning;
mod pcr;
mod pe;
mod prediction;
mod qemu;
mod replay;
mod secure_boot;
mod signature_list;
mod stated;
mod uki;
mod words;

pub use boot::{GrubBoot, KernelBoot, KernelStart, UkiBoot};
pub use difference::{Account, Parting, Step};
pub use efi_variable::EfiVariable;
pub use event::{Event, EventType};
pub use eventlog::{
    MAX_EVENT_BYTES, MAX_EVENTS, MAX_LOG_BYTES, ParseError, ParseProblem, PlatformClass, SpecVersion, Unreplayed,
};
pub use linux::Kernel;
pub use meaning::{EventMeaning, is_digest_of, section_named};
pub use pcr::{Bank, BankMismatch, Digest, HexError, PcrIndex, PcrSet, PcrSetError, PcrValue, StartupLocality};
pub use pe::{MAX_IMAGE_BYTES, MAX_SECTION_ZEROS, MAX_SECTIONS, Pe, PeError, PeProblem, Section};
pub use prediction::{PredictedEvent, PredictedRegister, Prediction};
pub use replay::{BelievedEvent, Difference, ReplayError, Replayed};
pub use secure_boot::SecureBoot;
pub use signature_list::{MAX_DATABASE_BYTES, SignatureListError, SignatureListProblem, SignatureLists};
pub use stated::StatedEvent;
pub use uki::{Phase, StubVersion, Uki, UkiError};
