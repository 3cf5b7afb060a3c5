//! Every rule of a policy, with a report that keeps to it and one that breaks it and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/silicon.rs"]
mod silicon;

use std::collections::BTreeSet;

use attestation_verifier::{
    About, AcceptedAdvisory, AdvisoryStatus, Bit, EventPolicy, FirmwareVersion, OnAdvisory, Outcome, Policy,
    Product as Line, ReportData, Rule, Tcb, VekKind as Kind, Verdict, VtpmKind,
};
use silicon::{PROVIDER, Silicon};
use software_psp::{Body, Product, VekKind};

/// One rule: the field it is, the policy with it, what is changed in an honest report so that it breaks the rule, and
/// the row that must fail then. An honest report, changed by `keep`, passes.
struct Case {
    field: &'static str,
    row: &'static str,
    on: (Product, u32, VekKind),
    rule: fn(&mut Policy),
    keep: fn(&mut Body),
    wrong: fn(&mut Body),
}

const MILAN: (Product, u32, VekKind) = (Product::Milan, 3, VekKind::Vcek);
const MILAN_2: (Product, u32, VekKind) = (Product::Milan, 2, VekKind::Vcek);
const MILAN_VLEK: (Product, u32, VekKind) = (Product::Milan, 3, VekKind::Vlek);
const GENOA: (Product, u32, VekKind) = (Product::Genoa, 5, VekKind::Vcek);
const TURIN: (Product, u32, VekKind) = (Product::Turin, 5, VekKind::Vcek);

fn nothing(_: &mut Body) {}

const fn case(
    field: &'static str,
    row: &'static str,
    on: (Product, u32, VekKind),
    rule: fn(&mut Policy),
    keep: fn(&mut Body),
    wrong: fn(&mut Body),
) -> Case {
    Case { field, row, on, rule, keep, wrong }
}

/// POLICY, offset 0x008, of an honest report: SMT allowed, bit 17.
fn guest(body: &mut Body, bits: u64) {
    body.put(0x008, &(0x3_0000 ^ bits).to_le_bytes());
}

/// PLATFORM_INFO, offset 0x040.
fn platform(body: &mut Body, bits: u64) {
    body.put(0x040, &bits.to_le_bytes());
}

const FLOOR: Tcb = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
const FLOOR_TURIN: Tcb = Tcb { fmc: Some(1), bootloader: 1, tee: 1, snp: 4, microcode: 81 };
const AHEAD: FirmwareVersion = FirmwareVersion { major: 1, minor: 55, build: 29 };
/// The offsets of LAUNCH_TCB, COMMITTED_TCB and CURRENT_TCB.
const LAUNCH: usize = 0x1F0;
const COMMITTED: usize = 0x1E0;
const CURRENT: usize = 0x038;

