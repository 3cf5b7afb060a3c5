//! The crate `sev`, 8.0.0, as an oracle, where it agrees with the specification: chain and report signatures of reports
//! that are not masked, and the values of fields. It verifies a re-encoding, so bytes it does not model are left out.
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

use std::path::Path;

use attestation_verifier::{Certificate, Chain, Product, Ring, SignedReport, TrustAnchor, Unverified, clock, roots};
use common::{read, vectors};
use evidence::UnixSeconds;
use sev::{
    certs::snp::{Certificate as OracleCertificate, Chain as OracleChain, Verifiable, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser,
};

fn oracle_chain(vek: &[u8], product: Product) -> OracleChain {
    let ca = ca::Chain {
        ark: OracleCertificate::from_der(roots::ark(product)).unwrap(),
        ask: OracleCertificate::from_der(roots::ask(product)).unwrap(),
    };
    OracleChain { ca, vek: OracleCertificate::from_der(vek).unwrap() }
}

/// Do both say yes, or both no?
fn compare(report: &[u8], vek: &[u8], what: &str) -> bool {
    let certificate = Certificate::parse(vek).unwrap();
    let (product, _) = certificate.issued_by().unwrap();
    let (from, _) = certificate.validity();
    let chain = Chain::assemble(certificate, None, &TrustAnchor::Amd).unwrap();
    let chain = Unverified(chain).verify(UnixSeconds(from.0 + 1), &Ring).unwrap();
    let ours = Unverified(SignedReport::parse(report).unwrap()).verify(&chain, &Ring);
    let ours = ours.ok().and_then(|signed| signed.decode().ok());

    let parsed = AttestationReport::from_bytes(report);
    let theirs = parsed.as_ref().is_ok_and(|parsed| (&oracle_chain(vek, product), parsed).verify().is_ok());
    assert_eq!(ours.is_some(), theirs, "{what}");
    if let (Some(ours), Ok(theirs)) = (&ours, &parsed) {
        assert_eq!(ours.version(), theirs.version, "{what}");
        assert_eq!(ours.guest_svn(), theirs.guest_svn, "{what}");
        assert_eq!(ours.policy().0, u64::from(theirs.policy), "{what}");
        assert_eq!(ours.measurement()[..], theirs.measurement[..], "{what}");
        assert_eq!(ours.report_data()[..], theirs.report_data[..], "{what}");
        assert_eq!(ours.chip_id()[..], theirs.chip_id[..], "{what}");
        assert_eq!(ours.id_key_digest()[..], theirs.id_key_digest[..], "{what}");
        for (ours, theirs) in [
            (ours.reported_tcb(), theirs.reported_tcb),
            (ours.committed_tcb(), theirs.committed_tcb),
            (ours.launch_tcb(), theirs.launch_tcb),
            (ours.current_tcb(), theirs.current_tcb),
        ] {
            assert_eq!(ours.bootloader, theirs.bootloader, "{what}");
            assert_eq!((ours.tee, ours.snp, ours.microcode), (theirs.tee, theirs.snp, theirs.microcode), "{what}");
            assert_eq!(ours.fmc, theirs.fmc, "{what}");
        }
    }
    ours.is_some()
}

#[test]
fn we_agree_on_the_milan_report_and_on_what_is_wrong_with_its_mutations() {
    let dir = vectors().join("registry/sev-8.0.0");
    let (report, vek) = (read(dir.join("report_milan.bin")), read(dir.join("vcek_milan.der")));
    assert!(compare(&report, &vek, "as it is"));
    // Fields that the crate models.
    for offset in
        [0x04, 0x08, 0x10, 0x20, 0x50, 0x8F, 0x90, 0xC0, 0xE0, 0x110, 0x140, 0x160, 0x180, 0x1A0, 0x1E0, 0x2A0]
    {
        let mut flipped = report.clone();
        flipped[offset] ^= 1;
        assert!(!compare(&flipped, &vek, &format!("{offset:#x} flipped")));
    }
}

#[test]
fn we_agree_on_chains() {
    let dir = vectors().join("registry");
    for (vek, product) in [("sev-8.0.0/vcek_milan.der", Product::Milan), ("sev-8.0.0/vcek_turin.der", Product::Turin)] {
        let vek = read(dir.join(vek));
        let at = clock::parse("2026-01-01T00:00:00Z").unwrap();
        for given in Product::ALL {
            let ask = Certificate::parse(roots::ask(given)).unwrap();
            let chain = Chain::assemble(Certificate::parse(&vek).unwrap(), Some(ask), &TrustAnchor::Amd).unwrap();
            let ours = Unverified(chain).verify(at, &Ring).is_ok();
            assert_eq!(ours, oracle_chain(&vek, given).verify().is_ok(), "{product} under {given}");
            assert_eq!(ours, product == given);
        }
    }
}

#[test]
fn we_agree_on_the_extra_set() {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: the extra set did not run");
        return;
    };
    let mut compared = 0;
    for case in std::fs::read_dir(Path::new(&folder).join("snp/reports")).unwrap() {
        let dir = case.unwrap().path();
        let vek = dir.join("vek.der");
        if !vek.is_file() {
            continue;
        }
        let vek = read(vek);
        // The crate holds no ASVK.
        if Certificate::parse(&vek).unwrap().subject() == "SEV-VCEK" {
            assert!(compare(&read(dir.join("report.bin")), &vek, &dir.display().to_string()));
            compared += 1;
        }
    }
    assert_eq!(compared, 24);
}

