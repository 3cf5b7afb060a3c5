//! A report held against a policy. Each rule gives a line; a rule that asks for nothing gives none, but for the
//! measurement, whose absence a reader must see.

use crate::{Accept, Allowance, Chain, Class, Demand, Policy, Report, Tcb, Verified, Vmpl, appraisal::Checks};

/// Lines for everything the policy asks.
pub(crate) fn check(report: &Verified<Report<'_>>, chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    accepted_kinds(report, chain, policy, checks);
    privilege(report, policy, checks);
    guest_policy(report, policy, checks);
    platform(report, policy, checks);
    firmware(report, policy, checks);
    listed(checks, "measurement", "report.MEASUREMENT", report.measurement(), &policy.measurements, true);
    listed(checks, "host-data", "report.HOST_DATA", report.host_data(), &policy.host_data, false);
    listed(checks, "id-key", "report.ID_KEY_DIGEST", report.id_key_digest(), &policy.id_keys, false);
    listed(checks, "author-key", "report.AUTHOR_KEY_DIGEST", report.author_key_digest(), &policy.author_keys, false);
    chip(report, policy, checks);
    provider(chain, policy, checks);
}

const FIX: &str = "if you mean to accept it, say so in a policy file (--policy FILE)";

fn accepted_kinds(report: &Verified<Report<'_>>, chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    if !policy.products.contains(&report.product()) {
        let detail = format!("{} is none of the policy's products", report.product());
        checks.fail("accepted-product", Class::Policy, detail, FIX);
    }
    if !policy.keys.contains(&chain.kind()) {
        let detail = format!("a {} is none of the policy's keys", chain.kind());
        checks.fail("accepted-key", Class::Policy, detail, FIX);
    }
}

fn privilege(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    match report.vmpl() {
        Vmpl::Guest(level) if policy.vmpl.contains(&level) => {
            checks.pass("vmpl", Class::Policy, format!("asked for at VMPL {level}"));
        }
        found => {
            let detail = format!("report.VMPL: asked for by {found}, the policy accepts {:?}", policy.vmpl);
            checks.fail("vmpl", Class::Policy, detail, FIX);
        }
    }
}

fn guest_policy(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let (bits, rules) = (report.policy(), policy.guest);
    let wrong = [
        (!bits.reserved_one(), "bit 17, which must be one, is zero"),
        (refused(rules.debug, bits.debug()), "DEBUG is allowed: the host may read and write the guest"),
        (refused(rules.migration_agent, bits.migration_agent()), "MIGRATE_MA is allowed: an agent may move the guest"),
        (refused(rules.smt, bits.smt()), "SMT is allowed"),
        (refused(rules.cxl, bits.cxl()), "CXL is allowed"),
        (lacking(rules.single_socket, bits.single_socket()), "SINGLE_SOCKET is not required"),
        (lacking(rules.aes_256_xts, bits.aes_256_xts()), "MEM_AES_256_XTS is not required"),
        (lacking(rules.rapl_off, bits.rapl_off()), "RAPL_DIS is not required"),
        (lacking(rules.ciphertext_hiding, bits.ciphertext_hiding()), "CIPHERTEXT_HIDING_DRAM is not required"),
        (lacking(rules.page_swap_off, bits.page_swap_off()), "PAGE_SWAP_DISABLE is not required"),
    ];
    list(checks, "guest-policy", "report.POLICY", bits.0, &wrong);
}

fn platform(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let (bits, rules) = (report.platform_info(), policy.platform);
    let wrong = [
        (refused(rules.smt, bits.smt()), "SMT is on"),
        (lacking(rules.tsme, bits.tsme()), "TSME is off"),
        (lacking(rules.ecc, bits.ecc()), "memory has no ECC"),
        (lacking(rules.alias_check, bits.alias_check()), "the memory alias check (AMD-SB-3015) is not shown"),
        (lacking(rules.ciphertext_hiding, bits.ciphertext_hiding()), "ciphertext hiding is off"),
    ];
    list(checks, "platform", "report.PLATFORM_INFO", bits.0, &wrong);
}

