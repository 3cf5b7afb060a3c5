//! The committed sets through the library, in one process: what `vectors.rs` asks of the program, fast enough to be asked
//! again for every mutant (`.cargo/mutants.toml`). Beside verdict and exit code, the check that decides is compared.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use attestation_verifier::{
    AwsLc, Collateral, Outcome, Policy, Question, Ring, TrustAnchor, Verdict, appraise_report, clock, one_certificate,
};
use common::{read, read_json, vectors};
use serde_json::Value;

/// The verdict, the same by both native back ends; or nothing where a file beside the report cannot be read: the program
/// says `malformed` then.
fn judge(set: &str, case: &Value) -> Option<Verdict> {
    let dir = vectors().join(set);
    let file = |name: &str| case[name].as_str().map(|path| read(dir.join(path)));
    let mut collateral = Collateral::default();
    file("vek").map_or(Ok(()), |bytes| collateral.take_vek(&bytes)).ok()?;
    file("intermediate").map_or(Ok(()), |bytes| collateral.take_intermediate(&bytes)).ok()?;
    for list in case["crl"].as_array().into_iter().flatten() {
        collateral.take_crl(&read(dir.join(list.as_str().unwrap()))).ok()?;
    }
    let root = file("trust_root").map(|bytes| one_certificate(&bytes).unwrap());
    let anchor = root.as_ref().map_or(TrustAnchor::Amd, |root| TrustAnchor::named(root).unwrap());
    let at = clock::parse(case["at"].as_str().unwrap()).unwrap();
    let evidence = file("report").unwrap();
    let question = Question { evidence: &evidence, collateral: &collateral, anchor: &anchor, report_data: None };
    let verdict = appraise_report(question, &Policy::strict(), at, &Ring).verdict;
    let by_aws_lc = appraise_report(question, &Policy::strict(), at, &AwsLc).verdict;
    assert_eq!(verdict.to_json(), by_aws_lc.to_json(), "{}", case["id"]);
    Some(verdict)
}

fn run(set: &str) {
    let cases = read_json(vectors().join(set).join("manifest.json"));
    for case in cases.as_array().unwrap() {
        let id = &case["id"];
        let Some(verdict) = judge(set, case) else {
            assert_eq!(case["exit"], 2, "{id}: a file of it does not read");
            continue;
        };
        assert_eq!(case["expect"], verdict.word(), "{id}: {:?}", verdict.reason());
        assert_eq!(case["exit"], verdict.exit_code(), "{id}: {:?}", verdict.reason());
        if let Some(by) = case["by"].as_str() {
            let failed = verdict.checks.iter().find(|check| check.outcome == Outcome::Fail);
            assert!(failed.is_none_or(|check| check.name == by), "{id}: {failed:?}");
        }
    }
}

#[test]
fn the_software_processors_cases_get_their_verdicts() {
    run("psp");
}

#[test]
fn the_hostile_cases_get_their_verdicts() {
    run("hostile");
}

#[test]
fn the_registries_cases_get_their_verdicts() {
    run("registry");
}
