//! Bundles of a simulated boot: the good one is accepted under its root, and each thing wrong gives its own exit code.
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

use attestation_verifier::{
    BundleQuestion, NotProven, Policy, Product, Releases, Ring, TrustAnchor, appraise_bundle, clock, roots,
};
use boot::{
    AT, Boot, NONCE, accepted, at, chip, core, judge, judge_bytes, key, outcome, rejected_by, sign, signed_state, state,
};
use evidence::{
    Ed25519Public,
    bundle::{Bundle, EndorsedReport, VekKind},
    core::Platform,
    dsse::{Envelope, EnvelopeSignature},
    provenance::{BUILDER, PAYLOAD_TYPE, Statement, Subject},
    report_data::{Nonce, Purpose},
    state::evidence_message,
};
use ring::signature::KeyPair as _;
use rsa::rand_core::OsRng;
use software_psp::{CrlRequest, Intermediate};

const SEV: &str = "../tests/vectors/registry/sev-8.0.0";

/// The good bundle with one change.
fn with(change: impl FnOnce(&mut Bundle, &Boot)) -> Bundle {
    let boot = Boot::new();
    let mut bundle = boot.bundle();
    change(&mut bundle, &boot);
    bundle
}

fn fresh_report(bundle: &mut Bundle) -> &mut EndorsedReport {
    bundle.fresh.as_mut().and_then(|fresh| fresh.report.as_mut()).unwrap()
}

#[test]
fn the_good_bundle_is_accepted_under_its_root_with_every_link_shown() {
    let verdict = judge(&Boot::new().bundle());
    accepted(&verdict);
    let expected = [
        "ark",
        "intermediate",
        "vek",
        "chain",
        "signature",
        "fields",
        "product",
        "signing-key",
        "tcb",
        "vmpl",
        "guest-policy",
        "core",
        "certificates",
        "core-platform",
        "states",
        "possession",
        "fresh",
        "nonce",
    ];
    for name in expected {
        assert_eq!(outcome(&verdict, name), "pass", "{name}");
    }
    for (name, code) in [("code", NotProven::CodeUnknown), ("log", NotProven::NotLogged)] {
        assert_eq!(outcome(&verdict, name), "not_checked", "{name}");
        assert!(verdict.not_proven.contains(&code));
    }
    assert!(!verdict.not_proven.contains(&NotProven::NoNonce));
    let names: Vec<_> = verdict.checks.iter().map(|check| check.name).collect();
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "{names:?}");
}

#[test]
fn without_its_root_it_is_rejected_with_3_and_nothing_below_the_chain_passes_for_the_core() {
    let bytes = Boot::new().bundle().to_bytes().unwrap();
    let question = BundleQuestion {
        bundle: &bytes,
        anchor: &TrustAnchor::Amd,
        nonce: Some(&NONCE),
        crls: &[],
        releases: Releases::default(),
    };
    let verdict = appraise_bundle(question, &Policy::strict(), at(), &Ring).verdict;
    assert_eq!((verdict.word(), verdict.exit_code()), ("rejected", 3));
    for name in ["core", "core-platform", "certificates", "nonce"] {
        assert_eq!(outcome(&verdict, name), "not_checked", "{name}");
    }
    assert_eq!(verdict.trust, None);
}

#[test]
fn a_bundle_that_is_none_is_malformed() {
    let good = String::from_utf8(Boot::new().bundle().to_bytes().unwrap()).unwrap();
    for text in [
        String::new(),
        "{}".to_owned(),
        good[..good.len() - 1].to_owned(),
        good.replacen("\"v\":1", "\"v\":2", 1),
        good.replacen("\"log\":null", "\"log\":{}", 1),
        good.replacen("\"log\":null", "\"log\":null,\"later\":null", 1),
        good.replacen("\"index\":2", "\"index\":3", 1),
        good.replacen("\"count\":3", "\"count\":1025", 1),
        good.replacen("\"states\":[", "\"states\":[{}", 1),
        format!("{good}{good}"),
        format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("{}{good}", " ".repeat(4 << 20)),
    ] {
        assert_ne!(text, good);
        rejected_by(&judge_bytes(text.as_bytes(), None).verdict, 2, "bundle");
    }
}

