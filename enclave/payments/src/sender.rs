//! The account that pays for gas: one writer, which allocates its nonces.

use std::collections::BTreeMap;

use gate::keep::{Journal, JournalStage, StoreError};

use crate::body::Body;

/// Nonces of the account that pays for gas, as far as transactions of ours that are not final hold them. Whoever signs
/// keeps this locked until the transaction is in the journal and was handed to the chain.
#[derive(Default)]
pub(crate) struct Sender {
    /// Nonce to the key of the journal row that holds it. `None`: not read from the journal yet.
    held: Option<BTreeMap<u64, [u8; 32]>>,
    /// Below this all nonces are used, whatever a node that lags says.
    floor: u64,
}

impl Sender {
    /// Reads which nonces are held, once.
    pub(crate) async fn load<J: Journal>(&mut self, journal: &J) -> Result<(), StoreError> {
        if self.held.is_some() {
            return Ok(());
        }
        let mut held = BTreeMap::new();
        for row in journal.unfinished().await? {
            if matches!(row.stage, JournalStage::Signed | JournalStage::Sent) {
                // One that cannot be read is nobody's to settle either; its nonce is found free or used on the chain.
                if let Ok(body) = Body::of(&row) {
                    held.insert(body.gas_nonce, row.key);
                }
            }
        }
        self.held = Some(held);
        Ok(())
    }

    /// The lowest nonce that is neither used (`count` of them, by the chain) nor held by another row. A hole that a
    /// transaction left which never reached the chain is filled first, so that it does not stop those behind it.
    pub(crate) fn lowest_free(&self, count: u64, key: &[u8; 32]) -> u64 {
        let mut nonce = count.max(self.floor);
        while self.held.as_ref().and_then(|held| held.get(&nonce)).is_some_and(|holder| holder != key) {
            nonce += 1;
        }
        nonce
    }

    /// The row holds this nonce now, and no other.
    pub(crate) fn hold(&mut self, nonce: u64, key: [u8; 32]) {
        self.forget(&key);
        self.held.get_or_insert_default().insert(nonce, key);
    }

    /// The row's transaction is in a block.
    pub(crate) fn used(&mut self, nonce: u64) {
        self.floor = self.floor.max(nonce + 1);
    }

    /// The row is final.
    pub(crate) fn forget(&mut self, key: &[u8; 32]) {
        if let Some(held) = &mut self.held {
            held.retain(|_, holder| holder != key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sender;

    #[test]
    fn a_hole_is_filled_before_anything_is_queued_behind_it() {
        let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
        let mut sender = Sender::default();
        assert_eq!(sender.lowest_free(5, &a), 5);
        sender.hold(5, a);
        assert_eq!(sender.lowest_free(5, &b), 6);
        sender.hold(6, b);
        // A row may sign again with the nonce that it holds.
        assert_eq!(sender.lowest_free(5, &a), 5);
        assert_eq!(sender.lowest_free(7, &c), 7);
        // The first never reached the chain and is final in another way: its nonce is the next one's.
        sender.forget(&a);
        assert_eq!(sender.lowest_free(5, &c), 5);
        // A node that lags does not bring a used nonce back.
        sender.used(7);
        assert_eq!(sender.lowest_free(5, &c), 8);
    }
}
