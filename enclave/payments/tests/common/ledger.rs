//! A chain in memory with one EIP-3009 token, and the faults of a real one. It decodes transactions with a library that
//! knows nothing of ours.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use alloy_consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable};
use alloy_primitives::{B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use evidence::Wallet;
use gate::ledger::{Address, Block, CallOutcome, ChainError, Ledger, LogEntry, Outcome, Sent, Word};

use super::NOW;

pub mod abi {
    #![allow(missing_docs, unreachable_pub, clippy::too_many_arguments, reason = "the macro writes it")]
    alloy_sol_types::sol! {
        struct TransferWithAuthorization {
            address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce;
        }
        function transferWithAuthorization(
            address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
            uint8 v, bytes32 r, bytes32 s
        );
        function authorizationState(address authorizer, bytes32 nonce) returns (bool);
        function balanceOf(address account) returns (uint256);
        error Error(string why);
        event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);
        event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);
        event Transfer(address indexed from, address indexed to, uint256 value);
    }
}

/// What happens to the chain's answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChainFault {
    /// The request is not carried out, and nobody answers.
    Failed,
    /// It is carried out, and nobody answers.
    Unheard,
}

#[derive(Default)]
pub struct Inner {
    pub balances: BTreeMap<Wallet, u64>,
    pub codes: BTreeMap<Wallet, Vec<u8>>,
    pub used: BTreeSet<(Wallet, Word)>,
    /// The token reverts every transfer with this.
    pub refuses: Option<String>,
    pub outcomes: BTreeMap<Word, Outcome>,
    pub logs: Vec<LogEntry>,
    /// Waiting, by sender and nonce.
    pub pool: BTreeMap<(Address, u64), Vec<u8>>,
    pub counts: BTreeMap<Address, u64>,
    pub number: u64,
    pub timestamp: u64,
    pub base_fee: u128,
    pub wei: u128,
    /// Nothing is mined.
    pub halted: bool,
    /// Transactions are refused with this.
    pub refuse_sends: Option<String>,
    pub requests: usize,
    pub fault: Option<(usize, ChainFault)>,
    pub down: bool,
    pub sends: usize,
    /// Sends that never arrive although the node says that it took them.
    pub lose_sends: usize,
}

pub struct TestLedger(Mutex<Inner>);

const TOKEN: &str = "0x833589fcd6edb6e08f4c7c32d4f71b54bda02913";

fn token() -> Address {
    *TOKEN.parse::<Wallet>().expect("a wallet").as_bytes()
}

impl TestLedger {
    pub fn with(payers: &[Wallet], units: u64) -> Self {
        let balances = payers.iter().map(|payer| (*payer, units)).collect();
        let wei = 10_u128.pow(18);
        Self(Mutex::new(Inner {
            balances,
            wei,
            timestamp: NOW.0,
            number: 100,
            base_fee: 5_000_000,
            ..Inner::default()
        }))
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.inner())
    }

    pub fn balance_of(&self, wallet: Wallet) -> u64 {
        self.inner().balances.get(&wallet).copied().unwrap_or_default()
    }

    /// How many authorizations were executed.
    pub fn executed(&self) -> usize {
        let inner = self.inner();
        inner.logs.iter().filter(|log| log.topics[0] == abi::AuthorizationUsed::SIGNATURE_HASH.0).count()
    }

    /// Goes on mining.
    pub fn mine(&self) {
        let mut inner = self.inner();
        inner.halted = false;
        inner.mine();
    }

    /// Somebody executes this calldata in a transaction of their own; or anything else that leaves these log entries.
    pub fn by_somebody_else(&self, data: &[u8]) {
        let mut inner = self.inner();
        inner.number += 1;
        let transaction = keccak256([data, &inner.number.to_be_bytes()].concat()).0;
        inner.execute(transaction, data).expect("a transfer that works");
    }

    /// A transaction with exactly these log entries of the token.
    pub fn foreign_logs(&self, entries: Vec<(Vec<Word>, Vec<u8>)>) {
        let mut inner = self.inner();
        inner.number += 1;
        let (block, transaction) = (inner.number, keccak256(inner.number.to_be_bytes()).0);
        let logs: Vec<_> = entries
            .into_iter()
            .map(|(topics, data)| LogEntry { address: token(), topics, data, transaction, block })
            .collect();
        inner.logs.extend(logs.clone());
        inner.outcomes.insert(transaction, Outcome { success: true, block, logs });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("a chain")
    }

    fn ask<T>(&self, carry_out: impl FnOnce(&mut Inner) -> T) -> Result<T, ChainError> {
        let gone = || ChainError::Unreachable { why: "a fault of the test".to_owned() };
        let mut inner = self.inner();
        let at = inner.requests;
        inner.requests += 1;
        if inner.down {
            return Err(gone());
        }
        match inner.fault.filter(|(when, _)| *when == at) {
            Some((_, ChainFault::Failed)) => Err(gone()),
            Some((_, ChainFault::Unheard)) => {
                carry_out(&mut inner);
                Err(gone())
            }
            None => Ok(carry_out(&mut inner)),
        }
    }
}