#[test]
fn malformed_parts_give_2() {
    for (name, bundle) in [
        ("core", with(|bundle, _| bundle.core.push(b' '))),
        ("core", with(|bundle, _| bundle.core = b"{}".to_vec())),
        ("states", with(|bundle, _| bundle.states[1].bytes.truncate(9))),
        ("bundle", with(|bundle, _| bundle.boot.report.truncate(1183))),
        ("bundle", with(|bundle, _| bundle.boot.report.extend([0; 2816]))),
        ("bundle", with(|bundle, _| fresh_report(bundle).report.push(0))),
        ("vek", with(|bundle, _| bundle.boot.vek.truncate(100))),
        ("intermediate", with(|bundle, _| bundle.intermediate = b"x".to_vec())),
        ("bundle", with(|bundle, _| bundle.crls.push(b"no list".to_vec()))),
        ("fields", with(|bundle, boot| bundle.boot = boot.report(boot.boot_rd(), |request| request.version = 6))),
        ("fresh", with(|bundle, _| fresh_report(bundle).vek = b"x".to_vec())),
        ("bundle", with(|bundle, _| bundle.root = b"x".to_vec())),
    ] {
        rejected_by(&judge(&bundle), 2, name);
    }
}

#[test]
fn a_broken_chain_or_signature_gives_3() {
    let flipped = |at: usize| with(|bundle, _| bundle.boot.report[at] ^= 1);
    // VEK of the machine's own intermediate but another key, signed bytes, R, S.
    for (name, bundle) in [
        ("signature", flipped(0x50)),
        ("signature", flipped(0x90)),
        ("signature", flipped(0x2A0)),
        ("signature", flipped(0x2E8)),
        ("intermediate", with(|bundle, _| *bundle.intermediate.last_mut().unwrap() ^= 1)),
        ("vek", with(|bundle, _| *bundle.boot.vek.last_mut().unwrap() ^= 1)),
        ("intermediate", with(|bundle, _| bundle.intermediate = roots::ask(Product::Genoa).to_vec())),
        ("certificates", with(|bundle, _| bundle.root = roots::ark(Product::Genoa).to_vec())),
        ("certificates", with(|bundle, _| bundle.vek_kind = VekKind::Vlek)),
        ("states", with(|bundle, _| bundle.states[1].signature[0] ^= 1)),
        ("states", with(|bundle, _| bundle.states[0].signature = bundle.states[1].signature)),
        ("states", with(|bundle, boot| bundle.states[1] = signed_state(&boot.c, boot.states[1].clone(), &key(2)))),
        ("fresh", with(|bundle, _| fresh_report(bundle).report[0x50] ^= 1)),
        ("fresh", with(|bundle, _| *fresh_report(bundle).vek.last_mut().unwrap() ^= 1)),
    ] {
        rejected_by(&judge(&bundle), 3, name);
    }
    let bytes = Boot::new().bundle().to_bytes().unwrap();
    let anchor = TrustAnchor::named(chip().ark()).unwrap();
    let question =
        BundleQuestion { bundle: &bytes, anchor: &anchor, nonce: None, crls: &[], releases: Releases::default() };
    let late = clock::parse("2046-01-01T00:00:00Z").unwrap();
    assert_eq!(appraise_bundle(question, &Policy::strict(), late, &Ring).verdict.exit_code(), 3);
}

#[test]
fn a_guest_against_the_policy_gives_5() {
    for (name, change) in [
        ("guest-policy", (|request| request.policy |= 1 << 19) as fn(&mut software_psp::ReportRequest)),
        ("guest-policy", |request| request.policy |= 1 << 18),
        ("vmpl", |request| request.vmpl = 1),
    ] {
        let bundle = with(|bundle, boot| {
            bundle.boot = boot.report(boot.boot_rd(), change);
            bundle.fresh = Some(boot.fresh(change));
        });
        rejected_by(&judge(&bundle), 5, name);
        // The fresh report alone is judged by the same policy.
        let bundle = with(|bundle, boot| bundle.fresh = Some(boot.fresh(change)));
        rejected_by(&judge(&bundle), 5, "fresh");
    }
    let bytes = with(|bundle, _| bundle.fresh = None).to_bytes().unwrap();
    let policy = Policy {
        report_data: attestation_verifier::Rule::Check(attestation_verifier::ReportData::Required),
        ..Policy::strict()
    };
    let anchor = TrustAnchor::named(chip().ark()).unwrap();
    let question =
        BundleQuestion { bundle: &bytes, anchor: &anchor, nonce: None, crls: &[], releases: Releases::default() };
    rejected_by(&appraise_bundle(question, &policy, at(), &Ring).verdict, 5, "nonce");
}

