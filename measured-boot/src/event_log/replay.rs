//! Replay: extend what the log claims was extended, compare with registers that something else vouches for (a verified
//! quote, a TPM), and only then show the events.

use std::fmt;

use crate::{
    event_log::{
        event::{Event, EventType},
        log::Unreplayed,
    },
    pcr::{Bank, Digest, PcrIndex, PcrSet, PcrValue, StartupLocality},
};

impl<'a> Unreplayed<'a> {
    /// The registers that this log, if true, would have left in `bank`: every register it extends, no other.
    ///
    /// # Errors
    /// [`ReplayError::NoSuchBank`] or [`ReplayError::DynamicRegister`].
    pub fn claimed_pcrs(&self, bank: Bank) -> Result<PcrSet, ReplayError> {
        if !self.banks.contains(&bank) {
            return Err(ReplayError::NoSuchBank { bank, banks: self.banks.clone() });
        }
        let mut pcrs = PcrSet::new(bank);
        for event in &self.events {
            let Some((index, digest)) = extension(event, bank) else { continue };
            if index.is_dynamic() {
                return Err(ReplayError::DynamicRegister { index, offset: event.offset });
            }
            let old = pcrs.value(index).cloned();
            let old = old.unwrap_or_else(|| PcrValue::initial(bank, index, self.locality));
            pcrs.set(index, old.extend_by(digest.as_bytes()));
        }
        Ok(pcrs)
    }

    /// Believes the log as far as `given` goes: every given register must hold exactly what the replay gives, and one
    /// that the log never extends must still hold its initial value. Registers that are not given stay unproven, and
    /// their events are not shown. Leave out registers that the running system extends after the log ends (11 of a
    /// unified kernel image, 15).
    ///
    /// # Errors
    /// [`ReplayError`]: nothing given, a bank the log does not have, or every register that differs.
    pub fn replay(self, given: &PcrSet) -> Result<Replayed<'a>, ReplayError> {
        if given.is_empty() {
            return Err(ReplayError::NothingGiven);
        }
        let bank = given.bank();
        let claimed = self.claimed_pcrs(bank)?;
        let differences: Vec<_> = given
            .iter()
            .filter_map(|(index, given)| {
                let replayed = claimed.value(index).cloned();
                let replayed = replayed.unwrap_or_else(|| PcrValue::initial(bank, index, self.locality));
                (replayed != *given).then(|| Difference { index, given: given.clone(), replayed })
            })
            .collect();
        if !differences.is_empty() {
            return Err(ReplayError::Differs { bank, differences });
        }
        Ok(Replayed { log: self, pcrs: given.clone() })
    }
}

/// A log whose replay gave the registers it was compared with. [`Unreplayed::replay`] is the only door.
#[derive(Clone, Debug)]
pub struct Replayed<'a> {
    log: Unreplayed<'a>,
    pcrs: PcrSet,
}

impl<'a> Replayed<'a> {
    /// The registers that were compared.
    pub fn pcrs(&self) -> &PcrSet {
        &self.pcrs
    }

    /// The events behind the compared registers, in order. Remarks (`EV_NO_ACTION`) are in no register and are left out.
    pub fn events(&self) -> impl Iterator<Item = BelievedEvent<'a, '_>> {
        self.log.events.iter().filter_map(|event| {
            let (index, digest) = extension(event, self.pcrs.bank())?;
            self.pcrs.value(index)?;
            Some(BelievedEvent { event, index, digest })
        })
    }

    /// The locality the TPM was started from, if PCR 0 was among the compared registers.
    pub fn startup_locality(&self) -> Option<StartupLocality> {
        let zero = PcrIndex::new(0)?;
        self.pcrs.value(zero).map(|_| self.log.locality)
    }
}

/// An event whose *digest* is proven by the compared registers. Its type is the firmware's word, and its data is proven
/// only where [`BelievedEvent::measured_data`] returns it.
#[derive(Clone, Copy, Debug)]
pub struct BelievedEvent<'a, 'log> {
    event: &'log Event<'a>,
    index: PcrIndex,
    digest: &'log Digest,
}

impl<'a, 'log> BelievedEvent<'a, 'log> {
    /// The register that was extended.
    pub fn pcr(&self) -> PcrIndex {
        self.index
    }

    /// What it was extended with, in the compared bank.
    pub fn digest(&self) -> &'log Digest {
        self.digest
    }

    /// What the log calls it. No register holds the type: two logs that differ in it replay alike.
    pub fn stated_type(&self) -> EventType {
        self.event.kind
    }

    /// Where the record begins in the log.
    pub fn offset(&self) -> usize {
        self.event.offset
    }

    /// The data, if the digest is the digest of exactly these bytes: then the registers prove it.
    pub fn measured_data(&self) -> Option<&'a [u8]> {
        (self.digest.bank().hash(self.event.data) == *self.digest).then_some(self.event.data)
    }

    /// The data whether proven or not: a hint for a human (a path, a command line), which anyone may have rewritten.
    pub fn stated_data(&self) -> &'a [u8] {
        self.event.data
    }
}

/// A log that may not be believed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplayError {
    /// An empty set of registers proves nothing.
    NothingGiven,
    /// The log has no digests of this bank.
    NoSuchBank {
        /// The bank that was asked for.
        bank: Bank,
        /// The banks the log has.
        banks: Vec<Bank>,
    },
    /// The log extends a register of a dynamic launch, which no firmware log describes.
    DynamicRegister {
        /// Which.
        index: PcrIndex,
        /// Where the record begins.
        offset: usize,
    },
    /// The replay gives other registers than the given ones.
    Differs {
        /// The compared bank.
        bank: Bank,
        /// Every register that differs, in order.
        differences: Vec<Difference>,
    },
}

/// One register that the replay does not explain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// Which.
    pub index: PcrIndex,
    /// What was given, by a quote or a TPM.
    pub given: PcrValue,
    /// What the log leads to.
    pub replayed: PcrValue,
}

impl ReplayError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NothingGiven => "give the registers of the quote the log is to explain",
            Self::NoSuchBank { .. } => "compare with registers of a bank that the log has",
            Self::DynamicRegister { .. } => "give the firmware's own log; registers 17 to 22 have a log of their own",
            Self::Differs { .. } => {
                "take log and registers from the same boot, and leave out registers that were extended after the log ended"
            }
        }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingGiven => f.write_str("event log: no registers to compare the replay with"),
            Self::NoSuchBank { bank, banks } => {
                write!(f, "event log: no {bank} digests, only")?;
                banks.iter().try_for_each(|bank| write!(f, " {bank}"))
            }
            Self::DynamicRegister { index, offset } => {
                write!(f, "event log, offset {offset:#x}: extends {index}, a register of a dynamic launch")
            }
            Self::Differs { bank, differences } => {
                write!(f, "event log: replay of {bank} differs")?;
                differences.iter().try_for_each(|difference| {
                    let Difference { index, given, replayed } = difference;
                    write!(f, "; {index}: given {given}, replayed {replayed}")
                })
            }
        }
    }
}

impl std::error::Error for ReplayError {}

/// What an event did to which register of the bank; `None` for remarks.
fn extension<'log>(event: &'log Event<'_>, bank: Bank) -> Option<(PcrIndex, &'log Digest)> {
    if event.kind == EventType::NO_ACTION {
        return None;
    }
    Some((PcrIndex::new(event.pcr)?, event.digest(bank)?))
}
