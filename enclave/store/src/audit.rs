//! Every row is opened once: when the store is opened, and again after a commit of which we do not know the end.

use gate::keep::{RowCipher, StoreError};
use sqlx::SqliteConnection;

use crate::{
    fault,
    record::{self, Entry, JournalColumns, SwitchColumns, VaultColumns},
    schema::{DENIED, EPOCH, FIRST_USE, JOURNAL, MARK, SWITCHES, VAULT},
    writer::Held,
};

/// Rows read at a time.
const PAGE: i64 = 256;

/// What the file holds, or the first table of which a row does not open.
pub(crate) async fn audit(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<Held, StoreError> {
    let mut held = Held::default();
    for (kind, count) in (0..).zip(&mut held.marks) {
        *count = marks(connection, cipher, kind).await?;
    }
    held.first_uses = tokens(connection, cipher, FIRST_USE, FIRST_USES).await?;
    held.denied = tokens(connection, cipher, DENIED, DENIALS).await?;
    held.epochs = epochs(connection, cipher).await?;
    (held.vault, held.vault_bytes) = vault(connection, cipher).await?;
    held.switches = switches(connection, cipher).await?;
    journal(connection, cipher, &mut held).await?;
    unknown_marks(connection).await?;
    Ok(held)
}

const FIRST_USES: &str = "SELECT token, until, sealed FROM first_use WHERE token > $1 ORDER BY token LIMIT $2";
const DENIALS: &str = "SELECT token, until, sealed FROM denied WHERE token > $1 ORDER BY token LIMIT $2";

async fn marks(connection: &mut SqliteConnection, cipher: &dyn RowCipher, kind: u8) -> Result<u64, StoreError> {
    const SQL: &str = "SELECT key, until, sealed FROM mark WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3";
    let (mut last, mut count) = (Vec::new(), 0);
    loop {
        let query = sqlx::query_as(SQL).bind(i64::from(kind)).bind(last).bind(PAGE);
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(MARK, &error))?;
        for (key, until, sealed) in &rows {
            record::open_mark(cipher, kind, &record::key(MARK, key)?, *until, sealed)?;
            count += 1;
        }
        match rows.into_iter().next_back() {
            Some((key, ..)) => last = key,
            None => return Ok(count),
        }
    }
}

/// A mark of a kind that does not exist belongs to none, so no loop above has opened it.
async fn unknown_marks(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM mark WHERE kind < 0 OR kind >= $1";
    let query = sqlx::query_as(SQL).bind(record::sql(record::KINDS as u64));
    let (count,): (i64,) = query.fetch_one(&mut *connection).await.map_err(|error| fault::of(MARK, &error))?;
    if count == 0 { Ok(()) } else { Err(StoreError::Damaged { table: MARK }) }
}

async fn tokens(
    connection: &mut SqliteConnection,
    cipher: &dyn RowCipher,
    table: &'static str,
    sql: &'static str,
) -> Result<u64, StoreError> {
    let (mut last, mut count) = (Vec::new(), 0);
    loop {
        let query = sqlx::query_as(sql).bind(last).bind(PAGE);
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(table, &error))?;
        for (token, until, sealed) in &rows {
            record::open_token(cipher, table, &record::key(table, token)?, *until, sealed)?;
            count += 1;
        }
        match rows.into_iter().next_back() {
            Some((token, ..)) => last = token,
            None => return Ok(count),
        }
    }
}

async fn epochs(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<u64, StoreError> {
    const SQL: &str = "SELECT wallet, version, sealed FROM epoch WHERE wallet > $1 ORDER BY wallet LIMIT $2";
    let (mut last, mut count) = (Vec::new(), 0);
    loop {
        let query = sqlx::query_as(SQL).bind(last).bind(PAGE);
        let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(EPOCH, &error))?;
        for (wallet, version, sealed) in &rows {
            let version = record::version(EPOCH, *version)?;
            record::open_time(cipher, EPOCH, &record::key(EPOCH, wallet)?, version, sealed)?;
            count += 1;
        }
        match rows.into_iter().next_back() {
            Some((wallet, ..)) => last = wallet,
            None => return Ok(count),
        }
    }
}

/// How many secrets, and their bytes.
async fn vault(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<(u64, u64), StoreError> {
    const SQL: &str = "SELECT wallet, entry, version, sealed FROM vault WHERE (wallet, entry) > ($1, $2) \
                       ORDER BY wallet, entry LIMIT $3";
    let (mut last, mut count, mut bytes) = ((Vec::new(), Vec::new()), 0, 0);
    loop {
        let query = sqlx::query_as(SQL).bind(last.0).bind(last.1).bind(PAGE);
        let rows: Vec<VaultColumns> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(VAULT, &error))?;
        for (wallet, entry, version, sealed) in &rows {
            let place = record::vault_place(&record::key(VAULT, wallet)?, &record::key(VAULT, entry)?);
            cipher.open(VAULT, &place, record::version(VAULT, *version)?, sealed)?;
            count += 1;
            bytes += record::vault_bytes(sealed.len() as u64);
        }
        match rows.into_iter().next_back() {
            Some((wallet, entry, ..)) => last = (wallet, entry),
            None => return Ok((count, bytes)),
        }
    }
}

async fn switches(connection: &mut SqliteConnection, cipher: &dyn RowCipher) -> Result<u64, StoreError> {
    const SQL: &str = "SELECT owner, scope, version, keep_until, sealed FROM switches \
                       WHERE (owner, scope) > ($1, $2) ORDER BY owner, scope LIMIT $3";
    let (mut last, mut count) = ((Vec::new(), Vec::new()), 0);
    loop {
        let query = sqlx::query_as(SQL).bind(last.0).bind(last.1).bind(PAGE);
        let rows: Vec<SwitchColumns> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(SWITCHES, &error))?;
        for columns in &rows {
            record::open_switches(cipher, columns)?;
            count += 1;
        }
        match rows.into_iter().next_back() {
            Some((owner, scope, ..)) => last = (owner, scope),
            None => return Ok(count),
        }
    }
}

async fn journal(connection: &mut SqliteConnection, cipher: &dyn RowCipher, held: &mut Held) -> Result<(), StoreError> {
    const SQL: &str = "SELECT key, version, done, keep_until, sealed FROM journal WHERE key > $1 ORDER BY key LIMIT $2";
    let mut last = Vec::new();
    loop {
        let query = sqlx::query_as(SQL).bind(last).bind(PAGE);
        let rows: Vec<JournalColumns> =
            query.fetch_all(&mut *connection).await.map_err(|error| fault::of(JOURNAL, &error))?;
        for columns in &rows {
            let entry = Entry::open(cipher, columns)?;
            held.note(entry.seq, &entry.row);
            held.next_seq = held.next_seq.max(entry.seq.saturating_add(1));
            held.journal += 1;
        }
        match rows.into_iter().next_back() {
            Some((key, ..)) => last = key,
            None => return Ok(()),
        }
    }
}