#[test]
fn a_core_that_the_report_does_not_name_gives_6() {
    let mut other = core();
    other.instance = [0x77; 32];
    let other = Boot::of(other);
    rejected_by(&judge(&with(|bundle, _| bundle.core = other.core_bytes.clone())), 6, "core");
    // With everything of the other core but the report.
    let swapped = with(|bundle, _| {
        let theirs = other.bundle();
        (bundle.core, bundle.states, bundle.fresh) = (theirs.core, theirs.states, theirs.fresh);
        bundle.boot.possession = theirs.boot.possession;
    });
    rejected_by(&judge(&swapped), 6, "core");
    // A report of the newest state instead of state 0.
    let newest = with(|bundle, boot| {
        let rd = evidence::report_data::report_data_without_nonce(&boot.c, &boot.heads[1]);
        bundle.boot = boot.report(rd, |_| {});
    });
    rejected_by(&judge(&newest), 6, "core");
    // Firmware of another level than the certificate is for.
    let firmware = with(|bundle, boot| bundle.boot = boot.report(boot.boot_rd(), |request| request.tcb.microcode ^= 1));
    rejected_by(&judge(&firmware), 6, "tcb");
    let chip_id = with(|bundle, boot| bundle.boot = boot.report(boot.boot_rd(), |request| request.chip_id.0[0] ^= 1));
    rejected_by(&judge(&chip_id), 6, "chip-id");
}

#[test]
fn a_core_that_claims_hardware_under_a_test_root_gives_6() {
    for platform in [Platform::Baremetal, Platform::Azure, Platform::Gcp, Platform::Aws] {
        let mut claims = core();
        claims.platform = platform;
        rejected_by(&judge(&Boot::of(claims).bundle()), 6, "core-platform");
    }
}

#[test]
fn a_chain_of_states_with_anything_wrong_gives_6() {
    let boot = Boot::new();
    let (c, s_0) = (boot.c, boot.heads[0]);
    let second = |bytes: Vec<u8>| with(|bundle, _| bundle.states[1] = signed_state(&c, bytes, &key(1)));
    for (name, bundle) in [
        ("states", second(state([7; 32], 1, s_0))),
        ("states", second(state(c, 0, s_0))),
        ("states", second(state(c, 2, s_0))),
        ("states", second(state(c, 1, c))),
        ("states", second(state(c, 1, [7; 32]))),
        ("states", with(|bundle, _| bundle.states.swap(0, 1))),
        ("states", with(|bundle, _| bundle.states.push(bundle.states[1].clone()))),
        ("states", with(|bundle, _| bundle.states.insert(1, bundle.states[0].clone()))),
        ("fresh", with(|bundle, _| _ = bundle.states.pop())),
        ("core", with(|bundle, _| _ = bundle.states.remove(0))),
    ] {
        let verdict = judge(&bundle);
        assert_eq!((verdict.exit_code(), verdict.word()), (6, "rejected"), "{name}");
        assert_eq!(outcome(&verdict, name), "fail");
    }
}

/// A list by the chip's root, of these days of 2026.
fn list(from: u32, to: u32, revoked: &[u64]) -> Vec<u8> {
    let day = |day: u32| time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(20_454 + i64::from(day));
    let request = CrlRequest { number: 1, this_update: day(from), next_update: day(to), revoked: revoked.to_vec() };
    chip().authority().crl(&request, &mut OsRng).unwrap()
}

