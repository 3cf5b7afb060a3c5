//! Accounts that sign, as payers and fee payers do, and nodes that lie.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod liar;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, SolStruct, eip712_domain, sol};
use chain::{Limits, Nodes, RpcUrl};
use evidence::Wallet;
use k256::ecdsa::SigningKey;
use sealgate_tests::{
    Anvil,
    anvil::{CHAIN_ID, USDC},
};

sol! {
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
    ) external;
}

pub(crate) const TRANSFER: &str = "Transfer(address,address,uint256)";

/// The nodes at these addresses.
pub(crate) fn nodes(urls: &[String]) -> Nodes {
    nodes_within(urls, Limits::default())
}

pub(crate) fn nodes_within(urls: &[String], limits: Limits) -> Nodes {
    let urls = urls.iter().map(|url| url.parse::<RpcUrl>().expect("an address")).collect();
    Nodes::new(CHAIN_ID, urls, limits).expect("nodes")
}

pub(crate) fn usdc() -> [u8; 20] {
    *USDC.parse::<Wallet>().expect("an address").as_bytes()
}

/// A key and its account.
pub(crate) struct Account {
    key: SigningKey,
    pub(crate) wallet: Wallet,
}

impl Account {
    /// With 1 USDC and 1 ether.
    pub(crate) fn funded(chain: &Anvil) -> Self {
        let (key, wallet) = chain.new_wallet();
        let bytes = hex::decode(&key[2..]).expect("hexadecimal");
        Self { key: SigningKey::from_slice(&bytes).expect("a key"), wallet }
    }

    pub(crate) fn address(&self) -> [u8; 20] {
        *self.wallet.as_bytes()
    }

    fn sign(&self, hash: B256) -> Signature {
        let (signature, recovery) = self.key.sign_prehash_recoverable(hash.as_slice()).expect("a signature");
        Signature::from((signature, recovery))
    }

    /// Calldata of an authorization of ours to pay.
    pub(crate) fn authorization(&self, to: Wallet, value: u64, nonce: B256) -> Vec<u8> {
        let (from, to) = (Address::from(self.address()), Address::from(*to.as_bytes()));
        let (value, valid_after, valid_before) = (U256::from(value), U256::ZERO, U256::from(u32::MAX));
        let domain = eip712_domain! {
            name: "USD Coin",
            version: "2",
            chain_id: CHAIN_ID,
            verifying_contract: Address::from(usdc()),
        };
        let signed =
            TransferWithAuthorization { from, to, value, validAfter: valid_after, validBefore: valid_before, nonce };
        let signature = self.sign(signed.eip712_signing_hash(&domain));
        let v = 27 + u8::from(signature.v());
        let (r, s) = (signature.r().into(), signature.s().into());
        transferWithAuthorizationCall {
            from,
            to,
            value,
            validAfter: valid_after,
            validBefore: valid_before,
            nonce,
            v,
            r,
            s,
        }
        .abi_encode()
    }

    /// A signed transaction of ours to the token, and its hash. Every `tip` is another transaction.
    pub(crate) fn transaction(&self, count: u64, data: Vec<u8>, tip: u128) -> (Vec<u8>, [u8; 32]) {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: count,
            gas_limit: 150_000,
            max_fee_per_gas: 2_000_000_000,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(Address::from(usdc())),
            input: Bytes::from(data),
            ..TxEip1559::default()
        };
        let signature = self.sign(transaction.signature_hash());
        let mut raw = Vec::new();
        transaction.into_signed(signature).eip2718_encode(&mut raw);
        let hash = keccak256(&raw);
        (raw, hash.0)
    }
}
