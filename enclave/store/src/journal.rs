//! The settlement journal.

use evidence::UnixSeconds;
use gate::keep::{Begun, Journal, JournalRow, StoreError};
use sqlx::SqliteConnection;

use crate::{
    Store, fault,
    record::{self, Entry, JournalColumns},
    schema::JOURNAL,
    writer::{Step, Write},
};

const DAMAGED: StoreError = StoreError::Damaged { table: JOURNAL };

/// Rows forgotten in one transaction.
const BATCH: u64 = 256;

impl Journal for Store {
    async fn begin(&self, row: JournalRow) -> Result<Begun, StoreError> {
        self.write(Begin { row }).await
    }

    async fn advance(&self, row: JournalRow) -> Result<bool, StoreError> {
        self.write(Advance { row }).await
    }

    async fn by_key(&self, key: [u8; 32]) -> Result<Option<JournalRow>, StoreError> {
        let columns = select(&mut *self.reader().await?, key).await?;
        if let Some(columns) = columns {
            return Entry::open(&*self.0.cipher, &columns).map(|entry| Some(entry.row));
        }
        // It may have been written since, or be gone although it is not finished.
        let mut writer = self.0.writer.lock().await;
        let (connection, held) = writer.look(&*self.0.cipher).await?;
        let is_held = held.unfinished(&key).is_some();
        match select(connection, key).await? {
            Some(columns) => Entry::open(&*self.0.cipher, &columns).map(|entry| Some(entry.row)),
            None if is_held => Err(DAMAGED),
            None => Ok(None),
        }
    }

    async fn unfinished(&self) -> Result<Vec<JournalRow>, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let (connection, held) = writer.look(&*self.0.cipher).await?;
        let mut rows = Vec::new();
        for (key, known) in held.all_unfinished() {
            let columns = select(connection, key).await?.ok_or(DAMAGED)?;
            let entry = Entry::open(&*self.0.cipher, &columns)?;
            if (entry.seq, entry.row.version) != (known.seq, known.version) {
                return Err(DAMAGED);
            }
            rows.push(entry.row);
        }
        Ok(rows)
    }

    async fn set_aside(&self, payer: [u8; 32]) -> Result<u64, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let (_, held) = writer.look(&*self.0.cipher).await?;
        Ok(held.set_aside(payer))
    }

    async fn forget(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        let mut all = 0;
        loop {
            let count = self.write(Forget { now }).await?;
            all += count;
            if count < BATCH {
                return Ok(all);
            }
        }
    }
}

async fn select(connection: &mut SqliteConnection, key: [u8; 32]) -> Result<Option<JournalColumns>, StoreError> {
    const SQL: &str = "SELECT key, version, done, keep_until, sealed FROM journal WHERE key = $1";
    let query = sqlx::query_as(SQL).bind(key.to_vec());
    query.fetch_optional(connection).await.map_err(|error| fault::of(JOURNAL, &error))
}

/// The stored row, which is what we know of it or not ours.
async fn stored(step: &mut Step<'_>, key: [u8; 32]) -> Result<Option<Entry>, StoreError> {
    let known = step.held.unfinished(&key);
    let entry = match select(step.connection, key).await? {
        Some(columns) => Some(Entry::open(step.cipher, &columns)?),
        None => None,
    };
    let seen = entry.as_ref().filter(|entry| !entry.row.stage.is_final()).map(|entry| (entry.seq, entry.row.version));
    if seen == known.map(|known| (known.seq, known.version)) { Ok(entry) } else { Err(DAMAGED) }
}

struct Begin {
    row: JournalRow,
}

impl Write for Begin {
    type Out = Begun;

    async fn run(self, step: &mut Step<'_>) -> Result<Begun, StoreError> {
        const INSERT: &str = "INSERT INTO journal (key, version, done, keep_until, sealed) VALUES ($1, $2, $3, $4, $5)";
        if self.row.version != 1 {
            return Err(StoreError::Unavailable { why: "a payment begins with version 1".to_owned() });
        }
        if let Some(entry) = stored(step, self.row.key).await? {
            return Ok(Begun::There(entry.row));
        }
        let unfinished = step.held.unfinished_count() + u64::from(!self.row.stage.is_final());
        if step.held.journal >= step.limits.journal || unfinished > step.limits.unfinished {
            return Err(StoreError::Full { table: JOURNAL });
        }
        let entry = Entry { seq: step.held.next_seq, row: self.row };
        let row = &entry.row;
        let insert = sqlx::query(INSERT).bind(&row.key[..]).bind(record::sql(row.version));
        let insert = insert.bind(i64::from(row.stage.is_final())).bind(record::sql(row.keep_until.0));
        let insert = insert.bind(entry.seal(step.cipher)?);
        insert.execute(&mut *step.connection).await.map_err(|error| fault::of(JOURNAL, &error))?;
        step.held.note(entry.seq, row);
        step.held.next_seq = entry.seq.saturating_add(1);
        step.held.journal += 1;
        Ok(Begun::Fresh)
    }
}

struct Advance {
    row: JournalRow,
}

impl Write for Advance {
    type Out = bool;

    async fn run(self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        const UPDATE: &str = "UPDATE journal SET version = $1, done = $2, keep_until = $3, sealed = $4 \
                              WHERE key = $5 AND version = $6";
        let Some(before) = stored(step, self.row.key).await? else { return Ok(false) };
        if before.row.version.checked_add(1) != Some(self.row.version) {
            return Ok(false);
        }
        let opens_again = before.row.stage.is_final() && !self.row.stage.is_final();
        if opens_again && step.held.unfinished_count() >= step.limits.unfinished {
            return Err(StoreError::Full { table: JOURNAL });
        }
        let entry = Entry { seq: before.seq, row: self.row };
        let row = &entry.row;
        let update = sqlx::query(UPDATE).bind(record::sql(row.version)).bind(i64::from(row.stage.is_final()));
        let update = update.bind(record::sql(row.keep_until.0)).bind(entry.seal(step.cipher)?);
        let update = update.bind(&row.key[..]).bind(record::sql(before.row.version));
        let updated = update.execute(&mut *step.connection).await.map_err(|error| fault::of(JOURNAL, &error))?;
        if updated.rows_affected() != 1 {
            return Err(DAMAGED);
        }
        step.held.note(entry.seq, row);
        Ok(true)
    }
}

struct Forget {
    now: UnixSeconds,
}

impl Write for Forget {
    type Out = u64;

    async fn run(self, step: &mut Step<'_>) -> Result<u64, StoreError> {
        const SELECT: &str = "SELECT key, version, done, keep_until, sealed FROM journal \
                              WHERE done = 1 AND keep_until < $1 ORDER BY keep_until LIMIT $2";
        const DELETE: &str = "DELETE FROM journal WHERE key = $1";
        let failed = |error| fault::of(JOURNAL, &error);
        let select = sqlx::query_as(SELECT).bind(record::sql(self.now.0)).bind(record::sql(BATCH));
        let past: Vec<JournalColumns> = select.fetch_all(&mut *step.connection).await.map_err(failed)?;
        for columns in &past {
            // Opened first: an edited stage or time would make us forget a payment too early. And what memory calls
            // unfinished is not finished because an older file says so.
            let entry = Entry::open(step.cipher, columns)?;
            if step.held.unfinished(&entry.row.key).is_some() {
                return Err(DAMAGED);
            }
            let delete = sqlx::query(DELETE).bind(&entry.row.key[..]);
            delete.execute(&mut *step.connection).await.map_err(failed)?;
        }
        let count = past.len() as u64;
        step.held.journal = step.held.journal.saturating_sub(count);
        Ok(count)
    }
}
