//! What SQLite's errors mean for a caller.

use gate::keep::StoreError;

/// SQLITE_FULL, SQLITE_CORRUPT, SQLITE_NOTADB: the low byte of a result code (sqlite.org/rescode.html).
const FULL: u32 = 13;
const CORRUPT: u32 = 11;
const NOT_A_DATABASE: u32 = 26;

/// Says where, never what was in the row.
pub(crate) fn of(table: &'static str, error: &sqlx::Error) -> StoreError {
    match error {
        // A column of another type than was written.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Damaged { table },
        sqlx::Error::Database(database) => {
            let code = database.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 0xFF);
            match code {
                Some(CORRUPT | NOT_A_DATABASE) => StoreError::Damaged { table },
                Some(FULL) => StoreError::Unavailable { why: "the disk is full".to_owned() },
                _ => StoreError::Unavailable { why: format!("{table}: {}", database.message()) },
            }
        }
        other => StoreError::Unavailable { why: format!("{table}: {other}") },
    }
}
