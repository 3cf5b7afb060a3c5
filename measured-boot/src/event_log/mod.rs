//! What a machine measured while it booted: the firmware's log, the replay that decides whether it may be believed, and what
//! its events mean.

pub(crate) mod difference;
pub(crate) mod event;
pub(crate) mod log;
pub(crate) mod meaning;
pub(crate) mod replay;
pub(crate) mod stated;

pub use difference::{Account, Parting, Step};
pub use event::{Event, EventType};
pub use log::{
    MAX_EVENT_BYTES, MAX_EVENTS, MAX_LOG_BYTES, ParseError, ParseProblem, PlatformClass, SpecVersion, Unreplayed,
};
pub use meaning::{EventMeaning, is_digest_of, section_named};
pub use replay::{BelievedEvent, Difference, ReplayError, Replayed};
pub use stated::StatedEvent;
