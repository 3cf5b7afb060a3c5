//! What the gateway and PID 1 of a container share: the one message that starts a server, the offer of a way to it, and the
//! redactor of its stderr.
//!
//! The message goes over stdin, never through the container's configuration: an engine writes that to disk.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first surprise")
)]

mod message;
mod offer;
mod redact;

pub use message::{Launch, MESSAGE_LIMIT, MessageError, PROTOCOL, Variable};
pub use offer::{NoOffer, Offer, TAKEN, Token, UNTAKEN, Wanted};
pub use redact::{LINE_LIMIT, LineCap, Redactor};
