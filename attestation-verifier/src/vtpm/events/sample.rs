//! A boot as tests have it: its log and registers, what may be added to them, and what the rows say then.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that panics has failed")]

use measured_boot::{Bank, PcrSet, PcrValue, Unreplayed};
use sha2::{Digest as _, Sha256};

use super::{
    super::explained_log::{Word, replay},
    EventPolicy, judge,
};
use crate::{Outcome, Rule, appraisal::Checks, registers};

pub(super) const LOG: &[u8] = include_bytes!("../../../../tests/vectors/tpm/boot.bin");
const REGISTERS: &[u8] = include_bytes!("../../../../tests/vectors/tpm/pcrs.txt");
pub(super) const CMDLINE: &str = "root=/dev/mapper/root ro quiet";

pub(super) fn sha(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

/// The log with these events behind it: register, what was measured, what the log says.
pub(super) fn with(log: &[u8], events: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
    let mut log = log.to_vec();
    for (register, measured, stated) in events {
        for word in [*register, 0xD, 1] {
            log.extend(word.to_le_bytes());
        }
        log.extend(0xB_u16.to_le_bytes());
        log.extend(sha(measured));
        log.extend(u32::try_from(stated.len()).unwrap().to_le_bytes());
        log.extend(*stated);
    }
    log
}

/// The header alone.
pub(super) fn empty() -> Vec<u8> {
    let length = usize::from(LOG[28]);
    LOG[..32 + length].to_vec()
}

/// What registers a machine has on which all of this was measured; 11 in any case.
pub(super) fn left_by(log: &[u8]) -> PcrSet {
    let mut set = Unreplayed::parse(log).unwrap().claimed_pcrs(Bank::Sha256).unwrap();
    let _ = set.insert(measured_boot::PcrIndex::new(11).unwrap(), PcrValue::zero(Bank::Sha256));
    set
}

pub(super) fn good() -> EventPolicy {
    let check = |data: &[u8]| Rule::Check(vec![sha(data)]);
    let section = |name: &str, data: &[u8]| (name.to_owned(), vec![sha(data)]);
    let sections = [
        section(".linux", b"a kernel"),
        section(".osrel", b"NAME=Sealgate\n"),
        section(".cmdline", &[CMDLINE.as_bytes(), &[0]].concat()),
        section(".initrd", b"an initial file system"),
    ];
    EventPolicy {
        secure_boot: Rule::Check(true),
        programs: check(b"Authenticode content of the unified kernel image"),
        uki: Rule::Check(sections.into()),
        kernel: check(b"a kernel"),
        initrd: check(b"an initial file system"),
        cmdline: Rule::Check(vec![CMDLINE.to_owned()]),
        ..EventPolicy::unchecked("a test")
    }
}

pub(super) struct Judged(pub(super) Vec<crate::Check>);

impl Judged {
    pub(super) fn by(log: &[u8], registers: &PcrSet, policy: &EventPolicy) -> Self {
        let mut checks = Checks::default();
        let replayed = replay(&mut checks, log, registers, Word::Quote);
        judge(&mut checks, replayed.as_ref(), policy);
        Self(checks.into_inner())
    }

    pub(super) fn row(&self, name: &str) -> (Outcome, &str) {
        let check = self.0.iter().find(|check| check.name == name).unwrap();
        (check.outcome, &check.detail)
    }

    pub(super) fn outcome(&self, name: &str) -> Outcome {
        self.row(name).0
    }

    /// The only row that fails, and its words.
    pub(super) fn fails(&self, name: &str, says: &str) {
        let failed: Vec<_> = self.0.iter().filter(|check| check.outcome == Outcome::Fail).collect();
        assert_eq!(failed.iter().map(|check| check.name).collect::<Vec<_>>(), [name], "{failed:?}");
        assert!(failed[0].detail.contains(says), "{}", failed[0].detail);
        assert!(failed[0].fix.is_some());
    }

    pub(super) fn required_and_open(&self, name: &str) {
        let check = self.0.iter().find(|check| check.name == name).unwrap();
        assert_eq!((check.outcome, check.required), (Outcome::NotChecked, true), "{check:?}");
    }
}

pub(super) fn booted() -> PcrSet {
    registers(REGISTERS).unwrap()
}
