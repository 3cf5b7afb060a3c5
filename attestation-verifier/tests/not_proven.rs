//! Every code of the `notProven` registry stands in a verdict exactly when it is true: for each there is one verdict
//! that has it and, unless no evidence could ever settle it, one that has it not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;
#[path = "common/quoted.rs"]
mod quoted;

use attestation_verifier::{
    Collateral, NotProven, Policy, Product, Question, Ring, TrustAnchor, Verdict, appraise_report, roots,
};
use boot::{Asked, Boot, CHALLENGE, at, claim, core, judge, judge_bytes, result, terms};
use evidence::{core::Core, proof::ProofBody};
use quoted::Quoted;

const SEV: &str = "../tests/vectors/registry/sev-8.0.0";

/// A genuine report of a product, alone.
fn report(product: Product) -> Verdict {
    let name = product.name().to_lowercase();
    let read = |file: String| std::fs::read(format!("{SEV}/{file}")).unwrap();
    let collateral = Collateral {
        vek: Some(read(format!("vcek_{name}.der"))),
        intermediate: Some(roots::ask(product).to_vec()),
        crls: vec![],
        host_crls: vec![],
    };
    let evidence = read(format!("report_{name}.bin"));
    let question =
        Question { evidence: &evidence, collateral: &collateral, anchor: &TrustAnchor::Amd, report_data: None };
    appraise_report(question, &Policy::strict(), at(), &Ring).verdict
}

fn bundle_of(change: fn(&mut Core)) -> Verdict {
    let mut core = core();
    change(&mut core);
    judge(&Boot::of(core).bundle())
}

/// A proof with a change to its body.
fn proof(change: fn(&mut ProofBody), challenge: bool, tag: bool) -> Verdict {
    let boot = Boot::new();
    let bundle = boot.bundle();
    let mut body = boot.body(&bundle, &result());
    change(&mut body);
    let asked = Asked {
        envelope: boot.envelope(body).to_value().to_text().into_bytes(),
        bundle: bundle.to_bytes().unwrap(),
        challenge: challenge.then(|| CHALLENGE.to_vec()),
        tag_epoch: tag.then_some((1, 1)),
        ..Asked::default()
    };
    asked.judge()
}

/// A verdict that has it, and one that has not; `None`: nothing settles it.
fn cases(code: NotProven) -> (Verdict, Option<Verdict>) {
    use NotProven as N;
    let plain = || judge(&Boot::new().bundle());
    let call = || proof(|_| {}, true, true);
    let masked = || {
        let boot = Boot::new();
        let mut bundle = boot.bundle();
        bundle.boot = boot.report(boot.boot_rd(), |request| request.chip_id.0 = [0; 64]);
        bundle.fresh = None;
        judge_bytes(&bundle.to_bytes().unwrap(), None).verdict
    };
    match code {
        // That a grade takes it away under AMD's root is tested beside the grades (gateway/code.rs).
        N::CodeUnknown => (plain(), None),
        N::CodeHostVouched => (judge(&Quoted::host().bundle()), Some(judge(&Quoted::azure().bundle()))),
        N::CodeVendorParavisor => (judge(&Quoted::azure().bundle()), Some(judge(&Quoted::host().bundle()))),
        N::MilanSeed => (report(Product::Milan), Some(plain())),
        N::ChipMasked => (masked(), Some(plain())),
        N::NoNonce => (masked(), Some(plain())),
        N::NoChallenge => (proof(|_| {}, false, true), Some(call())),
        N::TimeHostClock | N::NotLogged | N::NotWitnessed | N::SharedKernel | N::TlsElsewhere => {
            (plain(), Some(report(Product::Milan)))
        }
        N::HmacNotRevealed => (proof(|_| {}, true, false), Some(call())),
        N::ReleaseAuthority => (bundle_of(|core| core.release_keys = vec![core.proof_key]), Some(plain())),
        N::RecoveryEscrow => (bundle_of(|core| core.recovery.kind = "escrow"), Some(plain())),
        N::EnvMaster => {
            (proof(|body| body.execution.environment = vec!["API_KEY".to_owned()], true, true), Some(call()))
        }
        N::DatabaseFreshness => (proof(|body| body.caller = Some([1; 32]), true, true), Some(call())),
        N::PaymentOnChain => (proof(|body| body.payment = Some(claim(&terms())), true, true), Some(call())),
        N::PackageBehaviour | N::ToolTruth | N::RemoteServices => (call(), Some(plain())),
        N::PhysicalInterposer
        | N::ChannelUnbound
        | N::RuntimeCompromise
        | N::HostInterfaces
        | N::SideChannels
        | N::Availability => (plain(), None),
    }
}

#[test]
fn every_code_appears_when_it_is_true_and_not_when_it_is_not() {
    for code in NotProven::ALL {
        let (with, without) = cases(*code);
        assert!(with.not_proven.contains(code), "{} is missing", code.code());
        if let Some(without) = without {
            assert!(!without.not_proven.contains(code), "{} where it is not so", code.code());
        }
    }
}

#[test]
fn a_database_that_decided_about_money_is_named_too() {
    let paid = proof(|body| body.payment = Some(claim(&terms())), true, true);
    assert!(paid.not_proven.contains(&NotProven::DatabaseFreshness));
}
