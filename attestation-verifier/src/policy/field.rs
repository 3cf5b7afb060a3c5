//! Every field of a policy in words: what it holds against what, why one would, and what this policy says.

use super::{
    AcceptedAdvisory, Bit, FirmwareRules, GuestRules, Need, OnAdvisory, PlatformRules, Policy, ReportData, Rule,
    StaleCrl,
};
use crate::{EventPolicy, Product, Tcb};

/// What a field is for; the same for every policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct About {
    /// Its path in a policy file; `PRODUCT` stands for `milan`, `genoa`, `turin`.
    pub path: &'static str,
    /// What is held against what.
    pub checks: &'static str,
    /// What goes wrong without it.
    pub matters: &'static str,
}

/// A field of one policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PolicyField<'a> {
    /// Its path, such as `firmware.milan.min_reported_tcb`.
    pub path: String,
    /// What it is for.
    pub about: &'static About,
    /// What it asks, in words; the reason if it asks nothing.
    pub rule: Result<String, &'a str>,
}

impl About {
    /// Every field, in the order of the files.
    pub const ALL: &'static [Self] = &[
        about(
            "products",
            "the processor generation, by the certificate chain",
            "Generations fall to different attacks: on Milan the root of all keys can be read by software.",
        ),
        about(
            "keys",
            "the kind of endorsement key: VCEK of one chip, VLEK of a cloud provider",
            "A VLEK says \"some machine of this provider\", a VCEK says which chip.",
        ),
        about(
            "chips",
            "CHIP_ID against a list",
            "Whoever has extracted one chip's key can forge reports of that chip only: a list of chips that you know limits it.",
        ),
        about(
            "chip_binding",
            "whether CHIP_ID names the chip whose key signed",
            "A masked id may come from any chip whose key signed the report.",
        ),
        about(
            "providers",
            "CSP_ID of the VLEK against a list",
            "Without it a host in any region of the provider will do.",
        ),
        about(
            "revocation",
            "whether a revocation list has to clear the intermediate",
            "AMD revokes intermediates: the first one of Genoa is revoked and was dated to 2047.",
        ),
        about(
            "stale_crl",
            "the dates of a revocation list against the time of verification",
            "An old list does not know of what was revoked after it.",
        ),
        about(
            "provisional_firmware",
            "COMMITTED against CURRENT, in levels and version",
            "Until the firmware is committed, the host can go back to the one before.",
        ),
        about(
            "firmware.PRODUCT.min_reported_tcb",
            "REPORTED_TCB, each level of it",
            "The key that signs is derived from these levels: a firmware below them cannot make this report.",
        ),
        about(
            "firmware.PRODUCT.min_committed_tcb",
            "COMMITTED_TCB, each level of it",
            "The host cannot go below these levels any more.",
        ),
        about(
            "firmware.PRODUCT.min_launch_tcb",
            "LAUNCH_TCB, each level of it",
            "A guest launched or imported under weak firmware may have been tampered with before the update.",
        ),
        about(
            "firmware.PRODUCT.min_current_version",
            "version of the firmware that runs",
            "Some fixes raise the version and no level.",
        ),
        about(
            "firmware.PRODUCT.min_committed_version",
            "version that the host cannot go below",
            "As for the levels: what is not committed can be taken back.",
        ),
        about(
            "firmware.PRODUCT.launch_mitigations",
            "bits of LAUNCH_MIT_VECTOR; reports before version 5 have none and fail",
            "They name the mitigations that were verified when the guest was launched.",
        ),
        about(
            "firmware.PRODUCT.current_mitigations",
            "bits of CURRENT_MIT_VECTOR; reports before version 5 have none and fail",
            "They name the mitigations that are verified now.",
        ),
        about(
            "platform.smt",
            "PLATFORM_INFO bit 0: simultaneous multithreading is on",
            "Threads of one core share caches and predictors with each other.",
        ),
        about(
            "platform.tsme",
            "PLATFORM_INFO bit 1: transparent memory encryption is on",
            "Encrypts what is not a confidential guest's, too.",
        ),
        about("platform.ecc", "PLATFORM_INFO bit 2: memory has ECC", "Makes flipping bits by hammering rows harder."),
        about(
            "platform.rapl_off",
            "PLATFORM_INFO bit 3: power readings are off",
            "Power readings are a side channel that software can read.",
        ),
        about(
            "platform.ciphertext_hiding",
            "PLATFORM_INFO bit 4: ciphertext hiding is on",
            "The host can otherwise watch encrypted memory change and learn from repetitions.",
        ),
        about(
            "platform.alias_check",
            "PLATFORM_INFO bit 5: memory aliases were looked for; reports of version 2 cannot show it and fail",
            "A memory module that lies about its size gives the host a second way to the guest's pages (BadRAM).",
        ),
        about(
            "platform.iommu_write_safe",
            "PLATFORM_INFO bit 6, which real Turins set; reports of version 2 cannot show it",
            "Devices must not write where the guest's pages are.",
        ),
        about(
            "platform.tio",
            "PLATFORM_INFO bit 7: trusted I/O is on; since version 5",
            "Trusted devices widen what the guest trusts.",
        ),
        about(
            "advisories",
            "whether a known attack that the evidence does not exclude rejects",
            "A valid signature by firmware with a known hole proves little; the row `advisories` names the holes.",
        ),
        about(
            "accepted_advisories",
            "known attacks that do not reject, each with a reason",
            "What is accepted is written down, and by whom it is decided can be asked.",
        ),
        about(
            "vmpl",
            "VMPL: the privilege level that asked for the report; the host's own are never accepted",
            "Software at a higher level than the one that asked can have made it ask.",
        ),
        about(
            "min_guest_svn",
            "GUEST_SVN, from the ID block",
            "An older release of the same guest, signed by the same key, is told by it.",
        ),
        about(
            "measurements",
            "MEASUREMENT, the launch digest, against a list",
            "It is the only field that says what was launched.",
        ),
        about(
            "family_ids",
            "FAMILY_ID, from the ID block, against a list",
            "Names the family of guests that the ID key's holder means; zero without an ID block.",
        ),
        about(
            "image_ids",
            "IMAGE_ID, from the ID block, against a list",
            "Names the image that the ID key's holder means; zero without an ID block.",
        ),
        about(
            "id_keys",
            "ID_KEY_DIGEST against a list",
            "Whoever holds that key has signed this launch digest; zero without an ID block.",
        ),
        about(
            "author_keys",
            "AUTHOR_KEY_DIGEST against a list",
            "Whoever holds that key has signed the ID key; zero without one.",
        ),
        about(
            "author_key_used",
            "KEY_INFO.AUTHOR_KEY_EN: whether there is an author key",
            "AUTHOR_KEY_DIGEST means something only with it.",
        ),
        about(
            "host_data",
            "HOST_DATA against a list",
            "Said by the host at launch and fixed since: some clouds put the digest of a policy there.",
        ),
        about(
            "report_data",
            "whether REPORT_DATA must be expected, by you or by this list",
            "Without an expectation the report may be old, or made for somebody else.",
        ),
        about(
            "vtpm",
            "who runs the virtual TPM of evidence that has one",
            "A host's TPM says whatever the host wants.",
        ),
        about(
            "events.secure_boot",
            "whether Secure Boot was on, by PCR 7 before its separator",
            "Without it the firmware starts any program.",
        ),
        about(
            "events.programs",
            "Authenticode digests of all that was started, PCR 4",
            "Whoever is started first decides what is measured after it.",
        ),
        about(
            "events.uki",
            "sections of a unified kernel image, PCR 11",
            "They are kernel, initrd and command line in one signed file.",
        ),
        about("events.kernel", "digest of the kernel", "The kernel decides everything above it."),
        about("events.initrd", "digest of the initrd", "The initrd decides which system is mounted and run."),
        about(
            "events.cmdline",
            "the kernel's command line",
            "One word in it can change which code runs, or pins the disk's contents.",
        ),
        about(
            "events.binary",
            "the gateway's executable, in the register where an image measures it",
            "It is the program that answers you.",
        ),
        about(
            "events.loader_files",
            "files of the boot loader that are allowed beside kernel and initrd",
            "An event that no list has fails its row.",
        ),
        about(
            "events.loader_commands",
            "commands of the boot loader that are allowed beside the command line",
            "An event that no list has fails its row.",
        ),
        about(
            "code",
            "the grade of the code identity of a bundle or proof; a bare report has none",
            "It says on whose word you believe which program runs.",
        ),
        about(
            "settlement",
            "whether a proof that claims a payment has to show what became of it",
            "A payment that was promised is not one that was made.",
        ),
        about(
            "guest.min_abi",
            "the lowest firmware ABI that the guest's owner asked for",
            "The firmware refuses to launch the guest below it.",
        ),
        about(
            "guest.smt",
            "POLICY bit 16: multithreading is allowed",
            "See platform.smt; this is the guest owner's side.",
        ),
        about(
            "guest.migration_agent",
            "POLICY bit 18: a migration agent may move the guest",
            "The agent gets at the guest's memory and report identity.",
        ),
        about(
            "guest.debug",
            "POLICY bit 19: debugging is allowed",
            "The host may then read and write the guest, and the measurement does not show it.",
        ),
        about(
            "guest.single_socket",
            "POLICY bit 20: only on one socket",
            "Memory that never crosses sockets crosses no cable between them.",
        ),
        about("guest.cxl", "POLICY bit 21: CXL devices are allowed", "Memory behind CXL is another device's."),
        about(
            "guest.aes_256_xts",
            "POLICY bit 22: memory encryption must be AES-256-XTS",
            "Refuses to run under the weaker mode.",
        ),
        about(
            "guest.rapl_off",
            "POLICY bit 23: power readings must be off",
            "See platform.rapl_off; here the firmware refuses to launch otherwise.",
        ),
        about(
            "guest.ciphertext_hiding",
            "POLICY bit 24: ciphertext hiding must be on",
            "See platform.ciphertext_hiding; here the firmware refuses to launch otherwise.",
        ),
        about(
            "guest.page_swap_off",
            "POLICY bit 25: no page swapping by firmware command; since version 5",
            "Pages that the host may swap out and in can be replayed or observed.",
        ),
    ];

    fn of(path: &str) -> &'static Self {
        let generic = match path.split('.').collect::<Vec<_>>().as_slice() {
            ["firmware", _, field] => format!("firmware.PRODUCT.{field}"),
            _ => path.to_owned(),
        };
        // A path that is missing in the list fails the test below.
        const NOWHERE: &About = &about("", "", "");
        Self::ALL.iter().find(|about| about.path == generic).unwrap_or(NOWHERE)
    }
}

