//! Rows of the vault.

use std::collections::BTreeSet;

use gate::keep::{StoreError, VaultRow, VaultRows};

use crate::{
    Store, fault, record,
    schema::VAULT,
    writer::{Step, Write},
};

const OF_WALLET: &str = "SELECT entry, version, sealed FROM vault WHERE wallet = $1 ORDER BY entry";
const SELECT: &str = "SELECT version, sealed FROM vault WHERE wallet = $1 AND entry = $2";
const INSERT: &str = "INSERT INTO vault (wallet, entry, version, sealed) VALUES ($1, $2, $3, $4)";
const UPDATE: &str = "UPDATE vault SET version = $1, sealed = $2 WHERE wallet = $3 AND entry = $4 AND version = $5";
const LENGTH: &str = "SELECT LENGTH(sealed) FROM vault WHERE wallet = $1 AND entry = $2";
const DELETE: &str = "DELETE FROM vault WHERE wallet = $1 AND entry = $2";

impl VaultRows for Store {
    async fn of_wallet(&self, wallet: [u8; 32]) -> Result<Vec<VaultRow>, StoreError> {
        let mut reader = self.reader().await?;
        let query = sqlx::query_as(OF_WALLET).bind(&wallet[..]);
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            query.fetch_all(&mut *reader).await.map_err(|error| fault::of(VAULT, &error))?;
        drop(reader);
        rows.into_iter().map(|(entry, version, sealed)| self.opened(wallet, &entry, version, &sealed)).collect()
    }

    async fn row(&self, wallet: [u8; 32], entry: [u8; 32]) -> Result<Option<VaultRow>, StoreError> {
        let mut reader = self.reader().await?;
        let query = sqlx::query_as(SELECT).bind(&wallet[..]).bind(&entry[..]);
        let row: Option<(i64, Vec<u8>)> =
            query.fetch_optional(&mut *reader).await.map_err(|error| fault::of(VAULT, &error))?;
        drop(reader);
        row.map(|(version, sealed)| self.opened(wallet, &entry, version, &sealed)).transpose()
    }

    async fn put(&self, rows: Vec<VaultRow>) -> Result<bool, StoreError> {
        self.write(Put { rows }).await
    }

    async fn delete(&self, wallet: [u8; 32], entries: Vec<[u8; 32]>) -> Result<u64, StoreError> {
        self.write(Delete { wallet, entries }).await
    }
}

impl Store {
    fn opened(&self, wallet: [u8; 32], entry: &[u8], version: i64, sealed: &[u8]) -> Result<VaultRow, StoreError> {
        let (entry, version) = (record::key(VAULT, entry)?, record::version(VAULT, version)?);
        let body = self.0.cipher.open(VAULT, &record::vault_place(&wallet, &entry), version, sealed)?;
        Ok(VaultRow { wallet, entry, version, body })
    }
}

struct Put {
    rows: Vec<VaultRow>,
}

impl Write for Put {
    type Out = bool;

    async fn run(self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let failed = |error| fault::of(VAULT, &error);
        // First all comparisons, then all writes: `false` must leave nothing, and an error is not what it is.
        let (mut seen, mut replaced) = (BTreeSet::new(), 0);
        for row in &self.rows {
            let is_twice = !seen.insert((row.wallet, row.entry));
            let (version, bytes) = stored(step, row).await?;
            if is_twice || version.checked_add(1) != Some(row.version) {
                return Ok(false);
            }
            replaced += bytes;
        }
        let (mut count, mut bytes) = (step.held.vault, step.held.vault_bytes.saturating_sub(replaced));
        for row in &self.rows {
            let place = record::vault_place(&row.wallet, &row.entry);
            let sealed = record::seal(step.cipher, VAULT, &place, row.version, &row.body)?;
            bytes += record::vault_bytes(sealed.len() as u64);
            let version = record::sql(row.version);
            let written = if row.version == 1 {
                count += 1;
                let insert = sqlx::query(INSERT).bind(&row.wallet[..]).bind(&row.entry[..]);
                insert.bind(version).bind(sealed).execute(&mut *step.connection).await
            } else {
                let update = sqlx::query(UPDATE).bind(version).bind(sealed);
                let update = update.bind(&row.wallet[..]).bind(&row.entry[..]).bind(version - 1);
                update.execute(&mut *step.connection).await
            };
            if written.map_err(failed)?.rows_affected() != 1 {
                return Err(StoreError::Damaged { table: VAULT });
            }
        }
        if count > step.limits.vault || bytes > step.limits.vault_bytes {
            return Err(StoreError::Full { table: VAULT });
        }
        (step.held.vault, step.held.vault_bytes) = (count, bytes);
        Ok(true)
    }
}

/// Version and bytes of the row, 0 if there is none. It is opened, or an edited version would pass for another.
async fn stored(step: &mut Step<'_>, row: &VaultRow) -> Result<(u64, u64), StoreError> {
    let select = sqlx::query_as(SELECT).bind(&row.wallet[..]).bind(&row.entry[..]);
    let there: Option<(i64, Vec<u8>)> =
        select.fetch_optional(&mut *step.connection).await.map_err(|error| fault::of(VAULT, &error))?;
    let Some((version, sealed)) = there else { return Ok((0, 0)) };
    let version = record::version(VAULT, version)?;
    step.cipher.open(VAULT, &record::vault_place(&row.wallet, &row.entry), version, &sealed)?;
    Ok((version, record::vault_bytes(sealed.len() as u64)))
}

struct Delete {
    wallet: [u8; 32],
    entries: Vec<[u8; 32]>,
}

impl Write for Delete {
    type Out = u64;

    async fn run(self, step: &mut Step<'_>) -> Result<u64, StoreError> {
        let (mut count, mut bytes) = (0, 0);
        let failed = |error| fault::of(VAULT, &error);
        for entry in &self.entries {
            let length = sqlx::query_as(LENGTH).bind(&self.wallet[..]).bind(&entry[..]);
            let length: Option<(i64,)> = length.fetch_optional(&mut *step.connection).await.map_err(failed)?;
            bytes += length.map_or(0, |(length,)| record::vault_bytes(length.unsigned_abs()));
            let delete = sqlx::query(DELETE).bind(&self.wallet[..]).bind(&entry[..]);
            let deleted = delete.execute(&mut *step.connection).await.map_err(failed)?;
            count += deleted.rows_affected();
        }
        step.held.vault = step.held.vault.saturating_sub(count);
        step.held.vault_bytes = step.held.vault_bytes.saturating_sub(bytes);
        Ok(count)
    }
}
