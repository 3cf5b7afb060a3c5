//! Whatever bytes come, there is a verdict, and it is a rejection.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use attestation_verifier::{
    Certificate, Collateral, Container, Crl, HostTable, Policy, Question, Report, Ring, SignedReport, TrustAnchor,
    appraise_report, clock,
};
use common::{read, vectors};
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
}
