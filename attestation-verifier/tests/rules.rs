//! Every rule that genuine vectors test has a case of our own, so that a clone without them tests the same rules. The
//! tables name the cases; where the genuine set is there (`SEALGATE_EXTRA_VECTORS`), nothing in it may be missing from
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use attestation_verifier::{Certificate, Product, Report, SignedReport};
use common::{read, read_json, vectors};
use serde_json::Value;

/// What a genuine case has, and the cases of ours with the same.
const FEATURES: &[(&str, &[&str])] = &[
    ("Milan, version 2", &["psp/milan-v2"]),
    ("Milan, version 3", &["psp/milan-v3"]),
    ("Milan, version 4", &["psp/milan-v4"]),
    ("Genoa, version 3", &["psp/genoa-v3"]),
    ("Genoa, version 5", &["psp/genoa-v5"]),
    ("Turin, version 5", &["psp/turin-v5"]),
    ("no VEK", &["hostile/fail-milan-v2-no-vcek"]),
    ("VLEK", &["psp/milan-v2-vlek", "psp/milan-v3-vlek", "psp/genoa-v5-vlek", "psp/turin-v5-vlek"]),
    ("masked chip id", &["psp/milan-v2-masked-chip-id", "psp/genoa-v5-masked-chip-id", "psp/turin-v5-masked-chip-id"]),
    ("CPUID model 0xA0", &["hostile/genoa-v5-model-a0"]),
    ("mitigation vector", &["hostile/genoa-v5-model-a0", "hostile/turin-v5-mitigations"]),
    ("ID key", &["psp/milan-v3-id-block"]),
    ("author key", &["hostile/milan-v2-author-key"]),
    ("host data", &["psp/milan-v3-id-block"]),
    ("debug policy", &["psp/fail-milan-v2-debug", "psp/fail-milan-v3-debug"]),
    ("VMPL 1", &["psp/fail-milan-v2-vmpl-1", "psp/fail-milan-v3-vmpl-1"]),
    ("policy with an ABI version", &["psp/milan-v3-narrow-policy", "hostile/milan-v3-abi-31"]),
    ("REPORT_DATA of zeros", &["hostile/milan-v4-no-nonce"]),
    ("TCBs that differ", &["hostile/milan-v3-provisional"]),
    ("hcl-report.bin", &["hostile/milan-v3-hcl", "hostile/milan-v3-hcl-2", "hostile/fail-milan-v3-hcl-other-claims"]),
    ("auxblob.bin", &["hostile/genoa-v3-auxblob", "hostile/genoa-v3-auxblob-pem"]),
    ("imds-certs.pem", &["hostile/genoa-v3-pem-chain"]),
    ("msg-report-resp-4000.bin", &["hostile/milan-v3-driver-response"]),
    ("vek-reissued.der", &["hostile/milan-v3-vcek-reissued"]),
    ("report-bad-sig-1185.bin", &["hostile/fail-milan-v3-length-1185"]),
    ("vcek-invalid-new.der", &["hostile/fail-milan-v3-vcek-unknown-extension", "psp/fail-milan-v3-vcek-of-stranger"]),
    ("vcek-invalid-legacy.der", &["hostile/fail-milan-v3-vcek-no-hwid", "psp/fail-milan-v3-vcek-of-stranger"]),
];

/// The reasons of the genuine set's altered reports, and the cases of ours altered for the same reason.
const MUTATIONS: &[(&str, &[&str])] = &[
    (
        "signature",
        &[
            "hostile/fail-milan-v3-flipped-measurement",
            "hostile/fail-genoa-v5-flipped-policy",
            "hostile/fail-turin-v5-flipped-r",
            "hostile/fail-turin-v5-flipped-s",
        ],
    ),
    (
        "signature (bytes are inside the signed region; crate sev 8.0.0 accepts this because it verifies a re-encoding)",
        &[
            "hostile/fail-milan-v3-flipped-reserved-low",
            "hostile/fail-genoa-v5-flipped-reserved-high",
            "hostile/fail-turin-v5-flipped-reserved-high",
        ],
    ),
    (
        "malformed: must be zero (not covered by the signature, so a lax verifier accepts it; crate sev 8.0.0 accepts it)",
        &[
            "hostile/fail-milan-v3-flipped-r-padding",
            "hostile/fail-genoa-v5-flipped-s-padding",
            "hostile/fail-turin-v5-flipped-after",
        ],
    ),
    (
        "both S values verify: identify or de-duplicate a report by its signed part [0,0x2a0), never by a hash over all 1184 bytes",
        &["hostile/milan-v3-other-s", "hostile/genoa-v5-other-s", "hostile/turin-v5-other-s"],
    ),
    (
        "malformed",
        &["hostile/fail-milan-v3-length-0", "hostile/fail-genoa-v5-length-1183", "hostile/fail-turin-v5-length-1185"],
    ),
];

/// The reasons of its cross-pairings.
const PAIRINGS: &[(&str, &[&str])] = &[
    ("wrong VEK", &["hostile/fail-milan-v3-vcek-of-other-chip", "psp/fail-milan-v3-vcek-of-stranger"]),
    ("wrong product chain", &["psp/fail-milan-v3-genoa-ask", "psp/fail-milan-v3-genoa-root"]),
    (
        "VCEK/VLEK chain confusion",
        &[
            "psp/fail-milan-v3-vcek-with-asvk",
            "psp/fail-milan-v3-vlek-with-ask",
            "hostile/fail-milan-v3-vlek-by-ask",
            "hostile/fail-milan-v3-vcek-by-asvk-for-ask",
        ],
    ),
    (
        "genuine ARK-signed ASK whose serial 0x20001 is on the genuine ARK-signed CRL (revoked 2022-10-31); the current ASK 0x20002 is not",
        &["psp/fail-genoa-v3-ask-revoked", "psp/genoa-v3-crl-revokes-other", "psp/genoa-v3-asvk-revoked"],
    ),
];

