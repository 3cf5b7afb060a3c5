//! Bundles of machines with a virtual TPM: the good ones are accepted under their root, and each lie about quote,
//! registers, claims, manifest or core gives its own exit code and row.
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

use attestation_verifier::{BootKind, NotProven, Policy, RegisterSet, Release, Rule, Verdict, VtpmKind};
use boot::{Boot, accepted, chip, key, outcome, rejected_by, sign};
use evidence::{
    bundle::{Bundle, CarriedReport, EndorsedReport},
    core::{Core, Platform, Vtpm},
    report_data::core_register,
    state::evidence_message,
};
use quoted::{ID_KEY, Quoted, judge_by, judge_under};
use rsa::rand_core::OsRng;
use software_psp::{ClaimsHash, QuoteKey, QuoteRequest, manifest_report_data, runtime_claims};

fn judge(bundle: &Bundle) -> Verdict {
    judge_by(bundle, &[])
}

#[track_caller]
fn detail<'a>(verdict: &'a Verdict, name: &str) -> &'a str {
    &verdict.check(name).unwrap_or_else(|| panic!("no row {name}")).detail
}

/// The policy of someone who knows whose keys and measurements these are.
fn knowing(bundle: &Bundle, policy: Policy) -> Policy {
    let report = &bundle.boot.report;
    Policy {
        id_keys: Rule::Check(vec![report[0xE0..0x110].try_into().unwrap()]),
        measurements: Rule::Check(vec![report[0x90..0xC0].try_into().unwrap()]),
        ..policy
    }
}

#[test]
fn nobody_is_a_paravisor_or_a_service_module_by_its_own_word() {
    for (machine, kind) in [(Quoted::azure(), VtpmKind::Paravisor), (Quoted::svsm(), VtpmKind::Svsm)] {
        let bundle = machine.bundle();
        let verdict = judge(&bundle);
        assert!(detail(&verdict, "vtpm").contains("by the core's own word"), "{}", detail(&verdict, "vtpm"));
        assert_eq!(outcome(&verdict, "vtpm"), "not_checked");
        let wanted = Policy { vtpm: Rule::Check(vec![kind]), ..Policy::strict() };
        let verdict = judge_under(&bundle, &[], &wanted);
        assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm-kind")), (5, "not_checked"), "{kind}");
        // Another key and another measurement than the listed ones vouch for nobody.
        let other = Policy {
            id_keys: Rule::Check(vec![[0xA5; 48]]),
            measurements: Rule::Check(vec![[0xA5; 48]]),
            ..wanted.clone()
        };
        assert_eq!(outcome(&judge_under(&bundle, &[], &other), "vtpm-kind"), "not_checked", "{kind}");
        let verdict = judge_under(&bundle, &[], &knowing(&bundle, wanted));
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "vtpm-kind"), "pass", "{kind}");
    }
}

#[test]
fn a_good_bundle_of_each_kind_is_accepted_under_its_root() {
    for (machine, rows) in [
        (Quoted::host(), &["vtpm", "quote", "pcrs"][..]),
        (Quoted::azure(), &["vtpm", "quote", "pcrs", "runtime-data"]),
        (Quoted::svsm(), &["vtpm", "quote", "pcrs", "services-manifest"]),
    ] {
        let bundle = machine.bundle();
        let verdict = judge_under(&bundle, &[], &knowing(&bundle, Policy::strict()));
        accepted(&verdict);
        for row in rows.iter().chain(&["core", "possession", "fresh", "nonce"]) {
            assert_eq!(outcome(&verdict, row), "pass", "{} {row}", machine.boot.core.boot);
        }
        assert!(detail(&verdict, "quote").contains("akName"), "{}", detail(&verdict, "quote"));
    }
}

#[test]
fn every_kind_of_key_that_tpms_sign_with_is_taken() {
    for ak in [QuoteKey::rsassa(&mut OsRng).unwrap(), QuoteKey::rsapss(&mut OsRng).unwrap(), QuoteKey::p384(&mut OsRng)]
    {
        let verdict = judge(&Quoted::with_core("host", "host", ak, |_| {}).bundle());
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "quote"), "pass");
    }
}