fn cases() -> Vec<Case> {
    use Bit::{Refuse, Require};
    vec![
        case("vmpl", "vmpl", MILAN, |p| p.vmpl = Rule::Check(vec![0]), nothing, |b| b.put(0x030, &[1])),
        case(
            "vmpl",
            "vmpl",
            MILAN,
            |p| p.vmpl = Rule::unchecked("x"),
            |b| b.put(0x030, &[3]),
            |b| b.put(0x030, &[0xFF; 4]),
        ),
        case(
            "guest.min_abi",
            "guest-policy",
            MILAN,
            |p| p.guest.min_abi = Rule::Check((1, 51)),
            |b| b.put(0x008, &[51, 1]),
            |b| b.put(0x008, &[50, 1]),
        ),
        case("guest.smt", "guest-policy", MILAN, |p| p.guest.smt = Rule::Check(Refuse), |b| guest(b, 1 << 16), nothing),
        case(
            "guest.migration_agent",
            "guest-policy",
            MILAN,
            |p| p.guest.migration_agent = Rule::Check(Refuse),
            nothing,
            |b| guest(b, 1 << 18),
        ),
        case(
            "guest.debug",
            "guest-policy",
            MILAN,
            |p| p.guest.debug = Rule::Check(Refuse),
            nothing,
            |b| guest(b, 1 << 19),
        ),
        case(
            "guest.single_socket",
            "guest-policy",
            MILAN,
            |p| p.guest.single_socket = Rule::Check(Require),
            |b| guest(b, 1 << 20),
            nothing,
        ),
        case("guest.cxl", "guest-policy", MILAN, |p| p.guest.cxl = Rule::Check(Refuse), nothing, |b| guest(b, 1 << 21)),
        case(
            "guest.aes_256_xts",
            "guest-policy",
            MILAN,
            |p| p.guest.aes_256_xts = Rule::Check(Require),
            |b| guest(b, 1 << 22),
            nothing,
        ),
        case(
            "guest.rapl_off",
            "guest-policy",
            MILAN,
            |p| p.guest.rapl_off = Rule::Check(Require),
            |b| guest(b, 1 << 23),
            nothing,
        ),
        case(
            "guest.ciphertext_hiding",
            "guest-policy",
            MILAN,
            |p| p.guest.ciphertext_hiding = Rule::Check(Require),
            |b| guest(b, 1 << 24),
            nothing,
        ),
        case(
            "guest.page_swap_off",
            "guest-policy",
            GENOA,
            |p| p.guest.page_swap_off = Rule::Check(Require),
            |b| guest(b, 1 << 25),
            nothing,
        ),
        case(
            "guest.page_swap_off",
            "guest-policy",
            GENOA,
            |p| p.guest.page_swap_off = Rule::Check(Refuse),
            nothing,
            |b| guest(b, 1 << 25),
        ),
        case(
            "platform.smt",
            "platform",
            MILAN,
            |p| p.platform.smt = Rule::Check(Refuse),
            |b| platform(b, 0x24),
            nothing,
        ),
        case(
            "platform.tsme",
            "platform",
            MILAN,
            |p| p.platform.tsme = Rule::Check(Require),
            |b| platform(b, 0x27),
            nothing,
        ),
        case(
            "platform.ecc",
            "platform",
            MILAN,
            |p| p.platform.ecc = Rule::Check(Require),
            nothing,
            |b| platform(b, 0x21),
        ),
        case(
            "platform.rapl_off",
            "platform",
            MILAN,
            |p| p.platform.rapl_off = Rule::Check(Require),
            |b| platform(b, 0x2D),
            nothing,
        ),
        case(
            "platform.ciphertext_hiding",
            "platform",
            MILAN,
            |p| p.platform.ciphertext_hiding = Rule::Check(Require),
            |b| platform(b, 0x35),
            nothing,
        ),
        case(
            "platform.alias_check",
            "platform",
            MILAN,
            |p| p.platform.alias_check = Rule::Check(Require),
            nothing,
            |b| platform(b, 0x05),
        ),
        case(
            "platform.iommu_write_safe",
            "platform",
            TURIN,
            |p| p.platform.iommu_write_safe = Rule::Check(Require),
            nothing,
            |b| platform(b, 0x25),
        ),
        case(
            "platform.tio",
            "platform",
            TURIN,
            |p| p.platform.tio = Rule::Check(Refuse),
            nothing,
            |b| platform(b, 0xE5),
        ),
        case(
            "provisional_firmware",
            "committed",
            MILAN,
            |p| p.provisional_firmware = Rule::Check(()),
            nothing,
            |b| b.put(CURRENT + 7, &[220]),
        ),
        case(
            "provisional_firmware",
            "committed",
            MILAN,
            |p| p.provisional_firmware = Rule::Check(()),
            nothing,
            |b| b.put(0x1E8, &[30]),
        ),
        case(
            "firmware.PRODUCT.min_reported_tcb",
            "min-reported-tcb",
            MILAN,
            |p| p.firmware.milan.min_reported_tcb = Rule::Check(FLOOR),
            nothing,
            |_| {},
        ),
        case(
            "firmware.PRODUCT.min_committed_tcb",
            "min-committed-tcb",
            MILAN,
            |p| p.firmware.milan.min_committed_tcb = Rule::Check(Tcb { microcode: 220, ..FLOOR }),
            |b| {
                b.put(COMMITTED + 7, &[220]);
                b.put(CURRENT + 7, &[220]);
            },
            nothing,
        ),
        case(
            "firmware.PRODUCT.min_launch_tcb",
            "min-launch-tcb",
            MILAN,
            |p| p.firmware.milan.min_launch_tcb = Rule::Check(FLOOR),
            nothing,
            |b| b.put(LAUNCH + 6, &[23]),
        ),
        case(
            "firmware.PRODUCT.min_launch_tcb",
            "min-launch-tcb",
            TURIN,
            |p| p.firmware.turin.min_launch_tcb = Rule::Check(FLOOR_TURIN),
            nothing,
            |b| b.put(LAUNCH, &[0]),
        ),
        case(
            "firmware.PRODUCT.min_current_version",
            "min-current-version",
            MILAN,
            |p| p.firmware.milan.min_current_version = Rule::Check(FirmwareVersion { build: 30, ..AHEAD }),
            |b| b.put(0x1E8, &[30]),
            nothing,
        ),
        case(
            "firmware.PRODUCT.min_committed_version",
            "min-committed-version",
            MILAN,
            |p| p.firmware.milan.min_committed_version = Rule::Check(AHEAD),
            nothing,
            |b| b.put(0x1EC, &[28]),
        ),
        case(
            "firmware.PRODUCT.launch_mitigations",
            "launch-mitigations",
            GENOA,
            |p| p.firmware.genoa.launch_mitigations = Rule::Check(0x3),
            nothing,
            |b| b.put(0x1F8, &[0x3D]),
        ),
        case(
            "firmware.PRODUCT.current_mitigations",
            "current-mitigations",
            GENOA,
            |p| p.firmware.genoa.current_mitigations = Rule::Check(0x3),
            nothing,
            |b| b.put(0x200, &[0x3E]),
        ),
        case(
            "min_guest_svn",
            "guest-svn",
            MILAN,
            |p| p.min_guest_svn = Rule::Check(7),
            |b| b.put(0x004, &[7]),
            |b| b.put(0x004, &[6]),
        ),
        case(
            "measurements",
            "measurement",
            MILAN,
            |p| p.measurements = Rule::Check(vec![[1; 48], [2; 48]]),
            |b| b.put(0x090, &[2; 48]),
            |b| b.put(0x090, &[3; 48]),
        ),
        case(
            "family_ids",
            "family-id",
            MILAN,
            |p| p.family_ids = Rule::Check(vec![[4; 16]]),
            |b| b.put(0x010, &[4; 16]),
            nothing,
        ),
        case(
            "image_ids",
            "image-id",
            MILAN,
            |p| p.image_ids = Rule::Check(vec![[5; 16]]),
            |b| b.put(0x020, &[5; 16]),
            nothing,
        ),
        case(
            "id_keys",
            "id-key",
            MILAN,
            |p| p.id_keys = Rule::Check(vec![[6; 48]]),
            |b| b.put(0x0E0, &[6; 48]),
            nothing,
        ),
        case(
            "author_keys",
            "author-key",
            MILAN,
            |p| p.author_keys = Rule::Check(vec![[7; 48]]),
            |b| {
                b.put(0x048, &[1]);
                b.put(0x110, &[7; 48]);
            },
            |b| {
                b.put(0x048, &[1]);
                b.put(0x110, &[8; 48]);
            },
        ),
        // The digest alone is not one that the firmware has checked.
        case(
            "author_keys",
            "author-key",
            MILAN,
            |p| p.author_keys = Rule::Check(vec![[7; 48]]),
            |b| {
                b.put(0x048, &[1]);
                b.put(0x110, &[7; 48]);
            },
            |b| b.put(0x110, &[7; 48]),
        ),
        case(
            "author_key_used",
            "author-key-used",
            MILAN,
            |p| p.author_key_used = Rule::Check(Refuse),
            nothing,
            |b| b.put(0x048, &[1]),
        ),
        case(
            "author_key_used",
            "author-key-used",
            MILAN,
            |p| p.author_key_used = Rule::Check(Require),
            |b| b.put(0x048, &[1]),
            nothing,
        ),
        case(
            "host_data",
            "host-data",
            MILAN,
            |p| p.host_data = Rule::Check(vec![[9; 32]]),
            |b| b.put(0x0C0, &[9; 32]),
            nothing,
        ),
        case(
            "report_data",
            "report-data-listed",
            MILAN,
            |p| p.report_data = Rule::Check(ReportData::OneOf(vec![[0x5A; 64]])),
            nothing,
            |b| b.put(0x050, &[0]),
        ),
        case(
            "chips",
            "chip",
            MILAN,
            |p| p.chips = Rule::Check(vec![vec![0xC1; 64]]),
            nothing,
            |b| b.put(0x1A0, &[0; 64]),
        ),
        case(
            "chips",
            "chip",
            TURIN,
            |p| p.chips = Rule::Check(vec![vec![0xC1; 8]]),
            nothing,
            |b| b.put(0x1A0, &[0; 64]),
        ),
        case(
            "chip_binding",
            "chip-binding",
            MILAN,
            |p| p.chip_binding = Rule::Check(()),
            nothing,
            |b| b.put(0x1A0, &[0; 64]),
        ),
        case(
            "providers",
            "provider",
            MILAN_VLEK,
            |p| p.providers = Rule::Check(vec![PROVIDER.into()]),
            nothing,
            nothing,
        ),
        case("products", "accepted-product", MILAN, |p| p.products = Rule::Check(vec![Line::Milan]), nothing, nothing),
        case("keys", "accepted-key", MILAN, |p| p.keys = Rule::Check(vec![Kind::Vcek]), nothing, nothing),
        case("advisories", "advisories", GENOA, |p| reject_all_but(p, &[]), nothing, nothing),
        case("accepted_advisories", "advisories", MILAN, |p| reject_all_but(p, &["milan-seed"]), nothing, nothing),
    ]
}

