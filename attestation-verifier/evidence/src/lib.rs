//! Words shared by prover and verifier, byte for byte (docs/WIRE.md). No signatures are checked here, nothing is read
//! or written, no clock is asked.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed"))]

pub mod bundle;
mod call;
mod canon;
pub mod core;
pub mod dsse;
mod frame;
pub mod hmac_chain;
pub mod json;
pub mod merkle;
mod names;
pub mod payment;
pub mod profile;
pub mod proof;
pub mod provenance;
mod public_key;
pub mod release;
pub mod report_data;
pub mod served_script;
pub mod settlement;
pub mod state;
pub mod tag;

pub use call::{Opened, OpeningSeed, ResultFault, ResultObject, caller_ref, request_hash, response_hash};
pub use canon::canon;
pub use frame::{Digest, ct_eq, hash, mac, t};
pub use names::{NameError, ServerId, UnixSeconds, UsdcAmount, Wallet};
pub use public_key::Ed25519Public;
