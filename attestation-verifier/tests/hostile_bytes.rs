//! Whatever bytes come, there is a verdict, and it is a rejection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use attestation_verifier::{
    BundleQuestion, Certificate, Collateral, Container, Crl, HostTable, Policy, ProofQuestion, Question, Report, Ring,
    SignedReport, TrustAnchor, appraise_bundle, appraise_proof, appraise_report, clock,
};
use common::{read, vectors};
use evidence::{bundle::Bundle, proof::Envelope};
use proptest::prelude::*;

fn registry(path: &str) -> Vec<u8> {
    read(vectors().join("registry").join(path))
}

fn rejected(evidence: &[u8], collateral: &Collateral) -> bool {
    let at = clock::parse("2026-01-01T00:00:00Z").unwrap();
    let question = Question { evidence, collateral, anchor: &TrustAnchor::Amd, report_data: None };
    appraise_report(question, &Policy::strict(), at, &Ring).verdict.word() == "rejected"
}

fn with_vek(der: Vec<u8>) -> Collateral {
    Collateral { vek: Some(der), ..Collateral::default() }
}

/// Exit codes of a bundle, and of a proof with request and answer beside a bundle.
fn exits(bundle: &[u8], envelope: &[u8], request: &[u8], response: &[u8]) -> (u8, u8) {
    let at = clock::parse("2026-12-01T00:00:00Z").unwrap();
    let root = attestation_verifier::one_certificate(&read(vectors().join("demo/test-root.pem"))).unwrap();
    let anchor = TrustAnchor::named(&root).unwrap();
    let bundle =
        BundleQuestion { bundle, anchor: &anchor, nonce: Some(&[7; 16]), crls: &[], releases: Default::default() };
    let (request, response) = (Some(request), Some(response));
    let proof = ProofQuestion { envelope, bundle, request, response, challenge: None, payment: None, tag_key: None };
    let judged = appraise_bundle(bundle, &Policy::strict(), at, &Ring).verdict;
    (judged.exit_code(), appraise_proof(proof, &Policy::strict(), at, &Ring).exit_code())
}

fn recorded(name: &str) -> Vec<u8> {
    read(vectors().join("demo").join(name))
}

#[test]
fn nesting_however_deep_makes_no_panic() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [15, 16, 17, 63, 64, 65, 100_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth)).into_bytes();
            assert_eq!(exits(&text, &text, &text, &text), (2, 2));
            assert_ne!(exits(&recorded("bundle.json"), &recorded("proof.json"), &text, &text).1, 0);
        }
    }
}

#[test]
fn a_certificate_with_any_bit_of_its_frame_flipped_is_refused() {
    let (report, vek) = (registry("sev-8.0.0/report_milan.bin"), registry("sev-8.0.0/vcek_milan.der"));
    // Header, and everything from the last signed byte to the first of the signature.
    for at in (0..20).chain(760..860) {
        for bit in 0..8 {
            let mut flipped = vek.clone();
            flipped[at] ^= 1 << bit;
            assert!(rejected(&report, &with_vek(flipped)), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        let _ = Container::open(&bytes);
        let _ = Certificate::parse(&bytes);
        let _ = Crl::parse(&bytes);
        let _ = HostTable::parse(&bytes);
        let _ = TrustAnchor::named(&bytes);
        let mut collateral = Collateral::default();
        let _ = (collateral.take_vek(&bytes), collateral.take_intermediate(&bytes), collateral.take_crl(&bytes));
        prop_assert!(rejected(&bytes, &with_vek(bytes.clone())));
    }

    #[test]
    fn no_report_of_the_right_length_makes_the_field_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0x2A0)) {
        let mut report = bytes;
        report.resize(SignedReport::LENGTH, 0);
        // Random bytes fail at the version; the interesting ones have a known one.
        for version in 2..=5 {
            report[..4].copy_from_slice(&u32::to_le_bytes(version));
            let signed = SignedReport::parse(&report).unwrap();
            let _ = Report::check_shape(&signed);
            for product in attestation_verifier::Product::ALL {
                let _ = Report::decode(signed, product);
            }
        }
    }

    #[test]
    fn a_damaged_certificate_is_refused_and_no_panic(at in 0usize..1360, with in 1u8..=255) {
        let mut vek = registry("sev-8.0.0/vcek_milan.der");
        vek[at] ^= with;
        prop_assert!(rejected(&registry("sev-8.0.0/report_milan.bin"), &with_vek(vek)));
    }

    #[test]
    fn a_cut_certificate_is_refused_and_no_panic(length in 0usize..1360) {
        let mut vek = registry("sev-8.0.0/vcek_milan.der");
        vek.truncate(length);
        prop_assert!(rejected(&registry("sev-8.0.0/report_milan.bin"), &with_vek(vek)));
    }

    #[test]
    fn a_damaged_blob_makes_no_panic(at in 0usize..2048, with in 1u8..=255, length in 0usize..=2048) {
        let mut blob = registry("az-snp-vtpm-0.8.2/hcl-report-snp.bin");
        blob[at] ^= with;
        blob.truncate(length);
        if let Ok(Container::Hcl(hcl)) = Container::open(&blob) {
            let _ = hcl.claims(&[0; 64]);
        }
        prop_assert!(rejected(&blob, &Collateral::default()));
    }

    #[test]
    fn no_bytes_are_a_bundle_or_a_proof(bytes in proptest::collection::vec(any::<u8>(), 0..2000), text in "\\PC{0,300}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            prop_assert!(Bundle::from_bytes(bytes).is_err());
            prop_assert!(Envelope::from_bytes(bytes).is_err());
            prop_assert_eq!(exits(bytes, bytes, bytes, bytes), (2, 2));
            let (_, proof) = exits(&recorded("bundle.json"), &recorded("proof.json"), bytes, bytes);
            prop_assert_ne!(proof, 0);
        }
    }

    #[test]
    fn a_damaged_bundle_or_proof_is_refused_and_no_panic(
        at in any::<prop::sample::Index>(),
        with in 1u8..=255,
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        for name in ["bundle.json", "proof.json", "answer.json"] {
            let mut bytes = recorded(name);
            let length = bytes.len();
            bytes[at.index(length)] ^= with;
            if let Some(cut) = cut {
                bytes.truncate(cut.index(length));
            }
            let _ = (Bundle::from_bytes(&bytes), Envelope::from_bytes(&bytes));
            // The bundle's nonce is none of ours, so every bundle here is refused.
            prop_assert_ne!(exits(&bytes, &bytes, &bytes, &bytes).0, 0);
        }
    }
}
