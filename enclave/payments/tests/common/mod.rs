//! Doubles of journal, chain and keys, for faults that no real part makes on demand, and payers that sign.
#![allow(dead_code, unused_imports, reason = "no test uses all of it")]

pub mod ledger;
pub mod store;

use std::{sync::Arc, time::Duration};

use evidence::{UnixSeconds, UsdcAmount, Wallet};
use gate::{
    keep::Pseudonyms,
    ledger::{FeePayer, Word},
};
use k256::ecdsa::SigningKey;
use payments::{Config, Exact, Payment, Purchase};

pub use self::{
    ledger::{ChainFault, TestLedger},
    store::{StoreFault, TestJournal},
};

/// Local time of the tests, and the chain's.
pub const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// An account whose key the test holds.
#[derive(Clone)]
pub struct Account(SigningKey);

impl Account {
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).expect("a key"))
    }

    pub fn from_hex(key: &str) -> Self {
        Self(SigningKey::from_slice(&hex::decode(key.trim_start_matches("0x")).expect("hex")).expect("a key"))
    }

    pub fn wallet(&self) -> Wallet {
        let point = self.0.verifying_key().to_encoded_point(false);
        let digest = alloy_primitives::keccak256(&point.as_bytes()[1..]);
        Wallet::new(digest[12..].try_into().expect("20 bytes"))
    }

    /// r ‖ s ‖ y
    pub fn sign(&self, digest: &Word) -> [u8; 65] {
        let (signature, id) = self.0.sign_prehash_recoverable(digest).expect("a signature");
        let mut out = [0; 65];
        out[..64].copy_from_slice(&signature.to_bytes());
        out[64] = id.to_byte();
        out
    }
}

impl FeePayer for Account {
    fn address(&self) -> [u8; 20] {
        *self.wallet().as_bytes()
    }

    fn sign_transaction(&self, signing_hash: &Word) -> [u8; 65] {
        self.sign(signing_hash)
    }
}

/// Pseudonyms under a key of the tests.
pub struct TestPseudonyms;

impl Pseudonyms for TestPseudonyms {
    fn of(&self, kind: &str, value: &[u8]) -> [u8; 32] {
        evidence::mac(&[3; 32], evidence::tag::PSEUDONYM, &[kind.as_bytes(), value])
    }
}

/// Who is paid in the tests.
pub fn pay_to() -> Wallet {
    "0x23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f".parse().expect("a wallet")
}

pub fn config() -> Config {
    Config { settle_within: Duration::from_secs(10), ..Config::base_usdc(pay_to()) }
}

pub type TestRail = Exact<TestJournal, TestLedger>;

pub fn rail(journal: &Arc<TestJournal>, ledger: &Arc<TestLedger>) -> TestRail {
    rail_with(config(), journal, ledger)
}

pub fn rail_with(config: Config, journal: &Arc<TestJournal>, ledger: &Arc<TestLedger>) -> TestRail {
    let (journal, ledger) = (Arc::clone(journal), Arc::clone(ledger));
    Exact::new(config, journal, ledger, Arc::new(Account::new(0x99)), Arc::new(TestPseudonyms)).expect("settings")
}

pub fn purchase(call: u8) -> Purchase {
    Purchase {
        resource: "mcp://tool/echo".to_owned(),
        also: vec!["https://gateway.example/api/servers/s/tools/echo".to_owned()],
        description: "echo".to_owned(),
        fingerprint: [call; 32],
        price: UsdcAmount::from_units(500),
        deadline: Duration::from_secs(30),
        keep_for: Duration::from_secs(600),
    }
}

/// A payment of 500 units that ends in an hour.
pub fn payment(from: &Account, nonce: u8) -> Payment {
    payment_until(from, [nonce; 32], NOW.0 + 3600)
}

pub fn payment_until(from: &Account, nonce: [u8; 32], valid_before: u64) -> Payment {
    payment_for(from, pay_to(), nonce, valid_before)
}

pub fn payment_for(from: &Account, payee: Wallet, nonce: [u8; 32], valid_before: u64) -> Payment {
    let text = payment_json(from, payee, nonce, valid_before);
    Payment::from_value(&evidence::json::parse(text.as_bytes(), &evidence::json::Limits::THEIRS).expect("JSON"))
        .expect("a payment")
}

pub fn payment_json(from: &Account, payee: Wallet, nonce: [u8; 32], valid_before: u64) -> String {
    use alloy_sol_types::SolStruct;
    let domain = alloy_sol_types::eip712_domain! {
        name: "USD Coin",
        version: "2",
        chain_id: 8453,
        verifying_contract: alloy_primitives::address!("833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
    };
    let signed = ledger::abi::TransferWithAuthorization {
        from: (*from.wallet().as_bytes()).into(),
        to: (*payee.as_bytes()).into(),
        value: alloy_primitives::U256::from(500),
        validAfter: alloy_primitives::U256::ZERO,
        validBefore: alloy_primitives::U256::from(valid_before),
        nonce: nonce.into(),
    };
    let mut signature = from.sign(&signed.eip712_signing_hash(&domain).0);
    signature[64] += 27;
    format!(
        r#"{{"x402Version":1,"scheme":"exact","network":"base","payload":{{"signature":"0x{}","authorization":{{
        "from":"{}","to":"{}","value":"500","validAfter":"0","validBefore":"{valid_before}","nonce":"0x{}"}}}}}}"#,
        hex::encode(signature),
        from.wallet(),
        payee,
        hex::encode(nonce),
    )
}
