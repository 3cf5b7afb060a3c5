//! One event of a replayed log in words. Only what a digest proves is told as a fact; the rest is "stated".
//! TCG PC Client Platform Firmware Profile, "Event types"; what GRUB and systemd's boot stub measure, by their sources.

use measured_boot::{BelievedEvent, Digest};

/// EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c, as it stands in memory.
const GLOBAL: [u8; 16] = *b"\x61\xDF\xE4\x8B\xCA\x93\xD2\x11\xAA\x0D\x00\xE0\x98\x03\x2B\x8C";
/// Before what GRUB measures into PCR 8; the digest is of what follows.
const GRUB: [&str; 3] = ["grub_cmd: ", "kernel_cmdline: ", "module_cmdline: "];
/// Sections of a unified kernel image that the boot stub measures into PCR 11, each by name and then by content.
pub(super) const SECTIONS: [&str; 14] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey", ".profile",
    ".dtbauto", ".hwids", ".efifw",
];
/// Longest text of a stranger that is repeated.
const LONGEST: usize = 200;

/// UEFI_VARIABLE_DATA.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Variable<'a> {
    vendor: [u8; 16],
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Variable<'a> {
    /// Reads the whole data; `None` if it is none.
    pub(super) fn parse(data: &'a [u8]) -> Option<Self> {
        let (vendor, rest) = data.split_first_chunk::<16>()?;
        let (name_length, rest) = rest.split_first_chunk::<8>()?;
        let (value_length, rest) = rest.split_first_chunk::<8>()?;
        let length = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let (name, value) = rest.split_at_checked(length(name_length)?.checked_mul(2)?)?;
        (length(value_length)? == value.len()).then_some(Self { vendor: *vendor, name, value })
    }

    /// The value of `SecureBoot`: on, off, or something else; `None` if it is another variable.
    pub(super) fn secure_boot(&self) -> Option<Result<bool, ()>> {
        (self.vendor == GLOBAL && self.text() == "SecureBoot").then_some(match self.value {
            // A firmware without the variable measures it empty.
            [] | [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(()),
        })
    }

    fn text(&self) -> String {
        let units: Vec<u16> =
            self.name.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(*unit.first_chunk()?))).collect();
        String::from_utf16_lossy(&units)
    }
}

/// Is this digest the one of exactly these bytes?
pub(super) fn is_digest_of(digest: &Digest, bytes: &[u8]) -> bool {
    digest.bank().hash(bytes) == *digest
}

/// The section of a unified kernel image whose name this is the digest of.
pub(super) fn section_named(digest: &Digest) -> Option<&'static str> {
    SECTIONS.into_iter().find(|name| is_digest_of(digest, &[name.as_bytes(), &[0]].concat()))
}

/// What an event of a replayed log shows, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventMeaning {
    /// What the digest proves, if it is the digest of something we can read.
    pub proven: Option<String>,
    /// What the log says beside it, which anyone may have written.
    pub stated: Option<String>,
}

impl EventMeaning {
    /// Explains an event.
    pub fn of(event: &BelievedEvent<'_, '_>) -> Self {
        let stated = text(event.stated_data()).map(|text| short(&text));
        if let Some(section) = section_named(event.digest()) {
            return Self { proven: Some(format!("name of section {section} of a unified kernel image")), stated: None };
        }
        if let Some(data) = event.measured_data() {
            return Self { proven: Some(measured(data)), stated: None };
        }
        // GRUB's prefix is not measured, what follows it is.
        let command = stated_text(event.stated_data()).and_then(|text| {
            let command = GRUB.into_iter().find_map(|prefix| text.strip_prefix(prefix))?;
            is_digest_of(event.digest(), command.as_bytes()).then(|| short(command))
        });
        match command {
            Some(command) => Self { proven: Some(format!("text \"{command}\"")), stated },
            None => Self { proven: None, stated },
        }
    }
}

fn measured(data: &[u8]) -> String {
    if let Some(variable) = Variable::parse(data) {
        let value = match variable.value {
            [] => "empty".to_owned(),
            [byte] => format!("{byte:#04x}"),
            more => format!("{} bytes", more.len()),
        };
        return format!("variable {} = {value}", short(&variable.text()));
    }
    match (data, text(data)) {
        ([0, 0, 0, 0], _) => "separator".to_owned(),
        (_, Some(text)) => format!("text \"{}\"", short(&text)),
        _ => format!("{} bytes of data", data.len()),
    }
}

/// Printable ASCII, or UTF-16 of it, that ends with or without a zero.
fn text(data: &[u8]) -> Option<String> {
    if let Some(text) = stated_text(data) {
        return Some(text.to_owned());
    }
    let units: Vec<u16> =
        data.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(*unit.first_chunk()?))).collect();
    let text = String::from_utf16(&units).ok()?;
    let text = text.strip_suffix('\0').unwrap_or(&text);
    (data.len().is_multiple_of(2) && printable(text)).then(|| text.to_owned())
}

fn stated_text(data: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(data).ok()?;
    Some(text.strip_suffix('\0').unwrap_or(text)).filter(|text| printable(text))
}

fn printable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| (' '..='~').contains(&c) || matches!(c, '\n' | '\t'))
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_whole_or_not_at_all() {
        let data = |value: &[u8]| {
            let name: Vec<u8> = "SecureBoot".encode_utf16().flat_map(u16::to_le_bytes).collect();
            [&GLOBAL[..], &10_u64.to_le_bytes(), &(value.len() as u64).to_le_bytes(), &name, value].concat()
        };
        let state = |data: &[u8]| Variable::parse(data).and_then(|variable| variable.secure_boot());
        assert_eq!(state(&data(&[1])), Some(Ok(true)));
        assert_eq!((state(&data(&[0])), state(&data(&[]))), (Some(Ok(false)), Some(Ok(false))));
        assert_eq!((state(&data(&[2])), state(&data(&[1, 0]))), (Some(Err(())), Some(Err(()))));
        let good = data(&[1]);
        for length in 0..good.len() {
            assert_eq!(Variable::parse(&good[..length]), None, "{length}");
        }
        assert_eq!(Variable::parse(&[&good[..], &[0]].concat()), None);
        let mut other = good.clone();
        other[0] ^= 1;
        assert_eq!(state(&other), None, "another vendor's variable of that name");
        other[16..24].fill(0xFF);
        assert_eq!(Variable::parse(&other), None);
    }

    #[test]
    fn texts_of_strangers_are_one_short_line() {
        assert_eq!(text(b"a\0"), Some("a".to_owned()));
        assert_eq!(text(&[b'a', 0, b'b', 0, 0, 0]), Some("ab".to_owned()));
        assert_eq!((text(b"\x1b[2J"), text(&[0xFF]), text(b"")), (None, None, None));
        assert_eq!(short("a\nb"), "a b");
        assert_eq!(short(&"x".repeat(201)).chars().count(), 201);
        assert!(short(&"x".repeat(201)).ends_with('…') && !short(&"x".repeat(200)).ends_with('…'));
    }
}
