//! A report held against a policy. Each rule gives a line; what the policy leaves unchecked is listed in the verdict with
//! its reason, and the measurement, whose absence a reader must see, has a line of its own even then.

use crate::{
    Bit, Chain, Class, FirmwareVersion, PlatformRules, Policy, Product, Report, ReportData, Rule, Tcb, Unchecked,
    Verdict, Verified, Vmpl, VtpmKind, appraisal::Checks,
};

/// Fields that no report can answer: bundles, proofs and quotes list them themselves.
const NOT_OF_A_REPORT: [&str; 3] = ["vtpm", "code", "settlement"];
const EVENTS: &str = "events.";

/// Lines for everything the policy asks.
pub(crate) fn check(report: &Verified<Report<'_>>, chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    accepted_kinds(report, chain, policy, checks);
    privilege(report, policy, checks);
    guest_policy(report, policy, checks);
    platform(report, policy, checks);
    firmware(report, policy, checks);
    identity(report, policy, checks);
    chip(report, policy, checks);
    provider(chain, policy, checks);
}

/// Does anything but the guest's own word say that this is what runs the virtual TPM? Any guest can hash claims of its own
/// making into REPORT_DATA: a paravisor is known by the key that signed its ID block, a service module by its measurement.
pub(crate) fn vouched(kind: VtpmKind, id_key: &[u8; 48], measurement: &[u8; 48], policy: &Policy) -> bool {
    match kind {
        VtpmKind::Paravisor => matches!(&policy.id_keys, Rule::Check(listed) if listed.contains(id_key)),
        VtpmKind::Svsm => matches!(&policy.measurements, Rule::Check(listed) if listed.contains(measurement)),
        // Nobody pretends to be less than he is.
        VtpmKind::Host | VtpmKind::Software | VtpmKind::None => true,
    }
}

/// What is missing where nothing vouches for the kind.
pub(crate) fn by_its_own_word(kind: VtpmKind) -> &'static str {
    match kind {
        VtpmKind::Svsm => "policy.measurements does not list this one as a service module's",
        _ => "policy.id_keys does not list this report's ID key as a paravisor's",
    }
}

/// Rows for what the policy asks and a report alone cannot show.
pub(crate) fn not_of_a_report(policy: &Policy, checks: &mut Checks) {
    if matches!(policy.vtpm, Rule::Check(_)) {
        checks.note("vtpm-kind", Class::Policy, "a report alone shows no virtual TPM; the policy's rule waits for one");
    }
    if policy.events.asks() {
        let detail = "the policy asks what was booted, and a report alone does not show it: give quote and event log";
        checks.open("events", Class::Policy, detail);
    }
}

/// What the policy does not ask of a report of this product, with the reasons it gives.
pub(crate) fn list_unchecked(product: Product, policy: &Policy, verdict: &mut Verdict) {
    let product = format!("firmware.{}.", product.name().to_lowercase());
    for field in policy.fields() {
        let of_another = field.path.starts_with("firmware.") && !field.path.starts_with(&product);
        let Err(reason) = field.rule else { continue };
        let of_a_report = !NOT_OF_A_REPORT.contains(&field.path.as_str()) && !field.path.starts_with(EVENTS);
        if of_a_report && !of_another {
            verdict.leaves_unchecked(Unchecked { field: field.path, reason: reason.to_owned() });
        }
    }
}

/// The report data against the policy's own list.
pub(crate) fn listed_report_data(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    if let Rule::Check(ReportData::OneOf(list)) = &policy.report_data {
        listed(checks, "report-data-listed", "report.REPORT_DATA", report.report_data(), list);
    }
}

/// Who runs the virtual TPM, in evidence that has one or says that there is none.
pub(crate) fn vtpm_kind(kind: VtpmKind, vouched: bool, policy: &Policy, verdict: &mut Verdict, checks: &mut Checks) {
    match &policy.vtpm {
        Rule::Check(kinds) if kinds.contains(&kind) && vouched => {
            checks.pass("vtpm-kind", Class::Policy, format!("{kind}, which the policy accepts"));
        }
        Rule::Check(kinds) if kinds.contains(&kind) => {
            let detail = format!("{kind} by its own word: {}", by_its_own_word(kind));
            checks.open("vtpm-kind", Class::Policy, &detail);
        }
        Rule::Check(kinds) => {
            let kinds = kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ");
            let detail = format!("{kind}, and the policy accepts {kinds}");
            checks.fail("vtpm-kind", Class::Policy, detail, FIX);
        }
        Rule::Unchecked(reason) => {
            verdict.leaves_unchecked(Unchecked { field: "vtpm".into(), reason: reason.clone() });
        }
    }
}

