//! Policy files, and verdicts that somebody wants explained: no panic, and a policy that reads judges a genuine report
//! without one; whatever it leaves out, nothing is accepted that the report does not show.
#![no_main]

use attestation_verifier::{
    Collateral, Diagnosis, Outcome, Policy, Question, Ring, TrustAnchor, appraise_report, clock,
};
use libfuzzer_sys::fuzz_target;

const REPORT: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/report_milan.bin");
const VCEK: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/vcek_milan.der");

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Diagnosis::of_json(bytes);
    let policy = match Policy::from_toml(text) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.to_string().is_empty() && !error.fix().is_empty());
            return;
        }
    };
    let Some(at) = clock::parse("2026-01-01T00:00:00Z") else { return };
    let collateral = Collateral { vek: Some(VCEK.to_vec()), ..Collateral::default() };
    let question = Question { evidence: REPORT, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    let verdict = appraise_report(question, &policy, at, &Ring).verdict;
    let _ = (verdict.to_json(), Diagnosis::of(&verdict));
    // A row that failed rejects, whatever the policy says.
    let failed = verdict.checks.iter().any(|check| check.outcome == Outcome::Fail);
    assert!(!failed || verdict.exit_code() != 0, "a failed check was overlooked");
});
