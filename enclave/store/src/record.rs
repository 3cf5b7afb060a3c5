//! What is inside a sealed row, byte for byte, and the copies in clear that must agree with it.

use evidence::UnixSeconds;
use gate::keep::{JournalRow, JournalStage, MarkKind, RowCipher, StoreError, SwitchRow};

use crate::{MAX_BODY, schema};

/// Seals a body of an allowed length.
pub(crate) fn seal(
    cipher: &dyn RowCipher,
    table: &'static str,
    key: &[u8],
    version: u64,
    body: &[u8],
) -> Result<Vec<u8>, StoreError> {
    if body.len() > MAX_BODY {
        return Err(StoreError::Full { table });
    }
    cipher.seal(table, key, version, body)
}

/// A number as SQL keeps it. Versions and counts stay far below 2^63; a time beyond it is as good as 2^63 − 1.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A version as SQL keeps it: there is no negative one.
pub(crate) fn version(table: &'static str, stored: i64) -> Result<u64, StoreError> {
    u64::try_from(stored).map_err(|_| StoreError::Damaged { table })
}

/// 32 bytes that are a key.
pub(crate) fn key(table: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::Damaged { table })
}

/// A sealed time: 8 bytes, big-endian. Its row never changes its version but where one is given.
pub(crate) fn seal_time(
    cipher: &dyn RowCipher,
    table: &'static str,
    key: &[u8],
    version: u64,
    time: UnixSeconds,
) -> Result<Vec<u8>, StoreError> {
    seal(cipher, table, key, version, &time.0.to_be_bytes())
}

/// What [`seal_time`] sealed.
pub(crate) fn open_time(
    cipher: &dyn RowCipher,
    table: &'static str,
    key: &[u8],
    version: u64,
    sealed: &[u8],
) -> Result<UnixSeconds, StoreError> {
    let body = cipher.open(table, key, version, sealed)?;
    let bytes = body.as_slice().try_into().map_err(|_| StoreError::Damaged { table })?;
    Ok(UnixSeconds(u64::from_be_bytes(bytes)))
}

/// What is known of a token: when it was noted and its own end, 8 bytes each, big-endian.
pub(crate) fn seal_token(
    cipher: &dyn RowCipher,
    table: &'static str,
    token: &[u8],
    noted: UnixSeconds,
    until: UnixSeconds,
) -> Result<Vec<u8>, StoreError> {
    seal(cipher, table, token, 1, &[noted.0.to_be_bytes(), until.0.to_be_bytes()].concat())
}

/// Opens what [`seal_token`] sealed and compares the end's copy in clear. When it was noted, and its end.
pub(crate) fn open_token(
    cipher: &dyn RowCipher,
    table: &'static str,
    token: &[u8],
    until: i64,
    sealed: &[u8],
) -> Result<(UnixSeconds, UnixSeconds), StoreError> {
    let body = cipher.open(table, token, 1, sealed)?;
    let times = body.split_first_chunk().and_then(|(noted, rest)| Some((*noted, <[u8; 8]>::try_from(rest).ok()?)));
    let (noted, end) = times.ok_or(StoreError::Damaged { table })?;
    let (noted, end) = (UnixSeconds(u64::from_be_bytes(noted)), UnixSeconds(u64::from_be_bytes(end)));
    if sql(end.0) == until { Ok((noted, end)) } else { Err(StoreError::Damaged { table }) }
}

/// A mark's number in SQL, its place in counts and, with its key behind it, its key for the cipher.
pub(crate) fn kind_number(kind: MarkKind) -> u8 {
    match kind {
        MarkKind::Challenge => 0,
        MarkKind::SignedRequest => 1,
    }
}

/// How many kinds of marks there are.
pub(crate) const KINDS: usize = 2;

/// Where a mark stands.
pub(crate) fn mark_place(kind: u8, key: &[u8]) -> Vec<u8> {
    [&[kind], key].concat()
}

/// Opens a mark and compares its copy in clear.
pub(crate) fn open_mark(
    cipher: &dyn RowCipher,
    kind: u8,
    key: &[u8],
    until: i64,
    sealed: &[u8],
) -> Result<UnixSeconds, StoreError> {
    let time = open_time(cipher, schema::MARK, &mark_place(kind, key), 1, sealed)?;
    if sql(time.0) == until { Ok(time) } else { Err(StoreError::Damaged { table: schema::MARK }) }
}

/// Wallet, entry, version and body of a secret.
pub(crate) type VaultColumns = (Vec<u8>, Vec<u8>, i64, Vec<u8>);

/// Where a secret stands.
pub(crate) fn vault_place(wallet: &[u8], entry: &[u8]) -> Vec<u8> {
    [wallet, entry].concat()
}

/// What a secret takes of the room: its place and what is sealed. SQLite's own share is small beside these.
pub(crate) fn vault_bytes(sealed: u64) -> u64 {
    64 + sealed
}

/// Owner, scope, version, end and body of switches.
pub(crate) type SwitchColumns = (Vec<u8>, Vec<u8>, i64, i64, Vec<u8>);

/// Where switches stand.
pub(crate) fn switch_place(owner: &[u8], scope: &[u8]) -> Vec<u8> {
    [owner, scope].concat()
}

/// Switches: the end, 8 bytes, big-endian, and the body.
pub(crate) fn seal_switches(cipher: &dyn RowCipher, row: &SwitchRow) -> Result<Vec<u8>, StoreError> {
    let body = [&row.keep_until.0.to_be_bytes()[..], &row.body].concat();
    seal(cipher, schema::SWITCHES, &switch_place(&row.owner, &row.scope), row.version, &body)
}