const FIX: &str = "if you mean to accept it, say so in a policy file (--policy FILE)";
const UPDATE: &str = "update the host firmware, or accept the older one in the policy file";

fn accepted_kinds(report: &Verified<Report<'_>>, chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    if policy.products.asked().is_some_and(|list| !list.contains(&report.product())) {
        let detail = format!("{} is none of the policy's products", report.product());
        checks.fail("accepted-product", Class::Policy, detail, FIX);
    }
    if policy.keys.asked().is_some_and(|list| !list.contains(&chain.kind())) {
        let detail = format!("a {} is none of the policy's keys", chain.kind());
        checks.fail("accepted-key", Class::Policy, detail, FIX);
    }
}

fn privilege(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    const NAME: &str = "vmpl";
    match (report.vmpl(), &policy.vmpl) {
        (Vmpl::Host, _) => {
            let detail = "report.VMPL: asked for by the host, which no policy accepts".into();
            checks.fail(NAME, Class::Policy, detail, "the guest has to ask for the report itself");
        }
        (Vmpl::Guest(level), Rule::Unchecked(reason)) => {
            checks.note(NAME, Class::Policy, &format!("asked for at VMPL {level}; unchecked: {reason}"));
        }
        (Vmpl::Guest(level), Rule::Check(levels)) if levels.contains(&level) => {
            checks.pass(NAME, Class::Policy, format!("asked for at VMPL {level}"));
        }
        (found, Rule::Check(levels)) => {
            let detail = format!("report.VMPL: asked for by {found}, the policy accepts {levels:?}");
            checks.fail(NAME, Class::Policy, detail, FIX);
        }
    }
}

fn guest_policy(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let (bits, rules) = (report.policy(), &policy.guest);
    let abi = bits.min_abi();
    let wanted_abi = rules.min_abi.asked();
    let low = wanted_abi.filter(|wanted| abi < **wanted).map(|(major, minor)| {
        format!("the lowest ABI is {}.{}, policy.guest.min_abi asks for {major}.{minor}", abi.0, abi.1)
    });
    let seventeen = (!bits.reserved_one()).then(|| "bit 17, which must be one, is zero".to_owned());
    let wrong = [
        wrong_bit(&rules.smt, bits.smt(), "SMT is not allowed", "SMT is allowed"),
        wrong_bit(
            &rules.migration_agent,
            bits.migration_agent(),
            "MIGRATE_MA is not allowed",
            "MIGRATE_MA is allowed: an agent may move the guest",
        ),
        wrong_bit(
            &rules.debug,
            bits.debug(),
            "DEBUG is not allowed",
            "DEBUG is allowed: the host may read and write the guest",
        ),
        wrong_bit(
            &rules.single_socket,
            bits.single_socket(),
            "SINGLE_SOCKET is not required",
            "SINGLE_SOCKET is required",
        ),
        wrong_bit(&rules.cxl, bits.cxl(), "CXL is not allowed", "CXL is allowed"),
        wrong_bit(
            &rules.aes_256_xts,
            bits.aes_256_xts(),
            "MEM_AES_256_XTS is not required",
            "MEM_AES_256_XTS is required",
        ),
        wrong_bit(&rules.rapl_off, bits.rapl_off(), "RAPL_DIS is not required", "RAPL_DIS is required"),
        wrong_bit(
            &rules.ciphertext_hiding,
            bits.ciphertext_hiding(),
            "CIPHERTEXT_HIDING_DRAM is not required",
            "CIPHERTEXT_HIDING_DRAM is required",
        ),
        wrong_bit(
            &rules.page_swap_off,
            bits.page_swap_off(),
            "PAGE_SWAP_DISABLE is not required",
            "PAGE_SWAP_DISABLE is required",
        ),
    ];
    let wrong = [seventeen, low].into_iter().chain(wrong.map(|what| what.map(str::to_owned))).flatten().collect();
    list(checks, "guest-policy", "report.POLICY", bits.0, wrong);
}

