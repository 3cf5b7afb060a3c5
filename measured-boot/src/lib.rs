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

mod efi;
mod event_log;
pub mod id_block;
mod image;
pub mod launch;
mod pcr;
mod prediction;

pub use efi::{EfiVariable, MAX_DATABASE_BYTES, SignatureListError, SignatureListProblem, SignatureLists};
pub use event_log::{
    Account, BelievedEvent, Difference, Event, EventMeaning, EventType, MAX_EVENT_BYTES, MAX_EVENTS, MAX_LOG_BYTES,
    ParseError, ParseProblem, Parting, PlatformClass, ReplayError, Replayed, SpecVersion, StatedEvent, Step,
    Unreplayed, is_digest_of, section_named,
};
pub use image::{
    Kernel, MAX_IMAGE_BYTES, MAX_SECTION_ZEROS, MAX_SECTIONS, Pe, PeError, PeProblem, Phase, Section, StubVersion, Uki,
    UkiError,
};
pub use pcr::{Bank, BankMismatch, Digest, HexError, PcrIndex, PcrSet, PcrSetError, PcrValue, StartupLocality};
pub use prediction::{
    GrubBoot, KernelBoot, KernelStart, PredictedEvent, PredictedRegister, Prediction, SecureBoot, UkiBoot,
};
