//! Reports in their containers, with the chain of a genuine Milan machine: no panic, and nothing but that machine's own
//! report is accepted.
#![no_main]

use attestation_verifier::{
    Collateral, Container, Policy, Product, Question, Report, Ring, TrustAnchor, appraise_report, clock,
};
use libfuzzer_sys::fuzz_target;

const GENUINE: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/report_milan.bin");
const VCEK: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/vcek_milan.der");

fuzz_target!(|bytes: &[u8]| {
    let _ = attestation_verifier::show(bytes).map(|shown| shown.to_json());
    if let Ok(container) = Container::open(bytes) {
        let report = container.report();
        let _ = Report::check_shape(&report);
        for product in Product::ALL {
            let _ = Report::decode(report, product);
        }
    }
    let Some(at) = clock::parse("2026-01-01T00:00:00Z") else { return };
    let collateral = Collateral { vek: Some(VCEK.to_vec()), ..Collateral::default() };
    let question = Question { evidence: bytes, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    let verdict = appraise_report(question, &Policy::strict(), at, &Ring).verdict;
    let _ = verdict.to_json();
    // Zeros stand behind the signature, and S may be written in two ways: what is signed may not differ.
    let signed = |bytes: &[u8]| Container::open(bytes).map(|container| *container.report().signed_bytes()).ok();
    assert!(verdict.exit_code() != 0 || signed(bytes) == signed(GENUINE), "accepted what AMD has not signed");
});