#[test]
fn registers_of_grub_may_be_quoted_as_well() {
    let machine = Quoted::host();
    let grub = |request: &mut QuoteRequest| {
        request.registers.extend([(8, [8; 32]), (9, [9; 32])]);
        request.registers.sort_unstable();
    };
    let bundle = Bundle { quote: Some(machine.boot_quote(grub)), ..machine.bundle() };
    accepted(&judge(&bundle));
}

#[test]
fn a_quote_with_anything_wrong_is_refused_in_its_row() {
    let machine = Quoted::host();
    let good = machine.bundle();
    let quote = |change: fn(&mut QuoteRequest)| machine.boot_quote(change);
    let altered = |change: fn(&mut evidence::bundle::CarriedQuote)| {
        let mut quote = machine.boot_quote(|_| {});
        change(&mut quote);
        quote
    };
    let stranger = QuoteKey::p256(&mut OsRng);
    for (exit, row, quote) in [
        (2, "quote", altered(|quote| quote.signature.truncate(9))),
        (2, "quote", altered(|quote| quote.signature.push(0))),
        (2, "quote", altered(|quote| quote.signature[0] = 9)),
        (3, "quote", altered(|quote| *quote.signature.last_mut().unwrap() ^= 1)),
        (3, "quote", altered(|quote| quote.attest[40] ^= 1)),
        // A bit of the magic: the signature is looked at first.
        (3, "quote", altered(|quote| quote.attest[0] ^= 1)),
        (3, "quote", machine.quote_by(&stranger, &machine.boot.boot_rd(), |_| {})),
        // Signed, and no quote.
        (6, "quote", quote(|request| request.magic ^= 1)),
        (6, "quote", quote(|request| request.kind = 0x8017)),
        (6, "quote", quote(|request| request.bank = 0x0004)),
        (6, "quote", quote(|request| request.registers.clear())),
        // Made for something else.
        (6, "quote", quote(|request| request.extra_data[0] ^= 1)),
        (6, "quote", quote(|request| request.extra_data.push(0))),
        (6, "quote", machine.quote(&machine.fresh_rd(), |_| {})),
        // Other registers.
        (6, "pcrs", quote(|request| _ = request.registers.remove(0))),
        (6, "pcrs", quote(|request| request.registers.insert(0, (0, [0; 32])))),
        (6, "pcrs", quote(|request| request.registers.insert(2, (8, [0; 32])))),
        (6, "pcrs", quote(|request| request.registers.retain(|(register, _)| *register != 15))),
        (6, "pcrs", altered(|quote| quote.pcrs[0].1[0] ^= 1)),
        (6, "pcrs", altered(|quote| _ = quote.pcrs.pop())),
        (6, "pcrs", altered(|quote| quote.pcrs.insert(0, (0, [0; 32])))),
        // Register 15: another core, none yet, or something measured after the core.
        (6, "pcrs", quote(|request| request.registers[6].1 = core_register(&[9; 32]))),
        (6, "pcrs", quote(|request| request.registers[6].1 = [0; 32])),
        (6, "pcrs", quote(|request| request.registers[6].1[31] ^= 1)),
    ] {
        let verdict = judge(&Bundle { quote: Some(quote.clone()), ..good.clone() });
        rejected_by(&verdict, exit, row);
        // The same quote in the answer to a nonce.
        let mut bundle = good.clone();
        bundle.fresh.as_mut().unwrap().quote = Some(quote);
        let verdict = judge(&bundle);
        if verdict.exit_code() != 0 {
            rejected_by(&verdict, exit, "fresh");
            assert_ne!(outcome(&verdict, "nonce"), "pass");
        } else {
            assert_eq!(row, "quote", "only the quote made for the answer fits the answer");
        }
    }
}

