//! Genuine reports that are not ours to ship, read in place: `SEALGATE_EXTRA_VECTORS` names the folder that holds `snp`.
//! Without it these tests say that they did not run; with it, a file that is missing is a failure.
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

use std::path::{Path, PathBuf};

use attestation_verifier::{Certificate, clock};
use common::{Run, Said, read, read_json};
use evidence::UnixSeconds;
use serde_json::Value;

/// Within the life of Milan's list of 2022 and of Genoa's.
const IN_LATE_2022: &str = "2022-12-01T00:00:00Z";

fn set() -> Option<PathBuf> {
    match std::env::var_os("SEALGATE_EXTRA_VECTORS") {
        Some(folder) => Some(Path::new(&folder).join("snp")),
        None => {
            println!("SEALGATE_EXTRA_VECTORS is not set: the extra set did not run");
            None
        }
    }
}

struct Case {
    id: String,
    expect: String,
    dir: PathBuf,
    /// With everything the case needs to be judged.
    run: Run,
}

fn cases(set: &Path) -> Vec<Case> {
    let manifest = read_json(set.join("manifest.json"));
    let cases: Vec<Case> = manifest.as_array().unwrap().iter().map(|entry| case(set, entry)).collect();
    assert_eq!(cases.len(), 28);
    cases
}

fn case(set: &Path, entry: &Value) -> Case {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let dir = set.join(text("dir").unwrap());
    let mut run = Run::of(dir.join("report.bin")).at("2026-03-01T00:00:00Z");
    if text("vek").is_some() {
        let vek = dir.join("vek.der");
        run = run.at(a_month_into(&vek)).vek(&vek);
        if let Some(asvk) = asvk_for(set, &vek) {
            run = run.intermediate(asvk);
        }
    }
    Case { id: text("id").unwrap(), expect: text("verdict_strict").unwrap(), dir, run }
}

fn a_month_into(vek: &Path) -> String {
    let der = read(vek);
    let (from, _) = Certificate::parse(&der).unwrap().validity();
    clock::text(UnixSeconds(from.0 + 30 * 86_400))
}

/// A VLEK's intermediate is not compiled in.
fn asvk_for(set: &Path, vek: &Path) -> Option<PathBuf> {
    let der = read(vek);
    let certificate = Certificate::parse(&der).unwrap();
    let product = certificate.issuer().strip_prefix("SEV-VLEK-")?;
    Some(set.join(format!("certs/{}-asvk.der", product.to_lowercase())))
}

fn find<'a>(cases: &'a [Case], id: &str) -> &'a Case {
    cases.iter().find(|case| case.id == id).unwrap_or_else(|| panic!("no case {id}"))
}

#[test]
fn every_report_gets_the_verdict_of_the_index() {
    let Some(set) = set() else { return };
    for case in cases(&set) {
        let said = case.run.judge();
        match case.expect.as_str() {
            "valid" => assert_eq!((said.word(), said.exit), ("accepted", 0), "{}: {:?}", case.id, said.failures()),
            "invalid" => {
                assert_eq!(said.word(), "rejected", "{}", case.id);
                assert!((3..=6).contains(&said.exit), "{}: exit {}", case.id, said.exit);
            }
            "inconclusive" => {
                assert_eq!((said.word(), said.exit), ("rejected", 3), "{}", case.id);
                assert_eq!(said.outcome("chain"), "not_checked", "{}", case.id);
            }
            other => panic!("{}: {other}", case.id),
        }
        assert_eq!(said.json["grade"], "none", "{}", case.id);
        assert!(said.leaves_open("code-unknown") && said.leaves_open("no-nonce"), "{}", case.id);
    }
    println!("28 reports");
}

#[test]
fn policy_is_why_a_genuine_report_is_invalid() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    for (id, check) in [
        ("milan-v2-debug-policy", "guest-policy"),
        ("milan-v3-aws-vlek-vmpl1", "vmpl"),
        ("v2-aws-vlek-masked-chipid", "vmpl"),
    ] {
        let said = find(&cases, id).run.judge();
        assert_eq!((said.exit, said.outcome(check)), (5, "fail"), "{id}");
        assert_eq!(said.failures().len(), 1, "{id}: {:?}", said.failures());
    }
    // The guest's own privilege level may be accepted, in a policy that says so.
    let strict = String::from_utf8(read(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/strict.toml"))).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let policy = dir.path().join("vmpl1.toml");
    std::fs::write(&policy, strict.replace("vmpl = [0]", "vmpl = [0, 1]")).unwrap();
    let aws = find(&cases, "milan-v3-aws-vlek-vmpl1");
    let said = aws.run.clone().with(&["--policy", policy.to_str().unwrap()]).judge();
    assert_eq!((said.word(), said.outcome("chip-id")), ("accepted", "not_checked"));
    assert!(said.leaves_open("chip-masked"));
}

#[test]
fn what_is_open_depends_on_the_evidence() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    assert!(find(&cases, "milan-v3-oak-cb").run.judge().leaves_open("milan-seed"));
    let genoa = find(&cases, "genoa-v5-oak");
    assert!(!genoa.run.judge().leaves_open("milan-seed"));
    let entry = read_json(genoa.dir.join("case.json"));
    let said = genoa.run.clone().with(&["--report-data", entry["report_data"].as_str().unwrap()]).judge();
    assert_eq!((said.word(), said.outcome("report-data")), ("accepted", "pass"));
    assert!(!said.leaves_open("no-nonce"));
    let said = genoa.run.clone().with(&["--report-data", &"5a".repeat(64)]).judge();
    assert_eq!((said.word(), said.exit, said.outcome("report-data")), ("rejected", 6, "fail"));
}