fn platform(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let (bits, rules) = (report.platform_info(), &policy.platform);
    let no_alias_check = match report.version() {
        2 => "the memory alias check (AMD-SB-3015) cannot be shown by a report of version 2",
        _ => "the memory alias check (AMD-SB-3015) was not made",
    };
    let wrong = [
        wrong_bit(&rules.smt, bits.smt(), "SMT is off", "SMT is on"),
        wrong_bit(&rules.tsme, bits.tsme(), "TSME is off", "TSME is on"),
        wrong_bit(&rules.ecc, bits.ecc(), "memory has no ECC", "memory has ECC"),
        wrong_bit(&rules.rapl_off, bits.rapl_off(), "RAPL is on", "RAPL is off"),
        wrong_bit(
            &rules.ciphertext_hiding,
            bits.ciphertext_hiding(),
            "ciphertext hiding is off",
            "ciphertext hiding is on",
        ),
        wrong_bit(&rules.alias_check, bits.alias_check(), no_alias_check, "the memory alias check was made"),
        wrong_bit(&rules.iommu_write_safe, bits.iommu_write_safe(), "bit 6 is not set", "bit 6 is set"),
        wrong_bit(&rules.tio, bits.trusted_io(), "trusted I/O is off", "trusted I/O is on"),
    ];
    let PlatformRules { smt, tsme, ecc, rapl_off, ciphertext_hiding, alias_check, iommu_write_safe, tio } = rules;
    let asked = [smt, tsme, ecc, rapl_off, ciphertext_hiding, alias_check, iommu_write_safe, tio];
    if asked.into_iter().all(|rule| rule.asked().is_none()) {
        checks.note("platform", Class::Policy, &format!("{:#x}; the policy asks for no bit of it", bits.0));
        return;
    }
    list(checks, "platform", "report.PLATFORM_INFO", bits.0, wrong.into_iter().flatten().map(str::to_owned).collect());
}

fn firmware(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    order(report, policy, checks);
    floors(report, policy, checks);
    versions(report, policy, checks);
    mitigations(report, policy, checks);
    if let Rule::Check(wanted) = policy.min_guest_svn {
        let found = report.guest_svn();
        if found < wanted {
            let detail = format!("report.GUEST_SVN: found {found}, policy.min_guest_svn asks for {wanted}");
            checks.fail("guest-svn", Class::Policy, detail, FIX);
        } else {
            checks.pass("guest-svn", Class::Policy, format!("{found}, at least {wanted}"));
        }
    }
}

/// REPORTED <= COMMITTED <= CURRENT, whatever the policy says; and is what runs committed?
fn order(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    const NAME: &str = "tcb-order";
    const FIX: &str = "no firmware of AMD's reports this; fetch the report again";
    let (reported, committed, current) = (report.reported_tcb(), report.committed_tcb(), report.current_tcb());
    let (current_version, committed_version) = (report.current_version(), report.committed_version());
    let order = [("REPORTED", reported, "COMMITTED", committed), ("COMMITTED", committed, "CURRENT", current)];
    if let Some((low, high, (part, found, minimum))) =
        order.iter().find_map(|(low, a, high, b)| b.first_below(a).map(|found| (low, high, found)))
    {
        let detail = format!("report.{low}_TCB.{}: {minimum}, above {high}_TCB with {found}", part.name());
        checks.fail(NAME, Class::Policy, detail, FIX);
    } else if current_version < committed_version {
        let detail = format!("report.COMMITTED version: {committed_version}, above the running {current_version}");
        checks.fail(NAME, Class::Policy, detail, FIX);
    } else {
        checks.pass(NAME, Class::Policy, "reported <= committed <= current".into());
    }
    if policy.provisional_firmware.asked().is_some() {
        const NAME: &str = "committed";
        const FIX: &str = "the host must commit its firmware (SNP_COMMIT)";
        if committed != current {
            let detail = format!("report.COMMITTED_TCB: {committed}; running is {current}, so the host may go back");
            checks.fail(NAME, Class::Policy, detail, FIX);
        } else if committed_version != current_version {
            let detail = format!(
                "report.COMMITTED version: {committed_version}; running is {current_version}, so the host may go back"
            );
            checks.fail(NAME, Class::Policy, detail, FIX);
        } else {
            checks.pass(NAME, Class::Policy, format!("what runs is committed, firmware {current_version}"));
        }
    }
}

fn floors(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let rules = policy.firmware.of(report.product());
    let floors = [
        ("min-reported-tcb", "REPORTED", "min_reported_tcb", report.reported_tcb(), &rules.min_reported_tcb),
        ("min-committed-tcb", "COMMITTED", "min_committed_tcb", report.committed_tcb(), &rules.min_committed_tcb),
        ("min-launch-tcb", "LAUNCH", "min_launch_tcb", report.launch_tcb(), &rules.min_launch_tcb),
    ];
    for (name, tcb, field, found, rule) in floors {
        if let Rule::Check(floor) = rule {
            floor_of_levels(name, tcb, field, found, floor, checks);
        }
    }
}