#[test]
fn a_replayed_boot_quote_does_not_answer_a_nonce() {
    for machine in [Quoted::host(), Quoted::azure(), Quoted::svsm()] {
        let mut bundle = machine.bundle();
        bundle.fresh.as_mut().unwrap().quote = bundle.quote.clone();
        rejected_by(&judge(&bundle), 6, "fresh");
    }
}

#[test]
fn a_core_must_say_of_its_vtpm_what_the_evidence_shows() {
    type Change = fn(&mut Core);
    let none = Vtpm { kind: "none", ak_name: None, ak_spki: None, ek_name: None };
    let plain = Boot::new().bundle();
    // Each core is attested; only what it says is a lie.
    let changes: [(&'static str, &'static str, Change); 10] = [
        ("host", "paravisor", |_| {}),
        ("host", "svsm", |_| {}),
        ("host", "software", |_| {}),
        ("paravisor", "host", |_| {}),
        ("svsm", "host", |_| {}),
        ("software", "svsm", |_| {}),
        ("launch", "paravisor", |_| {}),
        ("host", "none", |_| {}),
        ("host", "host", |core| core.vtpm.ak_spki = None),
        ("host", "host", |core| (core.vtpm.ak_spki, core.vtpm.ak_name) = (None, None)),
    ];
    for (boot, kind, change) in changes {
        let machine = Quoted::with_core(boot, kind, QuoteKey::p256(&mut OsRng), change);
        let mut bundle = machine.bundle();
        (bundle.hcl, bundle.svsm_manifest) = (None, None);
        let verdict = judge(&bundle);
        assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm")), (6, "fail"), "{boot} {kind}");
    }
    // A quote that no key of the core could have signed, and a key without its quote.
    let host = Quoted::host();
    let bundle = Bundle { quote: None, ..host.bundle() };
    rejected_by(&judge(&bundle), 6, "vtpm");
    let mut bundle = plain.clone();
    bundle.quote = Some(host.boot_quote(|_| {}));
    rejected_by(&judge(&bundle), 6, "vtpm");
    let mut bundle = plain.clone();
    bundle.fresh.as_mut().unwrap().quote = Some(host.boot_quote(|_| {}));
    let verdict = judge(&bundle);
    assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm"), outcome(&verdict, "fresh")), (6, "fail", "fail"));
    // Parts of another kind of machine.
    rejected_by(&judge(&Bundle { svsm_manifest: Some(host.manifest()), ..host.bundle() }), 6, "core");
    let azure = Quoted::azure().bundle();
    let verdict = judge(&Bundle { hcl: azure.hcl, ..host.bundle() });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm")), (6, "fail"));
    // And without a vTPM there is nothing to show.
    let bundle = Boot::of(Core { boot: "launch", vtpm: none, ..boot::core() }).bundle();
    let verdict = judge(&bundle);
    accepted(&verdict);
    assert_eq!(outcome(&verdict, "vtpm"), "not_checked");
    assert_eq!(outcome(&verdict, "quote"), "absent");
}

#[test]
fn azure_and_a_paravisor_go_together() {
    for (boot, kind, platform) in [
        ("paravisor", "paravisor", Platform::Gcp),
        ("host", "host", Platform::Azure),
        ("svsm", "svsm", Platform::Azure),
    ] {
        let machine = Quoted::with_core(boot, kind, QuoteKey::p256(&mut OsRng), |core| core.platform = platform);
        assert_eq!(outcome(&judge(&machine.bundle()), "vtpm"), "fail", "{boot} {platform:?}");
    }
    let azure = Quoted::azure();
    let real = Quoted::with_core("paravisor", "paravisor", azure.ak, |core| core.platform = Platform::Azure);
    let bundle = real.bundle();
    let verdict = judge_under(&bundle, &[], &knowing(&bundle, Policy::strict()));
    assert_eq!(outcome(&verdict, "vtpm"), "pass");
    rejected_by(&verdict, 6, "core-platform");
}