impl Inner {
    fn mine(&mut self) {
        while !self.halted {
            let next = self.pool.iter().find(|((sender, nonce), _)| self.count(sender) == *nonce);
            let Some((place, raw)) = next.map(|(place, raw)| (*place, raw.clone())) else { return };
            self.pool.remove(&place);
            self.number += 1;
            self.timestamp += 2;
            *self.counts.entry(place.0).or_default() += 1;
            let data = decoded(&raw).input().to_vec();
            let transaction = keccak256(&raw).0;
            if self.execute(transaction, &data).is_err() {
                let outcome = Outcome { success: false, block: self.number, logs: Vec::new() };
                self.outcomes.insert(transaction, outcome);
            }
        }
    }

    fn count(&self, sender: &Address) -> u64 {
        self.counts.get(sender).copied().unwrap_or_default()
    }

    /// As the token does it, but for the signature, which the tests against the real one cover.
    fn check(&self, call: &abi::transferWithAuthorizationCall) -> Result<(), String> {
        let from = Wallet::new(call.from.into());
        let now = U256::from(self.timestamp + 1);
        if let Some(why) = &self.refuses {
            return Err(why.clone());
        }
        if now <= call.validAfter {
            return Err("FiatTokenV2: authorization is not yet valid".to_owned());
        }
        if now >= call.validBefore {
            return Err("FiatTokenV2: authorization is expired".to_owned());
        }
        if self.used.contains(&(from, call.nonce.0)) {
            return Err("FiatTokenV2: authorization is used or canceled".to_owned());
        }
        if U256::from(self.balances.get(&from).copied().unwrap_or_default()) < call.value {
            return Err("ERC20: transfer amount exceeds balance".to_owned());
        }
        Ok(())
    }

    fn execute(&mut self, transaction: Word, data: &[u8]) -> Result<(), String> {
        let call = abi::transferWithAuthorizationCall::abi_decode(data).expect("the only call there is");
        self.check(&call)?;
        let (from, to) = (Wallet::new(call.from.into()), Wallet::new(call.to.into()));
        let units: u64 = call.value.to();
        self.used.insert((from, call.nonce.0));
        *self.balances.entry(from).or_default() -= units;
        *self.balances.entry(to).or_default() += units;
        let entry = |topics: Vec<Word>, data: Vec<u8>| LogEntry {
            address: token(),
            topics,
            data,
            transaction,
            block: self.number,
        };
        let logs = vec![
            entry(used_topics(&from, call.nonce.0), Vec::new()),
            entry(transfer_topics(&from, &to), call.value.abi_encode()),
        ];
        self.logs.extend(logs.clone());
        self.outcomes.insert(transaction, Outcome { success: true, block: self.number, logs });
        Ok(())
    }

    fn call(&self, data: &[u8]) -> CallOutcome {
        if let Ok(call) = abi::authorizationStateCall::abi_decode(data) {
            return CallOutcome::Returned(
                self.used.contains(&(Wallet::new(call.authorizer.into()), call.nonce.0)).abi_encode(),
            );
        }
        if let Ok(call) = abi::balanceOfCall::abi_decode(data) {
            let units = self.balances.get(&Wallet::new(call.account.into())).copied().unwrap_or_default();
            return CallOutcome::Returned(U256::from(units).abi_encode());
        }
        let call = abi::transferWithAuthorizationCall::abi_decode(data).expect("the only call that is left");
        match self.check(&call) {
            Ok(()) => CallOutcome::Returned(Vec::new()),
            Err(why) => {
                use alloy_sol_types::SolError;
                CallOutcome::Reverted(abi::Error { why }.abi_encode())
            }
        }
    }

