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
pub mod conformance;
mod docker;
mod events;
mod fixture;
mod gateway;
mod liar;
pub mod paravisor;
pub mod paying;
mod program;
mod proxy;
mod saved;
mod shared;
mod stdio;
pub mod tpm;
mod waiting;
pub mod wallet;

pub use anvil::Anvil;
pub use client::{Answer, Client, text};
pub use docker::docker;
pub use events::Events;
pub use fixture::{fixture, fixture_over_stdio};
pub use gateway::{EVERYTHING, FILESYSTEM, Gateway, Settings};
pub use liar::Liar;
pub use paying::Paying;
pub use program::{program, repository, run, run_with_env};
pub use proxy::Proxy;
pub use saved::{Judged, Saved, verify};
pub use shared::opened_processor;
pub use stdio::Stdio;
pub use tpm::Swtpm;
pub use waiting::until;
pub use wallet::Wallet;
