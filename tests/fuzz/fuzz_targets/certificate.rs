//! Certificates, bare, in PEM and as an endorsement key: no panic, and none is accepted for the genuine report but its own.
#![no_main]

use attestation_verifier::{
    Authority, Certificate, Collateral, Policy, Product, Question, Ring, TrustAnchor, Vek, VekKind, appraise_report,
    clock, one_certificate,
};
use libfuzzer_sys::fuzz_target;

const REPORT: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/report_milan.bin");
const VCEK: &[u8] = include_bytes!("../../vectors/registry/sev-8.0.0/vcek_milan.der");

fuzz_target!(|bytes: &[u8]| {
    let _ = one_certificate(bytes);
    let _ = attestation_verifier::show(bytes).map(|shown| shown.to_json());
    let _ = TrustAnchor::named(bytes);
    if let Ok(certificate) = Certificate::parse(bytes) {
        for rank in [Authority::Root, Authority::Intermediate] {
            let _ = certificate.check_authority(rank);
        }
        let _ = (certificate.vek_kind(), certificate.intermediate_kind());
        for product in Product::ALL {
            for kind in [VekKind::Vcek, VekKind::Vlek] {
                let _ = Vek::decode(&certificate, product, kind);
            }
        }
    }
    let mut collateral = Collateral::default();
    let _ = (collateral.take_intermediate(bytes), collateral.take_vek(bytes));
    let Some(at) = clock::parse("2026-01-01T00:00:00Z") else { return };
    let question = Question { evidence: REPORT, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    let accepted = appraise_report(question, &Policy::strict(), at, &Ring).verdict.exit_code() == 0;
    assert!(!accepted || collateral.vek.as_deref() == Some(VCEK), "accepted under another certificate");
});
