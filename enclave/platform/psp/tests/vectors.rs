//! The committed vectors, seen by an implementation that is not ours.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is the test's answer"
)]

use std::{fs, path::PathBuf};

use serde_json::Value;
use sev::{
    certs::snp::{Chain, Verifiable},
    firmware::guest::AttestationReport,
    parser::ByteParser,
};

fn set() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/vectors/psp")
}

fn cases() -> Vec<Value> {
    let text = fs::read(set().join("manifest.json")).expect("manifest.json");
    serde_json::from_slice(&text).expect("an array")
}

fn file(case: &Value, member: &str) -> Vec<u8> {
    let path = set().join(case[member].as_str().expect(member));
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the `sev` crate says of a case: chain and report, no policy, no dates, no revocation.
fn foreign(case: &Value) -> Result<(), String> {
    let [ark, ask, vek] = ["trust_root", "intermediate", "vek"].map(|member| file(case, member));
    let chain = Chain::from_der(&ark, &ask, &vek).map_err(|error| error.to_string())?;
    let report = AttestationReport::from_bytes(&file(case, "report")).map_err(|error| error.to_string())?;
    (&chain, &report).verify().map_err(|error| error.to_string())
}

#[test]
fn another_implementation_accepts_what_we_accept() {
    let mut accepted = 0;
    for case in cases().iter().filter(|case| case["exit"] == 0) {
        let id = case["id"].as_str().expect("id");
        match foreign(case) {
            Ok(()) => accepted += 1,
            // Its parser cannot tell the product of a version 2 report without a chip id.
            Err(why) => assert!(matches!(id, "milan-v2-vlek" | "milan-v2-masked-chip-id"), "{id}: {why}"),
        }
    }
    assert!(accepted >= 20, "{accepted} accepted");
}

#[test]
fn another_implementation_refuses_forged_signatures() {
    let cases = cases();
    for id in [
        "fail-milan-v3-measurement-flipped",
        "fail-milan-v3-signature-flipped",
        "fail-milan-v3-vcek-of-stranger",
        "fail-milan-v3-chain-of-stranger",
        "fail-milan-v3-genoa-root",
    ] {
        let case = cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("{id} is listed"));
        assert!(foreign(case).is_err(), "{id}");
    }
}

#[test]
fn every_rule_has_a_case_and_every_case_a_reason() {
    let cases = cases();
    for exit in [0, 2, 3, 4, 5, 6] {
        assert!(cases.iter().any(|case| case["exit"] == exit), "exit {exit}");
    }
    for case in &cases {
        assert!(!case["why"].as_str().expect("why").is_empty());
        let expected = if case["exit"] == 0 { "accepted (test root)" } else { "rejected" };
        assert_eq!(case["expect"], expected, "{}", case["id"]);
        for member in ["report", "vek", "intermediate", "trust_root"] {
            file(case, member);
        }
    }
}
