//! A genuine report, one signed bit flipped at a time, and its malleable signature.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use attestation_verifier::{
    Certificate, Chain, Collateral, Policy, Question, Ring, SignedReport, TrustAnchor, Unverified, Verdict,
    appraise_report, clock,
};
use common::{negate_s, read, vectors};

fn milan() -> (Vec<u8>, Collateral) {
    let dir = vectors().join("registry/sev-8.0.0");
    let vek = Some(read(dir.join("vcek_milan.der")));
    (read(dir.join("report_milan.bin")), Collateral { vek, ..Collateral::default() })
}

fn judge(report: &[u8], collateral: &Collateral) -> Verdict {
    let at = clock::parse("2026-01-01T00:00:00Z").unwrap();
    let question = Question { evidence: report, collateral, anchor: &TrustAnchor::Amd, report_data: None };
    appraise_report(question, &Policy::strict(), at, &Ring).verdict
}

#[test]
fn a_report_with_any_signed_bit_flipped_is_refused() {
    let (report, collateral) = milan();
    assert_eq!(judge(&report, &collateral).word(), "accepted");
    let halves = [0..SignedReport::SIGNED / 2, SignedReport::SIGNED / 2..SignedReport::SIGNED];
    std::thread::scope(|scope| {
        for half in halves {
            let (report, collateral) = (&report, &collateral);
            scope.spawn(move || {
                for bit in half.flat_map(|byte| (0..8).map(move |bit| byte * 8 + bit)) {
                    let mut flipped = report.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    let verdict = judge(&flipped, collateral);
                    assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 3), "bit {bit}");
                }
            });
        }
    });
}

#[test]
fn a_report_with_any_unsigned_bit_flipped_is_refused() {
    let (report, collateral) = milan();
    for byte in SignedReport::SIGNED..SignedReport::LENGTH {
        let mut flipped = report.clone();
        flipped[byte] ^= 0x10;
        assert_eq!(judge(&flipped, &collateral).word(), "rejected", "byte {byte:#x}");
    }
}

#[test]
fn the_other_signature_that_verifies_names_the_same_evidence() {
    let (report, collateral) = milan();
    let mut other = report.clone();
    negate_s(&mut other);
    assert_ne!(other, report);
    let (ours, theirs) = (judge(&report, &collateral), judge(&other, &collateral));
    assert_eq!((theirs.word(), theirs.evidence), ("accepted", ours.evidence));
}

#[test]
fn a_signature_of_zero_is_called_absent() {
    let (mut report, collateral) = milan();
    report[0x2A0..0x330].fill(0);
    let verdict = judge(&report, &collateral);
    assert_eq!(verdict.exit_code(), 3);
    assert!(verdict.check("signature").unwrap().detail.contains("MASK_CHIP_KEY"));
}

#[test]
fn stages_can_be_walked_one_by_one() {
    let (report, collateral) = milan();
    let vek = collateral.vek.unwrap();
    let at = clock::parse("2026-01-01T00:00:00Z").unwrap();
    let chain = Chain::assemble(Certificate::parse(&vek).unwrap(), None, &TrustAnchor::Amd).unwrap();
    let chain = Unverified(chain).verify(at, &Ring).unwrap();
    let signed = Unverified(SignedReport::parse(&report).unwrap()).verify(&chain, &Ring).unwrap();
    let fields = signed.decode(chain.product()).unwrap();
    assert_eq!(fields.reported_tcb(), chain.vek().tcb());
    assert_eq!(chain.vek().hwid(), Some(&fields.chip_id()[..]));
}
