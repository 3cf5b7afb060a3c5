//! A policy file, version 2. Nothing has a default.

use std::collections::BTreeMap;

use super::{
    AcceptedAdvisory, Bit, FirmwareRules, GuestRules, Need, OnAdvisory, PerProduct, PlatformRules, Policy, PolicyError,
    ReportData, Rule, StaleCrl, advisories,
    entry::{Entry, Section},
};
use crate::{EventPolicy, FirmwareVersion, Grade, MeasuredBinary, Product, Tcb, VekKind, VtpmKind};

type Result<T> = std::result::Result<T, PolicyError>;

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`], the first one found.
    pub fn from_toml(text: &str) -> Result<Self> {
        let mut file = Section::file(text)?;
        version(file.take("version")?)?;
        let policy = Self {
            products: file.take("products")?.rule(|e| e.list(product))?,
            keys: file.take("keys")?.rule(|e| e.list(key))?,
            chips: file.take("chips")?.rule(|e| e.list(|chip| chip.hex(&[8, 64])))?,
            chip_binding: file.take("chip_binding")?.rule(|e| e.word(&[("require", ())], "\"require\""))?,
            providers: file.take("providers")?.rule(|e| e.list(provider))?,
            revocation: file.take("revocation")?.word(Need::WORDS, "\"require\" or \"optional\"")?,
            stale_crl: stale_crl(file.take("stale_crl")?)?,
            provisional_firmware: file
                .take("provisional_firmware")?
                .rule(|e| e.word(&[("refuse", ())], "\"refuse\""))?,
            firmware: per_product(file.take("firmware")?.section()?)?,
            platform: platform(file.take("platform")?.section()?)?,
            advisories: file.take("advisories")?.word(OnAdvisory::WORDS, "\"report\" or \"reject\"")?,
            accepted_advisories: file
                .take("accepted_advisories")?
                .entries()?
                .into_iter()
                .map(accepted)
                .collect::<Result<_>>()?,
            vmpl: file.take("vmpl")?.rule(|e| e.list(vmpl))?,
            guest: guest(file.take("guest")?.section()?)?,
            min_guest_svn: file.take("min_guest_svn")?.rule(|e| e.number(u32::MAX, "a number from 0 to 4294967295"))?,
            measurements: file.take("measurements")?.rule(|e| e.list(Entry::bytes))?,
            family_ids: file.take("family_ids")?.rule(|e| e.list(Entry::bytes))?,
            image_ids: file.take("image_ids")?.rule(|e| e.list(Entry::bytes))?,
            id_keys: file.take("id_keys")?.rule(|e| e.list(Entry::bytes))?,
            author_keys: file.take("author_keys")?.rule(|e| e.list(Entry::bytes))?,
            author_key_used: bit(file.take("author_key_used")?)?,
            host_data: file.take("host_data")?.rule(|e| e.list(Entry::bytes))?,
            report_data: file.take("report_data")?.rule(report_data)?,
            vtpm: file.take("vtpm")?.rule(|e| e.list(vtpm))?,
            events: events(file.take("events")?)?,
            code: code(file.take("code")?)?,
            settlement: file.take("settlement")?.word(Need::WORDS, "\"require\" or \"optional\"")?,
        };
        file.finish()?;
        Ok(policy)
    }
}

fn version(entry: Entry) -> Result<()> {
    match entry.number(u32::MAX, "2") {
        Ok(2) => Ok(()),
        Ok(1) => Err(PolicyError::Version1),
        Ok(found) => Err(PolicyError::Version { found: found.to_string() }),
        Err(error) => Err(error),
    }
}

fn product(entry: Entry) -> Result<Product> {
    entry.word(&Product::ALL.map(|product| (product.name(), product)), "\"Milan\", \"Genoa\" or \"Turin\"")
}

fn key(entry: Entry) -> Result<VekKind> {
    entry.word(&[VekKind::Vcek, VekKind::Vlek].map(|kind| (kind.name(), kind)), "\"VCEK\" or \"VLEK\"")
}

fn vtpm(entry: Entry) -> Result<VtpmKind> {
    let wanted = "\"paravisor\", \"svsm\", \"host\", \"software\" or \"none\"";
    entry.word(&VtpmKind::ALL.map(|kind| (kind.name(), kind)), wanted)
}

fn code(entry: Entry) -> Result<Grade> {
    let grades = [Grade::None, Grade::Host, Grade::Vendor, Grade::Hardware];
    entry.word(&grades.map(|grade| (grade.name(), grade)), "\"none\", \"host\", \"vendor\" or \"hardware\"")
}

fn vmpl(entry: Entry) -> Result<u8> {
    entry.number(3, "a level from 0 to 3").map(|level| u8::try_from(level).unwrap_or(u8::MAX))
}

fn provider(entry: Entry) -> Result<String> {
    let path = entry.path.clone();
    match entry.text()? {
        name if name.trim().is_empty() || name.chars().any(char::is_control) => {
            Err(PolicyError::Value { field: path, found: "no name".into(), wanted: "a name as a VLEK's CSP_ID has it" })
        }
        name => Ok(name),
    }
}

fn bit(entry: Entry) -> Result<Rule<Bit>> {
    entry.rule(|entry| entry.word(Bit::WORDS, "\"require\", \"refuse\" or { unchecked = \"reason\" }"))
}

fn report_data(entry: Entry) -> Result<ReportData> {
    match entry.is_list() {
        true => entry.list(Entry::bytes).map(ReportData::OneOf),
        false => entry
            .word(&[("require", ReportData::Required)], "\"require\", a list of values, or { unchecked = \"reason\" }"),
    }
}

fn stale_crl(entry: Entry) -> Result<StaleCrl> {
    const WANTED: &str = "\"require\", \"warn\" or { accept_until_days = 1 to 3650 }";
    if entry.is_table() {
        let mut section = entry.section()?;
        let days = section.take("accept_until_days")?;
        let path = days.path.clone();
        let days = match days.number(3650, WANTED)? {
            0 => return Err(PolicyError::Value { field: path, found: "0".into(), wanted: WANTED }),
            days => u16::try_from(days).unwrap_or(u16::MAX),
        };
        section.finish()?;
        return Ok(StaleCrl::AcceptUntil { days });
    }
    entry.word(&[("require", StaleCrl::Require), ("warn", StaleCrl::Warn)], WANTED)
}

/// `"ID"` would be an attack waved through without a word: an entry is `{ id = "…", reason = "…" }`.
fn accepted(entry: Entry) -> Result<AcceptedAdvisory> {
    let mut section = entry.section()?;
    let id = section.take("id")?;
    let path = id.path.clone();
    let id = id.text()?;
    if advisories::of(&id).is_none() {
        let wanted = "an id of the table in docs/ADVISORIES.md";
        return Err(PolicyError::Value { field: path, found: format!("{id:?}"), wanted });
    }
    let reason = section.take("reason")?.reason_text()?;
    section.finish()?;
    Ok(AcceptedAdvisory { id, reason })
}

fn per_product(mut section: Section) -> Result<PerProduct<FirmwareRules>> {
    let rules = PerProduct {
        milan: firmware(section.take("milan")?, false)?,
        genoa: firmware(section.take("genoa")?, false)?,
        turin: firmware(section.take("turin")?, true)?,
    };
    section.finish()?;
    Ok(rules)
}

/// The table of a product, or one reason for all of it.
fn firmware(entry: Entry, has_fmc: bool) -> Result<FirmwareRules> {
    let entry = match entry.reason()? {
        Ok(reason) => return Ok(FirmwareRules::unchecked(&reason)),
        Err(entry) => entry,
    };
    let mut section = entry.section()?;
    let rules = FirmwareRules {
        min_reported_tcb: section.take("min_reported_tcb")?.rule(|e| tcb(e, has_fmc))?,
        min_committed_tcb: section.take("min_committed_tcb")?.rule(|e| tcb(e, has_fmc))?,
        min_launch_tcb: section.take("min_launch_tcb")?.rule(|e| tcb(e, has_fmc))?,
        min_current_version: section.take("min_current_version")?.rule(firmware_version)?,
        min_committed_version: section.take("min_committed_version")?.rule(firmware_version)?,
        launch_mitigations: section.take("launch_mitigations")?.rule(mask)?,
        current_mitigations: section.take("current_mitigations")?.rule(mask)?,
    };
    section.finish()?;
    Ok(rules)
}

/// All levels of the product's layout; FMC on Turin and nowhere else.
fn tcb(entry: Entry, has_fmc: bool) -> Result<Tcb> {
    let mut section = entry.section()?;
    let tcb = Tcb {
        fmc: if has_fmc { Some(section.take("fmc")?.byte()?) } else { None },
        bootloader: section.take("bootloader")?.byte()?,
        tee: section.take("tee")?.byte()?,
        snp: section.take("snp")?.byte()?,
        microcode: section.take("microcode")?.byte()?,
    };
    section.finish()?;
    Ok(tcb)
}

fn firmware_version(entry: Entry) -> Result<FirmwareVersion> {
    let path = entry.path.clone();
    let text = entry.text()?;
    FirmwareVersion::parse(&text).ok_or_else(|| PolicyError::Value {
        field: path,
        found: format!("{text:?}"),
        wanted: "major.minor.build, such as \"1.55.29\"",
    })
}

/// Numbers of the bits that must be set.
fn mask(entry: Entry) -> Result<u64> {
    let bits = entry.list(|bit| bit.number(63, "a bit from 0 to 63"))?;
    Ok(bits.into_iter().fold(0, |mask, bit| mask | 1 << bit))
}

fn platform(mut section: Section) -> Result<PlatformRules> {
    let rules = PlatformRules {
        smt: bit(section.take("smt")?)?,
        tsme: bit(section.take("tsme")?)?,
        ecc: bit(section.take("ecc")?)?,
        rapl_off: bit(section.take("rapl_off")?)?,
        ciphertext_hiding: bit(section.take("ciphertext_hiding")?)?,
        alias_check: bit(section.take("alias_check")?)?,
        iommu_write_safe: bit(section.take("iommu_write_safe")?)?,
        tio: bit(section.take("tio")?)?,
    };
    section.finish()?;
    Ok(rules)
}

fn guest(mut section: Section) -> Result<GuestRules> {
    let rules = GuestRules {
        min_abi: section.take("min_abi")?.rule(abi)?,
        smt: bit(section.take("smt")?)?,
        migration_agent: bit(section.take("migration_agent")?)?,
        debug: bit(section.take("debug")?)?,
        single_socket: bit(section.take("single_socket")?)?,
        cxl: bit(section.take("cxl")?)?,
        aes_256_xts: bit(section.take("aes_256_xts")?)?,
        rapl_off: bit(section.take("rapl_off")?)?,
        ciphertext_hiding: bit(section.take("ciphertext_hiding")?)?,
        page_swap_off: bit(section.take("page_swap_off")?)?,
    };
    section.finish()?;
    Ok(rules)
}

/// The table of the events, or one reason for all of it.
fn events(entry: Entry) -> Result<EventPolicy> {
    let entry = match entry.reason()? {
        Ok(reason) => return Ok(EventPolicy::unchecked(&reason)),
        Err(entry) => entry,
    };
    let mut section = entry.section()?;
    let on = [("require", true), ("refuse", false)];
    let wanted = "\"require\", \"refuse\" or { unchecked = \"reason\" }";
    let rules = EventPolicy {
        secure_boot: section.take("secure_boot")?.rule(|e| e.word(&on, wanted))?,
        programs: section.take("programs")?.rule(|e| e.list(Entry::bytes))?,
        uki: section.take("uki")?.rule(uki)?,
        kernel: section.take("kernel")?.rule(|e| e.list(Entry::bytes))?,
        initrd: section.take("initrd")?.rule(|e| e.list(Entry::bytes))?,
        cmdline: section.take("cmdline")?.rule(|e| e.list(Entry::text))?,
        binary: section.take("binary")?.rule(binary)?,
        loader_files: section.take("loader_files")?.entries()?.into_iter().map(Entry::bytes).collect::<Result<_>>()?,
        loader_commands: section
            .take("loader_commands")?
            .entries()?
            .into_iter()
            .map(Entry::bytes)
            .collect::<Result<_>>()?,
    };
    section.finish()?;
    Ok(rules)
}

/// Sections by name, each with the digests it may have.
fn uki(entry: Entry) -> Result<BTreeMap<String, Vec<[u8; 32]>>> {
    let path = entry.path.clone();
    let sections = entry.section()?.into_entries();
    if sections.is_empty() {
        return Err(PolicyError::Value { field: path, found: "{}".into(), wanted: "at least one section" });
    }
    sections
        .into_iter()
        .map(|(name, entry)| {
            if !name.starts_with('.') {
                let wanted = "the name of a section, such as \".linux\"";
                return Err(PolicyError::Value { field: path.clone(), found: format!("{name:?}"), wanted });
            }
            Ok((name, entry.list(Entry::bytes)?))
        })
        .collect()
}

fn binary(entry: Entry) -> Result<MeasuredBinary> {
    let mut section = entry.section()?;
    let register = section.take("register")?;
    let path = register.path.clone();
    let wanted = "a register from 8 to 14";
    let register = match register.number(14, wanted)? {
        low @ 0..=7 => return Err(PolicyError::Value { field: path, found: low.to_string(), wanted }),
        register => u8::try_from(register).unwrap_or(u8::MAX),
    };
    let binary = MeasuredBinary { register, digests: section.take("digests")?.list(Entry::bytes)? };
    section.finish()?;
    Ok(binary)
}

fn abi(entry: Entry) -> Result<(u8, u8)> {
    let path = entry.path.clone();
    let text = entry.text()?;
    let parsed = text.split_once('.').and_then(|(major, minor)| Some((decimal(major)?, decimal(minor)?)));
    parsed.ok_or_else(|| PolicyError::Value {
        field: path,
        found: format!("{text:?}"),
        wanted: "major.minor, such as \"1.51\"",
    })
}

/// 0 to 255 in decimal digits, without signs and leading zeros.
fn decimal(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|digit| digit.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The strict file with a table for every product: every field is written out.
    pub(crate) fn full() -> String {
        let strict = Policy::preset_text("strict").unwrap();
        let (head, _) = strict.split_once("[firmware]").unwrap();
        let (before, after) = head.split_once("events = ").unwrap();
        let (_, after) = after.split_once('\n').unwrap();
        let mut text = format!("{before}{after}");
        text.push_str("[events]\nloader_files = []\nloader_commands = []\n");
        for field in ["secure_boot", "programs", "uki", "kernel", "initrd", "cmdline", "binary"] {
            text.push_str(&format!("{field} = {{ unchecked = \"tried in a test\" }}\n"));
        }
        for product in ["milan", "genoa", "turin"] {
            text.push_str(&format!("[firmware.{product}]\n"));
            for field in [
                "min_reported_tcb",
                "min_committed_tcb",
                "min_launch_tcb",
                "min_current_version",
                "min_committed_version",
                "launch_mitigations",
                "current_mitigations",
            ] {
                text.push_str(&format!("{field} = {{ unchecked = \"tried in a test\" }}\n"));
            }
        }
        text
    }

    fn refused(text: &str) -> PolicyError {
        Policy::from_toml(text).expect_err("a fault")
    }

    /// The full file with one line replaced.
    fn with(from: &str, to: &str) -> String {
        let full = full();
        assert_eq!(full.matches(from).count(), 1, "{from}");
        full.replacen(from, to, 1)
    }

    #[test]
    fn a_field_left_out_is_an_error_that_names_it_whichever_it_is() {
        let table: toml::Table = full().parse().unwrap();
        let mut tried = 0;
        without_each(&table, "", &mut |text, path| {
            tried += 1;
            assert_eq!(refused(text), PolicyError::Missing { field: path.to_owned() });
        });
        // Every field, version, five tables and three in one of them.
        assert_eq!(tried, Policy::strict().fields().len() + 1 + 4 + 3);
    }

    /// Calls with the whole file without one member, for every member of every table that is no value itself.
    fn without_each(table: &toml::Table, path: &str, call: &mut dyn FnMut(&str, &str)) {
        fn remove(table: &mut toml::Table, path: &[&str]) {
            match path {
                [name] => drop(table.remove(*name)),
                [name, rest @ ..] => remove(table[*name].as_table_mut().unwrap(), rest),
                [] => {}
            }
        }
        fn visit(root: &toml::Table, table: &toml::Table, path: &str, call: &mut dyn FnMut(&str, &str)) {
            for (name, value) in table {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let mut without = root.clone();
                remove(&mut without, &path.split('.').collect::<Vec<_>>());
                call(&toml::to_string(&without).unwrap(), &path);
                match value.as_table() {
                    Some(inner) if !inner.contains_key("unchecked") => visit(root, inner, &path, call),
                    _ => {}
                }
            }
        }
        visit(table, table, path, call);
    }

    #[test]
    fn a_field_that_does_not_exist_is_an_error_in_every_table() {
        for (from, to, field) in [
            ("version = 2", "version = 2\ncolour = 1", "colour"),
            ("[guest]", "[guest]\ncolour = 1", "guest.colour"),
            ("[platform]", "[platform]\ncolour = 1", "platform.colour"),
            ("[events]", "[events]\ncolour = 1", "events.colour"),
            ("\n[firmware.milan]\n", "\n[firmware.milan]\ncolour = 1\n", "firmware.milan.colour"),
            ("\n[firmware.milan]\n", "\n[firmware.rome]\nx = 1\n[firmware.milan]\n", "firmware.rome"),
            ("debug = \"refuse\"", "debug = { unchecked = \"a\", colour = 1 }", "guest.debug.colour"),
            ("stale_crl = \"require\"", "stale_crl = { accept_until_days = 1, colour = 1 }", "stale_crl.colour"),
            (
                "accepted_advisories = []",
                "accepted_advisories = [{ id = \"badram\", reason = \"a\", colour = 1 }]",
                "accepted_advisories[0].colour",
            ),
        ] {
            assert_eq!(refused(&with(from, to)), PolicyError::Unknown { field: field.to_owned() }, "{to}");
        }
    }

    #[test]
    fn a_field_that_is_written_twice_is_an_error() {
        for (from, to) in [
            ("revocation = \"optional\"", "revocation = \"optional\"\nrevocation = \"require\""),
            ("debug = \"refuse\"", "debug = \"refuse\"\ndebug = { unchecked = \"a\" }"),
            ("[guest]", "[guest]\n[guest]"),
            ("debug = \"refuse\"", "debug = { unchecked = \"a\", unchecked = \"b\" }"),
        ] {
            assert!(matches!(refused(&with(from, to)), PolicyError::Toml(_)), "{to}");
        }
    }

    #[test]
    fn an_expectation_of_the_wrong_length_names_the_field_and_both_lengths() {
        let open = "{ unchecked = \"no particular one is expected\" }";
        for (field, wanted) in [
            ("chips", &[8, 64][..]),
            ("measurements", &[48]),
            ("family_ids", &[16]),
            ("image_ids", &[16]),
            ("id_keys", &[48]),
            ("author_keys", &[48]),
            ("host_data", &[32]),
        ] {
            let right = "00".repeat(wanted[0]);
            for wrong in [0, wanted[0] - 1, wanted[0] + 1, 2 * wanted[0] + 1] {
                let to = format!("{field} = [\"{right}\", \"{}\"]", "00".repeat(wrong));
                let error = refused(&with(&format!("{field} = {open}"), &to));
                let name = format!("{field}[1]");
                let PolicyError::Length { field: found, found: length, wanted: lengths } = &error else {
                    panic!("{error}");
                };
                assert_eq!((found, *length, *lengths), (&name, wrong, wanted));
                assert!(error.to_string().contains(&format!("{name}: {wrong} bytes, want {}", wanted[0])), "{error}");
            }
            assert!(
                Policy::from_toml(&with(&format!("{field} = {open}"), &format!("{field} = [\"{right}\"]"))).is_ok()
            );
        }
        let open = "{ unchecked = \"nothing is compared unless you name a nonce or the report data\" }";
        let error =
            refused(&with(&format!("report_data = {open}"), &format!("report_data = [\"{}\"]", "00".repeat(63))));
        assert_eq!(error, PolicyError::Length { field: "report_data[0]".into(), found: 63, wanted: &[64] });
        let error = refused(&with("kernel = { unchecked = \"tried in a test\" }", "kernel = [\"00\"]"));
        assert_eq!(error, PolicyError::Length { field: "events.kernel[0]".into(), found: 1, wanted: &[32] });
    }

    #[test]
    fn a_reason_that_says_nothing_is_an_error_everywhere() {
        for (from, to, field) in [
            ("debug = \"refuse\"", "debug = { unchecked = \"\" }", "guest.debug.unchecked"),
            ("products = [\"Milan\", \"Genoa\", \"Turin\"]", "products = { unchecked = \" \" }", "products.unchecked"),
            (
                "accepted_advisories = []",
                "accepted_advisories = [{ id = \"badram\", reason = \"\" }]",
                "accepted_advisories[0].reason",
            ),
        ] {
            assert_eq!(refused(&with(from, to)), PolicyError::NoReason { field: field.to_owned() }, "{to}");
        }
    }

    #[test]
    fn a_value_that_a_field_does_not_have_is_an_error() {
        let open = |field: &str| format!("{field} = {{ unchecked = \"tried in a test\" }}");
        for (from, to) in [
            ("version = 2", "version = 3"),
            ("version = 2", "version = \"2\""),
            ("vmpl = [0]", "vmpl = [4]"),
            ("vmpl = [0]", "vmpl = []"),
            ("vmpl = [0]", "vmpl = 0"),
            ("\"Milan\", \"Genoa\"", "\"Rome\", \"Genoa\""),
            ("keys = [\"VCEK\", \"VLEK\"]", "keys = [\"vcek\"]"),
            ("debug = \"refuse\"", "debug = \"any\""),
            ("debug = \"refuse\"", "debug = true"),
            ("debug = \"refuse\"", "debug = \"Refuse\""),
            ("revocation = \"optional\"", "revocation = { unchecked = \"a\" }"),
            ("stale_crl = \"require\"", "stale_crl = \"refuse\""),
            ("stale_crl = \"require\"", "stale_crl = { accept_until_days = 0 }"),
            ("stale_crl = \"require\"", "stale_crl = { accept_until_days = 3651 }"),
            ("stale_crl = \"require\"", "stale_crl = { accept_until_days = -1 }"),
            ("advisories = \"report\"", "advisories = \"ignore\""),
            ("accepted_advisories = []", "accepted_advisories = [\"badram\"]"),
            ("accepted_advisories = []", "accepted_advisories = [{ id = \"bedram\", reason = \"a\" }]"),
            ("code = \"vendor\"", "code = \"best\""),
            ("code = \"vendor\"", "code = { unchecked = \"a\" }"),
            ("loader_files = []", "loader_files = [\"00\"]"),
        ] {
            assert!(!matches!(refused(&with(from, to)), PolicyError::Missing { .. }), "{to}");
        }
        let firmware = |field: &str, to: &str| full().replacen(&open(field), &format!("{field} = {to}"), 1);
        let levels = "bootloader = 1, tee = 1, snp = 1, microcode = 1";
        // The first is Milan's, which has no FMC.
        assert!(Policy::from_toml(&firmware("min_reported_tcb", &format!("{{ {levels} }}"))).is_ok());
        for (field, to) in [
            ("min_reported_tcb", format!("{{ fmc = 1, {levels} }}")),
            ("min_reported_tcb", "{ bootloader = 1, tee = 1, snp = 1 }".to_owned()),
            ("min_launch_tcb", format!("{{ {} }}", levels.replace("tee = 1", "tee = 256"))),
            ("min_current_version", "\"1.55\"".to_owned()),
            ("min_current_version", "1.55".to_owned()),
            ("launch_mitigations", "[64]".to_owned()),
            ("launch_mitigations", "[]".to_owned()),
            ("launch_mitigations", "3".to_owned()),
            ("secure_boot", "true".to_owned()),
            ("uki", "{}".to_owned()),
            ("uki", "{ linux = [] }".to_owned()),
            ("binary", format!("{{ register = 7, digests = [\"{}\"] }}", "00".repeat(32))),
            ("binary", format!("{{ register = 15, digests = [\"{}\"] }}", "00".repeat(32))),
        ] {
            assert_ne!(firmware(field, &to), full(), "{field}");
            assert!(Policy::from_toml(&firmware(field, &to)).is_err(), "{field} = {to}");
        }
        let turin = full().replace(
            "[firmware.turin]\nmin_reported_tcb = { unchecked = \"tried in a test\" }",
            &format!("[firmware.turin]\nmin_reported_tcb = {{ {levels} }}"),
        );
        assert_ne!(turin, full());
        assert_eq!(refused(&turin), PolicyError::Missing { field: "firmware.turin.min_reported_tcb.fmc".into() });
    }

    #[test]
    fn a_file_of_version_1_is_refused_and_told_what_to_change() {
        let error = refused("version = 1\nproducts = [\"Milan\"]\nmeasurements = \"any\"\n");
        assert_eq!(error, PolicyError::Version1);
        assert!(error.fix().contains("policy show strict") && error.fix().contains("unchecked"));
    }

    #[test]
    fn a_provider_has_a_name_without_what_moves_a_cursor() {
        let strict = "providers = { unchecked = \"no particular one is expected\" }";
        let read = |name: &str| Policy::from_toml(&with(strict, &format!("providers = [\"{name}\"]")));
        let policy = read("CN=cc-us-east-2.amazonaws.com").unwrap();
        assert_eq!(policy.providers, Rule::Check(vec!["CN=cc-us-east-2.amazonaws.com".to_owned()]));
        for bad in ["", "  ", "CN=a\\u001b[2J", "\\n"] {
            let error = read(bad).unwrap_err();
            assert!(matches!(&error, PolicyError::Value { field, .. } if field == "providers[0]"), "{bad}: {error}");
        }
    }

    #[test]
    fn report_data_is_required_or_one_of_a_list_and_sections_are_read_by_their_names() {
        let open = "report_data = { unchecked = \"nothing is compared unless you name a nonce or the report data\" }";
        let required = Policy::from_toml(&with(open, "report_data = \"require\"")).unwrap();
        assert_eq!(required.report_data, Rule::Check(ReportData::Required));
        let listed = format!("report_data = [\"{}\"]", "5a".repeat(64));
        let listed = Policy::from_toml(&with(open, &listed)).unwrap();
        assert_eq!(listed.report_data, Rule::Check(ReportData::OneOf(vec![[0x5A; 64]])));
        let (a, b) = ("0a".repeat(32), "0b".repeat(32));
        let sections = format!("uki = {{ \".linux\" = [\"{a}\"], \".initrd\" = [\"{a}\", \"{b}\"] }}");
        let policy = Policy::from_toml(&with("uki = { unchecked = \"tried in a test\" }", &sections)).unwrap();
        let expected = BTreeMap::from([
            (".linux".to_owned(), vec![[0x0A; 32]]),
            (".initrd".to_owned(), vec![[0x0A; 32], [0x0B; 32]]),
        ]);
        assert_eq!(policy.events.uki, Rule::Check(expected));
    }

    #[test]
    fn a_bit_that_is_named_twice_is_still_required_and_a_version_has_one_spelling() {
        let bits = |list: &str| {
            let open = "launch_mitigations = { unchecked = \"tried in a test\" }";
            let text = full().replacen(open, &format!("launch_mitigations = {list}"), 1);
            Policy::from_toml(&text).unwrap().firmware.milan.launch_mitigations
        };
        assert_eq!(bits("[3, 1, 3]"), Rule::Check(0b1010));
        let open = "min_abi = { unchecked = \"the owner of the guest decides\" }";
        let abi =
            |text: &str| Policy::from_toml(&with(open, &format!("min_abi = \"{text}\""))).map(|it| it.guest.min_abi);
        assert_eq!(abi("1.51"), Ok(Rule::Check((1, 51))));
        assert_eq!(abi("0.255"), Ok(Rule::Check((0, 255))));
        for bad in ["1", "1.256", "01.51", "1.051", "1.00", "1.+5", "+1.5", "1.", ".1", "1.5.1", "1.5 "] {
            assert!(matches!(abi(bad), Err(PolicyError::Value { .. })), "{bad}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_meant() {
        let text = with("stale_crl = \"require\"", "stale_crl = { accept_until_days = 30 }")
            .replace("min_abi = { unchecked = \"the owner of the guest decides\" }", "min_abi = \"1.51\"")
            .replacen("launch_mitigations = { unchecked = \"tried in a test\" }", "launch_mitigations = [0, 63]", 1)
            .replacen(
                "min_current_version = { unchecked = \"tried in a test\" }",
                "min_current_version = \"1.55.29\"",
                1,
            )
            .replacen("secure_boot = { unchecked = \"tried in a test\" }", "secure_boot = \"require\"", 1);
        let policy = Policy::from_toml(&text).unwrap();
        assert_eq!(policy.stale_crl, StaleCrl::AcceptUntil { days: 30 });
        assert_eq!(policy.guest.min_abi, Rule::Check((1, 51)));
        assert_eq!(policy.firmware.milan.launch_mitigations, Rule::Check(1 << 63 | 1));
        assert_eq!(policy.firmware.milan.min_current_version.asked().map(ToString::to_string), Some("1.55.29".into()));
        assert_eq!(policy.events.secure_boot, Rule::Check(true));
        assert_eq!(policy.firmware.genoa.launch_mitigations, Rule::unchecked("tried in a test"));
    }
}
