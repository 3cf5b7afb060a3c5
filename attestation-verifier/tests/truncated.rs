//! Evidence of every shorter length, and of one byte more than is looked at: never a panic, never an acceptance.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;
mod common;

use attestation_verifier::{
    Certificate, CertificateError, Collateral, Container, Crl, CrlError, HostTable, HostTableError, Policy, Question,
    Ring, TrustAnchor, Verdict, appraise_report, clock,
};
use boot::{Boot, NONCE};
use common::{read, vectors};
use evidence::{bundle::Bundle, proof::Envelope};
use measured_boot::Unreplayed;

fn of(path: &str) -> Vec<u8> {
    read(vectors().join(path))
}

/// Judges under a test root of the hostile set.
fn judge(product: &str, evidence: &[u8], collateral: &Collateral) -> Verdict {
    let root = of(&format!("hostile/{product}/ark.der"));
    let anchor = TrustAnchor::named(&root).unwrap();
    let at = clock::parse("2026-06-01T00:00:00Z").unwrap();
    let question = Question { evidence, collateral, anchor: &anchor, report_data: None };
    appraise_report(question, &Policy::strict(), at, &Ring).verdict
}

fn chain(product: &str) -> Collateral {
    Collateral {
        vek: Some(of(&format!("hostile/{product}/vcek.der"))),
        intermediate: Some(of(&format!("hostile/{product}/ask.der"))),
        ..Collateral::default()
    }
}

#[track_caller]
fn accepted(verdict: &Verdict) {
    assert_eq!(verdict.word(), "accepted (test root)", "{:?}", verdict.reason());
}

#[track_caller]
fn malformed(verdict: &Verdict, what: &str) {
    assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 2), "{what}: {:?}", verdict.reason());
}

#[test]
fn a_report_of_any_other_length_is_none() {
    for product in ["milan", "genoa", "turin"] {
        let version = if product == "milan" { 3 } else { 5 };
        let mut report = of(&format!("hostile/reports/{product}-v{version}-other-s.bin"));
        let collateral = chain(product);
        accepted(&judge(product, &report, &collateral));
        for length in 0..report.len() {
            malformed(&judge(product, &report[..length], &collateral), &format!("{length} bytes"));
        }
        for more in [1, 16, 32, 2816, 2817, 100_000] {
            report.resize(1184 + more, 0);
            malformed(&judge(product, &report, &collateral), &format!("{} bytes", 1184 + more));
        }
    }
}

#[test]
fn a_driver_response_of_any_other_length_is_none() {
    let response = of("hostile/reports/milan-v3-driver-response.bin");
    accepted(&judge("milan", &response, &chain("milan")));
    for length in (0..response.len()).chain([4001, 8000]) {
        // What begins with 1184 bytes of a response is no report either: its first byte is the status.
        let mut cut = response.clone();
        cut.resize(length, 0);
        malformed(&judge("milan", &cut, &chain("milan")), &format!("{length} bytes"));
    }
}

#[test]
fn a_blob_cut_before_the_end_of_its_claims_is_none() {
    for (name, end) in [("milan-v3-hcl", 0), ("milan-v3-hcl-2", 4)] {
        let blob = of(&format!("hostile/reports/{name}.bin"));
        let claims = u32::from_le_bytes(blob[0x4D0..0x4D4].try_into().unwrap());
        let end = 0x4D4 + end + usize::try_from(claims).unwrap();
        assert!(blob[end..].iter().all(|byte| *byte == 0), "{name}");
        accepted(&judge("milan", &blob, &chain("milan")));
        for length in 0..blob.len() {
            if Container::open(&blob[..length]).is_err() {
                continue;
            }
            // A frame that is read is judged, with all its signatures; of those that are whole, a few.
            if length > end + 2 && length % 500 != 0 {
                continue;
            }
            let verdict = judge("milan", &blob[..length], &chain("milan"));
            // The zeros behind the claims are the index's own, not the paravisor's.
            if length < end {
                assert_eq!(verdict.word(), "rejected", "{name}: {length} bytes");
                assert!([2, 6].contains(&verdict.exit_code()), "{name}: {length} bytes: {:?}", verdict.reason());
            } else {
                let complete = verdict.check("runtime-data").map(|check| check.outcome.name());
                assert!(complete == Some("pass") || verdict.exit_code() == 2, "{name}: {length} bytes");
            }
        }
        let mut long = blob.clone();
        long.resize(64 * 1024, 0);
        accepted(&judge("milan", &long, &chain("milan")));
        long.push(0);
        malformed(&judge("milan", &long, &chain("milan")), "65537 bytes");
    }
}