const fn about(path: &'static str, checks: &'static str, matters: &'static str) -> About {
    About { path, checks, matters }
}

impl Policy {
    /// Every field with what it asks.
    pub fn fields(&self) -> Vec<PolicyField<'_>> {
        // Taken apart by name, so that a new field cannot be forgotten here.
        let Self {
            products,
            keys,
            chips,
            chip_binding,
            providers,
            revocation,
            stale_crl,
            provisional_firmware,
            firmware,
            platform,
            advisories,
            accepted_advisories,
            vmpl,
            guest,
            min_guest_svn,
            measurements,
            family_ids,
            image_ids,
            id_keys,
            author_keys,
            author_key_used,
            host_data,
            report_data,
            vtpm,
            events,
            code,
            settlement,
        } = self;
        let mut list = vec![
            field("products", products, |list| one_of(list)),
            field("keys", keys, |list| one_of(list)),
            field("chips", chips, |list| hexes(list)),
            field("chip_binding", chip_binding, |()| "the report must name its chip".into()),
            field("providers", providers, |list| one_of(list)),
            said(
                "revocation",
                need(*revocation, "a list must clear the intermediate", "a list that is given must hold"),
            ),
            said("stale_crl", stale(*stale_crl)),
            field("provisional_firmware", provisional_firmware, |()| "what runs must be committed".into()),
        ];
        for product in Product::ALL {
            list.extend(of_firmware(product, firmware.of(product)));
        }
        list.extend(of_platform(platform));
        list.extend([
            said("advisories", on_advisory(*advisories)),
            said("accepted_advisories", accepted(accepted_advisories)),
            field("vmpl", vmpl, |list| one_of(list)),
            field("min_guest_svn", min_guest_svn, |svn| format!("at least {svn}")),
            field("measurements", measurements, |list| hexes(list)),
            field("family_ids", family_ids, |list| hexes(list)),
            field("image_ids", image_ids, |list| hexes(list)),
            field("id_keys", id_keys, |list| hexes(list)),
            field("author_keys", author_keys, |list| hexes(list)),
            bit("author_key_used", author_key_used),
            field("host_data", host_data, |list| hexes(list)),
            field("report_data", report_data, |rule| match rule {
                ReportData::Required => "you must name what you expect (--report-data, --nonce)".into(),
                ReportData::OneOf(list) => hexes(list),
            }),
            field("vtpm", vtpm, |list| one_of(list)),
        ]);
        list.extend(of_events(events));
        list.extend([
            said("code", format!("at least \"{}\"", code.name())),
            said("settlement", need(*settlement, "a settlement must be shown", "a settlement that is shown must hold")),
        ]);
        list.extend(of_guest(guest));
        list
    }
}