#[test]
fn a_key_of_a_core_that_is_none_is_malformed() {
    let spki = QuoteKey::p256(&mut OsRng).spki().unwrap();
    for bad in [vec![], b"key".to_vec(), spki[..spki.len() - 1].to_vec(), [&spki[..], &[0]].concat()] {
        let machine =
            Quoted::with_core("host", "host", QuoteKey::p256(&mut OsRng), |core| core.vtpm.ak_spki = Some(bad));
        rejected_by(&judge(&machine.bundle()), 2, "core");
    }
}

#[test]
fn claims_of_azure_are_taken_with_each_hash_and_in_each_place() {
    let machine = Quoted::azure();
    let claims = runtime_claims(&machine.ak, Some(&machine.ek), &machine.boot.boot_rd());
    for hash in [ClaimsHash::Sha256, ClaimsHash::Sha384, ClaimsHash::Sha512] {
        for capabilities in [None, Some(0), Some(u32::MAX)] {
            let mut bundle = machine.bundle();
            machine.put_claims(&mut bundle, claims.as_bytes(), hash, capabilities);
            accepted(&judge(&bundle));
        }
    }
}

#[test]
fn claims_of_azure_with_anything_wrong_are_refused() {
    let machine = Quoted::azure();
    let rd = machine.boot.boot_rd();
    let good = runtime_claims(&machine.ak, Some(&machine.ek), &rd);
    let replaced = |from: &str, to: &str| {
        let changed = good.replacen(from, to, 1);
        assert_ne!(changed, good, "{from}");
        changed
    };
    let ek_named_ak = good.replace("HCLEkPub", "HCLAkPub");
    for (exit, row, claims) in [
        // What the guest wrote is of another boot, not there, or not 64 bytes.
        (6, "core", runtime_claims(&machine.ak, Some(&machine.ek), &machine.fresh_rd())),
        (6, "core", runtime_claims(&machine.ak, Some(&machine.ek), &[0; 64])),
        (6, "core", replaced("user-data", "user_data")),
        (2, "runtime-data", replaced("\"user-data\":\"", "\"user-data\":\"00")),
        // Keys.
        (6, "runtime-data", runtime_claims(&machine.ek, Some(&machine.ak), &rd)),
        (6, "runtime-data", runtime_claims(&machine.ak, None, &rd)),
        (2, "runtime-data", ek_named_ak),
        (6, "runtime-data", replaced("HCLAkPub", "HCLBkPub")),
        (2, "runtime-data", replaced("AQAB", "Aw")),
        // Two readings.
        (2, "runtime-data", replaced("{\"keys\"", "{\"keys\":[],\"keys\"")),
        (2, "runtime-data", replaced("\"user-data\"", "\"user\\u002ddata\":\"\",\"user-data\"")),
        (2, "runtime-data", replaced("{\"keys\"", "{,\"keys\"")),
    ] {
        let mut bundle = machine.bundle();
        machine.put_claims(&mut bundle, claims.as_bytes(), ClaimsHash::Sha256, None);
        rejected_by(&judge(&bundle), exit, row);
    }
}

#[test]
fn a_blob_of_azure_with_anything_wrong_is_refused() {
    let machine = Quoted::azure();
    let good = machine.bundle();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bundle = good.clone();
        change(bundle.hcl.as_mut().unwrap());
        judge(&bundle)
    };
    for (exit, verdict) in [
        (2, with(|blob| blob[0] = b'h')),
        (2, with(|blob| blob[4] = 3)),
        (2, with(|blob| blob.truncate(0x4c0 + 30))),
        (2, with(|blob| blob[0x4c8] = 4)),
        (2, with(|blob| blob[0x4cc] = 9)),
        (2, with(|blob| blob.resize((64 << 10) + 1, 0))),
        // Another report than the one that is judged.
        (6, with(|blob| blob[0x20 + 0x90] ^= 1)),
        // Another hash, another length, other claims than the report speaks for.
        (6, with(|blob| blob[0x4cc] = 2)),
        (6, with(|blob| blob[0x4d0] ^= 1)),
        (6, with(|blob| blob[0x4d4] ^= 1)),
    ] {
        rejected_by(&verdict, exit, "runtime-data");
    }
    // Without it, or with a report of the fresh kind.
    let verdict = judge(&Bundle { hcl: None, ..good.clone() });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm")), (6, "fail"));
    let mut bundle = good.clone();
    let report = good.boot.clone();
    bundle.fresh.as_mut().unwrap().report = Some(EndorsedReport { report: report.report, vek: report.vek });
    rejected_by(&judge(&bundle), 6, "fresh");
    let mut bundle = good.clone();
    bundle.fresh.as_mut().unwrap().possession = bundle.boot.possession;
    rejected_by(&judge(&bundle), 6, "fresh");
}