#[test]
fn a_certificate_of_any_shorter_length_is_none() {
    let report = of("hostile/reports/milan-v3-vcek-reissued.bin");
    for name in ["vcek", "ask", "ark"] {
        let der = of(&format!("hostile/milan/{name}.der"));
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_err(), "{name}: {length} bytes");
            assert!(TrustAnchor::named(&der[..length]).is_err(), "{name}: {length} bytes");
        }
        let mut long = der.clone();
        long.push(0);
        assert!(matches!(Certificate::parse(&long), Err(CertificateError::Trailing { found: 1 })), "{name}");
    }
    let good = chain("milan");
    accepted(&judge("milan", &report, &good));
    for length in 0..good.vek.as_ref().unwrap().len() {
        let mut cut = good.clone();
        cut.vek.as_mut().unwrap().truncate(length);
        malformed(&judge("milan", &report, &cut), &format!("VCEK of {length} bytes"));
    }
    // One byte more than the largest that is looked at; whether it is a certificate is not even asked.
    assert!(matches!(Certificate::parse(&[0x30; 8193]), Err(CertificateError::TooLong { found: 8193 })));
    assert!(Certificate::parse(&[0x30; 8192]).is_err_and(|error| !matches!(error, CertificateError::TooLong { .. })));
}

#[test]
fn a_revocation_list_of_any_shorter_length_is_none() {
    for name in ["empty", "revokes-ask"] {
        let der = of(&format!("psp/milan/{name}.crl"));
        assert!(Crl::parse(&der).is_ok());
        for length in 0..der.len() {
            assert!(Crl::parse(&der[..length]).is_err(), "{name}: {length} bytes");
        }
        let long = [&der[..], &[0]].concat();
        assert!(Crl::parse(&long).is_err());
    }
    assert!(matches!(Crl::parse(&[0x30; 262_145]), Err(CrlError::TooLong { found: 262_145 })));
    assert!(!matches!(Crl::parse(&[0x30; 262_144]), Err(CrlError::TooLong { .. })));
}

#[test]
fn a_host_table_of_any_shorter_length_gives_no_certificate() {
    for name in ["der", "pem"] {
        let table = of(&format!("hostile/genoa/auxblob-{name}.bin"));
        let whole = HostTable::parse(&table).unwrap();
        assert!(whole.vek.is_some() && whole.intermediate.is_some());
        for length in 0..table.len() {
            assert!(HostTable::parse(&table[..length]).is_err(), "{name}: {length} bytes");
            assert!(Collateral::default().take_vek(&table[..length]).is_err(), "{name}: {length} bytes");
        }
        let mut long = table.clone();
        long.resize(64 * 1024, 0xEE);
        assert_eq!(HostTable::parse(&long).as_ref(), Ok(&whole), "what no entry points to is not looked at");
        long.push(0);
        assert_eq!(HostTable::parse(&long), Err(HostTableError::TooLong { found: 65_537 }));
    }
}

#[test]
fn a_bundle_or_proof_of_any_shorter_length_is_none() {
    let boot = Boot::new();
    let bundle = boot.bundle();
    let proof = boot.envelope(boot.body(&bundle, &boot::result())).to_value().to_text().into_bytes();
    let bundle = bundle.to_bytes().unwrap();
    assert!(Bundle::from_bytes(&bundle).is_ok() && Envelope::from_bytes(&proof).is_ok());
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'}').unwrap();
    for length in 0..=end(&bundle) {
        assert!(Bundle::from_bytes(&bundle[..length]).is_err(), "{length} bytes");
    }
    for length in 0..=end(&proof) {
        assert!(Envelope::from_bytes(&proof[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_bundle_of_more_than_three_mebibytes_is_not_read() {
    let judge = |bundle: &[u8]| boot::judge_bytes(bundle, Some(&NONCE)).verdict;
    let mut bundle = Boot::new().bundle().to_bytes().unwrap();
    accepted(&judge(&bundle));
    bundle.resize(3 << 20, b' ');
    accepted(&judge(&bundle));
    bundle.push(b' ');
    malformed(&judge(&bundle), "3145729 bytes");
}

#[test]
fn a_log_of_any_shorter_length_replays_to_nothing() {
    let log = of("eventlog/made_uki_boot.bin");
    let pcrs = attestation_verifier::registers(&of("eventlog/made_uki_boot.pcrs.json")).unwrap();
    assert!(Unreplayed::parse(&log).unwrap().replay(&pcrs).is_ok());
    let replays = |length: &usize| Unreplayed::parse(&log[..*length]).is_ok_and(|log| log.replay(&pcrs).is_ok());
    let short: Vec<usize> = (0..log.len()).filter(replays).collect();
    // The last record is an EV_NO_ACTION, which extends nothing: the registers cannot tell that it is gone.
    assert_eq!(short, [log.len() - 219]);
}

#[test]
fn nothing_is_searched_for_inside_of_larger_files() {
    let report = of("hostile/reports/milan-v3-vcek-reissued.bin");
    for (before, after) in [(1, 0), (0, 1), (32, 0), (0, 4000 - 1184), (2816, 0), (16, 16)] {
        let inside = [vec![0; before], report.clone(), vec![0; after]].concat();
        assert!(Container::open(&inside).is_err(), "{before} {after}");
    }
}
