//! One event in words. Only what its digest proves is told as a fact; the rest is "stated". TCG PC Client Platform
//! Firmware Profile, "Event types"; what shim, GRUB, systemd's boot stub and Linux measure, by their sources.

use crate::{
    efi::{
        device_path::DevicePath,
        fields::{Fields, narrow, short, text},
        guid::Guid,
        variable::EfiVariable,
    },
    event_log::{event::EventType, replay::BelievedEvent, stated::StatedEvent},
    image::uki::{SECTIONS, name_digest},
    pcr::{Bank, Digest},
};

/// Before what GRUB measures into PCR 8; the digest is of what follows.
const GRUB: [&str; 3] = ["grub_cmd: ", "kernel_cmdline: ", "module_cmdline: "];
/// Most partitions and tables that are told one by one.
const MOST: usize = 8;

/// Is this digest the one of exactly these bytes?
pub fn is_digest_of(digest: &Digest, bytes: &[u8]) -> bool {
    digest.bank().hash(bytes) == *digest
}

/// The section of a unified kernel image whose name this is the digest of.
pub fn section_named(digest: &Digest) -> Option<&'static str> {
    SECTIONS.iter().map(|(name, _)| *name).find(|name| name_digest(digest.bank(), name) == *digest)
}

/// What an event shows, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventMeaning {
    /// What the digest proves, if it is the digest of something we can read.
    pub proven: Option<String>,
    /// What the log says beside it, which anyone may have written.
    pub stated: Option<String>,
}

impl EventMeaning {
    /// Explains an event of a replayed log: what is `proven` holds.
    pub fn of(event: &BelievedEvent<'_, '_>) -> Self {
        Self::of_parts(event.stated_type(), event.digest(), event.stated_data())
    }

    /// Explains an event of a log that was not replayed: what is `proven` holds if the digest was extended, which nobody
    /// knows. A remark, which is never extended, is stated only.
    pub fn of_stated(event: &StatedEvent<'_, '_>, bank: Bank) -> Self {
        match event.digest(bank) {
            Some(digest) if event.stated_type() != EventType::NO_ACTION => {
                Self::of_parts(event.stated_type(), digest, event.data())
            }
            _ => Self { proven: None, stated: Some(remark(event.data())) },
        }
    }

    fn of_parts(kind: EventType, digest: &Digest, data: &[u8]) -> Self {
        if let Some(section) = section_named(digest) {
            return Self { proven: Some(format!("name of section {section} of a unified kernel image")), stated: None };
        }
        if is_digest_of(digest, data) {
            return Self { proven: Some(measured(kind, data)), stated: None };
        }
        // GRUB's prefix is not measured, what follows it is.
        let command = narrow(data).and_then(|text| {
            let command = GRUB.into_iter().find_map(|prefix| text.strip_prefix(prefix))?;
            is_digest_of(digest, command.as_bytes()).then(|| short(command))
        });
        if let Some(command) = command {
            return Self { proven: Some(format!("text \"{command}\"")), stated: text(data).map(|text| short(&text)) };
        }
        // Of a boot variable the value alone is measured.
        let value = EfiVariable::parse(data).filter(|variable| is_digest_of(digest, variable.value()));
        if let Some(variable) = value {
            let proven = format!("value of {} bytes", variable.value().len());
            return Self { proven: Some(proven), stated: Some(variable.words()) };
        }
        Self { proven: None, stated: stated(kind, data) }
    }

    /// Can nothing be said of the event?
    pub fn is_unknown(&self) -> bool {
        self.proven.is_none() && self.stated.is_none()
    }
}

/// Bytes that a digest proves. What they are is told by their shape, and only where that says nothing by the type.
fn measured(kind: EventType, data: &[u8]) -> String {
    if let Some(variable) = EfiVariable::parse(data) {
        return variable.words();
    }
    match (data, text(data)) {
        ([0, 0, 0, 0], _) => "separator".to_owned(),
        (_, Some(text)) => format!("text \"{}\"", short(&text)),
        _ => match structure(kind, data) {
            Some(words) => format!("data that reads as {words}"),
            None => format!("{} bytes of data", data.len()),
        },
    }
}