/// Cases of our own sets where we and the crate do not agree whether form, chain and signature hold, and why. What our
/// policy, a revocation list or a comparison of report and certificate decides is not asked here.
const DIFFERENCES: &[(Yes, &str, &[&str])] = &[
    (
        Yes::Ours,
        "it tells the product of a version 2 report by its chip id, which is masked here; we tell it by the chain",
        &["psp/milan-v2-vlek", "psp/milan-v2-masked-chip-id"],
    ),
    (
        Yes::Theirs,
        "it verifies the report written anew: bytes that no signature covers are not looked at",
        &[
            "psp/fail-milan-v3-r-padding",
            "psp/fail-milan-v3-s-padding",
            "psp/fail-milan-v3-after-signature",
            "psp/fail-milan-v3-last-byte",
            "hostile/fail-milan-v3-flipped-r-padding",
            "hostile/fail-milan-v3-flipped-s-padding",
            "hostile/fail-milan-v3-flipped-after",
            "hostile/fail-genoa-v5-flipped-r-padding",
            "hostile/fail-genoa-v5-flipped-s-padding",
            "hostile/fail-genoa-v5-flipped-after",
            "hostile/fail-turin-v5-flipped-r-padding",
            "hostile/fail-turin-v5-flipped-s-padding",
            "hostile/fail-turin-v5-flipped-after",
        ],
    ),
    (
        Yes::Theirs,
        "a version, algorithm or bit that it does not know is read as if it did",
        &[
            "psp/fail-milan-v3-version-6",
            "psp/fail-milan-v3-signature-algorithm",
            "psp/fail-milan-v3-policy-bit-30",
            "psp/fail-turin-v2",
        ],
    ),
    (Yes::Theirs, "it does not compare CPUID with the chain", &["psp/fail-milan-v3-under-genoa-chain"]),
    (
        Yes::Theirs,
        "dates are not looked at",
        &[
            "psp/fail-milan-v3-vlek-expired",
            "psp/fail-milan-v3-vlek-not-yet-valid",
            "psp/fail-milan-v3-vcek-expired",
            "psp/fail-milan-v3-before-the-root",
            "hostile/fail-milan-v3-ask-expired",
            "hostile/fail-milan-v3-ask-not-yet-valid",
        ],
    ),
    (
        Yes::Theirs,
        "names are not looked at: which kind of intermediate issued a key, and whom it names as its own issuer",
        &["psp/fail-milan-v3-vcek-by-asvk", "hostile/fail-milan-v3-vlek-by-ask", "hostile/fail-milan-v3-ask-of-itself"],
    ),
    (
        Yes::Theirs,
        "what an authority may do (basic constraints, key usage, other extensions) is not looked at",
        &[
            "psp/fail-milan-v3-ask-not-ca",
            "hostile/fail-milan-v3-ask-may-not-sign",
            "hostile/fail-milan-v3-ask-usage-not-critical",
            "hostile/fail-milan-v3-ask-constraints-not-critical",
            "hostile/fail-milan-v3-ask-no-usage",
            "hostile/fail-milan-v3-ask-name-constraints",
        ],
    ),
    (
        Yes::Theirs,
        "the extensions of an endorsement key are not looked at",
        &[
            "hostile/fail-milan-v3-vcek-is-ca",
            "hostile/fail-milan-v3-vcek-unknown-extension",
            "hostile/fail-milan-v3-vcek-critical-extension",
            "hostile/fail-milan-v3-vcek-extension-twice",
            "hostile/fail-milan-v3-vcek-no-structure",
            "hostile/fail-milan-v3-vcek-no-product",
            "hostile/fail-milan-v3-vcek-no-hwid",
            "hostile/fail-milan-v3-vcek-no-microcode",
            "hostile/fail-milan-v3-vcek-structure-1",
            "hostile/fail-milan-v3-vcek-product-genoa",
            "hostile/fail-milan-v3-vcek-level-256",
            "hostile/fail-milan-v3-vcek-level-long",
            "hostile/fail-milan-v3-vcek-level-negative",
            "hostile/fail-milan-v3-vcek-level-4",
            "hostile/fail-milan-v3-vcek-hwid-63",
            "hostile/fail-milan-v3-vcek-hwid-8",
            "hostile/fail-milan-v3-vcek-fmc",
            "hostile/fail-milan-v3-vcek-csp-id",
            "hostile/fail-milan-v3-vlek-no-csp-id",
            "hostile/fail-milan-v3-vlek-hwid",
            "hostile/fail-turin-v5-vcek-no-fmc",
            "hostile/fail-turin-v5-vcek-structure-0",
            "hostile/fail-turin-v5-vcek-hwid-64",
        ],
    ),
];

