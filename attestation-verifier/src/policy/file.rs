//! A policy file, version 2. Nothing has a default.

use std::collections::BTreeMap;

use super::{
    AcceptedAdvisory, Bit, FirmwareRules, GuestRules, Need, OnAdvisory, PerProduct, PlatformRules, Policy, PolicyError,
    ReportData, Rule, StaleCrl, advisories,
    entry::{Entry, Section},
};
use crate::{EventPolicy, FirmwareVersion, Grade, MeasuredBinary, Product, Tcb, VekKind, VtpmKind};

type Read<T> = Result<T, PolicyError>;

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`PolicyError`], the first one found.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
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
                .collect::<Read<_>>()?,
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

fn version(entry: Entry) -> Read<()> {
    match entry.number(u32::MAX, "2") {
        Ok(2) => Ok(()),
        Ok(1) => Err(PolicyError::Version1),
        Ok(found) => Err(PolicyError::Version { found: found.to_string() }),
        Err(error) => Err(error),
    }
}

fn product(entry: Entry) -> Read<Product> {
    entry.word(&Product::ALL.map(|product| (product.name(), product)), "\"Milan\", \"Genoa\" or \"Turin\"")
}

fn key(entry: Entry) -> Read<VekKind> {
    entry.word(&[VekKind::Vcek, VekKind::Vlek].map(|kind| (kind.name(), kind)), "\"VCEK\" or \"VLEK\"")
}

fn vtpm(entry: Entry) -> Read<VtpmKind> {
    let wanted = "\"paravisor\", \"svsm\", \"host\", \"software\" or \"none\"";
    entry.word(&VtpmKind::ALL.map(|kind| (kind.name(), kind)), wanted)
}

fn code(entry: Entry) -> Read<Grade> {
    let grades = [Grade::None, Grade::Host, Grade::Vendor, Grade::Hardware];
    entry.word(&grades.map(|grade| (grade.name(), grade)), "\"none\", \"host\", \"vendor\" or \"hardware\"")
}

fn vmpl(entry: Entry) -> Read<u8> {
    entry.number(3, "a level from 0 to 3").map(|level| u8::try_from(level).unwrap_or(u8::MAX))
}

fn provider(entry: Entry) -> Read<String> {
    let path = entry.path.clone();
    match entry.text()? {
        name if name.trim().is_empty() || name.chars().any(char::is_control) => {
            Err(PolicyError::Value { field: path, found: "no name".into(), wanted: "a name as a VLEK's CSP_ID has it" })
        }
        name => Ok(name),
    }
}

fn bit(entry: Entry) -> Read<Rule<Bit>> {
    entry.rule(|entry| entry.word(Bit::WORDS, "\"require\", \"refuse\" or { unchecked = \"reason\" }"))
}

fn report_data(entry: Entry) -> Read<ReportData> {
    match entry.is_list() {
        true => entry.list(Entry::bytes).map(ReportData::OneOf),
        false => entry
            .word(&[("require", ReportData::Required)], "\"require\", a list of values, or { unchecked = \"reason\" }"),
    }
}

fn stale_crl(entry: Entry) -> Read<StaleCrl> {
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
fn accepted(entry: Entry) -> Read<AcceptedAdvisory> {
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

fn per_product(mut section: Section) -> Read<PerProduct<FirmwareRules>> {
    let rules = PerProduct {
        milan: firmware(section.take("milan")?, false)?,
        genoa: firmware(section.take("genoa")?, false)?,
        turin: firmware(section.take("turin")?, true)?,
    };
    section.finish()?;
    Ok(rules)
}

/// The table of a product, or one reason for all of it.
fn firmware(entry: Entry, has_fmc: bool) -> Read<FirmwareRules> {
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
fn tcb(entry: Entry, has_fmc: bool) -> Read<Tcb> {
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

fn firmware_version(entry: Entry) -> Read<FirmwareVersion> {
    let path = entry.path.clone();
    let text = entry.text()?;
    FirmwareVersion::parse(&text).ok_or_else(|| PolicyError::Value {
        field: path,
        found: format!("{text:?}"),
        wanted: "major.minor.build, such as \"1.55.29\"",
    })
}

/// Numbers of the bits that must be set.
fn mask(entry: Entry) -> Read<u64> {
    let bits = entry.list(|bit| bit.number(63, "a bit from 0 to 63"))?;
    Ok(bits.into_iter().fold(0, |mask, bit| mask | 1 << bit))
}

fn platform(mut section: Section) -> Read<PlatformRules> {
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

fn guest(mut section: Section) -> Read<GuestRules> {
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
fn events(entry: Entry) -> Read<EventPolicy> {
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
        loader_files: section.take("loader_files")?.entries()?.into_iter().map(Entry::bytes).collect::<Read<_>>()?,
        loader_commands: section
            .take("loader_commands")?
            .entries()?
            .into_iter()
            .map(Entry::bytes)
            .collect::<Read<_>>()?,
    };
    section.finish()?;
    Ok(rules)
}

/// Sections by name, each with the digests it may have.
fn uki(entry: Entry) -> Read<BTreeMap<String, Vec<[u8; 32]>>> {
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

fn binary(entry: Entry) -> Read<MeasuredBinary> {
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

fn abi(entry: Entry) -> Read<(u8, u8)> {
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
}