/// Rows that cannot be broken by a change of the report, for the certificate or the table decides: the rule that breaks.
fn broken_otherwise(field: &str) -> Option<fn(&mut Policy)> {
    Some(match field {
        "firmware.PRODUCT.min_reported_tcb" => {
            |p| p.firmware.milan.min_reported_tcb = Rule::Check(Tcb { microcode: 220, ..FLOOR })
        }
        "providers" => |p| p.providers = Rule::Check(vec!["CN=cc-eu-west-1.amazonaws.com".into()]),
        "products" => |p| p.products = Rule::Check(vec![Line::Genoa, Line::Turin]),
        "keys" => |p| p.keys = Rule::Check(vec![Kind::Vlek]),
        "advisories" | "accepted_advisories" => |p| reject_all_but(p, &["interposer"]),
        _ => return None,
    })
}

/// With nothing named, every advisory is accepted; the point is the rule, not the table.
fn reject_all_but(policy: &mut Policy, rejecting: &[&str]) {
    policy.advisories = OnAdvisory::Reject;
    let accepted = attestation_verifier::ADVISORIES.iter().map(|advisory| advisory.id);
    let accept = |id: &str| match rejecting {
        ["interposer"] => false,
        ids => ids.is_empty() || ids.contains(&id) || id != "milan-seed",
    };
    policy.accepted_advisories = accepted
        .filter(|id| accept(id))
        .map(|id| AcceptedAdvisory { id: id.into(), reason: "tried in a test".into() })
        .collect();
}

