//! The token's interface, as far as we use it: EIP-3009 and ERC-20, and EIP-712 for what payers sign.

use alloy_primitives::{Address as AlloyAddress, B256, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolCall, SolEvent, SolStruct};
use evidence::{Wallet, payment::Authorization};
use gate::ledger::{LogEntry, Outcome, Word};

use crate::config::Config;

mod abi {
    #![allow(missing_docs, unreachable_pub, reason = "the macro writes it")]
    alloy_sol_types::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
            uint8 v, bytes32 r, bytes32 s
        );
        function authorizationState(address authorizer, bytes32 nonce) returns (bool);
        function balanceOf(address account) returns (uint256);
        function DOMAIN_SEPARATOR() returns (bytes32);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
        event Transfer(address indexed from, address indexed to, uint256 value);
    }
}

/// The EIP-712 domain in which payers sign.
#[derive(Clone, Debug)]
pub(crate) struct Domain(Eip712Domain);

impl Domain {
    pub(crate) fn of(config: &Config) -> Self {
        Self::named(config, &config.domain_name)
    }

    /// The same domain under another name: what a payer with the wrong one has signed in.
    pub(crate) fn named(config: &Config, name: &str) -> Self {
        Self(Eip712Domain::new(
            Some(name.to_owned().into()),
            Some(config.domain_version.clone().into()),
            Some(U256::from(config.chain_id)),
            Some(address(&config.asset)),
            None,
        ))
    }

    /// `DOMAIN_SEPARATOR()` of the token.
    pub(crate) fn separator(&self) -> Word {
        self.0.hash_struct().0
    }

    /// The digest that a payer signs. What they signed is given in their own words: `to` and `value` are theirs.
    pub(crate) fn digest(&self, signed: &Signed) -> Word {
        abi::TransferWithAuthorization {
            from: address(&signed.from),
            to: address(&signed.to),
            value: U256::from(signed.value),
            validAfter: U256::from(signed.valid_after),
            validBefore: U256::from(signed.valid_before),
            nonce: B256::from(signed.nonce),
        }
        .eip712_signing_hash(&self.0)
        .0
    }
}

/// The six members of an authorization.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Signed {
    pub(crate) from: Wallet,
    pub(crate) to: Wallet,
    pub(crate) value: u64,
    pub(crate) valid_after: u64,
    pub(crate) valid_before: u64,
    pub(crate) nonce: [u8; 32],
}

/// Calldata that executes an authorization. `signature` is r ‖ s ‖ v, v 27 or 28.
pub(crate) fn transfer_call(signed: &Signed, signature: &[u8; 65]) -> Vec<u8> {
    let (r, rest) = signature.split_at(32);
    let (s, v) = rest.split_at(32);
    abi::transferWithAuthorizationCall {
        from: address(&signed.from),
        to: address(&signed.to),
        value: U256::from(signed.value),
        validAfter: U256::from(signed.valid_after),
        validBefore: U256::from(signed.valid_before),
        nonce: B256::from(signed.nonce),
        v: v.first().copied().unwrap_or_default(),
        r: B256::from_slice(r),
        s: B256::from_slice(s),
    }
    .abi_encode()
}

/// Calldata that asks whether a nonce was used or cancelled.
pub(crate) fn state_call(from: &Wallet, nonce: &[u8; 32]) -> Vec<u8> {
    abi::authorizationStateCall { authorizer: address(from), nonce: B256::from(*nonce) }.abi_encode()
}

/// Calldata that asks what an account holds.
pub(crate) fn balance_call(of: &Wallet) -> Vec<u8> {
    abi::balanceOfCall { account: address(of) }.abi_encode()
}

/// Calldata that asks for the token's domain separator.
pub(crate) fn separator_call() -> Vec<u8> {
    abi::DOMAIN_SEPARATORCall {}.abi_encode()
}

/// A word that a call returned. `None`: it is no word.
pub(crate) fn word(returned: &[u8]) -> Option<Word> {
    returned.try_into().ok()
}

/// A boolean that a call returned. `None`: it is none.
pub(crate) fn boolean(returned: &[u8]) -> Option<bool> {
    let (last, zeros) = returned.split_last().filter(|_| returned.len() == 32)?;
    (*last <= 1 && zeros.iter().all(|byte| *byte == 0)).then_some(*last == 1)
}

/// Base units that a call returned, at most 2⁶⁴ − 1: nobody's price is above that.
pub(crate) fn units(returned: &[u8]) -> Option<u64> {
    word(returned).map(|word| U256::from_be_bytes(word).saturating_to())
}

/// What a revert says (`Error(string)`), for people: printable ASCII, cut. The token's text holds no wallet.
pub(crate) fn revert_text(data: &[u8]) -> String {
    let text = match alloy_sol_types::decode_revert_reason(data) {
        Some(text) => text,
        None => return "without a reason".to_owned(),
    };
    let text = text.strip_prefix("revert: ").unwrap_or(&text);
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(100).collect()
}

