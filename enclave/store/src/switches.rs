//! What callers have switched on.

use evidence::UnixSeconds;
use gate::keep::{Kept, StoreError, SwitchRow, Switches};

use crate::{
    Store, fault,
    marks::{LARGE_SWEEP, SWEEP},
    record::{self, SwitchColumns},
    schema::SWITCHES,
    writer::{Step, Write},
};

const OF_OWNER: &str = "SELECT owner, scope, version, keep_until, sealed FROM switches WHERE owner = $1 ORDER BY scope";
const SELECT: &str = "SELECT owner, scope, version, keep_until, sealed FROM switches WHERE owner = $1 AND scope = $2";
const INSERT: &str = "INSERT INTO switches (owner, scope, version, keep_until, sealed) VALUES ($1, $2, $3, $4, $5)";
const UPDATE: &str = "UPDATE switches SET version = $1, keep_until = $2, sealed = $3 \
                      WHERE owner = $4 AND scope = $5 AND version = $6";
const DELETE: &str = "DELETE FROM switches WHERE owner = $1 AND scope = $2";
const PAST: &str = "SELECT owner, scope, version, keep_until, sealed FROM switches WHERE keep_until < $1 \
                    ORDER BY keep_until LIMIT $2";

impl Switches for Store {
    async fn of_owner(&self, owner: [u8; 32]) -> Result<Vec<SwitchRow>, StoreError> {
        let mut reader = self.reader().await?;
        let query = sqlx::query_as(OF_OWNER).bind(&owner[..]);
        let rows: Vec<SwitchColumns> =
            query.fetch_all(&mut *reader).await.map_err(|error| fault::of(SWITCHES, &error))?;
        drop(reader);
        rows.iter().map(|columns| record::open_switches(&*self.0.cipher, columns)).collect()
    }

    async fn keep(&self, row: SwitchRow, now: UnixSeconds) -> Result<Kept, StoreError> {
        self.write(Keep { row, now }).await
    }
}

struct Keep {
    row: SwitchRow,
    now: UnixSeconds,
}

impl Write for Keep {
    type Out = Kept;

    async fn run(self, step: &mut Step<'_>) -> Result<Kept, StoreError> {
        let (row, failed) = (&self.row, |error| fault::of(SWITCHES, &error));
        let swept = sweep(step, self.now).await?;
        let mut count = step.held.switches.saturating_sub(swept);
        let select = sqlx::query_as(SELECT).bind(&row.owner[..]).bind(&row.scope[..]);
        let there: Option<SwitchColumns> = select.fetch_optional(&mut *step.connection).await.map_err(failed)?;
        let stored = there.map(|columns| record::open_switches(step.cipher, &columns)).transpose()?;
        let version = stored.as_ref().map_or(0, |stored| stored.version);
        if version.checked_add(1) != Some(row.version) {
            step.held.switches = count;
            return Ok(Kept::Stale);
        }
        let sealed = record::seal_switches(step.cipher, row)?;
        let (until, next) = (record::sql(row.keep_until.0), record::sql(row.version));
        let written = if version == 0 {
            count = count.saturating_sub(make_room(step, row).await?);
            if count >= step.limits.switches {
                return Err(StoreError::Full { table: SWITCHES });
            }
            count += 1;
            let insert = sqlx::query(INSERT).bind(&row.owner[..]).bind(&row.scope[..]);
            insert.bind(next).bind(until).bind(sealed).execute(&mut *step.connection).await
        } else {
            let update = sqlx::query(UPDATE).bind(next).bind(until).bind(sealed);
            let update = update.bind(&row.owner[..]).bind(&row.scope[..]).bind(record::sql(version));
            update.execute(&mut *step.connection).await
        };
        if written.map_err(failed)?.rows_affected() != 1 {
            return Err(StoreError::Damaged { table: SWITCHES });
        }
        step.held.switches = count;
        Ok(Kept::Written)
    }
}

/// Removes rows whose time is past. Each is opened first: an edited time would make us forget one too early.
async fn sweep(step: &mut Step<'_>, now: UnixSeconds) -> Result<u64, StoreError> {
    let failed = |error| fault::of(SWITCHES, &error);
    let most = if step.held.switches >= step.limits.switches { LARGE_SWEEP } else { SWEEP };
    let select = sqlx::query_as(PAST).bind(record::sql(now.0)).bind(most);
    let past: Vec<SwitchColumns> = select.fetch_all(&mut *step.connection).await.map_err(failed)?;
    let mut count = 0;
    for columns in past {
        let row = record::open_switches(step.cipher, &columns)?;
        count += delete(step, &row).await?;
    }
    Ok(count)
}

/// Where an owner has all the scopes that it may, the one that it changed longest ago goes.
async fn make_room(step: &mut Step<'_>, row: &SwitchRow) -> Result<u64, StoreError> {
    let failed = |error| fault::of(SWITCHES, &error);
    let select = sqlx::query_as(OF_OWNER).bind(&row.owner[..]);
    let rows: Vec<SwitchColumns> = select.fetch_all(&mut *step.connection).await.map_err(failed)?;
    if (rows.len() as u64) < step.limits.switches_of_one {
        return Ok(0);
    }
    let mut rows =
        rows.iter().map(|columns| record::open_switches(step.cipher, columns)).collect::<Result<Vec<_>, _>>()?;
    rows.retain(|other| other.scope != other.owner);
    match rows.into_iter().min_by_key(|other| (other.keep_until, other.scope)) {
        Some(oldest) => delete(step, &oldest).await,
        None => Err(StoreError::Full { table: SWITCHES }),
    }
}

async fn delete(step: &mut Step<'_>, row: &SwitchRow) -> Result<u64, StoreError> {
    let delete = sqlx::query(DELETE).bind(&row.owner[..]).bind(&row.scope[..]);
    let deleted = delete.execute(&mut *step.connection).await.map_err(|error| fault::of(SWITCHES, &error))?;
    Ok(deleted.rows_affected())
}
