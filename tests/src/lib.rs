//! What scenarios share: the real programs on loopback, each ended by its own process id.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

pub mod anvil;
mod client;
pub mod clients;
mod docker;
mod events;
mod gateway;
mod liar;
pub mod paravisor;
pub mod paying;
mod program;
mod saved;
mod shared;
pub mod tpm;
pub mod wallet;

pub use anvil::Anvil;
pub use client::{Answer, Client};
pub use docker::docker;
pub use events::Events;
pub use gateway::{EVERYTHING, FILESYSTEM, Gateway, Settings};
pub use liar::Liar;
pub use paying::Paying;
pub use program::{program, repository, run, run_with_env};
pub use saved::{Judged, Saved, verify};
pub use shared::opened_processor;
pub use tpm::Swtpm;
pub use wallet::Wallet;
