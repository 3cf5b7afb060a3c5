//! Where an image came from: UEFI Specification, "EFI Device Path Protocol", and its "Device Path to Text Protocol".

use std::fmt;

use crate::efi::{
    fields::{Fields, short, wide},
    guid::Guid,
};

/// Most nodes that are read. Paths of real machines have some ten.
const MAX_NODES: usize = 64;

/// A device path, node by node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct DevicePath {
    nodes: Vec<String>,
    file: Option<String>,
}

impl DevicePath {
    /// Reads the whole path, to its end node.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let mut path = Self { nodes: Vec::new(), file: None };
        let mut fields = Fields(data);
        loop {
            let (kind, subtype, bytes) = (fields.u8()?, fields.u8()?, fields.u16()?);
            let node = fields.take(usize::from(bytes).checked_sub(4)?)?;
            match (kind, subtype) {
                (0x7F, 0xFF) => return fields.0.is_empty().then_some(path),
                (0x7F, _) => path.nodes.push("or".into()),
                (4, 4) => {
                    let text = wide(node);
                    let name = short(text.trim_end_matches('\0'));
                    path.file = Some(match path.file.take() {
                        Some(before) => format!("{before}{name}"),
                        None => name.clone(),
                    });
                    path.nodes.push(name);
                }
                _ => path.nodes.push(words(kind, subtype, node).unwrap_or_else(|| {
                    let shown = hex::encode(node.get(..32).unwrap_or(node));
                    format!("Path({kind},{subtype},{shown})")
                })),
            }
            if path.nodes.len() > MAX_NODES {
                return None;
            }
        }
    }

    /// The file it ends with, as the firmware writes it: `\EFI\BOOT\BOOTX64.EFI`.
    pub(crate) fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl fmt::Display for DevicePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() { f.write_str("(no path)") } else { f.write_str(&self.nodes.join("/")) }
    }
}

fn words(kind: u8, subtype: u8, node: &[u8]) -> Option<String> {
    let mut fields = Fields(node);
    Some(match (kind, subtype) {
        (1, 1) => {
            let function = fields.u8()?;
            format!("Pci({:#x},{function:#x})", fields.u8()?)
        }
        (1, 3) => {
            let (memory, start, end) = (fields.u32()?, fields.u64()?, fields.u64()?);
            format!("MemoryMapped({memory:#x},{start:#x},{end:#x})")
        }
        (2, 1) => {
            let (hid, uid) = (fields.u32()?, fields.u32()?);
            match hid {
                0x0A03_41D0 => format!("PciRoot({uid:#x})"),
                0x0A08_41D0 => format!("PcieRoot({uid:#x})"),
                _ => format!("Acpi({hid:#010x},{uid:#x})"),
            }
        }
        (3, 2) => format!("Scsi({:#x},{:#x})", fields.u16()?, fields.u16()?),
        (3, 5) => format!("USB({:#x},{:#x})", fields.u8()?, fields.u8()?),
        (3, 11) => {
            let address = fields.take(32)?;
            format!("MAC({})", hex::encode(address.get(..6)?))
        }
        (3, 12) => "IPv4()".into(),
        (3, 13) => "IPv6()".into(),
        (3, 23) => {
            let (id, eui) = (fields.u32()?, fields.u64()?);
            format!("NVMe({id:#x},{eui:016x})")
        }
        (3, 18) => format!("Sata({:#x},{:#x},{:#x})", fields.u16()?, fields.u16()?, fields.u16()?),
        (3, 24) => format!("Uri({})", short(&String::from_utf8_lossy(node))),
        (4, 1) => {
            let number = fields.u32()?;
            fields.take(16)?;
            let signature = fields.take(16)?;
            let (_, kind) = (fields.u8()?, fields.u8()?);
            match kind {
                2 => format!("HD({number},GPT,{})", Guid::split(signature)?.0),
                1 => format!("HD({number},MBR,{:#010x})", Fields(signature).u32()?),
                _ => format!("HD({number})"),
            }
        }
        (4, 2) => format!("CDROM({:#x})", fields.u32()?),
        (1, 4) => format!("VenHw({})", Guid::split(node)?.0),
        (3, 10) => format!("VenMsg({})", Guid::split(node)?.0),
        (4, 3) => format!("VenMedia({})", Guid::split(node)?.0),
        (4, 6) => format!("FvFile({})", Guid::split(node)?.0),
        (4, 7) => format!("Fv({})", Guid::split(node)?.0),
        (4, 8) => {
            fields.take(4)?;
            format!("Offset({:#x},{:#x})", fields.u64()?, fields.u64()?)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "02010c00d041030a00000000010106000001040430005c004500460049005c0042004f004f0054005c0042004f004f005400\
         5800360034002e0045004600490000007fff0400";

    #[test]
    fn a_path_is_told_as_firmware_shells_write_it() {
        let path = DevicePath::parse(&hex::decode(PATH).unwrap()).unwrap();
        assert_eq!(path.to_string(), "PciRoot(0x0)/Pci(0x1,0x0)/\\EFI\\BOOT\\BOOTX64.EFI");
        assert_eq!(path.file(), Some("\\EFI\\BOOT\\BOOTX64.EFI"));
        let unknown = DevicePath::parse(&[5, 1, 5, 0, 0xAB, 0x7F, 0xFF, 4, 0]).unwrap();
        assert_eq!(unknown.to_string(), "Path(5,1,ab)");
    }

    #[test]
    fn a_path_is_read_whole_or_not_at_all() {
        let good = hex::decode(PATH).unwrap();
        for length in 0..good.len() {
            assert_eq!(DevicePath::parse(&good[..length]), None, "{length}");
        }
        assert_eq!(DevicePath::parse(&[&good[..], &[0]].concat()), None);
        assert_eq!(DevicePath::parse(&[4, 4, 3, 0]), None, "a node shorter than its header");
        let long = [&[5, 1, 4, 0].repeat(MAX_NODES + 1)[..], &[0x7F, 0xFF, 4, 0]].concat();
        assert_eq!((DevicePath::parse(&long), DevicePath::parse(&long[4..]).is_some()), (None, true));
    }
}
