//! Our own transactions: EIP-1559 (type 2), `0x02 ‖ rlp([chainId, nonce, tip, fee, gas, to, value, data, accessList, y, r, s])`.

use alloy_primitives::keccak256;
use alloy_rlp::{Encodable, Header};
use gate::ledger::{Address, FeePayer, Word};

/// A call of the token. No value goes with it, and no access list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Transaction {
    pub(crate) chain_id: u64,
    pub(crate) nonce: u64,
    pub(crate) max_priority_fee: u128,
    pub(crate) max_fee: u128,
    pub(crate) gas_limit: u64,
    pub(crate) to: Address,
    pub(crate) data: Vec<u8>,
}

/// The transaction type.
const TYPE: u8 = 2;

impl Transaction {
    /// The bytes to send.
    pub(crate) fn signed(&self, by: &dyn FeePayer) -> Vec<u8> {
        let signature = by.sign_transaction(&self.signing_hash());
        let (r, rest) = signature.split_at(32);
        let (s, y) = rest.split_at(32);
        let mut fields = self.fields();
        y.first().copied().unwrap_or_default().encode(&mut fields);
        integer(r).encode(&mut fields);
        integer(s).encode(&mut fields);
        typed(&fields)
    }

    fn signing_hash(&self) -> Word {
        keccak256(typed(&self.fields())).0
    }

    fn fields(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 128);
        self.chain_id.encode(&mut out);
        self.nonce.encode(&mut out);
        self.max_priority_fee.encode(&mut out);
        self.max_fee.encode(&mut out);
        self.gas_limit.encode(&mut out);
        self.to.encode(&mut out);
        0_u8.encode(&mut out);
        self.data.as_slice().encode(&mut out);
        Header { list: true, payload_length: 0 }.encode(&mut out);
        out
    }
}

/// The hash by which a signed transaction is known.
pub(crate) fn hash(raw: &[u8]) -> Word {
    keccak256(raw).0
}

fn typed(fields: &[u8]) -> Vec<u8> {
    let mut out = vec![TYPE];
    Header { list: true, payload_length: fields.len() }.encode(&mut out);
    out.extend_from_slice(fields);
    out
}

/// A number without leading zeros, which RLP does not allow.
fn integer(word: &[u8]) -> &[u8] {
    let zeros = word.iter().take_while(|byte| **byte == 0).count();
    word.get(zeros..).unwrap_or_default()
}
