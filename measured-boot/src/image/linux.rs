//! Linux kernels (bzImage): Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header", and what their EFI stub
//! measures into PCR 9 (drivers/firmware/efi/libstub/efi-stub-helper.c).

use crate::{
    image::pe::{Pe, PeError},
    pcr::Bank,
    prediction::Events,
};

/// The first version whose EFI stub measures the options and the initial RAM disk.
const MEASURES: (u32, u32) = (6, 1);

/// A kernel that is an EFI program.
#[derive(Clone, Debug)]
pub struct Kernel<'a> {
    file: &'a [u8],
    pe: Pe<'a>,
    version: Option<(u32, u32)>,
}

impl<'a> Kernel<'a> {
    /// Reads a bzImage.
    ///
    /// # Errors
    /// [`PeError`]: not an image that firmware loads.
    pub fn parse(file: &'a [u8]) -> Result<Self, PeError> {
        Ok(Self { file, pe: Pe::parse(file)?, version: version(file) })
    }

    /// The image as firmware loads it.
    pub fn pe(&self) -> &Pe<'a> {
        &self.pe
    }

    /// The whole file.
    pub(crate) fn file(&self) -> &'a [u8] {
        self.file
    }

    /// PCR 9 as this kernel extends it.
    pub(crate) fn events(&self, bank: Bank, options: &str, initrd: Option<&[u8]>) -> Events {
        match self.version {
            None => Events::unknown(bank, "the kernel's header tells no version, which decides what it measures"),
            Some(version) if version < MEASURES => {
                let (major, minor) = version;
                Events::unknown(bank, format!("what Linux {major}.{minor} measures is not known; from 6.1 on it is"))
            }
            Some(_) => {
                let mut events = Events::new(bank);
                events.bytes(format!("options of the kernel \"{options}\""), &kernel_options(options));
                if let Some(initrd) = initrd {
                    events.bytes("initial RAM disk", initrd);
                }
                events
            }
        }
    }
}

/// UTF-16 with its zero.
pub(crate) fn kernel_options(options: &str) -> Vec<u8> {
    options.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// `kernel_version`: an offset from 0x200 to a text that begins with two numbers.
fn version(file: &[u8]) -> Option<(u32, u32)> {
    (file.get(0x202..0x206) == Some(b"HdrS")).then_some(())?;
    let offset = usize::from(u16::from_le_bytes(*file.get(0x20E..)?.first_chunk()?));
    let text = file.get(offset + 0x200..)?;
    let text = text.get(..text.len().min(32))?;
    let mut numbers = text.split(|byte| !byte.is_ascii_digit());
    let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
    (offset > 0).then_some((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_two_numbers_where_the_header_says() {
        let mut file = vec![0; 0x400];
        assert_eq!(version(&file), None);
        file[0x202..0x206].copy_from_slice(b"HdrS");
        assert_eq!(version(&file), None, "offset 0 is none");
        file[0x20E..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        file[0x300..0x30C].copy_from_slice(b"6.1.0-56-x\0\0");
        assert_eq!(version(&file), Some((6, 1)));
        file[0x20E..0x210].copy_from_slice(&0xFFFF_u16.to_le_bytes());
        assert_eq!((version(&file), version(&file[..0x203])), (None, None));
    }
}