/// Fields that are no rule about a bare report, and the test that breaks them.
const ELSEWHERE: &[(&str, &str)] = &[
    ("revocation", "tests/revocation.rs"),
    ("stale_crl", "tests/revocation.rs"),
    ("settlement", "tests/payments.rs"),
    ("code", "gateway/code.rs"),
    ("vtpm", "tests/quoted_bundles.rs, tests/policy_command.rs"),
];

fn failing(verdict: &Verdict) -> Vec<&str> {
    let failing = verdict.checks.iter().filter(|check| check.outcome == Outcome::Fail);
    failing.map(|check| check.name).collect()
}

#[test]
fn every_rule_is_kept_by_one_report_and_broken_by_one_that_breaks_nothing_else() {
    let silicon = [Product::Milan, Product::Genoa, Product::Turin].map(Silicon::new);
    for case in cases() {
        let (product, version, kind) = case.on;
        let silicon = silicon.iter().find(|silicon| silicon.product == product).unwrap();
        let judge = |policy: &Policy, change: fn(&mut Body)| {
            let mut body = match kind {
                VekKind::Vcek => silicon.body(version),
                VekKind::Vlek => silicon.body_of_provider(version),
            };
            change(&mut body);
            silicon.judge(kind, &body, policy)
        };
        let field = case.field;
        let mut policy = Policy::strict();
        (case.rule)(&mut policy);
        let kept = judge(&policy, case.keep);
        assert_eq!((kept.word(), failing(&kept)), ("accepted (test root)", vec![]), "{field}");
        if let Some(rule) = broken_otherwise(field) {
            rule(&mut policy);
        }
        let broken = judge(&policy, case.wrong);
        assert_eq!((broken.exit_code(), failing(&broken)), (5, vec![case.row]), "{field}");
        let row = broken.check(case.row).unwrap();
        assert!(!row.detail.is_empty() && row.fix.as_ref().is_some_and(|fix| !fix.is_empty()), "{field}");
    }
}