/// The verdicts of our own cases, by set and name.
fn ours() -> BTreeMap<String, Value> {
    let mut cases = BTreeMap::new();
    for set in ["psp", "hostile"] {
        for case in read_json(vectors().join(set).join("manifest.json")).as_array().unwrap() {
            let id = format!("{set}/{}", case["id"].as_str().unwrap());
            assert!(cases.insert(id.clone(), case.clone()).is_none(), "{id} twice");
        }
    }
    cases
}

#[test]
fn every_rule_names_cases_that_are_there() {
    let ours = ours();
    for (rule, cases) in [FEATURES, MUTATIONS, PAIRINGS].concat() {
        assert!(!cases.is_empty(), "{rule}");
        for case in cases {
            let found = ours.get(*case).unwrap_or_else(|| panic!("{rule}: there is no case {case}"));
            // The verdicts themselves are tests/vectors.rs' to check, the names must not lie about them.
            assert_eq!(case.contains("/fail-"), found["exit"] != 0, "{case}");
        }
    }
    for (reasons, refused) in [(MUTATIONS, 4), (PAIRINGS, 4)] {
        let rejecting = reasons.iter().filter(|(_, cases)| cases[0].contains("/fail-")).count();
        assert_eq!(rejecting, refused);
    }
}

fn genuine() -> Option<PathBuf> {
    let folder = std::env::var_os("SEALGATE_EXTRA_VECTORS");
    if folder.is_none() {
        println!("SEALGATE_EXTRA_VECTORS is not set: the tables were not held against genuine vectors");
    }
    folder.map(|folder| Path::new(&folder).join("snp"))
}

fn missing<'a>(table: &[(&str, &[&str])], wanted: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    wanted.into_iter().filter(|rule| !table.iter().any(|(named, _)| named == rule)).cloned().collect()
}

#[test]
fn no_reason_of_the_genuine_set_is_without_a_case_of_ours() {
    let Some(set) = genuine() else { return };
    for (file, table) in [("mutations.json", MUTATIONS), ("cross.json", PAIRINGS)] {
        let entries = read_json(set.join(file));
        let reasons: BTreeSet<String> =
            entries.as_array().unwrap().iter().map(|entry| entry["why"].as_str().unwrap().to_owned()).collect();
        assert_eq!(missing(table, &reasons), [""; 0], "{file}");
        assert_eq!(reasons.len(), table.len(), "{file}: the table names a reason that it does not have");
    }
}

#[test]
fn no_feature_of_the_genuine_set_is_without_a_case_of_ours() {
    let Some(set) = genuine() else { return };
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(set.join("reports")).unwrap() {
        let dir = entry.unwrap().path();
        features(&dir, &mut found);
    }
    assert_eq!(missing(FEATURES, &found), [""; 0]);
    let unused: Vec<&str> = FEATURES.iter().map(|(rule, _)| *rule).filter(|rule| !found.contains(*rule)).collect();
    assert_eq!(unused, [""; 0], "the table names what no genuine case has");
}

/// What can be told from a case's files: beside the report, those that the program reads.
fn features(dir: &Path, found: &mut BTreeSet<String>) {
    const READ: [&str; 7] = [
        "hcl-report.bin",
        "auxblob.bin",
        "imds-certs.pem",
        "msg-report-resp-4000.bin",
        "vek-reissued.der",
        "report-bad-sig-1185.bin",
        "vcek-invalid-new.der",
    ];
    for name in READ.into_iter().chain(["vcek-invalid-legacy.der"]).filter(|name| dir.join(name).is_file()) {
        found.insert(name.to_owned());
    }
    let bytes = read(dir.join("report.bin"));
    let signed = SignedReport::parse(&bytes).unwrap();
    let mut has = |feature: &str, it: bool| {
        if it {
            found.insert(feature.to_owned());
        }
    };
    let vek = dir.join("vek.der");
    has("no VEK", !vek.is_file());
    let product = if vek.is_file() {
        let der = read(vek);
        let certificate = Certificate::parse(&der).unwrap();
        has("VLEK", certificate.subject() == "SEV-VLEK");
        certificate.issued_by().unwrap().0
    } else {
        Report::check_shape(&signed).unwrap().unwrap_or(Product::Milan)
    };
    let report = Report::decode(signed, product).unwrap();
    has(&format!("{product}, version {}", report.version()), true);
    has("masked chip id", report.chip_id_masked());
    has("CPUID model 0xA0", report.version() > 2 && bytes[0x189] & 0xF0 == 0xA0);
    has("mitigation vector", report.mitigations().is_some_and(|(launch, current)| launch | current != 0));
    has("ID key", *report.id_key_digest() != [0; 48]);
    has("author key", report.key_info().author_key);
    has("host data", *report.host_data() != [0; 32]);
    has("debug policy", report.policy().0 & 1 << 19 != 0);
    has("VMPL 1", bytes[0x30] == 1);
    has("policy with an ABI version", report.policy().0 & 0xFFFF != 0);
    has("REPORT_DATA of zeros", *report.report_data() == [0; 64]);
    let tcbs = [report.current_tcb(), report.committed_tcb(), report.launch_tcb()];
    has("TCBs that differ", tcbs.iter().any(|tcb| *tcb != report.reported_tcb()));
}
