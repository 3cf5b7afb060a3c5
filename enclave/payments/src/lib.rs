//! Rails: how a call is paid. So far one, x402 `exact` on an EVM chain with an EIP-3009 token, paid by accounts without
//! code and settled by the gateway itself. No HTTP, no SQL, no node client: over the ports of `gate` only.
//!
//! The order never changes: verify, set aside in the journal, let the call run, write its reply into the journal, settle,
//! give the reply out. A failed call pays nothing; an executed one is settled once, across crashes.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::disallowed_methods,
        reason = "a test that panics has failed"
    )
)]

mod body;
mod config;
mod entry;
mod exact;
mod flight;
mod purchase;
mod reason;
mod recover;
mod refusal;
mod sender;
mod settle;
mod signature;
mod token;
mod transaction;
mod verify;
pub mod x402;

pub use config::{Config, ConfigError};
pub use exact::Exact;
pub use flight::Hold;
pub use purchase::{Purchase, Reserved, SettledPayment, StoredReply};
pub use reason::Reason;
pub use recover::Report;
pub use refusal::{Cannot, PaymentRefusal, SettleError};
pub use x402::{Dialect, Offer, Payment, PaymentError, settlement_failed, settlement_response};