#[test]
fn a_quote_alone_answers_a_nonce_below_a_paravisor_only() {
    for machine in [Quoted::host(), Quoted::svsm()] {
        let mut bundle = machine.bundle();
        bundle.fresh.as_mut().unwrap().report = None;
        rejected_by(&judge(&bundle), 6, "fresh");
        // And a report alone everywhere else.
        let mut bundle = machine.bundle();
        bundle.fresh.as_mut().unwrap().quote = None;
        accepted(&judge(&bundle));
    }
}

#[test]
fn a_manifest_of_an_svsm_with_anything_wrong_is_refused() {
    let machine = Quoted::svsm();
    let good = machine.bundle();
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bundle = good.clone();
        change(bundle.svsm_manifest.as_mut().unwrap());
        judge(&bundle)
    };
    rejected_by(&with(|manifest| manifest[0] ^= 1), 2, "services-manifest");
    rejected_by(&with(|manifest| manifest.truncate(30)), 2, "services-manifest");
    rejected_by(&with(|manifest| *manifest.last_mut().unwrap() ^= 1), 6, "core");
    // REPORT_DATA = RD, as if there were no SVSM.
    let mut bundle = good.clone();
    let plain = machine.boot.report(machine.boot.boot_rd(), |_| {});
    bundle.boot = plain;
    rejected_by(&judge(&bundle), 6, "core");
    let verdict = judge(&Bundle { svsm_manifest: None, ..good });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm")), (6, "fail"));

    // A manifest that the report covers, and that names no key, or another one than the core.
    let covered = |machine: &Quoted, manifest: Vec<u8>| {
        let rd = machine.boot.boot_rd();
        let mut bundle = machine.bundle();
        let CarriedReport { report, vek, .. } = machine.boot.report(manifest_report_data(&rd, &manifest), |_| {});
        let possession = sign(&key(1), &evidence_message(&machine.boot.c, &rd));
        bundle.boot = CarriedReport { report, vek, possession };
        (bundle.svsm_manifest, bundle.fresh) = (Some(manifest), None);
        bundle.to_bytes().unwrap();
        bundle
    };
    let mut broken = machine.manifest();
    broken[48] ^= 0xff;
    let verdict = judge(&covered(&machine, broken));
    assert_eq!(outcome(&verdict, "services-manifest"), "fail");
    assert_eq!(verdict.exit_code(), 2);
    let ek_name = |name: [u8; 34]| {
        Quoted::with_core("svsm", "svsm", QuoteKey::p256(&mut OsRng), move |core| core.vtpm.ek_name = Some(name))
    };
    let named = ek_name(machine.ek.name());
    accepted(&judge(&named.bundle()));
    rejected_by(&judge(&ek_name([9; 34]).bundle()), 6, "services-manifest");
}