#[test]
fn every_field_has_a_row_in_the_table_or_another_place_that_breaks_it() {
    let broken: BTreeSet<&str> =
        cases().iter().map(|case| case.field).chain(ELSEWHERE.iter().map(|(field, _)| *field)).collect();
    let known = About::ALL.iter().map(|about| about.path).filter(|path| !path.starts_with("events."));
    assert_eq!(broken, known.collect());
}

#[test]
fn what_a_report_of_an_older_version_cannot_show_fails_where_it_is_required() {
    let milan = Silicon::new(Product::Milan);
    let (product, version, kind) = MILAN_2;
    assert_eq!((product, version), (milan.product, 2));
    for (rule, row, says) in [
        ((|p| p.platform.alias_check = Rule::Check(Bit::Require)) as fn(&mut Policy), "platform", "version 2"),
        (|p| p.platform.iommu_write_safe = Rule::Check(Bit::Require), "platform", "bit 6 is not set"),
        (|p| p.platform.tio = Rule::Check(Bit::Require), "platform", "trusted I/O is off"),
        (|p| p.guest.page_swap_off = Rule::Check(Bit::Require), "guest-policy", "PAGE_SWAP_DISABLE is not required"),
        (|p| p.firmware.milan.launch_mitigations = Rule::Check(1), "launch-mitigations", "version 2"),
        (|p| p.firmware.milan.current_mitigations = Rule::Check(1), "current-mitigations", "version 2"),
    ] {
        let mut policy = Policy::strict();
        rule(&mut policy);
        let verdict = milan.judge(kind, &milan.body(version), &policy);
        assert_eq!((verdict.exit_code(), failing(&verdict)), (5, vec![row]));
        let detail = &verdict.check(row).unwrap().detail;
        assert!(detail.contains(says), "{detail}");
    }
}

#[test]
fn a_rule_about_another_product_is_none_about_this_one() {
    let genoa = Silicon::new(Product::Genoa);
    let mut policy = Policy::strict();
    let high = Tcb { fmc: None, bootloader: 255, tee: 255, snp: 255, microcode: 255 };
    policy.firmware.milan.min_reported_tcb = Rule::Check(high);
    let verdict = genoa.judge(VekKind::Vcek, &genoa.body(5), &policy);
    assert_eq!(verdict.word(), "accepted (test root)");
    let listed = |field: &str| verdict.unchecked.iter().any(|unchecked| unchecked.field == field);
    assert!(listed("firmware.genoa.min_reported_tcb") && !listed("firmware.turin.min_reported_tcb"));
}