/// Bytes that stand beside the digest of something else.
fn stated(kind: EventType, data: &[u8]) -> Option<String> {
    let section = text(data).filter(|text| SECTIONS.iter().any(|(name, _)| name == text));
    if let Some(section) = section {
        return Some(format!("content of section {section}"));
    }
    let list = text(data).filter(|text| ["MokList", "MokListX", "MokListTrusted"].contains(&text.as_str()));
    if let Some(list) = list {
        return Some(format!("content of the machine owner's {list}, by shim"));
    }
    if data == [1, 0, 0, 0] && kind == EventType::SEPARATOR {
        return Some("separator after an error".into());
    }
    structure(kind, data).or_else(|| text(data).map(|text| short(&text))).or_else(|| {
        let variable = EfiVariable::parse(data)?;
        Some(variable.words())
    })
}

/// What the specification puts into events of a type.
fn structure(kind: EventType, data: &[u8]) -> Option<String> {
    match kind.0 {
        0x8000_0003 => Some(format!("Authenticode hash of program {}", image_load(data)?)),
        0x8000_0004 | 0x8000_0005 => Some(format!("Authenticode hash of driver {}", image_load(data)?)),
        0x0000_0006 => tagged(data),
        0x0000_0007 => crtm_contents(data),
        0x0000_0008 => Some(format!("firmware version {}", version(data)?)),
        0x0000_0001 | 0x0000_0013 | 0x8000_0008 | 0x8000_000A => blob(data),
        0x0000_0011 => non_host(data),
        0x8000_0006 | 0x8000_000D => partitions(data),
        0x8000_0009 | 0x8000_000B => tables(kind, data),
        _ => None,
    }
}

/// UEFI_IMAGE_LOAD_EVENT.
fn image_load(data: &[u8]) -> Option<String> {
    // Shim gives none for what a boot loader has it check.
    let without = data.len() == 32 && data.get(24..) == Some(&[0; 8]);
    if without { Some("without a path".to_owned()) } else { Some(image_path(data)?.to_string()) }
}

fn image_path(data: &[u8]) -> Option<DevicePath> {
    let mut fields = Fields(data);
    fields.take(24)?;
    let path_bytes = fields.length()?;
    (path_bytes == fields.0.len()).then_some(())?;
    DevicePath::parse(fields.0)
}

/// What a difference in an event is called: the file of an image, the name of a section, a variable, a GRUB file.
pub(crate) fn source(kind: EventType, data: &[u8]) -> Option<String> {
    if let Some(path) = matches!(kind.0, 0x8000_0003..=0x8000_0005).then(|| image_path(data)).flatten() {
        return Some(path.file().map_or_else(|| path.to_string(), str::to_owned));
    }
    if let Some(variable) = EfiVariable::parse(data) {
        return Some(format!("variable {}", short(&variable.name())));
    }
    if kind.0 == 0x0000_0006 {
        return tagged(data);
    }
    let text = short(&text(data)?);
    Some(if SECTIONS.iter().any(|(name, _)| *name == text) { format!("section {text}") } else { text })
}

/// TCG_PCClientTaggedEvent.
fn tagged(data: &[u8]) -> Option<String> {
    let mut fields = Fields(data);
    let (tag, length) = (fields.u32()?, usize::try_from(fields.u32()?).ok()?);
    (length == fields.0.len()).then_some(())?;
    // What Linux's EFI stub measures.
    let who = match tag {
        0x8F3B_22ED => "options of the kernel",
        0x8F3B_22EC => "initial RAM disk of the kernel",
        _ => "tagged event",
    };
    let content = text(fields.0).map_or_else(|| format!("{length} bytes"), |text| format!("\"{}\"", short(&text)));
    Some(format!("{who}, tag {tag:#010x} {content}"))
}

fn crtm_contents(data: &[u8]) -> Option<String> {
    blob(data).or_else(|| Some(format!("contents of the root of trust, {} bytes", data.len())))
}

/// A version: text, or a GUID.
fn version(data: &[u8]) -> Option<String> {
    match (text(data), Guid::split(data)) {
        (Some(text), _) => Some(format!("\"{}\"", short(&text))),
        (None, Some((guid, []))) => Some(guid.to_string()),
        _ => {
            let text = crate::efi::fields::wide(data);
            let text = text.split('\0').next().unwrap_or_default();
            (!text.is_empty() && text.is_ascii()).then(|| format!("\"{}\"", short(text)))
        }
    }
}

