//! What is bought, and what comes of trying to pay for it.

use std::{fmt, time::Duration};

use evidence::{UnixSeconds, UsdcAmount, payment::Authorization};

use crate::flight::Hold;

/// One call that is to be paid.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Canonical URL of what is bought, as the offer shows it.
    pub resource: String,
    /// Other URLs of the very same thing, for instance `mcp://tool/echo` beside the REST one.
    pub also: Vec<String>,
    /// What it is, for people; goes into the offer.
    pub description: String,
    /// `H(tag::PURCHASE, server, tool, canonical arguments, caller, session)`, made by who calls this crate. One
    /// authorization pays for one fingerprint.
    pub fingerprint: [u8; 32],
    /// What it costs.
    pub price: UsdcAmount,
    /// How long the call may take.
    pub deadline: Duration,
    /// How long after the authorization's end the reply is kept for whoever shows the same payment for the same call.
    /// A settled authorization can be read on the chain, so callers without a name get minutes, others a day.
    pub keep_for: Duration,
}

/// The money is set aside, or the call was paid already.
#[derive(Debug)]
pub enum Reserved {
    /// Set aside: the call may run, once.
    Fresh(Box<Hold>),
    /// This payment has already paid for this very call: its reply, and no second charge.
    Answered(StoredReply),
}

/// The reply of a call that ran and is settled.
#[derive(Clone, Eq, PartialEq)]
pub struct StoredReply {
    /// What was handed to `settle`.
    pub bytes: Vec<u8>,
    /// How it was paid.
    pub settlement: SettledPayment,
}

/// A settled payment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SettledPayment {
    /// Hash of the transaction that moved the money: ours, or anybody's who executed the same authorization.
    pub transaction: [u8; 32],
    /// What was executed.
    pub authorization: Authorization,
    /// Until when the reply is kept.
    pub keep_until: UnixSeconds,
}

impl fmt::Debug for StoredReply {
    /// Without the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredReply").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}
