//! What registers will hold, event by event, and of which nothing can be said from files.

pub(crate) mod boot;
pub(crate) mod secure_boot;

use std::collections::BTreeMap;

use crate::pcr::{Bank, Digest, PcrIndex, PcrSet, PcrValue, StartupLocality};

pub use boot::{GrubBoot, KernelBoot, KernelStart, UkiBoot};
pub use secure_boot::SecureBoot;

/// The registers a machine will hold after a boot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prediction {
    bank: Bank,
    registers: BTreeMap<PcrIndex, PredictedRegister>,
    assumptions: Vec<String>,
}

/// One register.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PredictedRegister {
    /// Every extend of it is known.
    Predicted(Vec<PredictedEvent>),
    /// The files do not determine it.
    NotPredicted {
        /// Why.
        why: String,
    },
}

/// One extend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PredictedEvent {
    /// What is measured: an image, a section, a variable, a word.
    pub what: String,
    /// What the register is extended with.
    pub digest: Digest,
    /// Is it extended by the started system, and so in no log of the firmware?
    pub after_log: bool,
}

impl Prediction {
    pub(crate) fn new(bank: Bank) -> Self {
        Self { bank, registers: BTreeMap::new(), assumptions: Vec::new() }
    }

    pub(crate) fn put(&mut self, number: u32, events: Events) {
        let Some(index) = PcrIndex::new(number) else { return };
        let register = match events.unknown {
            Some(why) => PredictedRegister::NotPredicted { why },
            None => PredictedRegister::Predicted(events.list),
        };
        self.registers.insert(index, register);
    }

    pub(crate) fn assume(&mut self, text: impl Into<String>) {
        self.assumptions.push(text.into());
    }

    /// The bank of the digests.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// Each register in order.
    pub fn registers(&self) -> impl Iterator<Item = (PcrIndex, &PredictedRegister)> {
        self.registers.iter().map(|(index, register)| (*index, register))
    }

    /// What has to be true of the machine beside the given files.
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// The values of the predicted registers.
    pub fn pcrs(&self) -> PcrSet {
        let mut set = PcrSet::new(self.bank);
        for (index, register) in &self.registers {
            let PredictedRegister::Predicted(events) = register else { continue };
            let start = PcrValue::initial(self.bank, *index, StartupLocality::Zero);
            set.set(*index, events.iter().fold(start, |value, event| value.extend_by(event.digest.as_bytes())));
        }
        set
    }
}

/// The events of one register while they are collected; the first that is unknown makes the register unknown.
#[derive(Debug)]
pub(crate) struct Events {
    bank: Bank,
    list: Vec<PredictedEvent>,
    unknown: Option<String>,
}

impl Events {
    pub(crate) fn new(bank: Bank) -> Self {
        Self { bank, list: Vec::new(), unknown: None }
    }

    pub(crate) fn unknown(bank: Bank, why: impl Into<String>) -> Self {
        Self { unknown: Some(why.into()), ..Self::new(bank) }
    }

    pub(crate) fn digest(&mut self, what: impl Into<String>, digest: Digest) -> &mut Self {
        self.list.push(PredictedEvent { what: what.into(), digest, after_log: false });
        self
    }

    pub(crate) fn bytes(&mut self, what: impl Into<String>, bytes: &[u8]) -> &mut Self {
        let digest = self.bank.hash(bytes);
        self.digest(what, digest)
    }

    pub(crate) fn after_log(&mut self, what: impl Into<String>, bytes: &[u8]) -> &mut Self {
        self.bytes(what, bytes);
        if let Some(last) = self.list.last_mut() {
            last.after_log = true;
        }
        self
    }

    pub(crate) fn append(&mut self, other: &mut Self) {
        self.list.append(&mut other.list);
        if let Some(why) = other.unknown.take() {
            self.fail(why);
        }
    }

    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        self.unknown.get_or_insert(why.into());
    }
}