/// UEFI_PLATFORM_FIRMWARE_BLOB, or UEFI_PLATFORM_FIRMWARE_BLOB2 with its description.
fn blob(data: &[u8]) -> Option<String> {
    let place = |fields: &mut Fields<'_>| {
        let (base, length) = (fields.u64()?, fields.u64()?);
        fields.0.is_empty().then(|| format!("{length:#x} bytes at {base:#x}"))
    };
    let mut fields = Fields(data);
    if let Some(place) = place(&mut fields) {
        return Some(format!("firmware, {place}"));
    }
    let mut fields = Fields(data);
    let described = usize::from(fields.u8()?);
    let description = short(&String::from_utf8_lossy(fields.take(described)?));
    Some(format!("firmware \"{description}\", {}", place(&mut fields)?))
}

/// What Google's firmware says of the machine's kind of memory encryption, or a text.
fn non_host(data: &[u8]) -> Option<String> {
    const GCE: &[u8; 16] = b"GCE NonHostInfo\0";
    let kind = data.strip_prefix(GCE)?;
    let name = match kind.first()? {
        0 => "none",
        1 => "SEV",
        2 => "SEV-ES",
        3 => "TDX",
        4 => "SEV-SNP",
        _ => "unknown",
    };
    Some(format!("confidential technology {name} of Google's firmware"))
}

/// UEFI_GPT_DATA.
fn partitions(data: &[u8]) -> Option<String> {
    let mut fields = Fields(data);
    let header = fields.take(92)?;
    (header.get(..8) == Some(b"EFI PART")).then_some(())?;
    let (disk, _) = Guid::split(header.get(56..)?)?;
    let count = fields.length()?;
    let entry_bytes = fields.0.len().checked_div(count).unwrap_or(0);
    let mut names = Vec::new();
    for entry in fields.0.chunks_exact(entry_bytes.max(128)).take(MOST) {
        let name = Fields(entry.get(56..)?).wide_text().unwrap_or_default();
        let (id, _) = Guid::split(entry.get(16..)?)?;
        names.push(if name.is_empty() { id.to_string() } else { format!("\"{}\"", short(&name)) });
    }
    if count > names.len() {
        names.push("…".into());
    }
    Some(format!("partition table of disk {disk}: {count} partitions {}", names.join(" ")).trim_end().to_owned())
}

/// UEFI_HANDOFF_TABLE_POINTERS, and UEFI_HANDOFF_TABLE_POINTERS2 with its description.
fn tables(kind: EventType, data: &[u8]) -> Option<String> {
    let mut fields = Fields(data);
    let mut description = String::new();
    if kind.0 == 0x8000_000B {
        let length = usize::from(fields.u8()?);
        description = format!(" \"{}\"", short(&String::from_utf8_lossy(fields.take(length)?)));
    }
    let count = fields.length()?;
    (fields.0.len() == count.checked_mul(24)?).then_some(())?;
    let known = |guid: Guid| match guid.to_string().as_str() {
        "eb9d2d31-2d88-11d3-9a16-0090273fc14d" => "SMBIOS".to_owned(),
        "f2fd1544-9794-4a2c-992e-e5bbcf20e394" => "SMBIOS 3".to_owned(),
        "8868e871-e4f1-11d3-bc22-0080c73c8881" => "ACPI 2".to_owned(),
        other => other.to_owned(),
    };
    let names: Vec<_> = fields.0.chunks_exact(24).take(MOST).filter_map(|entry| Guid::split(entry)).collect();
    let names: Vec<_> = names.into_iter().map(|(guid, _)| known(guid)).collect();
    Some(format!("handed-over tables{description}: {}", names.join(" ")))
}

