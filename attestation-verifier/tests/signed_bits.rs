//! Every single bit of reports of three products, signed part and signature, flipped one at a time; and the signature's
//! other form.
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
    ops::Range,
    path::{Path, PathBuf},
};

use attestation_verifier::{
    Certificate, Chain, Collateral, Policy, Question, ReportError, Ring, SignatureError, SignedReport, TrustAnchor,
    Unverified, Verdict, Verified, appraise_report, clock,
};
use common::{negate_s, read, vectors};
use evidence::UnixSeconds;

/// R and S, 72 bytes each.
const SIGNATURE: Range<usize> = SignedReport::SIGNED..SignedReport::SIGNED + 144;
/// The parts of it that hold a number: P-384 fills 48 of 72 bytes.
const R: Range<usize> = 0x2A0..0x2D0;
const S: Range<usize> = 0x2E8..0x318;

/// Flips every bit of the signed part and of the signature, and wants each change refused for its own reason.
fn no_flip_survives(report: &[u8], chain: &Verified<Chain<'_>>, what: &str) {
    let check = |report: &[u8]| Unverified(SignedReport::parse(report).unwrap()).verify(chain, &Ring).map(|_| ());
    assert_eq!(check(report), Ok(()), "{what}: as it is");
    let refused = |byte: usize, mask: u8| {
        let mut flipped = report.to_vec();
        flipped[byte] ^= mask;
        match SignedReport::parse(&flipped) {
            Err(error) => {
                assert!(byte >= R.end && !S.contains(&byte), "{what}: {byte:#x} {mask:#x}");
                assert_eq!(error, ReportError::Unsigned { offset: byte }, "{what}");
            }
            Ok(signed) => {
                assert!(byte < R.end || S.contains(&byte), "{what}: {byte:#x} {mask:#x} is looked at by nobody");
                let found = Unverified(signed).verify(chain, &Ring).map(|_| ());
                assert_eq!(found, Err(SignatureError::Mismatch), "{what}: {byte:#x} {mask:#x}");
            }
        }
    };
    let (refused, middle) = (&refused, SIGNATURE.end / 2);
    std::thread::scope(|scope| {
        for half in [0..middle, middle..SIGNATURE.end] {
            scope.spawn(move || half.for_each(|byte| (0..8).for_each(|bit| refused(byte, 1 << bit))));
        }
    });
    println!("{what}: {} bits", SIGNATURE.end * 8);
}

/// The same for a report of our own under its test root.
fn no_flip_of_ours_survives(product: &str, version: u32) {
    let dir = vectors().join("hostile");
    let file = |name: &str| read(dir.join(product).join(name));
    let (vek, ask, ark) = (file("vcek.der"), file("ask.der"), file("ark.der"));
    let report = read(dir.join(format!("reports/{product}-v{version}-other-s.bin")));
    let [vek, ask] = [&vek, &ask].map(|der| Certificate::parse(der).unwrap());
    let anchor = TrustAnchor::named(&ark).unwrap();
    let at = clock::parse("2026-06-01T00:00:00Z").unwrap();
    let chain = Unverified(Chain::assemble(vek, Some(ask), &anchor).unwrap()).verify(at, &Ring).unwrap();
    no_flip_survives(&report, &chain, product);
}

#[test]
fn no_flipped_bit_of_a_milan_report_survives() {
    no_flip_of_ours_survives("milan", 3);
}

#[test]
fn no_flipped_bit_of_a_genoa_report_survives() {
    no_flip_of_ours_survives("genoa", 5);
}

#[test]
fn no_flipped_bit_of_a_turin_report_survives() {
    no_flip_of_ours_survives("turin", 5);
}

/// A genuine report of the extra set, if there is one.
fn no_flip_of_a_genuine_one_survives(case: &str) {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: {case} did not run");
        return;
    };
    let dir: PathBuf = Path::new(&folder).join("snp/reports").join(case);
    let (report, vek) = (read(dir.join("report.bin")), read(dir.join("vek.der")));
    let vek = Certificate::parse(&vek).unwrap();
    let at = UnixSeconds(vek.validity().0.0 + 86_400);
    let chain = Unverified(Chain::assemble(vek, None, &TrustAnchor::Amd).unwrap()).verify(at, &Ring).unwrap();
    no_flip_survives(&report, &chain, case);
}

#[test]
fn no_flipped_bit_of_a_genuine_genoa_report_survives() {
    no_flip_of_a_genuine_one_survives("genoa-v5-oak");
}

#[test]
fn no_flipped_bit_of_a_genuine_turin_report_survives() {
    no_flip_of_a_genuine_one_survives("turin-v5-aci");
}

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
    let fields = signed.decode().unwrap();
    assert_eq!(fields.reported_tcb(), chain.vek().tcb());
    assert_eq!(chain.vek().hwid(), Some(&fields.chip_id()[..]));
}