fn floor_of_levels(name: &'static str, tcb: &str, field: &str, found: Tcb, floor: &Tcb, checks: &mut Checks) {
    match found.first_below(floor) {
        None => checks.pass(name, Class::Policy, format!("at least {floor}")),
        Some((part, found, minimum)) => {
            let part = part.name();
            let detail = format!("report.{tcb}_TCB.{part}: found {found}, policy.{field} asks for {minimum}");
            checks.fail(name, Class::Policy, detail, UPDATE);
        }
    }
}

fn versions(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let rules = policy.firmware.of(report.product());
    let versions: [(_, _, FirmwareVersion, _); 2] = [
        ("min-current-version", "CURRENT", report.current_version(), &rules.min_current_version),
        ("min-committed-version", "COMMITTED", report.committed_version(), &rules.min_committed_version),
    ];
    for (name, which, found, rule) in versions {
        match rule {
            Rule::Check(wanted) if found < *wanted => {
                let field = name.replace('-', "_");
                let detail = format!("report.{which} version: found {found}, policy.{field} asks for {wanted}");
                checks.fail(name, Class::Policy, detail, UPDATE);
            }
            Rule::Check(wanted) => checks.pass(name, Class::Policy, format!("{found}, at least {wanted}")),
            Rule::Unchecked(_) => {}
        }
    }
}

fn mitigations(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    let rules = policy.firmware.of(report.product());
    let (launch, current) = match report.mitigations() {
        Some((launch, current)) => (Some(launch), Some(current)),
        None => (None, None),
    };
    let vectors = [
        ("launch-mitigations", "LAUNCH_MIT_VECTOR", launch, &rules.launch_mitigations),
        ("current-mitigations", "CURRENT_MIT_VECTOR", current, &rules.current_mitigations),
    ];
    for (name, field, found, rule) in vectors {
        let Rule::Check(wanted) = rule else { continue };
        match found {
            Some(found) if found & wanted == *wanted => checks.pass(name, Class::Policy, format!("{found:#x}")),
            Some(found) => {
                let detail = format!("report.{field}: {found:#x} lacks {:#x} of {wanted:#x}", wanted & !found);
                checks.fail(name, Class::Policy, detail, UPDATE);
            }
            None => {
                let detail = format!(
                    "report.{field}: a report of version {} has none, the policy asks for {wanted:#x}",
                    report.version()
                );
                checks.fail(
                    name,
                    Class::Policy,
                    detail,
                    "ask the guest for a report of version 5 (newer SNP firmware)",
                );
            }
        }
    }
}

fn identity(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    match &policy.measurements {
        Rule::Check(list) => listed(checks, "measurement", "report.MEASUREMENT", report.measurement(), list),
        Rule::Unchecked(reason) => {
            let text = hex::encode(report.measurement());
            checks.note("measurement", Class::Policy, &format!("{text}; unchecked: {reason}"));
        }
    }
    if let Rule::Check(list) = &policy.family_ids {
        listed(checks, "family-id", "report.FAMILY_ID", report.family_id(), list);
    }
    if let Rule::Check(list) = &policy.image_ids {
        listed(checks, "image-id", "report.IMAGE_ID", report.image_id(), list);
    }
    if let Rule::Check(list) = &policy.host_data {
        listed(checks, "host-data", "report.HOST_DATA", report.host_data(), list);
    }
    if let Rule::Check(list) = &policy.id_keys {
        listed(checks, "id-key", "report.ID_KEY_DIGEST", report.id_key_digest(), list);
    }
    if let Rule::Check(list) = &policy.author_keys {
        // Without the bit the digest is not one that the firmware has checked.
        if report.key_info().author_key {
            listed(checks, "author-key", "report.AUTHOR_KEY_DIGEST", report.author_key_digest(), list);
        } else {
            let detail = "report.KEY_INFO: AUTHOR_KEY_EN is zero, so there is no author key".into();
            checks.fail("author-key", Class::Policy, detail, FIX);
        }
    }
    if let Rule::Check(bit) = policy.author_key_used {
        let says = if report.key_info().author_key { "one" } else { "zero" };
        if bit.holds(report.key_info().author_key) {
            checks.pass("author-key-used", Class::Policy, format!("AUTHOR_KEY_EN is {says}"));
        } else {
            let detail = format!("report.KEY_INFO: AUTHOR_KEY_EN is {says}");
            checks.fail("author-key-used", Class::Policy, detail, FIX);
        }
    }
}

