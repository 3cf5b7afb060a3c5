//! Variables as firmware measures them: TCG PC Client Platform Firmware Profile, "UEFI_VARIABLE_DATA".

use crate::efi::{
    device_path::DevicePath,
    fields::{Fields, short, text, wide},
    guid::Guid,
    signature_list::SignatureLists,
};

/// Most entries of a list that are told one by one.
const MOST: usize = 16;

/// UEFI_VARIABLE_DATA: a vendor's GUID, a name in UTF-16, a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EfiVariable<'a> {
    vendor: [u8; 16],
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> EfiVariable<'a> {
    /// Reads the whole data; `None` if it is none.
    pub fn parse(data: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(data);
        let (vendor, name_length, value_length) = (fields.take(16)?, fields.length()?, fields.length()?);
        let name = fields.take(name_length.checked_mul(2)?)?;
        let value = fields.0;
        (value_length == value.len() && !name.is_empty()).then_some(Self {
            vendor: *vendor.first_chunk()?,
            name,
            value,
        })
    }

    /// The data that firmware measures of a variable.
    pub(crate) fn encode(vendor: Guid, name: &str, value: &[u8]) -> Vec<u8> {
        let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let lengths = [wide.len() / 2, value.len()].map(|length| (length as u64).to_le_bytes());
        [&vendor.0[..], lengths.as_flattened(), &wide, value].concat()
    }

    /// The value of `SecureBoot`: on, off, or something else; `None` if it is another variable.
    pub fn secure_boot(&self) -> Option<Result<bool, ()>> {
        (self.vendor == Guid::GLOBAL.0 && self.name() == "SecureBoot").then_some(match self.value {
            // A firmware without the variable measures it empty.
            [] | [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(()),
        })
    }

    /// The name, what is no UTF-16 replaced: a stranger's text.
    pub fn name(&self) -> String {
        wide(self.name)
    }

    /// The value.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The variable in words, on one line.
    pub(crate) fn words(&self) -> String {
        let name = short(&self.name());
        if let Some(Ok(on)) = self.secure_boot() {
            let state = if on { "on" } else { "off" };
            return format!("variable {name} = {}", if self.value.is_empty() { "empty, off" } else { state });
        }
        match self.decoded() {
            Some(words) => format!("variable {name} = {words}"),
            None => {
                let value = match (self.value, text(self.value)) {
                    ([], _) => "empty".to_owned(),
                    ([byte], _) => format!("{byte:#04x}"),
                    (_, Some(text)) => format!("\"{}\"", short(&text)),
                    (more, _) => format!("{} bytes", more.len()),
                };
                format!("variable {name} = {value}")
            }
        }
    }

    fn decoded(&self) -> Option<String> {
        if self.value.is_empty() {
            return None;
        }
        let name = self.name();
        if matches!(name.as_str(), "PK" | "KEK" | "db" | "dbx" | "dbt" | "dbr" | "MokList" | "MokListX") {
            // An authority event names the one entry that verified an image.
            let lists = SignatureLists::parse(self.value).map(|lists| lists.words());
            return lists.ok().or_else(|| SignatureLists::one_entry_words(self.value));
        }
        if name == "BootOrder" && self.vendor == Guid::GLOBAL.0 {
            let numbers = self.value.chunks_exact(2).filter_map(|number| number.first_chunk());
            let order: Vec<_> =
                numbers.take(MOST).map(|number| format!("Boot{:04X}", u16::from_le_bytes(*number))).collect();
            return (self.value.len().is_multiple_of(2)).then(|| order.join(" "));
        }
        let number = name.strip_prefix("Boot")?;
        (number.len() == 4 && number.bytes().all(|digit| digit.is_ascii_hexdigit())).then_some(())?;
        load_option(self.value)
    }
}

/// EFI_LOAD_OPTION.
fn load_option(value: &[u8]) -> Option<String> {
    let mut fields = Fields(value);
    let active = fields.u32()? & 1 == 1;
    let path_bytes = usize::from(fields.u16()?);
    let description = short(&fields.wide_text()?);
    let path = DevicePath::parse(fields.take(path_bytes)?)?;
    let inactive = if active { "" } else { ", inactive" };
    Some(format!("\"{description}\" {path}{inactive}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_read_whole_or_not_at_all() {
        let data = |value: &[u8]| EfiVariable::encode(Guid::GLOBAL, "SecureBoot", value);
        let state = |data: &[u8]| EfiVariable::parse(data).and_then(|variable| variable.secure_boot());
        assert_eq!(state(&data(&[1])), Some(Ok(true)));
        assert_eq!((state(&data(&[0])), state(&data(&[]))), (Some(Ok(false)), Some(Ok(false))));
        assert_eq!((state(&data(&[2])), state(&data(&[1, 0]))), (Some(Err(())), Some(Err(()))));
        let good = data(&[1]);
        for length in 0..good.len() {
            assert_eq!(EfiVariable::parse(&good[..length]), None, "{length}");
        }
        assert_eq!(EfiVariable::parse(&[&good[..], &[0]].concat()), None);
        assert_eq!(EfiVariable::parse(&[0; 32]), None, "a variable has a name");
        let mut other = good.clone();
        other[0] ^= 1;
        assert_eq!(state(&other), None, "another vendor's variable of that name");
        other[16..24].fill(0xFF);
        assert_eq!(EfiVariable::parse(&other), None);
    }

    #[test]
    fn boot_options_are_told_by_name_and_path() {
        let path = [4, 4, 10, 0, b'\\', 0, b'A', 0, 0, 0, 0x7F, 0xFF, 4, 0];
        let mut option = [&1_u32.to_le_bytes()[..], &14_u16.to_le_bytes()].concat();
        option.extend("Linux\0".encode_utf16().flat_map(u16::to_le_bytes));
        option.extend(path);
        let words = |name, value: &[u8]| {
            let data = EfiVariable::encode(Guid::GLOBAL, name, value);
            EfiVariable::parse(&data).map(|variable| variable.words())
        };
        assert_eq!(words("Boot0001", &option), Some("variable Boot0001 = \"Linux\" \\A".into()));
        assert_eq!(words("BootOrder", &[1, 0, 0xB, 0]), Some("variable BootOrder = Boot0001 Boot000B".into()));
        assert_eq!(words("Boot0001", &option[..9]), Some("variable Boot0001 = 9 bytes".into()));
    }
}
