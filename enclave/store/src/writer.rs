//! The one connection that writes, and what is known in memory of what it wrote.

use std::{
    collections::{BTreeSet, HashMap},
    ops::{Deref, DerefMut},
};

use gate::keep::{JournalRow, RowCipher, StoreError};
use sqlx::{Connection, Sqlite, SqliteConnection, pool::PoolConnection};
use tokio::sync::MutexGuard;

use crate::{Limits, audit, fault, record::KINDS};

/// What is done in one transaction.
pub(crate) trait Write: Send + 'static {
    type Out: Send + 'static;

    /// All of it or, with an error, nothing. `step.held` is changed last, when nothing can fail any more.
    fn run(self, step: &mut Step<'_>) -> impl Future<Output = Result<Self::Out, StoreError>> + Send;
}

/// What a write has at hand.
pub(crate) struct Step<'a> {
    pub(crate) cipher: &'a dyn RowCipher,
    pub(crate) limits: &'a Limits,
    pub(crate) connection: &'a mut SqliteConnection,
    pub(crate) held: &'a mut Held,
}

/// What the last audit and the writes since have shown.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) marks: [u64; KINDS],
    /// Marks up to this time may have been forgotten.
    pub(crate) forgotten: [u64; KINDS],
    pub(crate) first_uses: u64,
    pub(crate) denied: u64,
    pub(crate) epochs: u64,
    pub(crate) vault: u64,
    /// Sum of [`record::vault_bytes`](crate::record::vault_bytes).
    pub(crate) vault_bytes: u64,
    pub(crate) switches: u64,
    pub(crate) journal: u64,
    /// Of the next payment.
    pub(crate) next_seq: u64,
    unfinished: HashMap<[u8; 32], Unfinished>,
    /// Payer and key of the unfinished.
    payers: BTreeSet<([u8; 32], [u8; 32])>,
}

/// What must be true of an unfinished payment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfinished {
    pub(crate) seq: u64,
    pub(crate) version: u64,
    payer: [u8; 32],
    amount: u64,
}

impl Held {
    /// Takes note of a payment as it is now.
    pub(crate) fn note(&mut self, seq: u64, row: &JournalRow) {
        if let Some(before) = self.unfinished.remove(&row.key) {
            self.payers.remove(&(before.payer, row.key));
        }
        if !row.stage.is_final() {
            self.payers.insert((row.payer, row.key));
            let now = Unfinished { seq, version: row.version, payer: row.payer, amount: row.amount };
            self.unfinished.insert(row.key, now);
        }
    }

    pub(crate) fn unfinished(&self, key: &[u8; 32]) -> Option<Unfinished> {
        self.unfinished.get(key).copied()
    }

    pub(crate) fn unfinished_count(&self) -> u64 {
        self.unfinished.len() as u64
    }

    /// Oldest first.
    pub(crate) fn all_unfinished(&self) -> Vec<([u8; 32], Unfinished)> {
        let mut all: Vec<_> = self.unfinished.iter().map(|(key, one)| (*key, *one)).collect();
        all.sort_by_key(|(_, one)| one.seq);
        all
    }

    /// Base units of a payer. Too many to count is all there are: whoever asks, asks what is left.
    pub(crate) fn set_aside(&self, payer: [u8; 32]) -> u64 {
        let keys = self.payers.range((payer, [0; 32])..=(payer, [0xFF; 32]));
        let amounts = keys.filter_map(|(_, key)| self.unfinished.get(key)).map(|one| one.amount);
        amounts.fold(0, u64::saturating_add)
    }
}

pub(crate) struct Writer {
    connection: SqliteConnection,
    /// `None`: a transaction ended in a way we do not know; the file must be read again.
    held: Option<Held>,
}

impl Writer {
    pub(crate) fn new(connection: SqliteConnection, held: Held) -> Self {
        Self { connection, held: Some(held) }
    }

    /// One transaction.
    pub(crate) async fn write<W: Write>(
        &mut self,
        cipher: &dyn RowCipher,
        limits: &Limits,
        work: W,
    ) -> Result<W::Out, StoreError> {
        let mut held = self.take_held(cipher).await?;
        let failed = |error| fault::of("transaction", &error);
        // From here on `self.held` is empty; only a known end puts it back.
        let mut transaction = self.connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let step = &mut Step { cipher, limits, connection: &mut transaction, held: &mut held };
        match work.run(step).await {
            Ok(out) => {
                transaction.commit().await.map_err(failed)?;
                self.held = Some(held);
                Ok(out)
            }
            Err(error) => {
                transaction.rollback().await.map_err(failed)?;
                self.held = Some(held);
                Err(error)
            }
        }
    }

    /// Connection and what is held, outside a transaction.
    pub(crate) async fn look(&mut self, cipher: &dyn RowCipher) -> Result<(&mut SqliteConnection, &Held), StoreError> {
        let held = self.take_held(cipher).await?;
        Ok((&mut self.connection, self.held.insert(held)))
    }

    async fn take_held(&mut self, cipher: &dyn RowCipher) -> Result<Held, StoreError> {
        match self.held.take() {
            Some(held) => Ok(held),
            None => audit::audit(&mut self.connection, cipher).await,
        }
    }
}

/// A connection for reading.
pub(crate) enum Reader<'a> {
    Pool(PoolConnection<Sqlite>),
    Writer(MutexGuard<'a, Writer>),
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pool(connection) => connection,
            Self::Writer(writer) => &writer.connection,
        }
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pool(connection) => connection,
            Self::Writer(writer) => &mut writer.connection,
        }
    }
}
