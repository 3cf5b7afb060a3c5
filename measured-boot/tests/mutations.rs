//! Logs that someone damaged or forged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod support;

use measured_boot::{
    Bank, MAX_EVENT_BYTES, MAX_EVENTS, MAX_LOG_BYTES, ParseProblem, PcrIndex, PcrSet, PcrValue, ReplayError,
    StartupLocality, Unreplayed,
};
use proptest::prelude::*;
use support::{LogBuilder, uki_boot};

const RECORD_DIGESTS: usize = 12;

fn parse(bytes: &[u8]) -> Unreplayed<'_> {
    Unreplayed::parse(bytes).unwrap()
}

fn problem(bytes: &[u8]) -> (usize, ParseProblem) {
    let error = Unreplayed::parse(bytes).unwrap_err();
    assert!(error.to_string().starts_with("event log, offset 0x"), "{error}");
    assert!(!error.fix().is_empty());
    (error.offset, error.problem)
}

fn with(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

#[test]
fn a_log_cut_anywhere_but_between_records_is_refused_with_the_offset_of_the_cut_field() {
    let builder = uki_boot(Some(3));
    let borders = builder.offsets.clone();
    let bytes = builder.bytes();
    for length in 0..bytes.len() {
        match Unreplayed::parse(&bytes[..length]) {
            Ok(log) => assert!(borders.contains(&length), "cut at {length} gave {} records", log.event_count()),
            Err(error) => {
                assert!(!borders.contains(&length));
                assert!(matches!(error.problem, ParseProblem::Truncated { .. }), "cut at {length}: {error}");
                assert!(error.offset <= length, "cut at {length}: {error}");
            }
        }
    }
}

#[test]
fn a_log_cut_between_records_no_longer_replays() {
    let builder = uki_boot(None);
    let borders = builder.offsets.clone();
    let bytes = builder.bytes();
    let given = parse(&bytes).claimed_pcrs(Bank::Sha256).unwrap();
    // The last record is a remark, which no register holds.
    let (_, extended) = borders.split_last().unwrap();
    for &border in extended {
        assert!(parse(&bytes[..border]).replay(&given).is_err(), "cut at {border}");
    }
}

#[test]
fn any_flipped_digest_byte_changes_the_replay_of_its_bank_and_of_no_other() {
    let builder = uki_boot(None);
    let offsets = builder.offsets.clone();
    let bytes = builder.bytes();
    let given: Vec<_> = Bank::ALL.iter().map(|&bank| parse(&bytes).claimed_pcrs(bank).unwrap()).collect();
    let (_, extended) = offsets.split_last().unwrap();
    for &record in extended {
        let mut at = record + RECORD_DIGESTS;
        for bank in Bank::ALL {
            at += 2;
            for byte in at..at + bank.digest_bytes() {
                let forged = with(&bytes, byte, &[bytes[byte] ^ 0x10]);
                for set in &given {
                    let replay = parse(&forged).replay(set);
                    assert_eq!(replay.is_err(), set.bank() == bank, "byte {byte:#x} of {bank}, bank {}", set.bank());
                }
            }
            at += bank.digest_bytes();
        }
    }
}

#[test]
fn records_in_another_order_do_not_replay() {
    let given =
        |one: &[u8], two: &[u8]| LogBuilder::new(&[Bank::Sha256]).event(4, 1, one, b"").event(4, 1, two, b"").bytes();
    let (log, swapped) = (given(b"a", b"b"), given(b"b", b"a"));
    let pcrs = parse(&log).claimed_pcrs(Bank::Sha256).unwrap();
    assert!(parse(&log).replay(&pcrs).is_ok());
    assert!(parse(&swapped).replay(&pcrs).is_err());
}

#[test]
fn rewritten_data_replays_and_is_therefore_not_shown_as_proven() {
    let log = LogBuilder::new(&[Bank::Sha256]).event(5, 0x8000_0007, b"calm", b"calm").bytes();
    let forged = with(&log, log.len() - 4, b"evil");
    let given = parse(&log).claimed_pcrs(Bank::Sha256).unwrap();
    let honest = parse(&log).replay(&given).unwrap();
    assert_eq!(honest.events().next().unwrap().measured_data(), Some(b"calm".as_slice()));
    let replayed = parse(&forged).replay(&given).unwrap();
    let event = replayed.events().next().unwrap();
    assert_eq!(event.measured_data(), None);
    assert_eq!(event.stated_data(), b"evil");
}

#[test]
fn turning_a_measurement_into_a_remark_does_not_hide_it() {
    let log = LogBuilder::new(&[Bank::Sha256]).event(4, 0x8000_0003, b"rootkit", b"").bytes();
    let given = parse(&log).claimed_pcrs(Bank::Sha256).unwrap();
    let record = log.len() - 4 - 32 - 2 - RECORD_DIGESTS;
    let forged = with(&log, record + 4, &3u32.to_le_bytes());
    assert!(matches!(parse(&forged).replay(&given), Err(ReplayError::Differs { .. })));
}

#[test]
fn events_of_registers_that_were_not_compared_and_remarks_are_not_shown() {
    let bytes = uki_boot(None).bytes();
    let log = parse(&bytes);
    let all = log.claimed_pcrs(Bank::Sha256).unwrap();
    let seven = PcrIndex::new(7).unwrap();
    let mut given = PcrSet::new(Bank::Sha256);
    given.insert(seven, all.value(seven).unwrap().clone()).unwrap();
    let replayed = log.clone().replay(&given).unwrap();
    assert_eq!(replayed.events().count(), 3);
    assert!(replayed.events().all(|event| event.pcr() == seven));
    assert_eq!(replayed.startup_locality(), None, "PCR 0 was not compared");
    let whole = log.replay(&all).unwrap();
    assert_eq!(whole.events().count(), parse(&bytes).event_count() - 1, "all but the remark");
    assert_eq!(whole.startup_locality(), Some(StartupLocality::Zero));
}

#[test]
fn a_register_the_log_never_extends_must_hold_its_initial_value() {
    let bytes = uki_boot(None).bytes();
    let fifteen = PcrIndex::new(15).unwrap();
    let given = |value: PcrValue| {
        let mut set = PcrSet::new(Bank::Sha256);
        set.insert(fifteen, value).unwrap();
        set
    };
    assert!(parse(&bytes).replay(&given(PcrValue::zero(Bank::Sha256))).is_ok());
    let extended = PcrValue::zero(Bank::Sha256).extend(&Bank::Sha256.hash(b"core")).unwrap();
    let error = parse(&bytes).replay(&given(extended)).unwrap_err();
    assert!(error.to_string().contains("PCR 15: given "), "{error}");
}

#[test]
fn nothing_given_is_no_proof_and_a_bank_the_log_lacks_is_named() {
    let bytes = LogBuilder::new(&[Bank::Sha1]).event(0, 1, b"x", b"").bytes();
    assert_eq!(parse(&bytes).replay(&PcrSet::new(Bank::Sha1)).unwrap_err(), ReplayError::NothingGiven);
    let error = parse(&bytes).claimed_pcrs(Bank::Sha256).unwrap_err();
    assert_eq!(error.to_string(), "event log: no sha256 digests, only sha1");
}

#[test]
fn the_startup_locality_changes_pcr_0_only_and_comes_once_and_first() {
    let zero = PcrIndex::new(0).unwrap();
    let at = |locality| {
        let bytes = uki_boot(locality).bytes();
        parse(&bytes).claimed_pcrs(Bank::Sha256).unwrap()
    };
    let (none, explicit_zero, three, four) = (at(None), at(Some(0)), at(Some(3)), at(Some(4)));
    assert_eq!(none, explicit_zero);
    assert_ne!(none.value(zero), three.value(zero));
    assert_ne!(three.value(zero), four.value(zero));
    assert!(none.iter().filter(|(index, _)| *index != zero).all(|(index, value)| three.value(index) == Some(value)));

    let refused = |log: LogBuilder| problem(&log.bytes()).1;
    let empty = || LogBuilder::new(&[Bank::Sha256]);
    assert_eq!(refused(empty().startup_locality(3).startup_locality(3)), ParseProblem::LateStartupLocality);
    assert_eq!(refused(empty().event(0, 1, b"x", b"").startup_locality(3)), ParseProblem::LateStartupLocality);
    assert_eq!(refused(empty().startup_locality(2)), ParseProblem::UnknownLocality { found: 2 });
    let long = [b"StartupLocality\0".as_slice(), &[3, 0]].concat();
    assert_eq!(refused(empty().remark(0, &long)), ParseProblem::BadStartupLocality { pcr: 0, bytes: 18 });
    assert_eq!(refused(empty().remark(1, &long[..17])), ParseProblem::BadStartupLocality { pcr: 1, bytes: 17 });
}

#[test]
fn measurements_go_to_registers_0_to_23_and_a_firmware_log_has_no_dynamic_ones() {
    let log = |pcr| LogBuilder::new(&[Bank::Sha256]).event(pcr, 1, b"x", b"").bytes();
    assert!(matches!(problem(&log(24)).1, ParseProblem::NoSuchRegister { found: 24 }));
    assert!(matches!(problem(&log(u32::MAX)).1, ParseProblem::NoSuchRegister { found: u32::MAX }));
    assert!(parse(&log(23)).claimed_pcrs(Bank::Sha256).is_ok());
    assert!(matches!(parse(&log(17)).claimed_pcrs(Bank::Sha256), Err(ReplayError::DynamicRegister { .. })));
    let remark = LogBuilder::new(&[Bank::Sha256]).remark(u32::MAX, b"names no register").bytes();
    assert!(parse(&remark).claimed_pcrs(Bank::Sha256).unwrap().is_empty());
}

#[test]
fn every_field_of_the_header_that_cannot_be_right_is_named_with_its_offset() {
    let log = LogBuilder::new(&[Bank::Sha1, Bank::Sha256]).bytes();
    let cases: &[(usize, &[u8], usize, ParseProblem)] = &[
        (0, &[1], 0, ParseProblem::NotAnEventLog { field: "pcrIndex of the first record" }),
        (4, &[4], 4, ParseProblem::NotAnEventLog { field: "eventType of the first record" }),
        (27, &[1], 8, ParseProblem::HeaderField { field: "digest" }),
        (28, &[1, 0], 28, ParseProblem::HeaderLength { bytes: 1, wanted: 37 }),
        (28, &[255; 4], 28, ParseProblem::HeaderLength { bytes: 0xFFFF_FFFF, wanted: 37 }),
        (45, b"2", 32, ParseProblem::NotAnEventLog { field: "signature" }),
        (48, &[2], 48, ParseProblem::UnknownPlatformClass { found: 2 }),
        (52, &[1], 52, ParseProblem::UnknownVersion { major: 2, minor: 1 }),
        (53, &[1], 52, ParseProblem::UnknownVersion { major: 1, minor: 0 }),
        (55, &[3], 55, ParseProblem::UintnSize { found: 3 }),
        (56, &[0], 56, ParseProblem::AlgorithmCount { found: 0 }),
        (56, &[5], 56, ParseProblem::AlgorithmCount { found: 5 }),
        (56, &[255; 4], 56, ParseProblem::AlgorithmCount { found: u32::MAX }),
        (60, &[0x12], 60, ParseProblem::UnknownAlgorithm { id: 0x12 }),
        (62, &[21], 62, ParseProblem::DigestSize { bank: Bank::Sha1, found: 21 }),
        (64, &[4], 64, ParseProblem::RepeatedAlgorithm { bank: Bank::Sha1 }),
    ];
    for (at, new, offset, wanted) in cases {
        assert_eq!(problem(&with(&log, *at, new)), (*offset, wanted.clone()), "byte {at} set to {new:?}");
    }
    assert!(matches!(problem(b"PCR-00: 0123").1, ParseProblem::NotAnEventLog { .. }));
}

#[test]
fn every_field_of_a_record_that_cannot_be_right_is_named_with_its_offset() {
    let builder = LogBuilder::new(&[Bank::Sha1, Bank::Sha256]).event(0, 1, b"x", b"data");
    let record = builder.offsets[0];
    let log = builder.bytes();
    let cases: &[(usize, &[u8], usize, ParseProblem)] = &[
        (8, &[1], 8, ParseProblem::DigestCount { found: 1, wanted: 2 }),
        (8, &[255; 4], 8, ParseProblem::DigestCount { found: u32::MAX, wanted: 2 }),
        (12, &[0x12], 12, ParseProblem::UnknownAlgorithm { id: 0x12 }),
        (12, &[0x0C], 12, ParseProblem::UnannouncedAlgorithm { bank: Bank::Sha384 }),
        (34, &[4], 34, ParseProblem::RepeatedAlgorithm { bank: Bank::Sha1 }),
        (68, &[255; 4], 68, ParseProblem::EventTooLong { bytes: 0xFFFF_FFFF }),
        (68, &[5], 72, ParseProblem::Truncated { field: "event data", needed: 5, left: 4 }),
    ];
    for (at, new, offset, wanted) in cases {
        let forged = with(&log, record + at, new);
        assert_eq!(problem(&forged), (record + offset, wanted.clone()), "byte {at} set to {new:?}");
    }
    let padded = [log.clone(), vec![0; 64]].concat();
    assert_eq!(problem(&padded), (log.len() + 8, ParseProblem::DigestCount { found: 0, wanted: 2 }));
}

#[test]
fn each_limit_admits_what_is_at_it_and_refuses_one_more() {
    let data = vec![0; MAX_EVENT_BYTES];
    let at_limit = LogBuilder::new(&[Bank::Sha1]).event(0, 1, b"x", &data).bytes();
    assert_eq!(parse(&at_limit).event_count(), 1);
    let over = LogBuilder::new(&[Bank::Sha1]).event(0, 1, b"x", &[data, vec![0]].concat()).bytes();
    assert!(matches!(problem(&over).1, ParseProblem::EventTooLong { .. }));

    let mut builder = LogBuilder::new(&[Bank::Sha1]);
    for _ in 0..MAX_EVENTS {
        builder = builder.remark(0, b"");
    }
    let over = builder.event(0, 1, b"x", b"");
    let last = *over.offsets.last().unwrap();
    let over = over.bytes();
    assert_eq!(parse(&over[..last]).event_count(), MAX_EVENTS);
    assert_eq!(problem(&over), (last, ParseProblem::TooManyEvents));

    assert_eq!(problem(&vec![0; MAX_LOG_BYTES + 1]).1, ParseProblem::LogTooLong { bytes: MAX_LOG_BYTES + 1 });
    assert!(!matches!(problem(&vec![0; MAX_LOG_BYTES]).1, ParseProblem::LogTooLong { .. }));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = Unreplayed::parse(&bytes);
        let mut log = LogBuilder::new(&[Bank::Sha256]).bytes();
        log.extend(bytes);
        if let Ok(log) = Unreplayed::parse(&log) {
            let _ = log.claimed_pcrs(Bank::Sha256);
        }
    }

    #[test]
    fn no_mutation_of_a_good_log_makes_parser_or_replay_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut bytes = uki_boot(Some(3)).bytes();
        let given = parse(&bytes).claimed_pcrs(Bank::Sha384).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        // Whatever still replays shows the digests of the log that was measured.
        if let Some(replayed) = Unreplayed::parse(&bytes).ok().and_then(|log| log.replay(&given).ok()) {
            let honest = uki_boot(Some(3)).bytes();
            let honest = parse(&honest).replay(&given).unwrap();
            let digests = |log: &measured_boot::Replayed<'_>| -> Vec<_> {
                log.events().map(|event| (event.pcr(), event.digest().clone())).collect()
            };
            prop_assert_eq!(digests(&replayed), digests(&honest));
        }
    }

    #[test]
    fn any_sequence_of_measurements_replays_to_the_fold_of_its_extends(
        measured in proptest::collection::vec((0u32..17, any::<[u8; 4]>()), 1..40),
    ) {
        let mut builder = LogBuilder::new(&[Bank::Sha384, Bank::Sha256]);
        let mut wanted = std::collections::BTreeMap::new();
        for (pcr, content) in &measured {
            builder = builder.event(*pcr, 0xD, content, b"");
            let value = wanted.entry(*pcr).or_insert(vec![0; 32]);
            // SHA-256 through a second implementation of the extend: hash of the concatenation.
            *value = Bank::Sha256.hash(&[value.as_slice(), Bank::Sha256.hash(content).as_bytes()].concat()).as_bytes().to_vec();
        }
        let bytes = builder.bytes();
        let pcrs = parse(&bytes).claimed_pcrs(Bank::Sha256).unwrap();
        let found: Vec<_> = pcrs.iter().map(|(index, value)| (u32::from(index.number()), value.as_bytes().to_vec())).collect();
        prop_assert_eq!(found, wanted.into_iter().collect::<Vec<_>>());
    }
}