#[test]
fn a_list_that_came_along_may_revoke_and_cannot_make_anybody_reject_otherwise() {
    let judged = |lists: &[Vec<u8>], named: &[Vec<u8>]| {
        let bundle = with(|bundle, _| bundle.crls = lists.to_vec()).to_bytes().unwrap();
        let anchor = TrustAnchor::named(chip().ark()).unwrap();
        let question = BundleQuestion {
            bundle: &bundle,
            anchor: &anchor,
            nonce: Some(&NONCE),
            crls: named,
            releases: Releases::default(),
        };
        appraise_bundle(question, &Policy::strict(), at(), &Ring).verdict
    };
    let (old, future) = (list(0, 1, &[]), list(3_000, 3_001, &[]));
    for useless in [&old, &future] {
        let verdict = judged(std::slice::from_ref(useless), &[]);
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "revocation"), "not_checked");
        // Whoever names it himself wants it to be able to say no.
        assert_eq!(judged(&[], std::slice::from_ref(useless)).exit_code(), 4);
    }
    let serial = chip().authority().serial(Intermediate::Ask);
    assert_eq!(judged(&[list(0, 1, &[serial])], &[]).exit_code(), 4, "what is revoked stays revoked");
}

#[test]
fn possession_by_anybody_else_gives_6() {
    let stranger = with(|bundle, boot| {
        bundle.boot.possession = sign(&key(2), &evidence_message(&boot.c, &boot.boot_rd()));
    });
    rejected_by(&judge(&stranger), 6, "possession");
    rejected_by(&judge(&with(|bundle, _| bundle.boot.possession = [0; 64])), 6, "possession");
    // The boot's own signature does not do for the fresh report.
    let replayed = with(|bundle, _| bundle.fresh.as_mut().unwrap().possession = bundle.boot.possession);
    rejected_by(&judge(&replayed), 6, "fresh");
}

#[test]
fn a_fresh_report_that_does_not_fit_gives_6() {
    let fresh = |change: fn(&mut evidence::bundle::Fresh)| with(|bundle, _| change(bundle.fresh.as_mut().unwrap()));
    for bundle in [
        with(|bundle, boot| bundle.fresh = Some(boot.fresh(|request| request.report_id = [0x2d; 32]))),
        with(|bundle, boot| bundle.fresh = Some(boot.fresh(|request| request.measurement = [1; 48]))),
        with(|bundle, boot| bundle.fresh = Some(boot.fresh(|request| request.host_data = [1; 32]))),
        with(|bundle, boot| bundle.fresh = Some(boot.fresh_for(Purpose::Client, &boot.heads[0], |_| {}))),
        // A nonce that some other protocol gave is no answer to a caller, though all its digests are right.
        with(|bundle, boot| bundle.fresh = Some(boot.fresh_for(Purpose::Peer, &boot.heads[1], |_| {}))),
        with(|bundle, boot| bundle.fresh = Some(boot.fresh_for(Purpose::Tls, &boot.heads[1], |_| {}))),
        fresh(|fresh| fresh.nonce = Nonce::new(vec![9; 32]).unwrap()),
        fresh(|fresh| fresh.index = 1),
        fresh(|fresh| fresh.count = 4),
        fresh(|fresh| fresh.path.push([0; 32])),
        fresh(|fresh| _ = fresh.path.pop()),
        fresh(|fresh| fresh.path[0][0] ^= 1),
        with(|bundle, _| {
            let boot = bundle.boot.clone();
            *fresh_report(bundle) = EndorsedReport { report: boot.report, vek: boot.vek };
        }),
    ] {
        let verdict = judge(&bundle);
        assert_eq!((verdict.exit_code(), outcome(&verdict, "fresh")), (6, "fail"));
        assert_ne!(outcome(&verdict, "nonce"), "pass");
        // Whether or not somebody asks about the nonce.
        assert_eq!(judge_bytes(&bundle.to_bytes().unwrap(), None).verdict.exit_code(), 6);
    }
}

#[test]
fn a_nonce_must_be_the_one_that_was_asked_for() {
    let good = Boot::new().bundle().to_bytes().unwrap();
    rejected_by(&judge_bytes(&good, Some(&[1; 32])).verdict, 6, "nonce");
    rejected_by(&judge_bytes(&good, Some(&NONCE[..31])).verdict, 6, "nonce");
    let without = with(|bundle, _| bundle.fresh = None).to_bytes().unwrap();
    rejected_by(&judge_bytes(&without, Some(&NONCE)).verdict, 6, "nonce");
    for bytes in [good, without] {
        let verdict = judge_bytes(&bytes, None).verdict;
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "nonce"), "not_checked");
        assert!(verdict.not_proven.contains(&NotProven::NoNonce));
    }
}

