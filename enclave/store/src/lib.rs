//! What the gateway keeps between calls: marks of what may be used once, tokens, the vault's rows, callers'
//! switches, the settlement journal. The only user of SQL. It implements the ports of [`gate::keep`] and knows no meaning of what it stores.
//!
//! **Every row is sealed** by the [`RowCipher`], bound to table, key and version. What decides (stage, amount, times) lies
//! inside; a copy in clear exists only where SQL must filter by it, and is compared with the sealed one whenever it is
//! used. At opening the whole file is read once: SQLite's own check, the schema's text, every row. After that an edited
//! row is found when it is read.
//!
//! **What this does not see** (`database-freshness` in every verdict): a file put back as a whole to an older state, and
//! rows put back or removed by somebody who writes to the file. Two exceptions, for they are money: unfinished rows of the
//! journal are also known in memory, so that while the gateway runs none disappears or grows younger unnoticed.
//!
//! **Durability.** A write has returned when it is on disk (WAL, `synchronous=FULL`). Writes go through one connection,
//! one after the other, and run to their end even if their caller is gone. After a commit that failed nothing is assumed:
//! the file is read again before the next write.
//!
//! One process at a time: a lock beside the file says so.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        reason = "a test that panics has failed"
    )
)]

mod audit;
mod fault;
mod journal;
mod marks;
mod open;
mod record;
mod schema;
mod switches;
mod tokens;
mod vault_rows;
mod writer;

use std::{
    fs::File,
    sync::{Arc, atomic::AtomicU64},
};

use gate::keep::{RowCipher, StoreError};
use sqlx::SqlitePool;
use tokio::sync::Mutex;

pub use open::OpenError;

use crate::writer::{Reader, Write, Writer};

/// How much there may be. Beyond them a write is [`StoreError::Full`]: nothing is forgotten to make room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Marks of one kind. They live for minutes: 2^20 are 3,400 a second over the five minutes of a signed request, and
    /// 200 MB of disk.
    pub marks: u64,
    /// Tokens seen. Each row goes after its token's own end; 2^20 are 150 MB.
    pub tokens: u64,
    /// Tokens revoked that were never seen: 2^19 are 75 MB. One that was seen is revoked in any case, so there are at
    /// most [`Self::tokens`] more; neither takes room from the other, or whoever fills the one would protect a thief.
    pub denied_unseen: u64,
    /// Epochs of wallets, which are never forgotten: 2^21 are 300 MB. Tokens have no part in this room.
    pub epochs: u64,
    /// Secrets. Rows of which most are small, so that [`Self::vault_bytes`] ends first.
    pub vault: u64,
    /// Bytes of secrets as they are sealed, with their keys. 256 MiB on disk: a quarter of a million API keys, and an
    /// opening that reads every row takes a second. In memory 64 MiB, for the smallest machine has 2 GiB for everything.
    pub vault_bytes: u64,
    /// Scopes of callers with what they have switched on, of at most 4 KiB each: 2^17 are 40 MB where each has ten
    /// servers on, 600 MB where each has all it may. They go half a year after their last change.
    pub switches: u64,
    /// Scopes of one owner. Its next one replaces the one that it changed longest ago.
    pub switches_of_one: u64,
    /// Payments, finished and not. 2^20 are 3 per second over four days.
    pub journal: u64,
    /// Unfinished payments, which are held in memory as well: 2^16 are 20 MB.
    pub unfinished: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            marks: 1 << 20,
            tokens: 1 << 20,
            denied_unseen: 1 << 19,
            epochs: 1 << 21,
            vault: 1 << 20,
            vault_bytes: 256 << 20,
            switches: 1 << 17,
            switches_of_one: 64,
            journal: 1 << 20,
            unfinished: 1 << 16,
        }
    }
}

impl Limits {
    /// Of a store in memory.
    pub fn in_memory() -> Self {
        Self { vault_bytes: 64 << 20, ..Self::default() }
    }
}

/// Longest body of a row, 16 MiB: a tool's result has 8 MiB at most. A longer one is [`StoreError::Full`].
pub const MAX_BODY: usize = 16 << 20;

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    cipher: Arc<dyn RowCipher>,
    limits: Limits,
    writer: Mutex<Writer>,
    /// Tokens that end up to this time may have been forgotten. Of all that is known of tokens, for a revocation that
    /// was forgotten must not make a first use count that was not.
    forgotten: Arc<AtomicU64>,
    /// `None`: in memory, where there is one connection.
    readers: Option<SqlitePool>,
    /// Held as long as the store is.
    _lock: Option<File>,
}

impl Store {
    /// To its end, even if the caller stops waiting.
    async fn write<W: Write>(&self, work: W) -> Result<W::Out, StoreError> {
        let store = self.clone();
        let written = tokio::spawn(async move {
            let inner = &*store.0;
            inner.writer.lock().await.write(&*inner.cipher, &inner.limits, work).await
        });
        written
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable { why: format!("a write ended early: {error}") }))
    }

    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        match &self.0.readers {
            Some(readers) => {
                Ok(Reader::Pool(readers.acquire().await.map_err(|error| fault::of("connection", &error))?))
            }
            None => Ok(Reader::Writer(self.0.writer.lock().await)),
        }
    }
}