/// Topics of the log entry of a used authorization.
pub(crate) fn used_topics(from: &Wallet, nonce: &[u8; 32]) -> Vec<Word> {
    vec![abi::AuthorizationUsed::SIGNATURE_HASH.0, padded(from), *nonce]
}

/// Topics of the log entry of a cancelled authorization.
pub(crate) fn cancelled_topics(from: &Wallet, nonce: &[u8; 32]) -> Vec<Word> {
    vec![abi::AuthorizationCanceled::SIGNATURE_HASH.0, padded(from), *nonce]
}

/// Whether a transaction executed this very authorization: the token says that it was used and, as its very next word,
/// that exactly this was moved. Without the order, somebody could use the nonce for another transfer and let a second
/// payment of the same transaction stand for both.
pub(crate) fn moved(outcome: &Outcome, asset: &Wallet, wanted: &Authorization) -> bool {
    let used = used_topics(&wanted.from, &wanted.nonce);
    let transfer = [abi::Transfer::SIGNATURE_HASH.0, padded(&wanted.from), padded(&wanted.to)];
    let value: Word = U256::from(wanted.value.units()).to_be_bytes();
    let of_token = |log: &LogEntry, topics: &[Word], data: &[u8]| {
        log.address == *asset.as_bytes() && log.topics == topics && log.data == data
    };
    outcome.success
        && outcome.logs.windows(2).any(|pair| match pair {
            [first, second] => of_token(first, &used, &[]) && of_token(second, &transfer, &value),
            _ => false,
        })
}

/// The account of a public key, of which `point` is the uncompressed form without its first byte.
pub(crate) fn account(point: &[u8]) -> Wallet {
    let digest = keccak256(point);
    let mut bytes = [0; 20];
    for (to, from) in bytes.iter_mut().zip(digest.iter().skip(12)) {
        *to = *from;
    }
    Wallet::new(bytes)
}

fn padded(wallet: &Wallet) -> Word {
    address(wallet).into_word().0
}

fn address(wallet: &Wallet) -> AlloyAddress {
    AlloyAddress::from(*wallet.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_the_tokens_own() {
        let base = Config::base_usdc(Wallet::new([1; 20]));
        let sepolia = Config {
            chain_id: 84532,
            asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse().unwrap(),
            domain_name: "USDC".to_owned(),
            ..base.clone()
        };
        for (config, separator) in [
            (&base, "02fa7265e7c5d81118673727957699e4d68f74cd74b7db77da710fe8a2c7834f"),
            (&sepolia, "71f17a3b2ff373b803d70a5a07c046c1a2bc8e89c09ef722fcb047abe94c9818"),
        ] {
            assert_eq!(hex::encode(Domain::of(config).separator()), separator);
        }
        let typehash = abi::TransferWithAuthorization::eip712_encode_type;
        let expected = "7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267";
        assert_eq!(hex::encode(keccak256(typehash().as_bytes())), expected);
    }

    #[test]
    fn the_specifications_own_sample_is_its_payers() {
        let wallet = |text: &str| text.parse::<Wallet>().unwrap();
        let config = Config {
            chain_id: 84532,
            asset: wallet("0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
            domain_name: "USDC".to_owned(),
            ..Config::base_usdc(Wallet::new([1; 20]))
        };
        let signed = Signed {
            from: wallet("0x857b06519E91e3A54538791bDbb0E22373e36b66"),
            to: wallet("0x209693Bc6afc0C5328bA36FaF03C514EF312287C"),
            value: 10_000,
            valid_after: 1_740_672_089,
            valid_before: 1_740_672_154,
            nonce: hex::decode("f3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480")
                .unwrap()
                .try_into()
                .unwrap(),
        };
        let signature = hex::decode(
            "2d6a7588d6acca505cbf0d9a4a227e0c52c6c34008c8e8986a1283259764173608a2ce6496642e377d6da8dbbf5836e9bd15092f9e\
             cab05ded3d6293af148b571c",
        )
        .unwrap();
        let signature = crate::signature::token_form(&signature).unwrap();
        assert_eq!(crate::signature::signer(&signature, &Domain::of(&config).digest(&signed)), Some(signed.from));
    }

    #[test]
    fn what_a_token_must_answer_is_read_strictly() {
        let mut one = [0; 32];
        one[31] = 1;
        assert_eq!(boolean(&one), Some(true));
        assert_eq!(boolean(&[0; 32]), Some(false));
        one[31] = 2;
        assert_eq!(boolean(&one), None);
        assert_eq!(boolean(&[]), None);
        assert_eq!(boolean(&[0; 33]), None);
        assert_eq!(units(&[0xff; 32]), Some(u64::MAX));
        assert_eq!(units(&[0; 31]), None);
    }
}
