//! A journal in memory, with the faults of a real one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
};

use evidence::UnixSeconds;
use gate::keep::{Begun, Journal, JournalRow, JournalStage, StoreError};

/// What happens to one write, and to what comes after it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreFault {
    /// It is not written, and the writer hears so.
    Failed,
    /// It is written, and the writer hears of a failure.
    Unheard,
    /// It is not written, and from then on nothing is read or written.
    DownBefore,
    /// It is written, and from then on nothing is read or written.
    DownAfter,
}

#[derive(Default)]
struct Inner {
    rows: BTreeMap<[u8; 32], (u64, JournalRow)>,
    seq: u64,
    writes: usize,
    fault: Option<(usize, StoreFault)>,
    down: bool,
    /// Every stage of every row, in order.
    story: Vec<JournalStage>,
}

#[derive(Default)]
pub struct TestJournal(Mutex<Inner>);

impl TestJournal {
    /// The `at`th write from now on (from 0) has this fault.
    pub fn break_write(&self, at: usize, fault: StoreFault) {
        let mut inner = self.inner();
        inner.fault = Some((inner.writes + at, fault));
    }

    pub fn set_down(&self, down: bool) {
        let mut inner = self.inner();
        inner.down = down;
        if !down {
            inner.fault = None;
        }
    }

    pub fn story(&self) -> Vec<JournalStage> {
        self.inner().story.clone()
    }

    pub fn rows(&self) -> Vec<JournalRow> {
        self.inner().rows.values().map(|(_, row)| row.clone()).collect()
    }

    pub fn writes(&self) -> usize {
        self.inner().writes
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("a journal")
    }

    fn write<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> Result<T, StoreError> {
        let gone = || StoreError::Unavailable { why: "a fault of the test".to_owned() };
        let mut inner = self.inner();
        if inner.down {
            return Err(gone());
        }
        let at = inner.writes;
        inner.writes += 1;
        let fault = inner.fault.filter(|(when, _)| *when == at).map(|(_, fault)| fault);
        inner.down = matches!(fault, Some(StoreFault::DownBefore | StoreFault::DownAfter));
        match fault {
            Some(StoreFault::Failed | StoreFault::DownBefore) => Err(gone()),
            Some(StoreFault::Unheard | StoreFault::DownAfter) => {
                change(&mut inner);
                Err(gone())
            }
            None => Ok(change(&mut inner)),
        }
    }

    fn read<T>(&self, look: impl FnOnce(&Inner) -> T) -> Result<T, StoreError> {
        let inner = self.inner();
        if inner.down {
            return Err(StoreError::Unavailable { why: "a fault of the test".to_owned() });
        }
        Ok(look(&inner))
    }
}

impl Journal for TestJournal {
    async fn begin(&self, row: JournalRow) -> Result<Begun, StoreError> {
        assert_eq!(row.version, 1);
        self.write(|inner| {
            if let Some((_, there)) = inner.rows.get(&row.key) {
                return Begun::There(there.clone());
            }
            inner.seq += 1;
            inner.story.push(row.stage);
            inner.rows.insert(row.key, (inner.seq, row));
            Begun::Fresh
        })
    }

    async fn advance(&self, row: JournalRow) -> Result<bool, StoreError> {
        self.write(|inner| match inner.rows.get_mut(&row.key) {
            Some((_, there)) if there.version + 1 == row.version => {
                inner.story.push(row.stage);
                *there = row;
                true
            }
            _ => false,
        })
    }

    async fn by_key(&self, key: [u8; 32]) -> Result<Option<JournalRow>, StoreError> {
        self.read(|inner| inner.rows.get(&key).map(|(_, row)| row.clone()))
    }

    async fn unfinished(&self) -> Result<Vec<JournalRow>, StoreError> {
        self.read(|inner| {
            let mut rows: Vec<_> = inner.rows.values().filter(|(_, row)| !row.stage.is_final()).cloned().collect();
            rows.sort_by_key(|(seq, _)| *seq);
            rows.into_iter().map(|(_, row)| row).collect()
        })
    }

    async fn set_aside(&self, payer: [u8; 32]) -> Result<u64, StoreError> {
        self.read(|inner| {
            let rows = inner.rows.values().filter(|(_, row)| row.payer == payer && !row.stage.is_final());
            rows.map(|(_, row)| row.amount).sum()
        })
    }

    async fn forget(&self, now: UnixSeconds) -> Result<u64, StoreError> {
        self.write(|inner| {
            let past = |row: &JournalRow| row.stage.is_final() && row.keep_until < now;
            let keys: BTreeSet<_> = inner.rows.values().filter(|(_, row)| past(row)).map(|(_, row)| row.key).collect();
            inner.rows.retain(|key, _| !keys.contains(key));
            keys.len() as u64
        })
    }
}