/// Who says yes where the other says no.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Yes {
    Ours,
    Theirs,
}

#[test]
fn where_the_other_differs_is_known_and_explained() {
    let mut found = Vec::new();
    let (mut agreed, mut both) = (0, 0);
    for set in ["psp", "hostile"] {
        let dir = vectors().join(set);
        for case in common::read_json(dir.join("manifest.json")).as_array().unwrap() {
            let id = format!("{set}/{}", case["id"].as_str().unwrap());
            let file = |name: &str| case[name].as_str().map(|path| read(dir.join(path)));
            let Some(vek) = file("vek") else { continue };
            let mut collateral = attestation_verifier::Collateral::default();
            let (Ok(()), report) = (collateral.take_vek(&vek), file("report").unwrap()) else { continue };
            let intermediate = file("intermediate").or(collateral.intermediate).unwrap();
            let (vek, root) = (collateral.vek.unwrap(), file("trust_root").unwrap());
            let at = clock::parse(case["at"].as_str().unwrap()).unwrap();
            let ours = our_signatures(&report, &vek, &intermediate, &root, at);
            let theirs = their_signatures(&report, &vek, &intermediate, &root);
            match (ours, theirs) {
                (true, false) => found.push((Yes::Ours, id)),
                (false, true) => found.push((Yes::Theirs, id)),
                (yes, _) => {
                    agreed += 1;
                    both += usize::from(yes);
                }
            }
        }
    }
    let explained: Vec<(Yes, String)> =
        DIFFERENCES.iter().flat_map(|(yes, _, cases)| cases.iter().map(|case| (*yes, (*case).to_owned()))).collect();
    let unexplained: Vec<_> = found.iter().filter(|case| !explained.contains(case)).collect();
    assert!(unexplained.is_empty(), "differences that nobody has explained: {unexplained:#?}");
    let gone: Vec<_> = explained.iter().filter(|case| !found.contains(case)).collect();
    assert!(gone.is_empty(), "explained, but we agree: {gone:#?}");
    println!("{agreed} agreed ({both} accepted by both), {} differ", found.len());
    assert!(agreed > 60 && both > 40, "{agreed} {both}");
}

/// Form, chain (without dates) and signature, by us.
fn our_signatures(report: &[u8], vek: &[u8], intermediate: &[u8], root: &[u8], at: UnixSeconds) -> bool {
    let walk = || -> Option<()> {
        let anchor = TrustAnchor::named(root).ok()?;
        let [vek, intermediate] = [vek, intermediate].map(|der| Certificate::parse(der).ok());
        let chain = Chain::assemble(vek?, intermediate, &anchor).ok()?;
        let chain = Unverified(chain).verify(at, &Ring).ok()?;
        let container = attestation_verifier::Container::open(report).ok()?;
        let signed = Unverified(container.report()).verify(&chain, &Ring).ok()?;
        signed.decode().ok().map(|_| ())
    };
    walk().is_some()
}

/// The same by the crate.
fn their_signatures(report: &[u8], vek: &[u8], intermediate: &[u8], root: &[u8]) -> bool {
    let Ok(chain) = OracleChain::from_der(root, intermediate, vek) else { return false };
    // It reads bare reports only: what is around one is taken away for it.
    let container = attestation_verifier::Container::open(report);
    let report = container.as_ref().map_or(report, |container| container.report().bytes());
    AttestationReport::from_bytes(report).is_ok_and(|report| (&chain, &report).verify().is_ok())
}
