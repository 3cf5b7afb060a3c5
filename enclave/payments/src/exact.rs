//! The rail.

use std::sync::Arc;

use evidence::UnixSeconds;
use gate::{
    keep::{Journal, Pseudonyms, StoreError},
    ledger::{FeePayer, Ledger},
};

use crate::{
    config::{Config, ConfigError},
    flight::Hold,
    purchase::{Purchase, Reserved, SettledPayment},
    refusal::{PaymentRefusal, SettleError},
    x402::{Offer, Payment},
};

/// x402 `exact` with EIP-3009, settled by ourselves. One process for each journal.
pub struct Exact<J, L> {
    config: Config,
    journal: Arc<J>,
    ledger: Arc<L>,
    fee_payer: Arc<dyn FeePayer>,
    pseudonyms: Arc<dyn Pseudonyms>,
}

/// What a recovery did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// Calls that never ended: their money is free again.
    pub released: u64,
    /// Executed calls that are settled now.
    pub settled: u64,
    /// Executed calls whose money did not come and will not.
    pub refused: u64,
    /// Executed calls whose settlement is still not seen.
    pub pending: u64,
    /// Rows that cannot be read.
    pub damaged: u64,
    /// Final rows whose time was over.
    pub forgotten: u64,
}

impl<J: Journal, L: Ledger> Exact<J, L> {
    /// A rail over these parts.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn new(
        config: Config,
        journal: Arc<J>,
        ledger: Arc<L>,
        fee_payer: Arc<dyn FeePayer>,
        pseudonyms: Arc<dyn Pseudonyms>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config, journal, ledger, fee_payer, pseudonyms })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What is asked for a purchase.
    pub fn offer(&self, purchase: &Purchase) -> Offer {
        Offer::of(&self.config, purchase)
    }

    /// Sets the price aside, or finds the reply that this very payment has paid for.
    ///
    /// # Errors
    /// [`PaymentRefusal`]; then nothing is set aside.
    pub async fn reserve(
        &self,
        purchase: &Purchase,
        presented: &Payment,
        now: UnixSeconds,
    ) -> Result<Reserved, PaymentRefusal> {
        let _ = (purchase, presented, now);
        todo!()
    }

    /// The call failed: nothing is taken, and the payer may use the authorization again.
    ///
    /// # Errors
    /// The journal does not answer; a later reservation or recovery releases it all the same.
    pub async fn release(&self, hold: Hold) -> Result<(), StoreError> {
        let _ = hold;
        todo!()
    }

    /// The call ran and is proven: its reply is kept, then the money is taken.
    ///
    /// # Errors
    /// [`SettleError`]; then the reply must not leave.
    pub async fn settle(&self, hold: Hold, reply: Vec<u8>) -> Result<SettledPayment, SettleError> {
        let _ = (hold, reply);
        todo!()
    }

    /// Brings what is unfinished to its end, as far as the chain allows now. At start, and every now and then.
    ///
    /// # Errors
    /// The journal does not answer.
    pub async fn recover(&self, now: UnixSeconds) -> Result<Report, StoreError> {
        let _ = now;
        todo!()
    }
}
