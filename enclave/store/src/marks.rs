//! Things that may be used once.

use evidence::UnixSeconds;
use gate::keep::{MarkKind, Marks, StoreError};

use crate::{
    Store, fault, record,
    schema::MARK,
    writer::{Step, Write},
};

/// Expired rows removed with each new one: more than come in, and never a long pause.
pub(crate) const SWEEP: i64 = 8;
/// And when there is no room: as many as a pause of some milliseconds allows.
pub(crate) const LARGE_SWEEP: i64 = 1024;

impl Marks for Store {
    async fn mark(
        &self,
        kind: MarkKind,
        key: [u8; 32],
        until: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<bool, StoreError> {
        self.write(NewMark { kind: record::kind_number(kind), key, until, now }).await
    }
}

struct NewMark {
    kind: u8,
    key: [u8; 32],
    until: UnixSeconds,
    now: UnixSeconds,
}

impl Write for NewMark {
    type Out = bool;

    async fn run(self, step: &mut Step<'_>) -> Result<bool, StoreError> {
        let at = usize::from(self.kind);
        let (Some(&count), Some(&forgotten)) = (step.held.marks.get(at), step.held.forgotten.get(at)) else {
            return Err(StoreError::Unavailable { why: "a mark of an unknown kind".to_owned() });
        };
        // A mark of that time may have been forgotten (the clock was set back since), so nobody can say it is unused.
        if self.until.0 <= forgotten {
            return Ok(false);
        }
        let full = count >= step.limits.marks;
        let swept = self.sweep(step, if full { LARGE_SWEEP } else { SWEEP }).await?;
        let count = count - swept.count.min(count);
        let is_new = self.insert(step, count).await?;
        if let (Some(marks), Some(forgotten)) = (step.held.marks.get_mut(at), step.held.forgotten.get_mut(at)) {
            *marks = count + u64::from(is_new);
            *forgotten = swept.until.max(*forgotten);
        }
        Ok(is_new)
    }
}

/// What was removed.
struct Swept {
    count: u64,
    /// The latest time of any of it.
    until: u64,
}

impl NewMark {
    async fn insert(&self, step: &mut Step<'_>, count: u64) -> Result<bool, StoreError> {
        const INSERT: &str =
            "INSERT INTO mark (kind, key, until, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT (kind, key) DO NOTHING";
        const SELECT: &str = "SELECT until, sealed FROM mark WHERE kind = $1 AND key = $2";
        let failed = |error| fault::of(MARK, &error);
        let sealed = record::seal_time(step.cipher, MARK, &record::mark_place(self.kind, &self.key), 1, self.until)?;
        let insert = sqlx::query(INSERT).bind(i64::from(self.kind)).bind(&self.key[..]);
        let insert = insert.bind(record::sql(self.until.0)).bind(sealed);
        if insert.execute(&mut *step.connection).await.map_err(failed)?.rows_affected() == 1 {
            // Nothing of it stays: an error rolls back.
            return if count < step.limits.marks { Ok(true) } else { Err(StoreError::Full { table: MARK }) };
        }
        let select = sqlx::query_as(SELECT).bind(i64::from(self.kind)).bind(&self.key[..]);
        let there: Option<(i64, Vec<u8>)> = select.fetch_optional(&mut *step.connection).await.map_err(failed)?;
        let (until, sealed) = there.ok_or(StoreError::Damaged { table: MARK })?;
        record::open_mark(step.cipher, self.kind, &self.key, until, &sealed)?;
        Ok(false)
    }

    /// Removes marks whose time is past. Each is opened first: an edited time would make us forget one too early.
    async fn sweep(&self, step: &mut Step<'_>, most: i64) -> Result<Swept, StoreError> {
        const SELECT: &str =
            "SELECT key, until, sealed FROM mark WHERE kind = $1 AND until < $2 ORDER BY until LIMIT $3";
        const DELETE: &str = "DELETE FROM mark WHERE kind = $1 AND key = $2";
        let failed = |error| fault::of(MARK, &error);
        let select = sqlx::query_as(SELECT).bind(i64::from(self.kind)).bind(record::sql(self.now.0)).bind(most);
        let past: Vec<(Vec<u8>, i64, Vec<u8>)> = select.fetch_all(&mut *step.connection).await.map_err(failed)?;
        let mut swept = Swept { count: 0, until: 0 };
        for (key, until, sealed) in past {
            let until = record::open_mark(step.cipher, self.kind, &key, until, &sealed)?;
            let delete = sqlx::query(DELETE).bind(i64::from(self.kind)).bind(key);
            swept.count += delete.execute(&mut *step.connection).await.map_err(failed)?.rows_affected();
            swept.until = swept.until.max(until.0);
        }
        Ok(swept)
    }
}