    fn send(&mut self, raw: Vec<u8>) -> Sent {
        self.sends += 1;
        if let Some(why) = &self.refuse_sends {
            return Sent::Refused { why: why.clone() };
        }
        let envelope = decoded(&raw);
        let sender: Address = envelope.recover_signer().expect("a signature").into();
        assert_eq!(envelope.chain_id(), Some(8453));
        assert_eq!(envelope.gas_limit(), 150_000);
        assert_eq!(envelope.to().map(Into::into), Some(token()));
        if self.outcomes.contains_key(&keccak256(&raw).0) {
            return Sent::Taken;
        }
        if envelope.nonce() < self.count(&sender) {
            return Sent::Refused { why: "nonce too low".to_owned() };
        }
        if self.lose_sends > 0 {
            self.lose_sends -= 1;
            return Sent::Taken;
        }
        self.pool.insert((sender, envelope.nonce()), raw);
        self.mine();
        Sent::Taken
    }
}

pub fn used_topics(from: &Wallet, nonce: Word) -> Vec<Word> {
    vec![abi::AuthorizationUsed::SIGNATURE_HASH.0, padded(from), nonce]
}

pub fn cancelled_topics(from: &Wallet, nonce: Word) -> Vec<Word> {
    vec![abi::AuthorizationCanceled::SIGNATURE_HASH.0, padded(from), nonce]
}

pub fn transfer_topics(from: &Wallet, to: &Wallet) -> Vec<Word> {
    vec![abi::Transfer::SIGNATURE_HASH.0, padded(from), padded(to)]
}

/// Calldata that executes a payment.
pub fn transfer_data(payment: &payments::Payment) -> Vec<u8> {
    abi::transferWithAuthorizationCall {
        from: (*payment.from.as_bytes()).into(),
        to: (*payment.to.as_bytes()).into(),
        value: U256::from(payment.value.expect("an amount")),
        validAfter: U256::from(payment.valid_after.0),
        validBefore: U256::from(payment.valid_before.0),
        nonce: payment.nonce.into(),
        v: payment.signature[64],
        r: B256::from_slice(&payment.signature[..32]),
        s: B256::from_slice(&payment.signature[32..64]),
    }
    .abi_encode()
}

fn padded(wallet: &Wallet) -> Word {
    alloy_primitives::Address::from(*wallet.as_bytes()).into_word().0
}

fn decoded(raw: &[u8]) -> TxEnvelope {
    use alloy_consensus::private::alloy_eips::eip2718::Decodable2718;
    TxEnvelope::decode_2718(&mut &*raw).expect("a transaction")
}

impl Ledger for TestLedger {
    fn chain_id(&self) -> u64 {
        8453
    }

    async fn head(&self) -> Result<Block, ChainError> {
        self.ask(|inner| Block { number: inner.number, timestamp: inner.timestamp, base_fee: inner.base_fee })
    }

    async fn call(&self, _from: Address, to: Address, data: Vec<u8>) -> Result<CallOutcome, ChainError> {
        assert_eq!(to, token());
        self.ask(|inner| inner.call(&data))
    }

    async fn code(&self, of: Address) -> Result<Vec<u8>, ChainError> {
        self.ask(|inner| inner.codes.get(&Wallet::new(of)).cloned().unwrap_or_default())
    }

    async fn transaction_count(&self, of: Address) -> Result<u64, ChainError> {
        self.ask(|inner| {
            let mut count = inner.count(&of);
            while inner.pool.contains_key(&(of, count)) {
                count += 1;
            }
            count
        })
    }

    async fn balance(&self, _of: Address) -> Result<u128, ChainError> {
        self.ask(|inner| inner.wei)
    }

    async fn priority_fee(&self) -> Result<u128, ChainError> {
        self.ask(|_| 1_000_000)
    }

    async fn send(&self, raw: Vec<u8>) -> Result<Sent, ChainError> {
        self.ask(|inner| inner.send(raw))
    }

    async fn outcome(&self, transaction: Word) -> Result<Option<Outcome>, ChainError> {
        self.ask(|inner| inner.outcomes.get(&transaction).cloned())
    }

    async fn logs(&self, of: Address, topics: Vec<Word>, from_block: u64) -> Result<Vec<LogEntry>, ChainError> {
        self.ask(|inner| {
            let wanted =
                |log: &&LogEntry| log.address == of && log.topics.starts_with(&topics) && log.block >= from_block;
            inner.logs.iter().filter(wanted).cloned().collect()
        })
    }
}