#[test]
fn a_firmware_log_explains_or_is_not_believed_and_decides_nothing() {
    let log = std::fs::read("../tests/vectors/eventlog/made_uki_boot.bin").unwrap();
    let known: serde_json::Value =
        serde_json::from_slice(&std::fs::read("../tests/vectors/eventlog/made_uki_boot.pcrs.json").unwrap()).unwrap();
    let machine = Quoted::host();
    let value = |register: u8| -> [u8; 32] {
        let text = known["sha256"][register.to_string()].as_str().map_or("00".repeat(32), ToOwned::to_owned);
        hex::decode(text).unwrap().try_into().unwrap()
    };
    let as_logged = |request: &mut QuoteRequest| {
        for (register, held) in &mut request.registers {
            if *register != 15 {
                *held = value(*register);
            }
        }
    };
    let good = Bundle {
        quote: Some(machine.boot_quote(as_logged)),
        event_log: Some(log.clone()),
        fresh: None,
        ..machine.bundle()
    };
    let judge = |bundle: &Bundle| boot::judge_bytes(&bundle.to_bytes().unwrap(), None).verdict;
    let verdict = judge(&good);
    accepted(&verdict);
    assert_eq!(outcome(&verdict, "event-log"), "pass", "{}", detail(&verdict, "event-log"));
    // systemd measures its phases into 11 after the log has ended.
    let phases = machine.boot_quote(|request| {
        as_logged(request);
        request.registers[2].1 = [0x11; 32];
    });
    let verdict = judge(&Bundle { quote: Some(phases), ..good.clone() });
    accepted(&verdict);
    assert_eq!(outcome(&verdict, "event-log"), "pass");
    assert!(detail(&verdict, "event-log").contains("later is not in it: 11 15"));
    for (log, quote) in [
        (log.clone(), machine.bundle().quote),
        (log[..100].to_vec(), good.quote.clone()),
        (b"log".to_vec(), good.quote.clone()),
    ] {
        let verdict = judge(&Bundle { event_log: Some(log), quote, ..good.clone() });
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "event-log"), "not_checked");
        assert!(detail(&verdict, "event-log").contains("nothing in it is believed"));
    }
    let unquoted = Bundle { event_log: Some(log), ..Boot::new().bundle() };
    let verdict = judge(&unquoted);
    accepted(&verdict);
    assert_eq!(outcome(&verdict, "event-log"), "not_checked");
}

#[test]
fn the_same_key_under_another_date_is_the_same_signer() {
    let boot = Boot::new();
    let later = chip().vcek_issued(time::macros::datetime!(2026-02-01 0:00 UTC), &mut OsRng).unwrap();
    let mut bundle = boot.bundle();
    bundle.fresh.as_mut().unwrap().report.as_mut().unwrap().vek = later.der().to_vec();
    assert_ne!(bundle.fresh.as_ref().unwrap().report.as_ref().unwrap().vek, bundle.boot.vek);
    let verdict = judge(&bundle);
    accepted(&verdict);
    assert!(detail(&verdict, "fresh").contains("by the same key"), "{}", detail(&verdict, "fresh"));
}

#[test]
fn a_second_key_for_one_chip_and_one_firmware_level_is_no_chips() {
    let boot = Boot::new();
    let request = software_psp::VekRequest {
        kind: software_psp::VekKind::Vcek,
        tcb: software_psp::Tcb::recent(chip().product()),
        chip_id: chip().chip_id(),
        csp_id: String::new(),
        not_before: time::macros::datetime!(2026-01-01 0:00 UTC),
    };
    let other = chip().authority().vek(&request, &mut OsRng).unwrap();
    let mut bundle = boot.bundle();
    let report = bundle.fresh.as_mut().unwrap().report.as_mut().unwrap();
    let mut body = software_psp::Body([0; software_psp::SIGNED_LENGTH]);
    body.put(0, &report.report[..software_psp::SIGNED_LENGTH]);
    (report.report, report.vek) = (other.sign(&body).to_vec(), other.der().to_vec());
    let verdict = judge(&bundle);
    rejected_by(&verdict, 6, "fresh");
    assert!(detail(&verdict, "fresh").contains("second key"), "{}", detail(&verdict, "fresh"));
    // The key of another firmware level of the same chip is what an update of the host gives.
    let mut tcb = software_psp::Tcb::recent(chip().product());
    tcb.microcode += 1;
    let updated = chip().authority().vek(&software_psp::VekRequest { tcb, ..request }, &mut OsRng).unwrap();
    let mut bundle = boot.bundle();
    let report = bundle.fresh.as_mut().unwrap().report.as_mut().unwrap();
    let rd: [u8; 64] = report.report[0x50..0x90].try_into().unwrap();
    let mut wanted = chip().request(5, rd);
    (wanted.report_id, wanted.tcb) = ([0x1d; 32], tcb);
    (report.report, report.vek) = (updated.sign(&wanted.body()).to_vec(), updated.der().to_vec());
    let verdict = judge(&bundle);
    accepted(&verdict);
    assert!(detail(&verdict, "fresh").contains("another firmware level"));
}

