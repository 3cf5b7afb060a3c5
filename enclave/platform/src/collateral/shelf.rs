//! Certificates that were fetched and checked: in memory, and on disk for ever, because a chip at one firmware level has
//! one key for its life. Names are the report's own: product, chip, levels.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{
    pem,
    store::Store,
    subject::{Issuers, Subject},
};
use crate::Der;

/// Most chips and levels kept in memory: a machine that migrates more often reads the disk.
const MOST: usize = 16;

/// What was fetched.
pub(crate) struct Shelf {
    store: Store,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    veks: HashMap<String, (Der, Issuers)>,
    issuers: HashMap<String, Issuers>,
}

impl Shelf {
    pub(crate) fn over(store: Store) -> Self {
        Self { store, memory: Mutex::default() }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The certificates of this very subject, if they were fetched before. Those on disk are checked as if they had
    /// just come.
    pub(crate) fn endorsement(&self, subject: &Subject) -> Option<(Der, Issuers)> {
        let name = endorsement_name(subject)?;
        if let Some(known) = self.memory().veks.get(&name) {
            return Some(known.clone());
        }
        let vek = Der::new(self.store.read(&name)?);
        let issuers = self.issuers(subject)?;
        if let Err(why) = subject.check_vek(&vek, &issuers) {
            tracing::warn!(file = name, why, "collateral: a file of the cache does not fit, fetched again");
            return None;
        }
        self.remember(name, vek.clone(), issuers.clone());
        Some((vek, issuers))
    }

    /// Keeps what [`Subject::check_vek`] has passed. A subject without a chip's id is not kept: the next chip would be
    /// given its certificate.
    pub(crate) fn keep_endorsement(&self, subject: &Subject, vek: &Der, issuers: &Issuers) {
        let Some(name) = endorsement_name(subject) else { return };
        self.store.keep(&name, vek.as_bytes());
        self.remember(name, vek.clone(), issuers.clone());
    }

    /// Intermediate and root of the subject's product and kind.
    pub(crate) fn issuers(&self, subject: &Subject) -> Option<Issuers> {
        let name = issuers_name(subject);
        if let Some(known) = self.memory().issuers.get(&name) {
            return Some(known.clone());
        }
        let text = self.store.read(&name)?;
        let read = pem::issuers(&text).and_then(|issuers| subject.check_issuers(&issuers).map(|()| issuers));
        match read {
            Ok(issuers) => {
                self.memory().issuers.insert(name, issuers.clone());
                Some(issuers)
            }
            Err(why) => {
                tracing::warn!(file = name, why, "collateral: a file of the cache does not fit, fetched again");
                None
            }
        }
    }

    /// Keeps what [`Subject::check_issuers`] has passed.
    pub(crate) fn keep_issuers(&self, subject: &Subject, issuers: &Issuers) {
        let name = issuers_name(subject);
        self.store.keep(&name, (issuers.intermediate.pem() + &issuers.root.pem()).as_bytes());
        self.memory().issuers.insert(name, issuers.clone());
    }

    fn remember(&self, name: String, vek: Der, issuers: Issuers) {
        let mut memory = self.memory();
        if memory.veks.len() >= MOST {
            memory.veks.clear();
        }
        memory.veks.insert(name, (vek, issuers));
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Poison means that a thread panicked between two lines that cannot; the maps are whole.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `genoa-<hwid>-<levels>.vcek.der`
fn endorsement_name(subject: &Subject) -> Option<String> {
    let (product, hwid) = (product_word(subject), hex::encode(subject.hwid.as_ref()?));
    Some(format!("{product}-{hwid}-{}.{}.der", hex::encode(subject.tcb_bytes), subject.word()))
}

/// `genoa.vcek.chain.pem`
fn issuers_name(subject: &Subject) -> String {
    format!("{}.{}.chain.pem", product_word(subject), subject.word())
}

/// `genoa`
pub(crate) fn product_word(subject: &Subject) -> String {
    subject.product.name().to_ascii_lowercase()
}