fn of_firmware(product: Product, rules: &FirmwareRules) -> [PolicyField<'_>; 7] {
    let FirmwareRules {
        min_reported_tcb,
        min_committed_tcb,
        min_launch_tcb,
        min_current_version,
        min_committed_version,
        launch_mitigations,
        current_mitigations,
    } = rules;
    let path = |name: &str| format!("firmware.{}.{name}", product.name().to_lowercase());
    let tcb = |tcb: &Tcb| format!("at least {tcb}");
    [
        field(&path("min_reported_tcb"), min_reported_tcb, tcb),
        field(&path("min_committed_tcb"), min_committed_tcb, tcb),
        field(&path("min_launch_tcb"), min_launch_tcb, tcb),
        field(&path("min_current_version"), min_current_version, |version| format!("at least {version}")),
        field(&path("min_committed_version"), min_committed_version, |version| format!("at least {version}")),
        field(&path("launch_mitigations"), launch_mitigations, |mask| bits(*mask)),
        field(&path("current_mitigations"), current_mitigations, |mask| bits(*mask)),
    ]
}

fn of_platform(rules: &PlatformRules) -> [PolicyField<'_>; 8] {
    let PlatformRules { smt, tsme, ecc, rapl_off, ciphertext_hiding, alias_check, iommu_write_safe, tio } = rules;
    [
        bit("platform.smt", smt),
        bit("platform.tsme", tsme),
        bit("platform.ecc", ecc),
        bit("platform.rapl_off", rapl_off),
        bit("platform.ciphertext_hiding", ciphertext_hiding),
        bit("platform.alias_check", alias_check),
        bit("platform.iommu_write_safe", iommu_write_safe),
        bit("platform.tio", tio),
    ]
}

