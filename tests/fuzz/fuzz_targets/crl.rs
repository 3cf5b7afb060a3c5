//! Revocation lists: no panic, and no list that the root has not signed revokes or vouches.
#![no_main]

use attestation_verifier::{
    Certificate, Collateral, Crl, Policy, Question, Ring, TrustAnchor, Unverified, appraise_report, clock,
};
use libfuzzer_sys::fuzz_target;

const ROOT: &[u8] = include_bytes!("../../vectors/psp/milan/ark.der");
const ASK: &[u8] = include_bytes!("../../vectors/psp/milan/ask.der");
const REPORT: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/report_milan.bin");
const VCEK: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/vcek_milan.der");

fuzz_target!(|bytes: &[u8]| {
    let Some(at) = clock::parse("2026-01-01T00:00:00Z") else { return };
    let Ok(crl) = Crl::parse(bytes) else { return };
    if let (Ok(root), Ok(ask)) = (Certificate::parse(ROOT), Certificate::parse(ASK)) {
        let _ = crl.updates();
        let _ = Unverified(crl).verify(&root, &Ring).map(|crl| (crl.revokes(&ask), crl.freshness(at)));
    }
    // None of these lists is AMD's: whoever names one gets no acceptance by it.
    let crls = vec![bytes.to_vec()];
    let collateral = Collateral { vek: Some(VCEK.to_vec()), crls, ..Collateral::default() };
    let question = Question { evidence: REPORT, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    let verdict = appraise_report(question, &Policy::strict(), at, &Ring).verdict;
    assert_ne!(verdict.check("revocation").map(|check| check.outcome.name()), Some("pass"));
});