#[test]
fn every_mutation_is_told_from_the_report_it_was_made_from() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    let mutations = read_json(set.join("mutations.json"));
    let dir = tempfile::tempdir().unwrap();
    let (mut refused, mut same) = (0, 0);
    for (number, mutation) in mutations.as_array().unwrap().iter().enumerate() {
        let case = find(&cases, mutation["case"].as_str().unwrap());
        let report = mutate(&read(&case.run.report), mutation);
        let path = dir.path().join(format!("{number}.bin"));
        std::fs::write(&path, report).unwrap();
        let said = Run { report: path, ..case.run.clone() }.judge();
        if mutation["expect"] == "signature verifies" {
            same += 1;
            assert_eq!(said.word(), "accepted", "{mutation}");
            assert_eq!(said.json["evidence"], case.run.judge().json["evidence"], "{mutation}");
            continue;
        }
        refused += 1;
        let exit = if mutation["why"].as_str().unwrap().starts_with("malformed") { 2 } else { 3 };
        assert_eq!((said.word(), said.exit), ("rejected", exit), "{mutation}: {:?}", said.failures());
    }
    assert_eq!((refused, same), (160, 5));
    println!("165 mutations");
}

fn mutate(report: &[u8], mutation: &Value) -> Vec<u8> {
    let mut report = report.to_vec();
    let hex =
        |name: &str| usize::from_str_radix(mutation[name].as_str().unwrap().trim_start_matches("0x"), 16).unwrap();
    match mutation["transform"].as_str() {
        None => {
            let offset = hex("offset");
            report[offset] ^= u8::try_from(hex("xor")).unwrap();
        }
        Some(transform) if transform.starts_with("S := n - S") => {
            let s = &mut report[0x2E8..0x318];
            s.reverse();
            let negated = n_minus(s);
            s.copy_from_slice(&negated);
            s.reverse();
        }
        Some(transform) => {
            let length = transform.split(' ').nth(1).unwrap().parse().unwrap();
            report.resize(length, 0);
        }
    }
    report
}