fn of_events(rules: &EventPolicy) -> [PolicyField<'_>; 9] {
    let EventPolicy { secure_boot, programs, uki, kernel, initrd, cmdline, binary, loader_files, loader_commands } =
        rules;
    let beside = |list: &[[u8; 32]]| if list.is_empty() { "none".to_owned() } else { hexes(list) };
    [
        field("events.secure_boot", secure_boot, |on| {
            if *on { "must have been on" } else { "must have been off" }.into()
        }),
        field("events.programs", programs, |list| hexes(list)),
        field("events.uki", uki, |sections| {
            sections.iter().map(|(name, list)| format!("{name}: {}", hexes(list))).collect::<Vec<_>>().join("; ")
        }),
        field("events.kernel", kernel, |list| hexes(list)),
        field("events.initrd", initrd, |list| hexes(list)),
        field("events.cmdline", cmdline, |list| {
            list.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" or ")
        }),
        field("events.binary", binary, |binary| format!("PCR {}: {}", binary.register, hexes(&binary.digests))),
        said("events.loader_files", beside(loader_files)),
        said("events.loader_commands", beside(loader_commands)),
    ]
}

fn of_guest(rules: &GuestRules) -> [PolicyField<'_>; 10] {
    let GuestRules {
        min_abi,
        smt,
        migration_agent,
        debug,
        single_socket,
        cxl,
        aes_256_xts,
        rapl_off,
        ciphertext_hiding,
        page_swap_off,
    } = rules;
    [
        field("guest.min_abi", min_abi, |(major, minor)| format!("at least {major}.{minor}")),
        bit("guest.smt", smt),
        bit("guest.migration_agent", migration_agent),
        bit("guest.debug", debug),
        bit("guest.single_socket", single_socket),
        bit("guest.cxl", cxl),
        bit("guest.aes_256_xts", aes_256_xts),
        bit("guest.rapl_off", rapl_off),
        bit("guest.ciphertext_hiding", ciphertext_hiding),
        bit("guest.page_swap_off", page_swap_off),
    ]
}

