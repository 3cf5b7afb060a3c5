//! What a machine measured while it booted: registers, the log that explains them, and the replay that decides whether
//! the log may be believed. Bytes in, values out: no files, no clock, no device.
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

mod event;
mod eventlog;
mod pcr;
mod pe;
mod replay;
mod uki;

pub use event::{Event, EventType};
pub use eventlog::{
    MAX_EVENT_BYTES, MAX_EVENTS, MAX_LOG_BYTES, ParseError, ParseProblem, PlatformClass, SpecVersion, Unreplayed,
};
pub use pcr::{Bank, BankMismatch, Digest, HexError, PcrIndex, PcrSet, PcrSetError, PcrValue, StartupLocality};
pub use replay::{BelievedEvent, Difference, ReplayError, Replayed};
pub use pe::{MAX_IMAGE_BYTES, MAX_SECTION_ZEROS, MAX_SECTIONS, Pe, PeError, PeProblem, Section};
pub use uki::{Phase, StubVersion, Uki, UkiError};
