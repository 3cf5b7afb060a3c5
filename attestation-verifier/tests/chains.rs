//! Which root vouches: a chain holds under the root that is named for it and under no other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

use std::path::PathBuf;

use attestation_verifier::{
    Certificate, CertificateError, Chain, ChainError, Collateral, Link, Outcome, Policy, Product, Question, Ring,
    Trust, TrustAnchor, Unverified, VekKind, appraise_report, clock,
};
use evidence::UnixSeconds;

fn file(path: &str) -> Vec<u8> {
    let vectors = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors");
    std::fs::read(vectors.join(path)).unwrap()
}

/// Puts the chain together and checks it.
fn verified(vek: &[u8], intermediate: Option<&[u8]>, anchor: &TrustAnchor<'_>) -> Result<Trust, ChainError> {
    let intermediate = intermediate.map(|der| Certificate::parse(der).unwrap());
    let chain = Chain::assemble(Certificate::parse(vek).unwrap(), intermediate, anchor)?;
    let at = clock::parse("2026-06-01T00:00:00Z").unwrap();
    Unverified(chain).verify(at, &Ring).map(|chain| chain.trust())
}

fn at(link: Link, error: ChainError) -> CertificateError {
    match error {
        ChainError::Certificate { link: found, error } if found == link => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn genuine_silicon_does_not_hold_under_a_root_that_did_not_sign_its_intermediate() {
    let (vcek, ask) = (file("registry/sev-8.0.0/vcek_milan.der"), amds_ask());
    let foreign = file("psp/milan/ark.der");
    let foreign = Certificate::parse(&foreign).unwrap();
    // The intermediate is AMD's own, the very one that is compiled in.
    let error = verified(&vcek, Some(&ask), &TrustAnchor::Test(Box::new(foreign))).unwrap_err();
    assert!(matches!(at(Link::Intermediate, error), CertificateError::Issuer { .. }));
    assert_eq!(verified(&vcek, Some(&ask), &TrustAnchor::Amd), Ok(Trust::Amd));
}

#[test]
fn an_intermediate_that_amd_did_not_sign_is_told_as_not_signed_rather_than_as_replaced() {
    let (vcek, ask) = (file("psp/milan/vcek.der"), file("psp/milan/ask.der"));
    let error = verified(&vcek, Some(&ask), &TrustAnchor::Amd).unwrap_err();
    assert!(matches!(at(Link::Intermediate, error), CertificateError::Issuer { .. }));
    // With AMD's names and another signature.
    let mut ask = amds_ask();
    *ask.last_mut().unwrap() ^= 1;
    let genuine = file("registry/sev-8.0.0/vcek_milan.der");
    let error = verified(&genuine, Some(&ask), &TrustAnchor::Amd).unwrap_err();
    assert!(matches!(at(Link::Intermediate, error), CertificateError::Signature { .. }));
}

#[test]
fn a_chain_tells_its_product_kind_and_certificates_by_their_links() {
    let (vlek, asvk, ark) = (file("psp/genoa/vlek.der"), file("psp/genoa/asvk.der"), file("psp/genoa/ark.der"));
    let anchor = TrustAnchor::named(&ark).unwrap();
    let intermediate = Some(Certificate::parse(&asvk).unwrap());
    let chain = Chain::assemble(Certificate::parse(&vlek).unwrap(), intermediate, &anchor).unwrap();
    assert_eq!((chain.product(), chain.kind(), chain.trust()), (Product::Genoa, VekKind::Vlek, Trust::Test));
    assert_eq!((chain.root().der(), chain.intermediate().der(), chain.endorsement().der()), (&*ark, &*asvk, &*vlek));
    assert_eq!([Link::Root, Link::Intermediate, Link::Vek].map(Link::name), ["ark", "intermediate", "vek"]);
}

#[test]
fn a_chain_that_does_not_hold_says_how_far_it_was_followed_and_what_would_mend_it() {
    let vcek = file("registry/sev-8.0.0/vcek_milan.der");
    let (vlek, ask, ark) = (file("psp/genoa/vlek.der"), file("psp/genoa/ask.der"), file("psp/genoa/ark.der"));
    let genoa = TrustAnchor::named(&ark).unwrap();
    let mut damaged = amds_ask();
    *damaged.last_mut().unwrap() ^= 1;
    for (error, link, above, words) in [
        (verified(&ask, None, &genoa), Link::Vek, false, "the VCEK or VLEK certificate with --vek"),
        (verified(&vlek, None, &TrustAnchor::Amd), Link::Intermediate, false, "the ASVK of Genoa with --intermediate"),
        (verified(&vlek, Some(&ask), &genoa), Link::Intermediate, true, "certificate \"SEV-VLEK-Genoa\" with --interm"),
        (verified(&vcek, Some(&damaged), &TrustAnchor::Amd), Link::Intermediate, true, "its root with --trust-root"),
    ] {
        let error = error.unwrap_err();
        assert_eq!((error.link(), error.holds_above()), (link, above), "{error}");
        assert!(error.fix().contains(words), "{error}: {}", error.fix());
    }
}

#[test]
fn where_there_is_no_chain_the_verdict_says_that_no_list_was_held_against_it() {
    let evidence = file("registry/sev-8.0.0/report_milan.bin");
    let judge = |crls: Vec<Vec<u8>>| {
        let collateral = Collateral { crls, ..Collateral::default() };
        let question =
            Question { evidence: &evidence, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
        let verdict = appraise_report(question, &Policy::strict(), UnixSeconds(1_780_272_000), &Ring).verdict;
        let row = verdict.check("revocation").unwrap();
        (verdict.exit_code(), row.outcome, row.detail.clone())
    };
    assert_eq!(judge(vec![]), (3, Outcome::NotChecked, "no list given (--crl)".to_owned()));
    let given = judge(vec![file("psp/milan/empty.crl")]);
    assert_eq!(given, (3, Outcome::NotChecked, "no chain for the list to speak of".to_owned()));
}

#[test]
fn a_serial_number_revokes_only_a_certificate_that_the_root_gave_it_to() {
    let (evidence, ark) = (file("psp/reports/milan-v3.bin"), file("psp/milan/ark.der"));
    let anchor = TrustAnchor::named(&ark).unwrap();
    let judge = |intermediate: Vec<u8>, list: &str| {
        let collateral = Collateral {
            vek: Some(file("psp/milan/vcek.der")),
            intermediate: Some(intermediate),
            crls: vec![file(list)],
            host_crls: vec![],
        };
        let question = Question { evidence: &evidence, collateral: &collateral, anchor: &anchor, report_data: None };
        let verdict = appraise_report(question, &Policy::strict(), UnixSeconds(1_780_272_000), &Ring).verdict;
        (verdict.exit_code(), ["intermediate", "revocation"].map(|row| verdict.check(row).unwrap().outcome))
    };
    let (revokes, clears) = ("psp/milan/revokes-ask.crl", "psp/milan/empty.crl");
    let ask = file("psp/milan/ask.der");
    assert_eq!(judge(ask.clone(), revokes), (4, [Outcome::Pass, Outcome::Fail]));
    assert_eq!(judge(ask.clone(), clears), (0, [Outcome::Pass, Outcome::Pass]));
    let mut forged = ask;
    *forged.last_mut().unwrap() ^= 1;
    for list in [revokes, clears] {
        assert_eq!(judge(forged.clone(), list), (3, [Outcome::Fail, Outcome::NotChecked]), "{list}");
    }
}

#[test]
fn a_certificate_of_more_than_8_kib_is_not_looked_at() {
    for (length, error) in [
        (8192, CertificateError::NotDer),
        (8193, CertificateError::TooLong { found: 8193 }),
        (8194, CertificateError::TooLong { found: 8194 }),
    ] {
        assert_eq!(Certificate::parse(&vec![0; length]).err(), Some(error), "{length}");
    }
}

#[test]
fn a_certificate_that_does_not_fit_names_both_sides_and_says_what_would_mend_it() {
    let (vcek, ask) = (file("psp/milan/vcek.der"), file("psp/milan/ask.der"));
    let error = at(Link::Intermediate, verified(&vcek, Some(&ask), &TrustAnchor::Amd).unwrap_err());
    let words = error.to_string();
    assert!(
        words.contains("issued by \"ARK-Milan of ") && words.contains("\"ARK-Milan of Advanced Micro Devices"),
        "{words}"
    );
    assert!(error.fix().contains("the intermediate of the same product and kind"), "{}", error.fix());
    let ask = Certificate::parse(&ask).unwrap();
    let late = ask.check_dates(UnixSeconds(u64::from(u32::MAX))).unwrap_err();
    assert!(late.fix().contains("with --at"), "{}", late.fix());
    let long = Certificate::parse(&[0; 8193]).unwrap_err();
    assert!(long.fix().contains("one certificate as DER or PEM"), "{}", long.fix());
    assert!(CertificateError::Serial.fix().contains("fetch the certificate"), "{}", CertificateError::Serial.fix());
}

fn amds_ask() -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("roots/milan-ask.der")).unwrap()
}
