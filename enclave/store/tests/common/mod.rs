//! What the tests of the store share.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod answers;
pub(crate) mod suite;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use evidence::{UnixSeconds, tag};
use gate::keep::{JournalRow, JournalStage, RowCipher, StoreError, SwitchRow, VaultRow};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use store::Store;
use tempfile::TempDir;

/// A row cipher as the gateway's: AES-256-GCM, bound to table, key and version.
pub(crate) struct Rows([u8; 32]);

impl RowCipher for Rows {
    fn seal(&self, table: &str, key: &[u8], version: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).unwrap();
        let aad = evidence::t(tag::ROW, &[table.as_bytes(), key, &version.to_be_bytes()]);
        let sealed = Aes256Gcm::new(&self.0.into()).encrypt(&nonce.into(), Payload { msg: body, aad: &aad }).unwrap();
        Ok([&nonce[..], &sealed].concat())
    }

    fn open(&self, table: &'static str, key: &[u8], version: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::Damaged { table };
        let (nonce, sealed) = sealed.split_first_chunk::<12>().ok_or_else(damaged)?;
        let aad = evidence::t(tag::ROW, &[table.as_bytes(), key, &version.to_be_bytes()]);
        let payload = Payload { msg: sealed, aad: &aad };
        Aes256Gcm::new(&self.0.into()).decrypt(nonce.into(), payload).map_err(|_| damaged())
    }
}

pub(crate) fn cipher() -> Arc<dyn RowCipher> {
    Arc::new(Rows([7; 32]))
}

pub(crate) fn other_cipher() -> Arc<dyn RowCipher> {
    Arc::new(Rows([8; 32]))
}

/// A directory of its own, gone with the test, and a path in it.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("state.db");
        Self { dir, path }
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.path, cipher()).await.unwrap()
    }
}

/// Another hand on the file, without regard for the store's lock.
pub(crate) async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(5));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// The file's bytes, with nothing left in its log.
pub(crate) async fn settled(path: &Path) -> Vec<u8> {
    let mut connection = raw(path).await;
    let (busy, _, _): (i64, i64, i64) =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await.unwrap();
    assert_eq!(busy, 0, "somebody reads");
    connection.close().await.unwrap();
    std::fs::read(path).unwrap()
}

pub(crate) fn at(seconds: u64) -> UnixSeconds {
    UnixSeconds(1_795_000_000 + seconds)
}

pub(crate) fn key(number: u8) -> [u8; 32] {
    [number; 32]
}

pub(crate) fn secret(wallet: u8, entry: u8, version: u64, body: &[u8]) -> VaultRow {
    VaultRow { wallet: key(wallet), entry: key(entry), version, body: body.to_vec() }
}

/// Switches of a scope, kept longer the higher the version.
pub(crate) fn switches(owner: u8, scope: u8, version: u64, body: &[u8]) -> SwitchRow {
    let keep_until = at(600 + version);
    SwitchRow { owner: key(owner), scope: key(scope), version, keep_until, body: body.to_vec() }
}

pub(crate) fn payment(number: u8, payer: u8, amount: u64) -> JournalRow {
    JournalRow {
        key: key(number),
        version: 1,
        stage: JournalStage::Reserved,
        payer: key(payer),
        amount,
        keep_until: at(600),
        body: format!("payment {number}").into_bytes(),
    }
}

/// The next version of a payment, at a stage.
pub(crate) fn next(row: &JournalRow, stage: JournalStage) -> JournalRow {
    JournalRow { version: row.version + 1, stage, ..row.clone() }
}
