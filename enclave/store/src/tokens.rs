//! What is known of wallet tokens.

use evidence::UnixSeconds;
use gate::keep::{StoreError, Tokens};

use crate::{
    Store, fault, record,
    schema::{DENIED, EPOCH, FIRST_USE},
    writer::{Step, Write},
};

const SELECT_FIRST_USE: &str = "SELECT sealed FROM first_use WHERE token = $1";
const INSERT_FIRST_USE: &str = "INSERT INTO first_use (token, sealed) VALUES ($1, $2) ON CONFLICT (token) DO NOTHING";
const SELECT_DENIED: &str = "SELECT sealed FROM denied WHERE token = $1";
const INSERT_DENIED: &str = "INSERT INTO denied (token, sealed) VALUES ($1, $2) ON CONFLICT (token) DO NOTHING";
const SELECT_EPOCH: &str = "SELECT version, sealed FROM epoch WHERE wallet = $1";
const INSERT_EPOCH: &str = "INSERT INTO epoch (wallet, version, sealed) VALUES ($1, 1, $2)";
const UPDATE_EPOCH: &str = "UPDATE epoch SET version = $1, sealed = $2 WHERE wallet = $3 AND version = $4";

impl Tokens for Store {
    async fn first_use(&self, token: [u8; 32], now: UnixSeconds) -> Result<UnixSeconds, StoreError> {
        match self.time(FIRST_USE, SELECT_FIRST_USE, token).await? {
            Some(first) => Ok(first),
            None => self.write(FirstUse { token, now }).await,
        }
    }

    async fn is_denied(&self, token: [u8; 32]) -> Result<bool, StoreError> {
        Ok(self.time(DENIED, SELECT_DENIED, token).await?.is_some())
    }

    async fn deny(&self, token: [u8; 32], now: UnixSeconds) -> Result<(), StoreError> {
        self.write(Deny { token, now }).await
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
    async fn time(
        &self,
        table: &'static str,
        sql: &'static str,
        token: [u8; 32],
    ) -> Result<Option<UnixSeconds>, StoreError> {
        let mut reader = self.reader().await?;
        let query = sqlx::query_as(sql).bind(&token[..]);
        let row: Option<(Vec<u8>,)> =
            query.fetch_optional(&mut *reader).await.map_err(|error| fault::of(table, &error))?;
        row.map(|(sealed,)| record::open_time(&*self.0.cipher, table, &token, 1, &sealed)).transpose()
    }
}

struct FirstUse {
    token: [u8; 32],
    now: UnixSeconds,
}

impl Write for FirstUse {
    type Out = UnixSeconds;

    async fn run(self, step: &mut Step<'_>) -> Result<UnixSeconds, StoreError> {
        let room = step.held.first_uses < step.limits.tokens;
        let one = Once { table: FIRST_USE, insert: INSERT_FIRST_USE, select: SELECT_FIRST_USE };
        let (time, is_new) = one.keep(step, self.token, self.now, room).await?;
        step.held.first_uses += u64::from(is_new);
        Ok(time)
    }
}

struct Deny {
    token: [u8; 32],
    now: UnixSeconds,
}

impl Write for Deny {
    type Out = ();

    async fn run(self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let room = step.held.denied < step.limits.tokens;
        let one = Once { table: DENIED, insert: INSERT_DENIED, select: SELECT_DENIED };
        let (_, is_new) = one.keep(step, self.token, self.now, room).await?;
        step.held.denied += u64::from(is_new);
        Ok(())
    }
}

/// A time that is written once.
struct Once {
    table: &'static str,
    insert: &'static str,
    select: &'static str,
}

impl Once {
    /// The time that is kept, and whether it is this one.
    async fn keep(
        &self,
        step: &mut Step<'_>,
        token: [u8; 32],
        now: UnixSeconds,
        room: bool,
    ) -> Result<(UnixSeconds, bool), StoreError> {
        let table = self.table;
        let failed = |error| fault::of(table, &error);
        let sealed = record::seal_time(step.cipher, table, &token, 1, now)?;
        let insert = sqlx::query(self.insert).bind(&token[..]).bind(sealed);
        if insert.execute(&mut *step.connection).await.map_err(failed)?.rows_affected() == 1 {
            return if room { Ok((now, true)) } else { Err(StoreError::Full { table }) };
        }
        let select = sqlx::query_as(self.select).bind(&token[..]);
        let there: Option<(Vec<u8>,)> = select.fetch_optional(&mut *step.connection).await.map_err(failed)?;
        let (sealed,) = there.ok_or(StoreError::Damaged { table })?;
        Ok((record::open_time(step.cipher, table, &token, 1, &sealed)?, false))
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
            if step.held.epochs >= step.limits.tokens {
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