#[test]
fn what_the_fresh_report_leaves_open_the_verdict_leaves_open() {
    let masked = with(|bundle, boot| {
        bundle.boot = boot.report(boot.boot_rd(), |request| request.chip_id.0 = [0; 64]);
        bundle.fresh = Some(boot.fresh(|request| request.chip_id.0 = [0; 64]));
    });
    let verdict = judge(&masked);
    accepted(&verdict);
    assert!(verdict.not_proven.contains(&NotProven::ChipMasked));
    // One that hides its chip is not shown to be on the chip of the other.
    let one = with(|bundle, boot| bundle.fresh = Some(boot.fresh(|request| request.chip_id.0 = [0; 64])));
    rejected_by(&judge(&one), 6, "fresh");
}

#[test]
fn a_key_that_can_restore_the_sealed_ones_is_named() {
    let mut escrow = core();
    escrow.recovery = evidence::core::Recovery { kind: "escrow", keys: vec![escrow.proof_key] };
    let verdict = judge(&Boot::of(escrow).bundle());
    accepted(&verdict);
    assert!(verdict.not_proven.contains(&NotProven::RecoveryEscrow));
    assert!(!judge(&Boot::new().bundle()).not_proven.contains(&NotProven::RecoveryEscrow));
}

#[test]
fn a_genuine_report_lends_nothing_to_a_simulated_core() {
    let genuine = with(|bundle, _| {
        bundle.boot.report = std::fs::read(format!("{SEV}/report_milan.bin")).unwrap();
        bundle.boot.vek = std::fs::read(format!("{SEV}/vcek_milan.der")).unwrap();
        bundle.intermediate = roots::ask(Product::Milan).to_vec();
        bundle.root = roots::ark(Product::Milan).to_vec();
        bundle.fresh = None;
    });
    let bytes = genuine.to_bytes().unwrap();
    let question = BundleQuestion {
        bundle: &bytes,
        anchor: &TrustAnchor::Amd,
        nonce: None,
        crls: &[],
        releases: Releases::default(),
    };
    let verdict = appraise_bundle(question, &Policy::strict(), at(), &Ring).verdict;
    rejected_by(&verdict, 6, "core");
    for (name, wanted) in
        [("signature", "pass"), ("core-platform", "fail"), ("code", "not_checked"), ("certificates", "pass")]
    {
        assert_eq!(outcome(&verdict, name), wanted, "{name}");
    }
    assert_eq!(verdict.trust.map(attestation_verifier::Trust::name), Some("amd"));
}

#[test]
fn any_flipped_byte_of_a_carried_part_is_refused() {
    let good = Boot::new().bundle();
    type Part = fn(&mut Bundle) -> &mut Vec<u8>;
    let parts: [(Part, usize); 6] = [
        (|bundle| &mut bundle.core, 7),
        (|bundle| &mut bundle.states[0].bytes, 7),
        (|bundle| &mut bundle.states[1].bytes, 7),
        (|bundle| &mut bundle.intermediate, 97),
        (|bundle| &mut bundle.boot.vek, 97),
        (|bundle| &mut bundle.root, 97),
    ];
    for (part, step) in parts {
        let length = part(&mut good.clone()).len();
        for at in (0..length).step_by(step) {
            let mut bundle = good.clone();
            part(&mut bundle)[at] ^= 1;
            assert_ne!(judge(&bundle).exit_code(), 0, "byte {at} of {length}");
        }
    }
}

#[test]
fn a_verdict_has_the_documented_shape() {
    let json: serde_json::Value = serde_json::from_str(&judge(&Boot::new().bundle()).to_json()).unwrap();
    assert_eq!(json["verdict"], "accepted (test root)");
    assert_eq!((&json["grade"], &json["trust"]), (&"none".into(), &"test".into()));
    for check in json["checks"].as_array().unwrap() {
        assert!(check["name"].is_string() && check["detail"].is_string(), "{check}");
        assert!(["pass", "fail", "not_checked"].contains(&check["outcome"].as_str().unwrap()), "{check}");
    }
    assert!(json["notProven"].as_array().unwrap().iter().all(serde_json::Value::is_string));
    assert_eq!(
        json["time"],
        serde_json::json!({"verifiedAt": AT, "notBefore": null, "notAfter": null, "claimed": null})
    );
}

