//! The verifier on one core, and the crate `sev` on the same report and chain in the same run: `scripts/bench verifier`.
//! Every input is read anew from its bytes in each round, nothing is kept from one to the next.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a benchmark that panics has said why it cannot measure"
)]

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use attestation_verifier::{
    AwsLc, BadSignature, BundleQuestion, Certificate, Chain, Collateral, Crypto, Policy, Product, ProofQuestion,
    Question, Releases, Ring, RustCrypto, SignedReport, TrustAnchor, Unverified, appraise_bundle, appraise_proof,
    appraise_report, clock, roots,
};
use criterion::{Criterion, criterion_group, criterion_main};
use evidence::UnixSeconds;
use sealgate_bench::ThreadTime;
use sev::{
    certs::snp::{Certificate as OtherCertificate, Chain as OtherChain, Verifiable, ca},
    firmware::guest::AttestationReport,
    parser::ByteParser,
};

/// No signature is looked at: what is left is reading, hashing, comparing and writing the verdict.
struct Unasked;

impl Crypto for Unasked {
    fn rsa_pss_sha384(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn rsa_pss_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn rsa_pkcs1_sha256(&self, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ecdsa_p384_sha384(&self, _: &[u8], _: &[u8], _: &[u8; 96]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ecdsa_p256_sha256(&self, _: &[u8], _: &[u8], _: &[u8; 64]) -> Result<(), BadSignature> {
        Ok(())
    }

    fn ed25519(&self, _: &[u8; 32], _: &[u8], _: &[u8; 64]) -> Result<(), BadSignature> {
        Ok(())
    }
}

type Bench<'a> = &'a mut Criterion<ThreadTime>;

fn vector(path: &str) -> Vec<u8> {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors").join(path);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn at(text: &str) -> UnixSeconds {
    clock::parse(text).unwrap()
}

/// A genuine report of Milan with its VCEK, under AMD's pinned root: from bytes to a verdict.
fn report(bench: Bench<'_>) {
    let evidence = vector("registry/sev-8.0.0/report_milan.bin");
    let collateral = Collateral { vek: Some(vector("registry/sev-8.0.0/vcek_milan.der")), ..Collateral::default() };
    let (policy, at) = (Policy::strict(), at("2026-01-01T00:00:00Z"));
    let question =
        Question { evidence: &evidence, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    let judge = || appraise_report(question, &policy, at, &Ring).verdict;
    assert_eq!(judge().word(), "accepted");
    bench.bench_function("report", |b| b.iter(judge));
    let judge = || appraise_report(question, &policy, at, &RustCrypto).verdict;
    assert_eq!(judge().word(), "accepted");
    bench.bench_function("report-rustcrypto", |b| b.iter(judge));
    let judge = || appraise_report(question, &policy, at, &AwsLc).verdict;
    assert_eq!(judge().word(), "accepted");
    bench.bench_function("report-aws-lc", |b| b.iter(judge));
    let judge = || appraise_report(question, &policy, at, &Unasked).verdict;
    assert_eq!(judge().word(), "accepted");
    bench.bench_function("report-rest", |b| b.iter(judge));
}

/// The same under a test root, where no certificate is known beforehand: ARK, ASK, VCEK and report are four signatures.
fn report_of_test_root(bench: Bench<'_>) {
    let evidence = vector("psp/reports/turin-v5.bin");
    let (vek, intermediate) = (Some(vector("psp/turin/vcek.der")), Some(vector("psp/turin/ask.der")));
    let collateral = Collateral { vek, intermediate, ..Collateral::default() };
    let root = vector("psp/turin/ark.der");
    let (policy, at) = (Policy::strict(), at("2026-06-01T00:00:00Z"));
    let judge = || {
        let anchor = TrustAnchor::named(&root).unwrap();
        let question = Question { evidence: &evidence, collateral: &collateral, anchor: &anchor, report_data: None };
        appraise_report(question, &policy, at, &Ring).verdict
    };
    assert_eq!(judge().word(), "accepted (test root)");
    bench.bench_function("report-test-root", |b| b.iter(judge));
}

/// A recorded bundle, and a proof of one call with it.
fn bundle(bench: Bench<'_>) {
    let (bundle, envelope) = (vector("proofs/bundle.json"), vector("proofs/pass_paid_call.json"));
    let payment = vector("proofs/payment.json");
    let root = vector("proofs/root.der");
    let (policy, at) = (Policy::strict(), at("2026-06-01T00:00:00Z"));
    let anchor = TrustAnchor::named(&root).unwrap();
    let question =
        BundleQuestion { bundle: &bundle, anchor: &anchor, nonce: None, crls: &[], releases: Releases::default() };
    let judge = || appraise_bundle(question, &policy, at, &Ring).verdict;
    assert_eq!(judge().word(), "accepted (test root)", "{:?}", judge().reason());
    bench.bench_function("bundle", |b| b.iter(judge));
    let judge = || appraise_bundle(question, &policy, at, &RustCrypto).verdict;
    assert_eq!(judge().word(), "accepted (test root)");
    bench.bench_function("bundle-rustcrypto", |b| b.iter(judge));
    let judge = || appraise_bundle(question, &policy, at, &AwsLc).verdict;
    assert_eq!(judge().word(), "accepted (test root)");
    bench.bench_function("bundle-aws-lc", |b| b.iter(judge));

    let question = ProofQuestion {
        envelope: &envelope,
        bundle: question,
        request: None,
        response: None,
        challenge: None,
        payment: Some(&payment),
        tag_key: None,
    };
    let judge = || appraise_proof(question, &policy, at, &Ring);
    assert_eq!(judge().word(), "accepted (test root)", "{:?}", judge().reason());
    bench.bench_function("proof", |b| b.iter(judge));
}

/// A chain and a report, as bytes.
struct Both<'a> {
    at: UnixSeconds,
    vek: &'a [u8],
    ask: &'a [u8],
    report: &'a [u8],
}

impl Both<'_> {
    fn hold(&self, crypto: &impl Crypto) -> bool {
        let [vek, ask] = [self.vek, self.ask].map(|der| Certificate::parse(der).unwrap());
        let chain = Chain::assemble(vek, Some(ask), &TrustAnchor::Amd).unwrap();
        let chain = Unverified(chain).verify(self.at, crypto).unwrap();
        Unverified(SignedReport::parse(self.report).unwrap()).verify(&chain, crypto).is_ok()
    }
}

/// Chain and report signature only, which is all that the crate `sev` looks at, by both.
fn signatures(bench: Bench<'_>) {
    let (report, vek) = (vector("registry/sev-8.0.0/report_milan.bin"), vector("registry/sev-8.0.0/vcek_milan.der"));
    let (ark, ask) = (roots::ark(Product::Milan), roots::ask(Product::Milan));
    let at = at("2026-01-01T00:00:00Z");
    let ours = Both { at, vek: &vek, ask, report: &report };
    let theirs = || {
        let [ark, ask, vek] = [ark, ask, &vek].map(|der| OtherCertificate::from_der(der).unwrap());
        let chain = OtherChain { ca: ca::Chain { ark, ask }, vek };
        let report = AttestationReport::from_bytes(&report).unwrap();
        (&chain, &report).verify().is_ok()
    };
    assert!(ours.hold(&Ring) && ours.hold(&AwsLc) && theirs());
    bench.bench_function("signatures", |b| b.iter(|| ours.hold(&Ring)));
    bench.bench_function("signatures-aws-lc", |b| b.iter(|| ours.hold(&AwsLc)));
    bench.bench_function("signatures-sev", |b| b.iter(theirs));
}

/// What the two kinds of signature cost by themselves.
fn primitives(bench: Bench<'_>, back_end: &str, crypto: &impl Crypto) {
    let report = vector("registry/sev-8.0.0/report_milan.bin");
    let vek = vector("registry/sev-8.0.0/vcek_milan.der");
    let at = at("2026-01-01T00:00:00Z");
    let chain = Chain::assemble(Certificate::parse(&vek).unwrap(), None, &TrustAnchor::Amd).unwrap();
    let chain = Unverified(chain).verify(at, crypto).unwrap();
    let number = |from: usize| report.iter().skip(from).take(48).rev().copied().collect::<Vec<u8>>();
    let signature: [u8; 96] = [number(0x2A0), number(0x2E8)].concat().try_into().unwrap();
    let signed = report.split_at(SignedReport::SIGNED).0;
    let point = *chain.vek().point();
    let check = || crypto.ecdsa_p384_sha384(black_box(&point), black_box(signed), black_box(&signature));
    assert_eq!(check(), Ok(()));
    bench.bench_function(&format!("p384{back_end}"), |b| b.iter(check));

    let [vek, ask] = [&vek[..], roots::ask(Product::Milan)].map(|der| Certificate::parse(der).unwrap());
    let check = || vek.check_issued_by(black_box(&ask), crypto);
    assert_eq!(check(), Ok(()));
    bench.bench_function(&format!("rsa-4096{back_end}"), |b| b.iter(check));
}

fn all(bench: Bench<'_>) {
    report(bench);
    report_of_test_root(bench);
    signatures(bench);
    bundle(bench);
    primitives(bench, "", &Ring);
    primitives(bench, "-aws-lc", &AwsLc);
    primitives(bench, "-rustcrypto", &RustCrypto);
}

fn settings() -> Criterion<ThreadTime> {
    Criterion::default()
        .with_measurement(ThreadTime)
        .without_plots()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
}

criterion_group! { name = verifier; config = settings(); targets = all }
criterion_main!(verifier);
