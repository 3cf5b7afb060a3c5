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

#[cfg(test)]
mod tests {
    use evidence::json::{Limits, Value, parse};
    use k256::ecdsa::SigningKey;

    use super::*;

    struct Key(SigningKey);

    impl FeePayer for Key {
        fn address(&self) -> Address {
            [0; 20]
        }

        fn sign_transaction(&self, signing_hash: &Word) -> [u8; 65] {
            let (signature, id) = self.0.sign_prehash_recoverable(signing_hash).unwrap();
            let mut out = [0; 65];
            out[..64].copy_from_slice(&signature.to_bytes());
            out[64] = id.to_byte();
            out
        }
    }

    #[test]
    fn transactions_are_those_that_another_library_signs() {
        let file = parse(include_bytes!("../../../tests/vectors/x402/transaction.json"), &Limits::THEIRS).unwrap();
        let key = Key(SigningKey::from_slice(&[0x11; 32]).unwrap());
        let cases = file.member("cases").and_then(Value::as_array).unwrap();
        assert_eq!(cases.len(), 4);
        for case in cases {
            let text = |name| case.member(name).and_then(Value::as_str).unwrap();
            let raw = Transaction {
                chain_id: 8453,
                nonce: text("nonce").parse().unwrap(),
                max_priority_fee: text("tip").parse().unwrap(),
                max_fee: text("fee").parse().unwrap(),
                gas_limit: 150_000,
                to: hex::decode("833589fcd6edb6e08f4c7c32d4f71b54bda02913").unwrap().try_into().unwrap(),
                data: hex::decode(text("data").trim_start_matches("0x")).unwrap(),
            }
            .signed(&key);
            assert_eq!(hex::encode(&raw), text("raw"));
            assert_eq!(hex::encode(hash(&raw)), text("hash"));
        }
    }

    #[test]
    fn numbers_have_no_leading_zeros() {
        assert_eq!(integer(&[0, 0, 1, 0]), [1, 0]);
        assert!(integer(&[0; 32]).is_empty());
    }
}