/// Opens what [`seal_switches`] sealed and compares the end's copy in clear.
pub(crate) fn open_switches(cipher: &dyn RowCipher, columns: &SwitchColumns) -> Result<SwitchRow, StoreError> {
    let table = schema::SWITCHES;
    let (owner, scope, version, keep_until, sealed) = columns;
    let (owner, scope, version) = (key(table, owner)?, key(table, scope)?, self::version(table, *version)?);
    let body = cipher.open(table, &switch_place(&owner, &scope), version, sealed)?;
    let (until, body) = body.split_first_chunk().ok_or(StoreError::Damaged { table })?;
    let until = UnixSeconds(u64::from_be_bytes(*until));
    if sql(until.0) != *keep_until {
        return Err(StoreError::Damaged { table });
    }
    Ok(SwitchRow { owner, scope, version, keep_until: until, body: body.to_vec() })
}

/// A payment as it is stored: `seq ‖ stage ‖ payer ‖ amount ‖ keep_until ‖ body`, numbers of 8 bytes, big-endian.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Counts up with each row begun; kept through all its versions.
    pub(crate) seq: u64,
    pub(crate) row: JournalRow,
}

/// The columns of a payment.
pub(crate) type JournalColumns = (Vec<u8>, i64, i64, i64, Vec<u8>);

impl Entry {
    pub(crate) fn seal(&self, cipher: &dyn RowCipher) -> Result<Vec<u8>, StoreError> {
        let row = &self.row;
        if row.body.len() > MAX_BODY {
            return Err(StoreError::Full { table: schema::JOURNAL });
        }
        let record = [
            &self.seq.to_be_bytes()[..],
            &[stage_number(row.stage)],
            &row.payer,
            &row.amount.to_be_bytes(),
            &row.keep_until.0.to_be_bytes(),
            &row.body,
        ];
        cipher.seal(schema::JOURNAL, &row.key, row.version, &record.concat())
    }

    /// Opens a payment and compares its copies in clear.
    pub(crate) fn open(cipher: &dyn RowCipher, columns: &JournalColumns) -> Result<Self, StoreError> {
        let damaged = || StoreError::Damaged { table: schema::JOURNAL };
        let (key, version, done, keep_until, sealed) = columns;
        let key = self::key(schema::JOURNAL, key)?;
        let version = self::version(schema::JOURNAL, *version)?;
        let record = cipher.open(schema::JOURNAL, &key, version, sealed)?;
        let entry = Self::read(key, version, &record).ok_or_else(damaged)?;
        let agrees = sql(entry.row.keep_until.0) == *keep_until && i64::from(entry.row.stage.is_final()) == *done;
        if agrees { Ok(entry) } else { Err(damaged()) }
    }

    fn read(key: [u8; 32], version: u64, record: &[u8]) -> Option<Self> {
        let (seq, rest) = record.split_first_chunk()?;
        let (&stage, rest) = rest.split_first()?;
        let (payer, rest) = rest.split_first_chunk()?;
        let (amount, rest) = rest.split_first_chunk()?;
        let (keep_until, body) = rest.split_first_chunk()?;
        let row = JournalRow {
            key,
            version,
            stage: stage_of(stage)?,
            payer: *payer,
            amount: u64::from_be_bytes(*amount),
            keep_until: UnixSeconds(u64::from_be_bytes(*keep_until)),
            body: body.to_vec(),
        };
        Some(Self { seq: u64::from_be_bytes(*seq), row })
    }
}

fn stage_number(stage: JournalStage) -> u8 {
    match stage {
        JournalStage::Reserved => 1,
        JournalStage::Executed => 2,
        JournalStage::Signed => 3,
        JournalStage::Sent => 4,
        JournalStage::Settled => 5,
        JournalStage::Released => 6,
    }
}

fn stage_of(number: u8) -> Option<JournalStage> {
    use JournalStage::{Executed, Released, Reserved, Sent, Settled, Signed};
    [Reserved, Executed, Signed, Sent, Settled, Released].into_iter().find(|stage| stage_number(*stage) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_cut_short_or_of_an_unknown_stage_is_none() {
        let row = JournalRow {
            key: [1; 32],
            version: 1,
            stage: JournalStage::Sent,
            payer: [2; 32],
            amount: 3,
            keep_until: UnixSeconds(4),
            body: Vec::new(),
        };
        struct Clear;
        impl RowCipher for Clear {
            fn seal(&self, _: &str, _: &[u8], _: u64, body: &[u8]) -> Result<Vec<u8>, StoreError> {
                Ok(body.to_vec())
            }
            fn open(&self, _: &'static str, _: &[u8], _: u64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
                Ok(sealed.to_vec())
            }
        }
        let mut record = Entry { seq: 9, row: row.clone() }.seal(&Clear).unwrap();
        assert_eq!(Entry::read([1; 32], 1, &record).unwrap().row, row);
        for length in 0..record.len() {
            assert!(Entry::read([1; 32], 1, &record[..length]).is_none(), "{length} bytes");
        }
        for number in [0, 7, 255] {
            record[8] = number;
            assert!(Entry::read([1; 32], 1, &record).is_none(), "stage {number}");
        }
    }

    #[test]
    fn every_stage_has_a_number_of_its_own() {
        for number in 1..=6 {
            assert_eq!(stage_of(number).map(stage_number), Some(number));
        }
    }

    #[test]
    fn times_beyond_sql_are_the_last_one_it_has() {
        assert_eq!(sql(u64::MAX), i64::MAX);
        assert_eq!(sql(7), 7);
        assert_eq!(version(schema::EPOCH, -1), Err(StoreError::Damaged { table: schema::EPOCH }));
    }
}