#[test]
fn what_is_unchecked_stands_in_the_verdict_with_its_reason() {
    let milan = Silicon::new(Product::Milan);
    let policy = Policy { measurements: Rule::unchecked("the image is not built yet"), ..Policy::strict() };
    let verdict = milan.judge(VekKind::Vcek, &milan.body(3), &policy);
    assert!(verdict.check("measurement").unwrap().detail.ends_with("unchecked: the image is not built yet"));
    let json: serde_json::Value = serde_json::from_str(&verdict.to_json()).unwrap();
    let unchecked = json["unchecked"].as_array().unwrap();
    assert!(
        unchecked
            .iter()
            .any(|field| field["field"] == "measurements" && field["reason"] == "the image is not built yet")
    );
    // Every field without a rule, but for those that no report can answer.
    let strict = policy.fields().into_iter().filter(|field| field.rule.is_err()).count();
    let of_others = 14 + 7 + 1;
    assert_eq!(unchecked.len(), strict - of_others);
}

#[test]
fn an_accepted_advisory_lets_that_attack_pass_and_no_other() {
    let milan = Silicon::new(Product::Milan);
    // The memory alias check was not made.
    let mut body = milan.body(3);
    platform(&mut body, 0x05);
    let judge = |advisories, accepted: &[&str]| {
        let accept = |id: &&str| AcceptedAdvisory { id: (*id).into(), reason: format!("{id} is known") };
        let accepted_advisories = accepted.iter().map(accept).collect();
        milan.judge(VekKind::Vcek, &body, &Policy { advisories, accepted_advisories, ..Policy::strict() })
    };
    let row = |verdict: &Verdict| {
        let row = verdict.check("advisories").unwrap();
        (row.outcome, row.detail.clone())
    };
    let told = judge(OnAdvisory::Report, &[]);
    let open = told.advisories.iter().filter(|attack| attack.status != AdvisoryStatus::Physical);
    let open: Vec<&str> = open.map(|attack| attack.id).collect();
    assert!(open.contains(&"milan-seed") && open.contains(&"badram") && open.contains(&"rmpocalypse"), "{open:?}");
    let (outcome, detail) = row(&told);
    assert_eq!((told.word(), outcome), ("accepted (test root)", Outcome::NotChecked));
    let (applies, unknown) = detail.split_once("; cannot be excluded: ").unwrap();
    assert!(
        applies.starts_with("applies: ") && applies.contains("badram") && applies.contains("milan-seed"),
        "{detail}"
    );
    assert!(
        unknown.contains("rmpocalypse") && !detail.contains("accepted") && !detail.contains("interposer"),
        "{detail}"
    );

    // A report without CPUID may be of any line of Milan, and of no other.
    let version_2 = milan.judge(VekKind::Vcek, &milan.body(2), &Policy::strict());
    let seed = version_2.advisories.iter().find(|attack| attack.id == "milan-seed");
    assert_eq!(seed.map(|attack| attack.status), Some(AdvisoryStatus::Applies));

    let accepted = judge(OnAdvisory::Reject, &open);
    let (outcome, detail) = row(&accepted);
    assert_eq!((accepted.word(), outcome), ("accepted (test root)", Outcome::NotChecked));
    assert!(detail.starts_with(&format!("accepted by the policy: {} (table of ", open.join(", "))), "{detail}");
    for attack in accepted.advisories.iter().filter(|attack| open.contains(&attack.id)) {
        assert_eq!(attack.accepted, Some(format!("{} is known", attack.id)));
    }

    let others: Vec<&str> = open.iter().copied().filter(|id| *id != "badram").collect();
    let rejected = judge(OnAdvisory::Reject, &others);
    let (outcome, detail) = row(&rejected);
    assert_eq!((rejected.exit_code(), outcome), (5, Outcome::Fail));
    assert!(detail.starts_with(&format!("applies: badram; accepted by the policy: {}", others.join(", "))), "{detail}");
}