/// A provenance file for this core, after a change; signed by the release keys 5 and 6.
fn provenance(boot: &Boot, change: impl FnOnce(&mut Statement)) -> Vec<u8> {
    let claims = &boot.core.claims;
    let mut statement = Statement {
        subjects: vec![Subject { name: "enclave".into(), sha256: claims.code_hash }],
        git_commit: claims.git_commit,
        source_sha256: Some([3; 32]),
        profile: Some("release".into()),
        target: Some("x86_64-unknown-linux-gnu".into()),
        lock_sha256: Some([4; 32]),
        rust: Some(("1.95.0".into(), [5; 20])),
        builder: BUILDER.into(),
        time: Some("2026-02-01T00:00:00Z".into()),
        ..Statement::default()
    };
    change(&mut statement);
    let payload = statement.to_value().to_text().into_bytes();
    let mut envelope = Envelope { payload_type: PAYLOAD_TYPE.into(), payload, signatures: vec![] };
    let message = envelope.message();
    let sign = |n| EnvelopeSignature { key_id: String::new(), bytes: sign(&key(n), &message).to_vec() };
    envelope.signatures = [5, 6].map(sign).to_vec();
    envelope.to_value().to_text().into_bytes()
}

#[test]
fn a_carried_provenance_counts_if_every_named_key_signed_it_for_this_code_and_commit() {
    let public = |n: u8| Ed25519Public::new(key(n).public_key().as_ref().try_into().unwrap()).unwrap();
    let anchor = TrustAnchor::named(chip().ark()).unwrap();
    let row = |file: &dyn Fn(&Boot) -> Option<Vec<u8>>, keys: &[u8]| {
        let bytes = with(|bundle, boot| bundle.provenance = file(boot)).to_bytes().unwrap();
        let keys: Vec<_> = keys.iter().map(|n| public(*n)).collect();
        let releases = Releases { keys: &keys, ..Releases::default() };
        let question = BundleQuestion { bundle: &bytes, anchor: &anchor, nonce: Some(&NONCE), crls: &[], releases };
        let verdict = appraise_bundle(question, &Policy::strict(), at(), &Ring).verdict;
        let row = verdict.check("provenance").map(|row| (row.outcome.name(), row.detail.clone()));
        (verdict.exit_code(), row)
    };
    let good = |boot: &Boot| Some(provenance(boot, |_| {}));
    let expect = |(code, row): (u8, Option<(&'static str, String)>), exit, outcome, words: &str| {
        let (found, detail) = row.unwrap();
        assert_eq!((found, code), (outcome, exit), "{detail}");
        assert!(detail.contains(words), "{words}: {detail}");
    };
    // Whoever names release keys wants a manifest too, and there is none: 5.
    for keys in [&[5][..], &[6, 5]] {
        expect(row(&good, keys), 5, "pass", "codeHash c0c0");
    }
    // Carried is not believed.
    expect(row(&good, &[]), 0, "not_checked", "no release key is named");
    expect(row(&|_| None, &[5]), 5, "not_checked", "carries none");
    assert_eq!(row(&|_| None, &[]), (0, None));
    expect(row(&good, &[5, 7]), 3, "fail", "every key has to sign");
    let altered = |boot: &Boot| {
        let text = String::from_utf8(provenance(boot, |_| {})).unwrap();
        Some(text.replacen("\"payload\":\"e", "\"payload\":\"f", 1).into_bytes())
    };
    expect(row(&altered, &[5]), 3, "fail", "bundle.provenance: no signature");
    expect(row(&|_| Some(b"{}".to_vec()), &[]), 0, "not_checked", "no release key is named");
    expect(row(&|_| Some(b"{}".to_vec()), &[5]), 2, "fail", "bundle.provenance: no envelope");
    let other = |change: fn(&mut Statement)| move |boot: &Boot| Some(provenance(boot, change));
    expect(row(&other(|s| s.subjects[0].sha256 = Some([1; 32])), &[5]), 6, "fail", "the statement is about 0101");
    expect(row(&other(|s| s.subjects[0].name = "bridge".into()), &[5]), 6, "fail", "about no gateway");
    expect(row(&other(|s| s.git_commit = Some([1; 20])), &[5]), 6, "fail", "core.claims.gitCommit");
    expect(row(&other(|s| s.profile = None), &[5]), 2, "fail", "internalParameters.profile");
}
