//! One journal row in hand, and how it is written so that an unheard success is not taken for a failure.

use evidence::UnixSeconds;
use gate::keep::{Journal, JournalRow, JournalStage, StoreError};

use crate::body::Body;

/// How often a write is tried while the store does not answer.
const TRIES: u32 = 3;

/// A row as it was last known to be stored.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) row: JournalRow,
    pub(crate) body: Body,
    /// A successor of which nobody knows whether it was stored.
    doubt: Option<JournalRow>,
}

/// Why a row could not be written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// The store does not answer; it may have written it.
    Store(StoreError),
    /// Somebody else changed the row.
    Changed,
}

impl Entry {
    pub(crate) fn of(row: JournalRow) -> Result<Self, StoreError> {
        let body = Body::of(&row)?;
        Ok(Self { row, body, doubt: None })
    }

    /// Writes the row's next state. Afterwards it is stored, or this still holds what was.
    pub(crate) async fn write<J: Journal>(
        &mut self,
        journal: &J,
        stage: JournalStage,
        body: Body,
        keep_until: UnixSeconds,
    ) -> Result<(), WriteError> {
        let mut last = StoreError::Unavailable { why: "not tried".to_owned() };
        for _ in 0..TRIES {
            let next = JournalRow {
                version: self.row.version + 1,
                stage,
                keep_until,
                body: body.to_bytes(),
                ..self.row.clone()
            };
            match journal.advance(next.clone()).await {
                Ok(true) => {
                    self.became(next, body);
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => last = error,
            }
            match journal.by_key(self.row.key).await {
                Ok(Some(found)) if found == next => {
                    self.became(next, body);
                    return Ok(());
                }
                Ok(Some(found)) if found == self.row => {}
                // An earlier write of ours was stored after all.
                Ok(Some(found)) if self.doubt.as_ref() == Some(&found) => match Self::of(found) {
                    Ok(entry) => *self = entry,
                    Err(error) => return Err(WriteError::Store(error)),
                },
                Ok(_) => return Err(WriteError::Changed),
                Err(error) => last = error,
            }
            // The oldest doubt stands: later ones are its successors, and none of them was stored if it was not.
            self.doubt.get_or_insert(next);
        }
        Err(WriteError::Store(last))
    }

    fn became(&mut self, row: JournalRow, body: Body) {
        *self = Self { row, body, doubt: None };
    }
}
