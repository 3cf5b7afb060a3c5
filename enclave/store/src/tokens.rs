//! What is known of wallet tokens.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use evidence::UnixSeconds;
use gate::keep::{RowCipher, StoreError, Tokens};
use sqlx::SqliteConnection;

use crate::{
    Store, fault,
    marks::{LARGE_SWEEP, SWEEP},
    record,
    schema::{DENIED, EPOCH, FIRST_USE},
    writer::{Step, Write},
};

const SELECT_EPOCH: &str = "SELECT version, sealed FROM epoch WHERE wallet = $1";
const INSERT_EPOCH: &str = "INSERT INTO epoch (wallet, version, sealed) VALUES ($1, 1, $2)";
const UPDATE_EPOCH: &str = "UPDATE epoch SET version = $1, sealed = $2 WHERE wallet = $3 AND version = $4";

impl Tokens for Store {
    async fn first_use(
        &self,
        token: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Option<UnixSeconds>, StoreError> {
        if self.may_be_forgotten(until) {
            return Ok(None);
        }
        match self.noted(&FIRST_USES, token).await? {
            Some(first) => Ok(Some(first)),
            None => self.write(FirstUse(self.note(token, until, now))).await,
        }
    }

    async fn known_since(&self, token: [u8; 32], until: UnixSeconds) -> Result<Option<UnixSeconds>, StoreError> {
        if self.may_be_forgotten(until) { Ok(None) } else { self.noted(&FIRST_USES, token).await }
    }

    async fn is_denied(&self, token: [u8; 32]) -> Result<bool, StoreError> {
        Ok(self.noted(&DENIALS, token).await?.is_some())
    }

    async fn deny(&self, token: [u8; 32], until: UnixSeconds, now: UnixSeconds) -> Result<(), StoreError> {
        self.write(Deny(self.note(token, until, now))).await
    }

    async fn epoch(&self, wallet: [u8; 32]) -> Result<Option<UnixSeconds>, StoreError> {
        let mut reader = self.reader().await?;
        let query = sqlx::query_as(SELECT_EPOCH).bind(&wallet[..]);
        let row: Option<(i64, Vec<u8>)> =
            query.fetch_optional(&mut *reader).await.map_err(|error| fault::of(EPOCH, &error))?;
        let Some((version, sealed)) = row else { return Ok(None) };
        let version = record::version(EPOCH, version)?;
        record::open_time(&*self.0.cipher, EPOCH, &wallet, version, &sealed).map(Some)
    }

    async fn raise_epoch(&self, wallet: [u8; 32], to: UnixSeconds) -> Result<(), StoreError> {
        self.write(RaiseEpoch { wallet, to }).await
    }
}

impl Store {
    /// When the token came into the table.
    async fn noted(&self, book: &Book, token: [u8; 32]) -> Result<Option<UnixSeconds>, StoreError> {
        book.noted(&mut *self.reader().await?, &*self.0.cipher, token).await
    }

    fn may_be_forgotten(&self, until: UnixSeconds) -> bool {
        until.0 <= self.0.forgotten.load(Ordering::SeqCst)
    }

    fn note(&self, token: [u8; 32], until: UnixSeconds, now: UnixSeconds) -> Note {
        Note { token, until, now, forgotten: Arc::clone(&self.0.forgotten) }
    }
}

/// A token to be noted.
struct Note {
    token: [u8; 32],
    until: UnixSeconds,
    now: UnixSeconds,
    forgotten: Arc<AtomicU64>,
}

struct FirstUse(Note);

impl Write for FirstUse {
    type Out = Option<UnixSeconds>;

    async fn run(self, step: &mut Step<'_>) -> Result<Option<UnixSeconds>, StoreError> {
        let (note, limit) = (self.0, step.limits.tokens);
        let swept = FIRST_USES.sweep(step, &note, step.held.first_uses >= limit).await?;
        if note.until.0 <= note.forgotten.load(Ordering::SeqCst) {
            step.held.first_uses = step.held.first_uses.saturating_sub(swept);
            return Ok(None);
        }
        let count = step.held.first_uses.saturating_sub(swept);
        let (first, is_new) = FIRST_USES.keep(step, &note, count < limit).await?;
        step.held.first_uses = count + u64::from(is_new);
        Ok(Some(first))
    }
}

struct Deny(Note);

impl Write for Deny {
    type Out = ();

