//! Two boots, register by register: the first event in which they differ, and what it was of.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    event_log::log::Unreplayed,
    pcr::{Bank, Digest, PcrIndex},
    prediction::{PredictedRegister, Prediction},
};

/// What was, or will be, extended into registers of one bank: a log's account, or a prediction.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Account {
    bank: Bank,
    /// Is a register that is not in it untouched, or unknown?
    complete: bool,
    registers: BTreeMap<PcrIndex, Vec<Step>>,
}

/// One extend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What the register was extended with.
    pub digest: Digest,
    /// What that is of: a file of a device path, a section, a variable, a text. Nothing proves it.
    pub source: String,
    /// Is it extended by the started system, after a firmware's log ends?
    pub after_log: bool,
}

/// Where two accounts of a register part.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parting {
    /// Which register.
    pub index: PcrIndex,
    /// Which of its events, from 0.
    pub event: usize,
    /// What the first account has there, if it goes on so far.
    pub first: Option<Step>,
    /// What the second has.
    pub second: Option<Step>,
}

impl Account {
    /// An account of registers that are told one by one; of others it knows nothing.
    pub fn new(bank: Bank) -> Self {
        Self { bank, complete: false, registers: BTreeMap::new() }
    }

    /// Tells one register.
    pub fn tell(&mut self, index: PcrIndex, steps: Vec<Step>) {
        self.registers.insert(index, steps);
    }

    /// What a log states, whether true or not. `None` if it has no digests of the bank.
    pub fn of_log(log: &Unreplayed<'_>, bank: Bank) -> Option<Self> {
        log.banks().contains(&bank).then_some(())?;
        let mut account = Self { complete: true, ..Self::new(bank) };
        for event in log.stated_events().filter(|event| !event.is_remark()) {
            let (Some(index), Some(digest)) = (PcrIndex::new(event.pcr()), event.digest(bank)) else { continue };
            let source = event.source().unwrap_or_else(|| format!("{} at {:#x}", event.stated_type(), event.offset()));
            let step = Step { digest: digest.clone(), source, after_log: false };
            account.registers.entry(index).or_default().push(step);
        }
        Some(account)
    }

    /// What is predicted.
    pub fn of_prediction(prediction: &Prediction) -> Self {
        let mut account = Self::new(prediction.bank());
        for (index, register) in prediction.registers() {
            let PredictedRegister::Predicted(events) = register else { continue };
            let steps = events.iter().map(|event| Step {
                digest: event.digest.clone(),
                source: event.what.clone(),
                after_log: event.after_log,
            });
            account.registers.insert(index, steps.collect());
        }
        account
    }

    /// The bank.
    pub fn bank(&self) -> Bank {
        self.bank
    }

    /// The registers that both accounts tell of.
    pub fn compared(&self, other: &Self) -> BTreeSet<PcrIndex> {
        let all = self.registers.keys().chain(other.registers.keys()).copied();
        let told = |account: &Self, index| account.complete || account.registers.contains_key(&index);
        all.filter(|index| told(self, *index) && told(other, *index)).collect()
    }

    /// The first parting of each register, in order. Accounts of two banks have nothing in common: see
    /// [`Account::bank`].
    pub fn partings(&self, other: &Self) -> Vec<Parting> {
        let steps = |account: &Self, index| account.registers.get(&index).cloned().unwrap_or_default();
        let compared = self.compared(other);
        let parting = |index: PcrIndex| {
            let (first, second) = (steps(self, index), steps(other, index));
            // A log ends before the system extends anything.
            let said = |account: &Self, steps: Vec<Step>| -> Vec<Step> {
                if account.complete { steps.into_iter().filter(|step| !step.after_log).collect() } else { steps }
            };
            let (first, second) = (said(other, first), said(self, second));
            let longest = first.len().max(second.len());
            let differs = |event: &usize| {
                first.get(*event).map(|step| &step.digest) != second.get(*event).map(|step| &step.digest)
            };
            let event = (0..longest).find(differs)?;
            Some(Parting { index, event, first: first.get(event).cloned(), second: second.get(event).cloned() })
        };
        compared.into_iter().filter_map(parting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(complete: bool, registers: &[(u32, &[&str])]) -> Account {
        let mut account = Account { complete, ..Account::new(Bank::Sha256) };
        for (number, steps) in registers {
            let step = |source: &&str| Step {
                digest: Bank::Sha256.hash(source.as_bytes()),
                source: (*source).to_owned(),
                after_log: source.starts_with("phase"),
            };
            account.tell(PcrIndex::new(*number).unwrap(), steps.iter().map(step).collect());
        }
        account
    }

    #[test]
    fn the_first_event_that_differs_is_named_for_each_register() {
        let first = account(true, &[(4, &["a", "b", "c"]), (7, &["a"])]);
        let second = account(true, &[(4, &["a", "x", "y"]), (9, &["z"])]);
        let partings = first.partings(&second);
        let short: Vec<_> = partings
            .iter()
            .map(|parting| {
                let source = |step: &Option<Step>| step.as_ref().map(|step| step.source.clone());
                (parting.index.number(), parting.event, source(&parting.first), source(&parting.second))
            })
            .collect();
        assert_eq!(
            short,
            [
                (4, 1, Some("b".into()), Some("x".into())),
                (7, 0, Some("a".into()), None),
                (9, 0, None, Some("z".into())),
            ]
        );
        assert!(first.partings(&first).is_empty());
    }

    #[test]
    fn what_a_prediction_does_not_tell_is_not_compared() {
        let predicted = account(false, &[(4, &["a"]), (8, &[]), (11, &["s", "phase"])]);
        let log = account(true, &[(0, &["firmware"]), (4, &["a"]), (11, &["s"])]);
        assert!(predicted.partings(&log).is_empty() && log.partings(&predicted).is_empty());
        let compared: Vec<_> = predicted.compared(&log).into_iter().map(PcrIndex::number).collect();
        assert_eq!(compared, [4, 8, 11]);
        let log = account(true, &[(8, &["more"]), (4, &["a"]), (11, &["s"])]);
        assert_eq!(predicted.partings(&log).len(), 1, "a register that should be empty");
        let stub = account(false, &[(11, &["s"])]);
        assert_eq!(predicted.partings(&stub).len(), 1, "two phases of one image differ");
    }
}
