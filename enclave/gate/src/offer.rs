//! What a call costs and what was paid. The only rail so far is `free`.

use crate::{call::Call, refusal::Refusal};

/// What one call costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Price {
    /// Nothing.
    Free,
}

/// What a rail set aside for a call.
#[derive(Debug, Eq, PartialEq)]
pub enum Reservation {
    /// Nothing was asked.
    Free,
}

/// What a rail took for a call.
#[derive(Debug, Eq, PartialEq)]
pub enum Receipt {
    /// Nothing was taken.
    Free,
}

/// One tool of one server, as the catalogue lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// What a call of it costs.
    pub price: Price,
}

/// The catalogue, as far as a decision needs it.
pub trait Listing {
    /// The tool that a call names.
    ///
    /// # Errors
    /// [`Refusal::UnknownServer`], [`Refusal::UnknownTool`].
    fn look_up(&self, call: &Call) -> Result<Listed, Refusal>;
}