/// EV_NO_ACTION.
fn remark(data: &[u8]) -> String {
    if let Some(locality) = data.strip_prefix(b"StartupLocality\0") {
        return format!("remark: startup locality {}", locality.first().copied().unwrap_or_default());
    }
    let name: Vec<u8> = data.iter().copied().take(16).take_while(|byte| *byte != 0).collect();
    match text(&name) {
        Some(name) => format!("remark: {}, {} bytes", short(&name), data.len()),
        None => format!("remark of {} bytes", data.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: u32, measured: &[u8], data: &[u8]) -> EventMeaning {
        EventMeaning::of_parts(EventType(kind), &Bank::Sha256.hash(measured), data)
    }

    fn proven(kind: u32, data: &[u8]) -> String {
        of(kind, data, data).proven.unwrap()
    }

    fn stated(kind: u32, data: &[u8]) -> Option<String> {
        let meaning = of(kind, b"something else", data);
        assert_eq!(meaning.proven, None);
        meaning.stated
    }

    #[test]
    fn the_same_data_is_proven_or_only_stated() {
        assert_eq!(proven(0xD, b"menu"), "text \"menu\"");
        assert_eq!(stated(0xD, b"menu"), Some("menu".into()));
        assert_eq!(proven(4, &[0; 4]), "separator");
        assert_eq!(stated(4, &[1, 0, 0, 0]), Some("separator after an error".into()));
        assert!(of(0xD, b"something else", &[0x80, 1]).is_unknown());
    }

    #[test]
    fn a_command_of_grub_is_proven_without_its_prefix() {
        let meaning = of(0xD, b"set default=0", b"grub_cmd: set default=0\0");
        assert_eq!(meaning.proven, Some("text \"set default=0\"".into()));
        assert_eq!(meaning.stated, Some("grub_cmd: set default=0".into()));
        assert_eq!(of(0xD, b"boot", b"grub_cmd: set default=0\0").proven, None);
    }

    #[test]
    fn a_section_is_named_by_its_digest_and_its_content_by_the_log() {
        let wide: Vec<u8> = ".linux\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(of(0xD, b".linux\0", &wide).proven, Some("name of section .linux of a unified kernel image".into()));
        assert_eq!(stated(0xD, &wide), Some("content of section .linux".into()));
    }

    #[test]
    fn of_a_boot_variable_the_value_is_proven_and_the_name_stated() {
        let data = EfiVariable::encode(Guid::GLOBAL, "BootOrder", &[1, 0]);
        let meaning = of(0x8000_0002, &[1, 0], &data);
        assert_eq!(meaning.proven, Some("value of 2 bytes".into()));
        assert_eq!(meaning.stated, Some("variable BootOrder = Boot0001".into()));
    }

    #[test]
    fn structures_are_read_whole_or_not_at_all() {
        let path = [4, 4, 8, 0, b'\\', 0, b'A', 0, 0x7F, 0xFF, 4, 0];
        let load = [&[0; 24][..], &12_u64.to_le_bytes(), &path].concat();
        let blob = [&[3][..], b"PEI", &0xFF_0000_u64.to_le_bytes(), &0x1000_u64.to_le_bytes()].concat();
        let tag = [&0x8F3B_22EC_u32.to_le_bytes()[..], &6_u32.to_le_bytes(), b"initrd"].concat();
        let table = [&1_u64.to_le_bytes()[..], &[7; 24]].concat();
        for (kind, data, words) in [
            (0x8000_0003, &load, "Authenticode hash of program \\A"),
            (0x8000_000A, &blob, "firmware \"PEI\", 0x1000 bytes at 0xff0000"),
            (6, &tag, "initial RAM disk of the kernel, tag 0x8f3b22ec \"initrd\""),
            (0x8000_0009, &table, "handed-over tables: 07070707-0707-0707-0707-070707070707"),
        ] {
            assert_eq!(stated(kind, data), Some(words.into()));
            for length in 0..data.len() {
                let said = stated(kind, &data[..length]);
                assert!(said.is_none_or(|said| said != words), "{kind:#x} {length}");
            }
        }
    }

    #[test]
    fn a_hostile_partition_count_is_no_loop() {
        let mut data = b"EFI PART".to_vec();
        data.resize(92, 0);
        data.extend(u64::MAX.to_le_bytes());
        data.resize(92 + 8 + 128, 0);
        assert!(stated(0x8000_0006, &data).is_some_and(|words| words.contains("18446744073709551615 partitions")));
    }
}