fn field<'a, T>(path: &str, rule: &'a Rule<T>, words: impl FnOnce(&T) -> String) -> PolicyField<'a> {
    let rule = match rule {
        Rule::Check(rule) => Ok(words(rule)),
        Rule::Unchecked(reason) => Err(reason.as_str()),
    };
    PolicyField { path: path.to_owned(), about: About::of(path), rule }
}

fn said(path: &str, words: String) -> PolicyField<'static> {
    PolicyField { path: path.to_owned(), about: About::of(path), rule: Ok(words) }
}

fn bit<'a>(path: &str, rule: &'a Rule<Bit>) -> PolicyField<'a> {
    field(path, rule, |bit| {
        match bit {
            Bit::Require => "must be set",
            Bit::Refuse => "must not be set",
        }
        .into()
    })
}

fn need(need: Need, required: &str, optional: &str) -> String {
    match need {
        Need::Required => required.to_owned(),
        Need::Optional => format!("{optional}; none need be"),
    }
}

fn stale(rule: StaleCrl) -> String {
    match rule {
        StaleCrl::Require => "a list outside its dates rejects".into(),
        StaleCrl::Warn => "a list outside its dates is reported and clears nothing".into(),
        StaleCrl::AcceptUntil { days } => {
            format!("a list counts as current up to {days} days past its nextUpdate, and rejects after that")
        }
    }
}

fn on_advisory(rule: OnAdvisory) -> String {
    match rule {
        OnAdvisory::Report => "is named, and does not reject".into(),
        OnAdvisory::Reject => "rejects, unless it is accepted below".into(),
    }
}

fn accepted(list: &[AcceptedAdvisory]) -> String {
    if list.is_empty() {
        return "none".into();
    }
    list.iter().map(|entry| format!("{} ({})", entry.id, entry.reason)).collect::<Vec<_>>().join("; ")
}