    async fn run(self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let note = self.0;
        let was_seen = FIRST_USES.noted(step.connection, step.cipher, note.token).await?.is_some();
        let limit = step.limits.denied_unseen + if was_seen { step.limits.tokens } else { 0 };
        let swept = DENIALS.sweep(step, &note, step.held.denied >= limit).await?;
        let count = step.held.denied.saturating_sub(swept);
        let (_, is_new) = DENIALS.keep(step, &note, count < limit).await?;
        step.held.denied = count + u64::from(is_new);
        Ok(())
    }
}

/// A table of tokens, each noted once.
struct Book {
    table: &'static str,
    select: &'static str,
    insert: &'static str,
    past: &'static str,
    delete: &'static str,
}

const FIRST_USES: Book = Book {
    table: FIRST_USE,
    select: "SELECT until, sealed FROM first_use WHERE token = $1",
    insert: "INSERT INTO first_use (token, until, sealed) VALUES ($1, $2, $3) ON CONFLICT (token) DO NOTHING",
    past: "SELECT token, until, sealed FROM first_use WHERE until < $1 ORDER BY until LIMIT $2",
    delete: "DELETE FROM first_use WHERE token = $1",
};

const DENIALS: Book = Book {
    table: DENIED,
    select: "SELECT until, sealed FROM denied WHERE token = $1",
    insert: "INSERT INTO denied (token, until, sealed) VALUES ($1, $2, $3) ON CONFLICT (token) DO NOTHING",
    past: "SELECT token, until, sealed FROM denied WHERE until < $1 ORDER BY until LIMIT $2",
    delete: "DELETE FROM denied WHERE token = $1",
};

impl Book {
    async fn noted(
        &self,
        connection: &mut SqliteConnection,
        cipher: &dyn RowCipher,
        token: [u8; 32],
    ) -> Result<Option<UnixSeconds>, StoreError> {
        let select = sqlx::query_as(self.select).bind(&token[..]);
        let row: Option<(i64, Vec<u8>)> =
            select.fetch_optional(connection).await.map_err(|error| fault::of(self.table, &error))?;
        let Some((until, sealed)) = row else { return Ok(None) };
        record::open_token(cipher, self.table, &token, until, &sealed).map(|(noted, _)| Some(noted))
    }

    /// The time that is kept, and whether it is this one.
    async fn keep(&self, step: &mut Step<'_>, note: &Note, room: bool) -> Result<(UnixSeconds, bool), StoreError> {
        let table = self.table;
        let sealed = record::seal_token(step.cipher, table, &note.token, note.now, note.until)?;
        let insert = sqlx::query(self.insert).bind(&note.token[..]).bind(record::sql(note.until.0)).bind(sealed);
        let inserted = insert.execute(&mut *step.connection).await.map_err(|error| fault::of(table, &error))?;
        if inserted.rows_affected() == 1 {
            return if room { Ok((note.now, true)) } else { Err(StoreError::Full { table }) };
        }
        let noted = self.noted(step.connection, step.cipher, note.token).await?;
        Ok((noted.ok_or(StoreError::Damaged { table })?, false))
    }

    /// Removes tokens whose own end is past. Each is opened first: an edited end would make us forget one too early.
    async fn sweep(&self, step: &mut Step<'_>, note: &Note, is_full: bool) -> Result<u64, StoreError> {
        let failed = |error| fault::of(self.table, &error);
        let most = if is_full { LARGE_SWEEP } else { SWEEP };
        let select = sqlx::query_as(self.past).bind(record::sql(note.now.0)).bind(most);
        let past: Vec<(Vec<u8>, i64, Vec<u8>)> = select.fetch_all(&mut *step.connection).await.map_err(failed)?;
        let mut count = 0;
        for (token, until, sealed) in past {
            let (_, until) = record::open_token(step.cipher, self.table, &token, until, &sealed)?;
            // Before the row goes, and never taken back: whoever asks meanwhile must not find it unused. If it stays
            // after all, its token has ended all the same.
            note.forgotten.fetch_max(until.0, Ordering::SeqCst);
            let delete = sqlx::query(self.delete).bind(token);
            count += delete.execute(&mut *step.connection).await.map_err(failed)?.rows_affected();
        }
        Ok(count)
    }
}

struct RaiseEpoch {
    wallet: [u8; 32],
    to: UnixSeconds,
}

impl Write for RaiseEpoch {
    type Out = ();

    async fn run(self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let Self { wallet, to } = self;
        let failed = |error| fault::of(EPOCH, &error);
        let select = sqlx::query_as(SELECT_EPOCH).bind(&wallet[..]);
        let there: Option<(i64, Vec<u8>)> = select.fetch_optional(&mut *step.connection).await.map_err(failed)?;
        let Some((version, sealed)) = there else {
            if step.held.epochs >= step.limits.epochs {
                return Err(StoreError::Full { table: EPOCH });
            }
            let sealed = record::seal_time(step.cipher, EPOCH, &wallet, 1, to)?;
            let insert = sqlx::query(INSERT_EPOCH).bind(&wallet[..]).bind(sealed);
            insert.execute(&mut *step.connection).await.map_err(failed)?;
            step.held.epochs += 1;
            return Ok(());
        };
        let version = record::version(EPOCH, version)?;
        if record::open_time(step.cipher, EPOCH, &wallet, version, &sealed)? >= to {
            return Ok(());
        }
        let next = version.saturating_add(1);
        let sealed = record::seal_time(step.cipher, EPOCH, &wallet, next, to)?;
        let update = sqlx::query(UPDATE_EPOCH).bind(record::sql(next)).bind(sealed);
        let update = update.bind(&wallet[..]).bind(record::sql(version));
        match update.execute(&mut *step.connection).await.map_err(failed)?.rows_affected() {
            1 => Ok(()),
            _ => Err(StoreError::Damaged { table: EPOCH }),
        }
    }
}