fn chip(report: &Verified<Report<'_>>, policy: &Policy, checks: &mut Checks) {
    if policy.chip_binding.asked().is_some() {
        if report.chip_id_masked() {
            let detail = "report.CHIP_ID: zero, so the report names no chip".into();
            checks.fail(
                "chip-binding",
                Class::Policy,
                detail,
                "the host must clear MASK_CHIP_ID; a VLEK never names one",
            );
        } else {
            checks.pass("chip-binding", Class::Policy, "the report names its chip".into());
        }
    }
    let Rule::Check(chips) = &policy.chips else { return };
    let id = report.chip_id().split_at_checked(report.product().hwid_length()).map(|(id, _)| id);
    if !report.chip_id_masked() && chips.iter().any(|known| Some(known.as_slice()) == id) {
        checks.pass("chip", Class::Policy, "one of the policy's chips".into());
    } else {
        checks.fail("chip", Class::Policy, "report.CHIP_ID: none of the policy's chips".into(), FIX);
    }
}

fn provider(chain: &Verified<Chain<'_>>, policy: &Policy, checks: &mut Checks) {
    let Rule::Check(providers) = &policy.providers else { return };
    match chain.vek().csp_id() {
        Some(id) if providers.iter().any(|known| known == id) => {
            checks.pass("provider", Class::Policy, id.to_owned());
        }
        Some(id) => {
            let detail = format!("vek.CSP_ID: \"{id}\" is none of the policy's providers");
            checks.fail("provider", Class::Policy, detail, FIX);
        }
        None => checks.fail("provider", Class::Policy, "vek: a VCEK names no provider".into(), FIX),
    }
}

fn listed<const N: usize>(checks: &mut Checks, name: &'static str, field: &str, found: &[u8; N], list: &[[u8; N]]) {
    let text = hex::encode(found);
    if list.contains(found) {
        checks.pass(name, Class::Policy, text);
    } else {
        checks.fail(name, Class::Policy, format!("{field}: {text} is not in the policy's list"), FIX);
    }
}

fn list(checks: &mut Checks, name: &'static str, field: &str, bits: u64, wrong: Vec<String>) {
    if wrong.is_empty() {
        checks.pass(name, Class::Policy, format!("{bits:#x}"));
    } else {
        checks.fail(name, Class::Policy, format!("{field}: {bits:#x}: {}", wrong.join("; ")), FIX);
    }
}

fn wrong_bit(rule: &Rule<Bit>, bit: bool, lacking: &'static str, set: &'static str) -> Option<&'static str> {
    let rule = rule.asked()?;
    if rule.holds(bit) {
        return None;
    }
    Some(if bit { set } else { lacking })
}

#[cfg(test)]
mod tests {
    use evidence::UnixSeconds;

    use super::*;
    use crate::{Outcome, malformed};

    fn judged(rule: Rule<Vec<VtpmKind>>, kind: VtpmKind, vouched: bool) -> (Option<(Outcome, String)>, Verdict) {
        let policy = Policy { vtpm: rule, ..Policy::strict() };
        let mut verdict = malformed("x", String::new(), "", UnixSeconds(0));
        let mut checks = Checks::default();
        vtpm_kind(kind, vouched, &policy, &mut verdict, &mut checks);
        let row = checks.find("vtpm-kind").map(|check| (check.outcome, check.detail.clone()));
        (row, verdict)
    }

    #[test]
    fn a_vtpm_passes_if_the_policy_lists_its_kind_and_somebody_beside_the_guest_vouches_for_it() {
        let inside = || Rule::Check(vec![VtpmKind::Paravisor, VtpmKind::Svsm]);
        let row = |kind, vouched| judged(inside(), kind, vouched).0.unwrap();
        assert_eq!(row(VtpmKind::Svsm, true), (Outcome::Pass, "svsm, which the policy accepts".into()));
        let own_word = "paravisor by its own word: policy.id_keys does not list this report's ID key as a paravisor's";
        assert_eq!(row(VtpmKind::Paravisor, false), (Outcome::NotChecked, own_word.into()));
        let own_word = "svsm by its own word: policy.measurements does not list this one as a service module's";
        assert_eq!(row(VtpmKind::Svsm, false), (Outcome::NotChecked, own_word.into()));
        for vouched in [true, false] {
            let other = (Outcome::Fail, "host, and the policy accepts paravisor, svsm".to_owned());
            assert_eq!(row(VtpmKind::Host, vouched), other);
        }
        let (row, verdict) = judged(Rule::Unchecked("no quote is asked for".into()), VtpmKind::Host, true);
        assert_eq!((row, verdict.unchecked[0].field.as_str()), (None, "vtpm"));
    }
}
