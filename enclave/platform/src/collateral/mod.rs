//! What a stranger needs beside a report: the endorsement certificate of the key that signed it, its issuers, and AMD's
//! revocation lists (AMD 57230). Where they come from depends on the platform; that they fit the report is checked here
//! before they are used or kept, and the verifier judges them in full afterwards.

mod crls;
mod error;
mod flight;
mod imds;
mod kds;
mod pace;
mod pem;
mod shelf;
mod store;
mod subject;
#[cfg(test)]
pub(crate) mod tests;
mod web;

pub(crate) use self::subject::{Issuers, Subject};
pub use error::CollateralError;
pub use imds::Imds;
pub use kds::Kds;

use evidence::UnixSeconds;

use crate::{Der, EvidenceError};

/// The certificates of one report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chain {
    /// VCEK or VLEK.
    pub vek: Der,
    /// ASK or ASVK.
    pub intermediate: Der,
    /// ARK, carried along; a verifier brings its own.
    pub root: Der,
    /// Revocation lists by the ARK; none where they could not be had.
    pub crls: Vec<Der>,
}

/// Finds the certificates of a report.
pub trait Collateral: Send + Sync {
    /// The chain of `report` (1184 bytes). The endorsement certificate names the report's chip and firmware levels and
    /// is signed by the intermediate, which is signed by the root; whether that root is AMD's is the verifier's to say.
    /// May ask the network: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`EvidenceError::Collateral`].
    fn endorse(&self, report: &[u8]) -> Result<Chain, EvidenceError>;
}

/// A revocation list by that root, in force at `now`?
pub(crate) fn is_current_list(list: &Der, root: &Der, now: UnixSeconds) -> bool {
    crls::check(list.as_bytes(), root, now).is_ok()
}

/// The machine's clock.
pub(crate) fn machine_now() -> UnixSeconds {
    use pace::Pace;

    pace::MachinePace.now()
}
