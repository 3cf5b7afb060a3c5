//! What stands in a journal row: what the payer signed, for which call, the reply, the transaction. RLP, sealed at rest
//! by the store.

use alloy_rlp::{Bytes, Decodable, Encodable, RlpDecodable, RlpEncodable};
use evidence::{UnixSeconds, UsdcAmount, Wallet, payment::Authorization};
use gate::{
    keep::{JournalRow, StoreError},
    ledger::Word,
};

use crate::token::Signed;

/// Version of this layout.
const VERSION: u8 = 1;

#[derive(Clone, Debug, Eq, PartialEq, RlpEncodable, RlpDecodable)]
pub(crate) struct Body {
    version: u8,
    pub(crate) chain_id: u64,
    asset: [u8; 20],
    from: [u8; 20],
    to: [u8; 20],
    value: u64,
    valid_after: u64,
    valid_before: u64,
    nonce: [u8; 32],
    /// r ‖ s ‖ v, v 27 or 28.
    pub(crate) signature: [u8; 65],
    /// What it pays for.
    pub(crate) fingerprint: [u8; 32],
    /// Local time of the reservation.
    pub(crate) reserved_at: u64,
    /// No execution of this authorization is in an earlier block.
    pub(crate) since_block: u64,
    /// From `Executed` on.
    pub(crate) reply: Bytes,
    /// From `Signed` on: the transaction's bytes, and the nonce of the account that pays for its gas.
    pub(crate) raw: Bytes,
    pub(crate) gas_nonce: u64,
    /// How many transactions were signed. More than one: an older one may still reach the chain.
    pub(crate) signed_times: u64,
    /// `Settled`: the transaction that moved the money, ours or anybody's.
    pub(crate) transaction: Word,
}

impl Body {
    pub(crate) fn reserved(
        chain_id: u64,
        asset: &Wallet,
        signed: &Signed,
        signature: [u8; 65],
        fingerprint: [u8; 32],
        reserved_at: UnixSeconds,
        since_block: u64,
    ) -> Self {
        Self {
            version: VERSION,
            chain_id,
            asset: *asset.as_bytes(),
            from: *signed.from.as_bytes(),
            to: *signed.to.as_bytes(),
            value: signed.value,
            valid_after: signed.valid_after,
            valid_before: signed.valid_before,
            nonce: signed.nonce,
            signature,
            fingerprint,
            reserved_at: reserved_at.0,
            since_block,
            reply: Bytes::new(),
            raw: Bytes::new(),
            gas_nonce: 0,
            signed_times: 0,
            transaction: [0; 32],
        }
    }

    /// # Errors
    /// [`StoreError::Damaged`]: the row opened, but this is not what we write.
    pub(crate) fn of(row: &JournalRow) -> Result<Self, StoreError> {
        let mut bytes = row.body.as_slice();
        match Self::decode(&mut bytes) {
            Ok(body) if body.version == VERSION && bytes.is_empty() => Ok(body),
            _ => Err(StoreError::Damaged { table: "journal" }),
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    pub(crate) fn signed(&self) -> Signed {
        Signed {
            from: Wallet::new(self.from),
            to: Wallet::new(self.to),
            value: self.value,
            valid_after: self.valid_after,
            valid_before: self.valid_before,
            nonce: self.nonce,
        }
    }

    pub(crate) fn asset(&self) -> Wallet {
        Wallet::new(self.asset)
    }

    pub(crate) fn authorization(&self) -> Authorization {
        Authorization {
            network: format!("eip155:{}", self.chain_id),
            asset: self.asset(),
            from: Wallet::new(self.from),
            to: Wallet::new(self.to),
            value: UsdcAmount::from_units(self.value),
            valid_after: UnixSeconds(self.valid_after),
            valid_before: UnixSeconds(self.valid_before),
            nonce: self.nonce,
        }
    }

    /// The call ran.
    pub(crate) fn executed(&self, reply: Vec<u8>) -> Self {
        Self { reply: reply.into(), ..self.clone() }
    }

    /// The settling transaction, with the nonce of the account that pays for its gas.
    pub(crate) fn with_transaction(&self, raw: Vec<u8>, gas_nonce: u64) -> Self {
        Self { raw: raw.into(), gas_nonce, signed_times: self.signed_times + 1, ..self.clone() }
    }

    /// What is left once nothing was and nothing will be taken.
    pub(crate) fn released(&self) -> Self {
        Self { reply: Bytes::new(), raw: Bytes::new(), ..self.clone() }
    }

    /// What is left once `transaction` has moved the money.
    pub(crate) fn settled(&self, transaction: Word) -> Self {
        Self { raw: Bytes::new(), transaction, ..self.clone() }
    }
}
