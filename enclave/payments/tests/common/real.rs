//! The real parts: anvil with the real token, SQLite, and clocks.

use std::{path::Path, sync::Arc, time::Duration};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use chain::{Limits, Nodes};
use evidence::{UnixSeconds, Wallet};
use gate::keep::{RowCipher, StoreError};
use payments::{Config, Exact};
use sealgate_tests::Anvil;
use serde_json::json;
use store::Store;

use crate::common::{Account, TestPseudonyms};

pub struct Rows;

impl RowCipher for Rows {
    fn seal(&self, table: &str, key: &[u8], version: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).expect("randomness");
        let aad = evidence::t(evidence::tag::ROW, &[table.as_bytes(), key, &version.to_be_bytes()]);
        let payload = Payload { msg: body, aad: &aad };
        let sealed = Aes256Gcm::new(&[7; 32].into()).encrypt(&nonce.into(), payload).expect("sealed");
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, table: &'static str, key: &[u8], version: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Damaged { table };
        let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or_else(damaged)?;
        let aad = evidence::t(evidence::tag::ROW, &[table.as_bytes(), key, &version.to_be_bytes()]);
        let payload = Payload { msg: sealed, aad: &aad };
        Aes256Gcm::new(&[7; 32].into()).decrypt(nonce.into(), payload).map_err(|_| damaged())
    }
}

pub async fn open(path: &Path) -> Store {
    Store::open(path, Arc::new(Rows)).await.expect("the store opens")
}

pub fn nodes(url: &str) -> Nodes {
    let limits = Limits { timeout: Duration::from_secs(2), ..Limits::default() };
    Nodes::new(sealgate_tests::anvil::CHAIN_ID, vec![url.parse().expect("an address")], limits).expect("nodes")
}

pub fn quick(payee: Wallet) -> Config {
    Config { settle_within: Duration::from_secs(4), poll_every: Duration::from_millis(40), ..Config::base_usdc(payee) }
}

pub fn real_rail<J: gate::keep::Journal, L: gate::ledger::Ledger>(
    payee: Wallet,
    journal: Arc<J>,
    ledger: Arc<L>,
    fee_payer: &Account,
) -> Exact<J, L> {
    Exact::new(quick(payee), journal, ledger, Arc::new(fee_payer.clone()), Arc::new(TestPseudonyms)).expect("settings")
}

/// Local time.
pub fn wall() -> UnixSeconds {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixSeconds(since.expect("after 1970").as_secs())
}

/// A block of now: anvil mines only when there is something to mine, and its clock stands meanwhile.
pub fn tick(anvil: &Anvil) {
    anvil.rpc("evm_mine", &json!([]));
}