/// The order of P-384 (FIPS 186-5) less a number below it, both big-endian.
fn n_minus(number: &[u8]) -> Vec<u8> {
    let n =
        hex::decode("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
            .unwrap();
    let mut borrow = 0;
    let mut out = vec![0; 48];
    for at in (0..48).rev() {
        let digit = i16::from(n[at]) - i16::from(number[at]) - borrow;
        borrow = i16::from(digit < 0);
        out[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    out
}

#[test]
fn every_cross_pairing_is_refused() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    let pairings = read_json(set.join("cross.json"));
    let pairings = pairings.as_array().unwrap();
    assert_eq!(pairings.len(), 11);
    for pairing in pairings {
        let text = |name: &str| pairing[name].as_str();
        // A pairing without a report or certificate of its own is about the intermediate: any Genoa case carries it.
        let of = text("vek_of").unwrap_or("genoa-v5-oak");
        let vek = find(&cases, of);
        let mut run = vek.run.clone();
        if let Some(report) = text("report") {
            run.report = find(&cases, report).run.report.clone();
        }
        if let Some(intermediate) = text("ask").or(text("intermediate")) {
            run = run.intermediate(set.join(intermediate));
        }
        if let Some(crl) = text("crl") {
            run = run.crl(set.join(crl));
        }
        let said = run.judge();
        let exit = if text("crl").is_some() { 4 } else { 3 };
        assert_eq!((said.word(), said.exit), ("rejected", exit), "{pairing}: {:?}", said.failures());
        // Without the list nothing calls the intermediate revoked, and yet it is not the pinned one.
        if text("crl").is_some() {
            assert_eq!(said.outcome("revocation"), "fail");
            let said = Run { crl: vec![], ..run }.judge();
            assert_eq!((said.word(), said.exit, said.outcome("intermediate")), ("rejected", 3, "fail"));
        }
    }
    println!("11 pairings");
}

#[test]
fn real_revocation_lists_count_within_their_dates_and_not_outside() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    let list = set.join("crl/milan-2022-05.crl");
    let run = find(&cases, "milan-v2-author-key").run.clone().crl(&list);
    let said = run.clone().at(IN_LATE_2022).judge();
    assert_eq!((said.word(), said.outcome("revocation")), ("accepted", "pass"));
    let said = run.at("2026-03-01T00:00:00Z").judge();
    assert_eq!((said.word(), said.exit, said.outcome("revocation")), ("rejected", 4, "fail"));
    // Another product's list tells nothing, and whoever names it is told so.
    let said = find(&cases, "genoa-v5-oak").run.clone().crl(list).judge();
    assert_eq!((said.exit, said.outcome("revocation")), (4, "fail"));
}

#[test]
fn other_shapes_of_the_same_evidence_get_the_same_verdict() {
    let Some(set) = set() else { return };
    let mut blobs = 0;
    let cases = cases(&set);
    for case in cases.iter().filter(|case| case.dir.join("hcl-report.bin").is_file()) {
        blobs += 1;
        let (bare, blob) =
            (case.run.judge(), Run { report: case.dir.join("hcl-report.bin"), ..case.run.clone() }.judge());
        assert_eq!((blob.word(), blob.exit, &blob.json["evidence"]), (bare.word(), bare.exit, &bare.json["evidence"]));
        if case.expect == "valid" {
            assert_eq!(blob.outcome("runtime-data"), "pass", "{}", case.id);
        }
    }
    assert_eq!(blobs, 9);

    let table = find(&cases, "genoa-v3-configfs-tsm-auxblob");
    assert_eq!(table.run.clone().vek(table.dir.join("auxblob.bin")).judge().word(), "accepted");
    let chain = find(&cases, "milan-v2-azure-hcl");
    assert_eq!(chain.run.clone().vek(chain.dir.join("imds-certs.pem")).judge().word(), "accepted");
    let again = find(&cases, "genoa-v5-model-a0-mitvec");
    assert_eq!(again.run.clone().vek(again.dir.join("vek-reissued.der")).judge().word(), "accepted");

    // The driver's response holds another report of that machine, without a certificate too.
    let no_vek = find(&cases, "v2-lit-no-vcek");
    let response = Run { report: no_vek.dir.join("msg-report-resp-4000.bin"), ..no_vek.run.clone() }.judge();
    assert_eq!((response.exit, response.outcome("form"), response.outcome("chain")), (3, "pass", "not_checked"));
}

#[test]
fn forged_and_foreign_collateral_is_refused() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    let refused = |said: Said, exit: i32, what: &str| {
        assert_eq!((said.word(), said.exit), ("rejected", exit), "{what}: {:?}", said.failures());
    };
    let trustee = find(&cases, "milan-v2-trustee");
    for name in ["vcek-invalid-legacy.der", "vcek-invalid-new.der"] {
        refused(trustee.run.clone().vek(trustee.dir.join(name)).judge(), 3, name);
    }
    let azure = find(&cases, "v2-azure-hcl-short-no-vcek");
    let certs = azure.dir.join("unrelated-certs.pem");
    refused(azure.run.clone().vek(certs).at("2024-01-01T00:00:00Z").judge(), 3, "unrelated-certs.pem");
    let lit = find(&cases, "v2-lit-no-vcek");
    refused(Run { report: lit.dir.join("report-bad-sig-1185.bin"), ..lit.run.clone() }.judge(), 2, "1185 bytes");
    let turin = find(&cases, "turin-v5-aci");
    refused(turin.run.clone().vek(set.join("certs/turin-vcek-unpaired.der")).judge(), 3, "another Turin chip");
}

#[test]
fn runtime_claims_that_the_report_does_not_speak_for_are_a_binding_failure() {
    let Some(set) = set() else { return };
    let cases = cases(&set);
    let case = find(&cases, "milan-v3-azure-a");
    let mut blob = read(case.dir.join("hcl-report.bin"));
    blob[0x4D4 + 40] ^= 1;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blob.bin");
    std::fs::write(&path, blob).unwrap();
    let said = Run { report: path, ..case.run.clone() }.judge();
    assert_eq!((said.word(), said.exit, said.outcome("runtime-data")), ("rejected", 6, "fail"));
}

#[test]
fn our_parser_and_the_independent_one_of_the_index_read_the_same_values() {
    let Some(set) = set() else { return };
    for case in cases(&set) {
        let facts = read_json(case.dir.join("case.json"));
        let bytes = read(&case.run.report);
        let said = case.run.judge();
        let details = said.json["checks"].to_string();
        if said.outcome("fields") == "pass" {
            assert!(details.contains(facts["measurement"].as_str().unwrap()), "{}: measurement", case.id);
            assert!(details.contains(facts["policy"].as_str().unwrap()), "{}: policy", case.id);
            assert!(details.contains(&format!("version {}", bytes[0])), "{}: version", case.id);
        }
    }
}