// ---- which code ------------------------------------------------------------------------------------------------------

#[test]
fn a_listed_release_is_found_and_a_simulated_machine_still_has_no_grade() {
    for machine in [Quoted::host(), Quoted::azure(), Quoted::svsm()] {
        let verdict = judge_by(&machine.bundle(), &[machine.release()]);
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "code"), "not_checked");
        assert!(detail(&verdict, "code").starts_with("release 1.0"), "{}", detail(&verdict, "code"));
        assert_eq!(verdict.grade.name(), "none");
        assert!(verdict.not_proven.contains(&NotProven::CodeUnknown));
    }
}

#[test]
fn code_of_no_release_fails_whatever_the_manifest_and_the_core_say() {
    type Change = fn(&mut Release);
    type Make = fn() -> Quoted;
    let changes: [(Make, &str, Change); 8] = [
        (Quoted::host, "PCR 11", |release| release.registers[2].values[2] = [0xee; 32]),
        (Quoted::host, "no release has registers", |release| _ = release.registers.remove(2)),
        (Quoted::azure, "ID_KEY_DIGEST", |release| release.paravisors[0].id_key[0] ^= 1),
        (Quoted::azure, "GUEST_SVN", |release| release.paravisors[0].min_guest_svn += 1),
        (Quoted::azure, "PCR 4", |release| release.registers[1].values[0] = [0xee; 32]),
        (Quoted::svsm, "MEASUREMENT", |release| release.svsm_digests = vec![ID_KEY]),
        (Quoted::svsm, "PCR 14", |release| release.registers[0].values[5] = [0xee; 32]),
        (Quoted::host, "PCR 8 and 9", |release| release.registers[2].grub = Some([[8; 32], [9; 32]])),
    ];
    for (machine, said, change) in changes {
        let machine = machine();
        let mut release = machine.release();
        change(&mut release);
        let verdict = judge_by(&machine.bundle(), &[release]);
        rejected_by(&verdict, 5, "code");
        assert!(detail(&verdict, "code").contains(said), "{}", detail(&verdict, "code"));
    }
    // The registers of the answer to the nonce count as well: code was exchanged after the boot.
    let machine = Quoted::azure();
    let mut bundle = machine.bundle();
    let moved = machine.quote(&machine.fresh_rd(), |request| request.registers[2].1 = [0xee; 32]);
    bundle.fresh.as_mut().unwrap().quote = Some(moved);
    accepted(&judge(&bundle));
    assert!(detail(&judge(&bundle), "fresh").contains("PCR 11 other"));
    rejected_by(&judge_by(&bundle, &[machine.release()]), 5, "code");
    // A machine of software is in no table.
    let software = Quoted::with_core("software", "software", QuoteKey::p256(&mut OsRng), |_| {});
    rejected_by(&judge_by(&software.bundle(), &[software.boot_release()]), 5, "code");
}

#[test]
fn a_core_that_says_it_is_other_code_than_was_measured_is_refused() {
    type Change = fn(&mut Core);
    let lies: [Change; 3] = [
        |core| core.claims.code_hash = Some([9; 32]),
        |core| core.claims.git_commit = Some([9; 20]),
        |core| core.claims.release = Some("2.0".to_owned()),
    ];
    for lie in lies {
        let machine = Quoted::with_core("host", "host", QuoteKey::p256(&mut OsRng), lie);
        accepted(&judge(&machine.bundle()));
        rejected_by(&judge_by(&machine.bundle(), &[machine.release()]), 6, "code");
    }
    // Silence is no lie, and the claim tells two releases apart that measure alike.
    let silent = Quoted::with_core("host", "host", QuoteKey::p256(&mut OsRng), |core| core.claims = Default::default());
    accepted(&judge_by(&silent.bundle(), &[silent.release()]));
    let machine = Quoted::host();
    let twin = Release { name: "0.9".to_owned(), git_commit: [8; 20], ..machine.release() };
    let verdict = judge_by(&machine.bundle(), &[twin, machine.release()]);
    accepted(&verdict);
    assert!(detail(&verdict, "code").starts_with("release 1.0"));
}

