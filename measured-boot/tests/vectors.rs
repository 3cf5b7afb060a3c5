//! Logs from outside this crate: the ones in `tests/vectors/eventlog` of the repository, whose registers a software TPM
//! computed, and the extra set where `SEALGATE_EXTRA_VECTORS` names one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::disallowed_methods, reason = "tests read vectors from files and their place from the environment")]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use measured_boot::{Bank, Digest, PcrIndex, PcrSet, PcrValue, ReplayError, Unreplayed};
use serde_json::Value;

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/eventlog")
}

/// Every bank of a `.pcrs.json` file.
fn pcr_sets(path: &Path) -> Vec<PcrSet> {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let value: Value = serde_json::from_slice(&text).unwrap();
    let sets: Vec<_> = value
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, registers)| {
            let bank = Bank::from_name(name).unwrap();
            let mut set = PcrSet::new(bank);
            for (number, hex) in registers.as_object().unwrap() {
                let digest = Digest::from_hex(bank, hex.as_str().unwrap()).unwrap();
                let index = PcrIndex::new(number.parse().unwrap()).unwrap();
                set.insert(index, PcrValue::from_digest(digest)).unwrap();
            }
            set
        })
        .collect();
    assert!(!sets.is_empty(), "{}: no bank", path.display());
    sets
}

/// Every `.bin` in `folder` replays to exactly its `.pcrs.json`, in every bank of it. Returns how many there were.
fn every_log_replays(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let logs: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    for path in &logs {
        let name = path.display();
        let bytes = fs::read(path).unwrap();
        let log = Unreplayed::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        for given in pcr_sets(&path.with_extension("pcrs.json")) {
            let bank = given.bank();
            assert_eq!(log.claimed_pcrs(bank).unwrap(), given, "{name}, {bank}: registers");
            let replayed = log.clone().replay(&given).unwrap_or_else(|error| panic!("{name}, {bank}: {error}"));
            assert!(replayed.events().count() > 10, "{name}, {bank}: events");
            one_flipped_bit_in_any_given_register_is_noticed(&log, &given);
        }
    }
    logs.len()
}

fn one_flipped_bit_in_any_given_register_is_noticed(log: &Unreplayed<'_>, given: &PcrSet) {
    let bank = given.bank();
    for (flipped, _) in given.iter() {
        let mut wrong = PcrSet::new(bank);
        for (index, value) in given.iter() {
            let mut bytes = value.as_bytes().to_vec();
            bytes[3] ^= u8::from(index == flipped);
            wrong.insert(index, PcrValue::from_digest(Digest::from_bytes(bank, &bytes).unwrap())).unwrap();
        }
        let Err(ReplayError::Differs { differences, .. }) = log.clone().replay(&wrong) else {
            panic!("{flipped} of {bank} was flipped and nobody noticed")
        };
        assert_eq!(differences.iter().map(|difference| difference.index).collect::<Vec<_>>(), [flipped]);
    }
}

#[test]
fn the_projects_own_logs_replay_to_what_a_software_tpm_computed() {
    assert_eq!(every_log_replays(&own()), 2);
}

#[test]
fn the_projects_own_logs_are_what_the_builder_makes() {
    for (name, locality) in [("made_uki_boot.bin", None), ("made_uki_boot_locality_3.bin", Some(3))] {
        let built = support::uki_boot(locality).bytes();
        if std::env::var_os("SEALGATE_WRITE_VECTORS").is_some() {
            fs::write(own().join(name), &built).unwrap();
        }
        assert!(fs::read(own().join(name)).unwrap() == built, "{name} differs");
    }
}

#[test]
fn the_extra_sets_logs_replay_to_the_registers_beside_them() {
    let Some(extra) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("extra set not run: SEALGATE_EXTRA_VECTORS is not set");
        return;
    };
    assert_eq!(every_log_replays(&Path::new(&extra).join("snp/eventlog")), 2);
    println!("extra set run");
}

#[test]
fn a_secure_boot_machine_shows_its_separators_as_proven_and_its_boot_loader_as_a_hint() {
    let bytes = fs::read(own().join("made_uki_boot.bin")).unwrap();
    let log = Unreplayed::parse(&bytes).unwrap();
    let given = log.claimed_pcrs(Bank::Sha256).unwrap();
    let replayed = log.replay(&given).unwrap();
    let separators = replayed.events().filter(|event| event.stated_type().to_string() == "EV_SEPARATOR");
    assert_eq!(separators.filter(|event| event.measured_data() == Some(&[0; 4])).count(), 8);
    let loader = replayed.events().find(|event| event.stated_type().0 == 0x8000_0003).unwrap();
    assert_eq!(loader.measured_data(), None);
    assert!(loader.stated_data().windows(3).any(|window| window == b"X\x006"));
}