fn firmware(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let (reported, committed, current) = (report.reported_tcb(), report.committed_tcb(), report.current_tcb());
    let order = [("REPORTED", reported, "COMMITTED", committed), ("COMMITTED", committed, "CURRENT", current)];
    match order.iter().find_map(|(low, a, high, b)| b.first_below(a).map(|found| (low, high, found))) {
        Some((low, high, (part, found, minimum))) => {
            let part = part.name();
            let detail = format!("report.{low}_TCB.{part}: {minimum}, above {high}_TCB with {found}");
            checks.fail(
                "tcb-order",
                Class::Policy,
                detail,
                "no firmware of AMD's reports this; fetch the report again",
            );
        }
        None if policy.provisional_firmware == Allowance::Refuse && committed != current => {
            let detail = format!("report.COMMITTED_TCB: {committed}; running is {current}, so the host may go back");
            checks.fail("tcb-order", Class::Policy, detail, "the host must commit its firmware (SNP_COMMIT)");
        }
        None => checks.pass("tcb-order", Class::Policy, "reported <= committed <= current".into()),
    }
    if let Some(floor) = policy.min_tcb.of(report.product()) {
        floors(report, floor, checks);
    }
    if report.guest_svn() < policy.min_guest_svn {
        let detail = format!(
            "report.GUEST_SVN: found {}, policy.min_guest_svn asks for {}",
            report.guest_svn(),
            policy.min_guest_svn
        );
        checks.fail("guest-svn", Class::Policy, detail, FIX);
    }
}

fn floors(report: &Verified<Report<'_>>, floor: Tcb, checks: &mut Checks) {
    let held =
        [("REPORTED", report.reported_tcb()), ("COMMITTED", report.committed_tcb()), ("LAUNCH", report.launch_tcb())];
    match held.iter().find_map(|(name, tcb)| tcb.first_below(&floor).map(|found| (name, found))) {
        None => checks.pass("min-tcb", Class::Policy, format!("at least {floor}")),
        Some((name, (part, found, minimum))) => {
            let part = part.name();
            let detail = format!("report.{name}_TCB.{part}: found {found}, policy.min_tcb asks for {minimum}");
            checks.fail(
                "min-tcb",
                Class::Policy,
                detail,
                "update the host firmware, or accept the older TCB in the policy file",
            );
        }
    }
}

fn chip(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let Accept::OneOf(chips) = &policy.chips else { return };
    let id = report.chip_id().split_at_checked(report.product().hwid_length()).map(|(id, _)| id);
    if !report.chip_id_masked() && chips.iter().any(|known| Some(known.as_slice()) == id) {
        checks.pass("chip", Class::Policy, "one of the policy's chips".into());
    } else {
        checks.fail("chip", Class::Policy, "report.CHIP_ID: none of the policy's chips".into(), FIX);
    }
}

fn provider(chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    let Accept::OneOf(providers) = &policy.providers else { return };
    match chain.vek().csp_id() {
        Some(id) if providers.iter().any(|known| known == id) => {
            checks.pass("provider", Class::Policy, id.to_owned());
        }
        Some(id) => {
            checks.fail(
                "provider",
                Class::Policy,
                format!("vek.CSP_ID: \"{id}\" is none of the policy's providers"),
                FIX,
            );
        }
        None => checks.fail("provider", Class::Policy, "vek: a VCEK names no provider".into(), FIX),
    }
}

fn listed<const N: usize>(
    checks: &mut Checks,
    name: &'static str,
    field: &str,
    found: &[u8; N],
    accepted: &Accept<[u8; N]>,
    always: bool,
) {
    let text = hex::encode(found);
    match accepted {
        Accept::Any if always => {
            checks.note(name, Class::Policy, &format!("{text}; the policy asks for no particular one"));
        }
        Accept::Any => {}
        Accept::OneOf(list) if list.contains(found) => checks.pass(name, Class::Policy, text),
        Accept::OneOf(_) => {
            checks.fail(name, Class::Policy, format!("{field}: {text} is not in the policy's list"), FIX)
        }
    }
}

fn list(checks: &mut Checks, name: &'static str, field: &str, bits: u64, wrong: &[(bool, &str)]) {
    let found: Vec<&str> = wrong.iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, what)| *what).collect();
    if found.is_empty() {
        checks.pass(name, Class::Policy, format!("{bits:#x}"));
    } else {
        checks.fail(name, Class::Policy, format!("{field}: {bits:#x}: {}", found.join("; ")), FIX);
    }
}

fn refused(rule: Allowance, bit: bool) -> bool {
    rule == Allowance::Refuse && bit
}

fn lacking(rule: Demand, bit: bool) -> bool {
    rule == Demand::Require && !bit
}