#[test]
fn what_does_not_hold_is_not_looked_up() {
    let machine = Quoted::azure();
    let mut bundle = machine.bundle();
    bundle.quote = Some(machine.boot_quote(|request| request.extra_data[0] ^= 1));
    let verdict = judge_by(&bundle, &[machine.release()]);
    rejected_by(&verdict, 6, "quote");
    assert_eq!(outcome(&verdict, "code"), "not_checked");
    assert!(!verdict.not_proven.contains(&NotProven::CodeVendorParavisor), "nobody has vouched for anything");
}

#[test]
fn whoever_vouches_for_the_registers_is_named() {
    for (machine, named) in [
        (Quoted::host(), Some(NotProven::CodeHostVouched)),
        (Quoted::azure(), Some(NotProven::CodeVendorParavisor)),
        (Quoted::svsm(), None),
    ] {
        let verdict = judge(&machine.bundle());
        for code in [NotProven::CodeHostVouched, NotProven::CodeVendorParavisor] {
            assert_eq!(verdict.not_proven.contains(&code), named == Some(code), "{code:?}");
        }
    }
}

#[test]
fn a_policy_says_who_may_run_the_vtpm_and_what_the_log_must_show() {
    let accepts = |kinds: &[VtpmKind]| Policy { vtpm: Rule::Check(kinds.to_vec()), ..Policy::strict() };
    for (machine, kind) in
        [(Quoted::host(), VtpmKind::Host), (Quoted::azure(), VtpmKind::Paravisor), (Quoted::svsm(), VtpmKind::Svsm)]
    {
        let bundle = machine.bundle();
        let verdict = judge_under(&bundle, &[], &knowing(&bundle, accepts(&[VtpmKind::Software, kind])));
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "vtpm-kind"), "pass");
        let others: Vec<_> = VtpmKind::ALL.into_iter().filter(|other| *other != kind).collect();
        rejected_by(&judge_under(&bundle, &[], &accepts(&others)), 5, "vtpm-kind");
        let unasked = judge(&bundle);
        assert_eq!(outcome(&unasked, "vtpm-kind"), "absent");
        assert!(unasked.unchecked.iter().any(|unchecked| unchecked.field == "vtpm"), "{:?}", unasked.unchecked);
    }
    // A rule about events, and no log that says anything about them.
    let mut policy = Policy::strict();
    policy.events.secure_boot = Rule::Check(true);
    let verdict = judge_under(&Quoted::host().bundle(), &[], &policy);
    rejected_by(&verdict, 5, "event-secure-boot");
}

#[test]
fn a_guest_that_may_be_debugged_has_no_grade_though_a_policy_accepts_it() {
    let boot = Boot::of(Core { boot: "launch", ..boot::core() });
    let mut policy = Policy::strict();
    policy.guest.debug = Rule::unchecked("a test");
    let lists = [Quoted::host().release()];
    for (change, said) in [(0_u64, "release 1.0: "), (1 << 19, "the host may debug this guest")] {
        let mut bundle = boot.bundle();
        bundle.boot = boot.report(boot.boot_rd(), |request| request.policy |= change);
        bundle.fresh = Some(boot.fresh(|request| request.policy |= change));
        let verdict = judge_under(&bundle, &lists, &policy);
        accepted(&verdict);
        assert!(detail(&verdict, "code").contains(said), "{}", detail(&verdict, "code"));
    }
}

impl Quoted {
    /// A table that would list this machine, were it not software.
    fn boot_release(&self) -> Release {
        let mut release = self.release();
        let set = RegisterSet { boot: BootKind::Software, ..release.registers[0].clone() };
        release.registers.push(set);
        release
    }
}
