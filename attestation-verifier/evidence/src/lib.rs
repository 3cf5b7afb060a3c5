//! Words shared by prover and verifier, byte for byte (docs/WIRE.md). No signatures are checked here, nothing is read
//! or written, no clock is asked.

mod frame;
mod names;

pub use frame::{Digest, hash, mac, t};
pub use names::{NameError, ServerId, UnixSeconds};