fn one_of<T: ToString>(list: &[T]) -> String {
    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn hexes<T: AsRef<[u8]>>(list: &[T]) -> String {
    list.iter().map(hex::encode).collect::<Vec<_>>().join(" or ")
}

fn bits(mask: u64) -> String {
    let set: Vec<String> = (0..64).filter(|bit| mask >> bit & 1 == 1).map(|bit| bit.to_string()).collect();
    format!("bits {} must be set", set.join(", "))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_of_a_policy_is_described_and_no_other() {
        let policy = Policy::strict();
        let mut described = BTreeSet::new();
        for field in policy.fields() {
            assert!(!field.about.path.is_empty(), "{}", field.path);
            assert!(field.about.matters.ends_with('.'), "{}", field.path);
            described.insert(field.about.path);
        }
        let listed: BTreeSet<&str> = About::ALL.iter().map(|about| about.path).collect();
        assert_eq!(described, listed);
        assert_eq!(listed.len(), About::ALL.len());
    }

    #[test]
    fn the_fields_are_the_ones_of_the_file() {
        // Every product gets a table of its own, so that its fields are seen.
        let text = super::super::file::tests::full();
        let table: toml::Table = text.parse().unwrap();
        let mut written = BTreeSet::new();
        leaves("", &table, &mut written);
        written.remove("version");
        let policy = Policy::from_toml(&text).unwrap();
        let known: BTreeSet<String> = policy.fields().into_iter().map(|field| field.path).collect();
        assert_eq!(known, written);
    }

    type Change<'a> = &'a dyn Fn(&mut Policy);

    #[test]
    fn what_a_policy_asks_is_put_into_words() {
        let text = |text: &str| text.to_owned();
        let says = |change: Change<'_>, path: &str| {
            let mut policy = Policy::strict();
            change(&mut policy);
            let field = policy.fields().into_iter().find(|field| field.path == path).unwrap();
            field.rule.map_err(str::to_owned)
        };
        let mask = 1 << 63 | 1 << 6 | 1 << 5 | 1;
        let known = |id: &str, reason: &str| AcceptedAdvisory { id: text(id), reason: text(reason) };
        let changes: [(Change<'_>, &str, &str); 16] = [
            (&|_| {}, "revocation", "a list that is given must hold; none need be"),
            (&|policy| policy.revocation = Need::Required, "revocation", "a list must clear the intermediate"),
            (&|policy| policy.settlement = Need::Required, "settlement", "a settlement must be shown"),
            (&|_| {}, "stale_crl", "a list outside its dates rejects"),
            (
                &|policy| policy.stale_crl = StaleCrl::Warn,
                "stale_crl",
                "a list outside its dates is reported and clears nothing",
            ),
            (
                &|policy| policy.stale_crl = StaleCrl::AcceptUntil { days: 9 },
                "stale_crl",
                "a list counts as current up to 9 days past its nextUpdate, and rejects after that",
            ),
            (&|_| {}, "advisories", "is named, and does not reject"),
            (&|policy| policy.advisories = OnAdvisory::Reject, "advisories", "rejects, unless it is accepted below"),
            (&|_| {}, "accepted_advisories", "none"),
            (
                &|policy| policy.accepted_advisories = vec![known("badram", "locked"), known("heracles", "old")],
                "accepted_advisories",
                "badram (locked); heracles (old)",
            ),
            (&|_| {}, "products", "Milan or Genoa or Turin"),
            (&|policy| policy.chips = Rule::Check(vec![vec![0xAB; 2], vec![1]]), "chips", "abab or 01"),
            (
                &|policy| policy.firmware.turin.launch_mitigations = Rule::Check(mask),
                "firmware.turin.launch_mitigations",
                "bits 0, 5, 6, 63 must be set",
            ),
            (&|_| {}, "guest.debug", "must not be set"),
            (&|policy| policy.guest.debug = Rule::Check(Bit::Require), "guest.debug", "must be set"),
            (&|policy| policy.vmpl = Rule::Check(vec![0, 2]), "vmpl", "0 or 2"),
        ];
        for (change, path, words) in changes {
            assert_eq!(says(change, path), Ok(text(words)));
        }
        assert_eq!(says(&|policy| policy.vmpl = Rule::unchecked("any will do"), "vmpl"), Err(text("any will do")));
    }

    fn leaves(path: &str, table: &toml::Table, found: &mut BTreeSet<String>) {
        for (name, value) in table {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value.as_table() {
                Some(table)
                    if ["firmware", "platform", "guest", "events"].contains(&name.as_str())
                        || path.matches('.').count() == 1 && path.starts_with("firmware") =>
                {
                    leaves(&path, table, found);
                }
                _ => {
                    found.insert(path);
                }
            }
        }
    }

    #[test]
    fn the_page_has_a_row_for_every_field_and_for_no_other() {
        let page = include_str!("../../../docs/POLICY.md");
        let rows: Vec<&str> =
            page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(path, _)| path).collect();
        let mut known = vec!["version"];
        known.extend(About::ALL.iter().map(|about| about.path));
        let (rows, known): (BTreeSet<_>, BTreeSet<_>) = (rows.into_iter().collect(), known.into_iter().collect());
        assert_eq!(rows, known);
    }
}