#[test]
fn what_a_report_alone_cannot_show_stays_open_and_rejects_where_it_decides_about_the_boot() {
    let milan = Silicon::new(Product::Milan);
    let judge = |policy| milan.judge(VekKind::Vcek, &milan.body(3), &policy);
    let outcome = |verdict: &Verdict, row| verdict.check(row).map(|check| check.outcome);
    let verdict = judge(Policy { vtpm: Rule::Check(vec![VtpmKind::Host]), ..Policy::strict() });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "vtpm-kind")), (0, Some(Outcome::NotChecked)));
    let events = EventPolicy { secure_boot: Rule::Check(true), ..EventPolicy::unchecked("tried in a test") };
    let verdict = judge(Policy { events, ..Policy::strict() });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "events")), (5, Some(Outcome::NotChecked)));
    let verdict = judge(Policy::strict());
    assert_eq!((outcome(&verdict, "vtpm-kind"), outcome(&verdict, "events")), (None, None));
    // Nobody has said what REPORT_DATA should be.
    let verdict = judge(Policy { report_data: Rule::Check(ReportData::Required), ..Policy::strict() });
    assert_eq!((verdict.exit_code(), outcome(&verdict, "report-data")), (5, Some(Outcome::NotChecked)));
}

#[test]
fn a_chip_that_is_not_listed_is_refused_and_a_masked_one_even_where_zeros_are_listed() {
    for (silicon, length) in [(Silicon::new(Product::Milan), 64), (Silicon::new(Product::Turin), 8)] {
        let judge = |chips: &[u8], change: fn(&mut Body)| {
            let mut body = silicon.body(5);
            change(&mut body);
            let chips = chips.iter().map(|byte| vec![*byte; length]).collect();
            let policy = Policy { chips: Rule::Check(chips), ..Policy::strict() };
            silicon.judge(VekKind::Vcek, &body, &policy).check("chip").unwrap().outcome
        };
        assert_eq!(judge(&[0xC2, 0xC1], nothing), Outcome::Pass);
        assert_eq!(judge(&[0xC2, 0xC3], nothing), Outcome::Fail);
        assert_eq!(judge(&[0, 0xC1], |body| body.put(0x1A0, &[0; 64])), Outcome::Fail);
    }
}

#[test]
fn an_attack_is_excluded_only_by_what_holds_at_launch_and_now_for_machine_or_guest() {
    let known = |silicon: &Silicon, version: u32, id: &'static str, change: fn(&mut Body)| {
        let mut body = silicon.body(version);
        change(&mut body);
        let verdict = silicon.judge(VekKind::Vcek, &body, &Policy::strict());
        verdict.advisories.into_iter().find(|attack| attack.id == id).map(|attack| (attack.status, attack.why))
    };
    let status = |silicon: &Silicon, version, id, change| known(silicon, version, id, change).map(|(status, _)| status);
    let milan = Silicon::new(Product::Milan);
    // Firmware that the host may take back, by its levels or by its version alone.
    assert_eq!(known(&milan, 3, "provisional-firmware", nothing), None);
    let (_, why) = known(&milan, 3, "provisional-firmware", |body| body.put(CURRENT + 7, &[220])).unwrap();
    assert!(why.starts_with("COMMITTED_TCB is ") && why.contains("microcode 220"), "{why}");
    let (_, why) = known(&milan, 3, "provisional-firmware", |body| body.put(0x1E8, &[30])).unwrap();
    assert!(why.contains("is committed"), "{why}");
    // A mitigation counts if both vectors have its bit.
    fn vectors(body: &mut Body, launch: u8, current: u8) {
        body.put(0x1F8, &[launch]);
        body.put(0x200, &[current]);
    }
    assert_eq!(known(&milan, 5, "rmpocalypse", |body| vectors(body, 0b10, 0b10)), None);
    let missing: [fn(&mut Body); 3] =
        [|body| vectors(body, 0b10, 0), |body| vectors(body, 0, 0b10), |body| vectors(body, 0, 0)];
    for change in missing {
        assert_eq!(status(&milan, 5, "rmpocalypse", change), Some(AdvisoryStatus::Applies));
    }
    // Threads share a core if the machine has them on and the guest lets it.
    assert_eq!(status(&milan, 3, "stackwarp", nothing), Some(AdvisoryStatus::Unknown));
    assert_eq!(known(&milan, 3, "stackwarp", |body| platform(body, 0x24)), None);
    assert_eq!(known(&milan, 3, "stackwarp", |body| guest(body, 1 << 16)), None);
}
