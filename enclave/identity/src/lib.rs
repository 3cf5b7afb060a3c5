//! Who is calling: wallet tokens, the challenge login and its sessions, signed requests (ERC-8128 v1), and what decides
//! among them. No HTTP, no clock, no store: time is an argument, `gate::keep` has the ports, randomness comes in as bytes.
//!
//! Nothing here issues or accepts an identity without a signature of the wallet: there is no test mode.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed"))]

mod audience;
mod authenticator;
pub mod challenge;
mod error;
pub mod eth;
mod instant;
mod jws;
mod revocation;
pub mod session;
pub mod signed_request;
pub mod token_request;
pub mod wallet_token;

pub use audience::{Audience, AudienceError};
pub use authenticator::{Authentication, Authenticator, By};
pub use error::{Class, IdentityError};
pub use instant::{InstantError, iso_8601, parse_iso_8601};
pub use jws::{JwsFault, PublicKey, Signed, open};
pub use revocation::{revoke_all, revoke_token};

use evidence::Wallet;
use gate::keep::Pseudonyms;

/// The pseudonym under which everything of a wallet is kept: `Pseudonyms::of("wallet", its 20 bytes)`.
pub fn wallet_pseudonym(pseudonyms: &impl Pseudonyms, wallet: Wallet) -> [u8; 32] {
    pseudonyms.of("wallet", wallet.as_bytes())
}
