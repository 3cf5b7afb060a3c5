//! What a call costs and what was paid.

use evidence::{ServerId, UsdcAmount, payment::Authorization};

use crate::{call::Call, refusal::Refusal};

/// What one call costs. Nothing is a price too.
pub type Price = UsdcAmount;

/// What a rail set aside for a call. The rail's own handle implements it, so that the very thing that was reserved is
/// the thing that is settled.
pub trait Reservation {
    /// How much is set aside.
    fn amount(&self) -> UsdcAmount;

    /// What the payer signed, if money is to move.
    fn authorization(&self) -> Option<&Authorization>;
}

/// The rail of what costs nothing.
#[derive(Debug)]
pub struct Free;

impl Reservation for Free {
    fn amount(&self) -> UsdcAmount {
        UsdcAmount::default()
    }

    fn authorization(&self) -> Option<&Authorization> {
        None
    }
}

/// What a rail took for a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Receipt {
    /// Nothing: it was free, or it failed.
    Nothing,
    /// This much, in this transaction.
    Settled {
        /// Base units.
        amount: UsdcAmount,
        /// Hash of the settling transaction.
        transaction: [u8; 32],
    },
}

/// One tool of one server, as the catalogue lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The server's name.
    pub server: String,
    /// What a call of it costs.
    pub price: Price,
    /// Secrets without which the server does not run.
    pub required_secrets: Vec<String>,
}

/// One server, as the catalogue lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedServer {
    /// Its name.
    pub server: String,
    /// Secrets without which it does not run.
    pub required_secrets: Vec<String>,
}

/// The catalogue, as far as a decision needs it.
pub trait Listing {
    /// The tool that a call names.
    ///
    /// # Errors
    /// [`Refusal::UnknownServer`], [`Refusal::UnknownTool`].
    fn look_up(&self, call: &Call) -> Result<Listed, Refusal>;

    /// The server that an inquiry names.
    ///
    /// # Errors
    /// [`Refusal::UnknownServer`], [`Refusal::ServerUnavailable`].
    fn look_up_server(&self, server: &ServerId) -> Result<ListedServer, Refusal>;
}
