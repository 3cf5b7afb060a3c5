//! What QEMU writes into a kernel that it is given as -kernel, in versions before 10.1 and without SEV: the firmware then
//! hashes another file than the one on the disk. QEMU, hw/i386/x86.c; Documentation/arch/x86/boot.rst.

/// Of the setup code at 0x10000, below the command line at 0x20000, from 0x200 on.
const HEAP_END: u16 = 0xFE00;
const COMMAND_LINE: u32 = 0x2_0000;
/// Kept free for tables below the end of low memory.
const TABLES: u64 = 0x2_8000;
/// Above this much memory q35 has 2 GiB of it below 4 GiB.
const LOW_MEMORY: u64 = 0xB000_0000;
/// XLF_CAN_BE_LOADED_ABOVE_4G.
const ABOVE_4G: u8 = 2;

/// The kernel as QEMU hands it over on a q35 machine with so much memory, to a firmware that it also hands an initial RAM
/// disk of `initrd_bytes`. `None` if it is no bzImage of boot protocol 2.12 or later, or the memory is too small for it.
pub(crate) fn hand_over(kernel: &[u8], memory_bytes: u64, initrd_bytes: Option<usize>) -> Option<Vec<u8>> {
    (kernel.get(0x202..0x206) == Some(b"HdrS")).then_some(())?;
    let protocol = u16::from_le_bytes(*kernel.get(0x206..)?.first_chunk()?);
    (protocol >= 0x20C && *kernel.get(0x236)? & ABOVE_4G != 0).then_some(())?;
    let mut patched = kernel.to_vec();
    let mut write = |offset: usize, bytes: &[u8]| {
        patched.get_mut(offset..offset + bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    // The boot loader is QEMU, it leaves a heap, and the command line is there.
    write(0x210, &[0xB0, kernel.get(0x211)? | 0x80])?;
    write(0x224, &HEAP_END.to_le_bytes())?;
    write(0x228, &COMMAND_LINE.to_le_bytes())?;
    if let Some(bytes) = initrd_bytes {
        let low = if memory_bytes >= LOW_MEMORY { 0x8000_0000 } else { memory_bytes };
        let length = u32::try_from(bytes).ok()?;
        let start = low.checked_sub(TABLES + 1)?.checked_sub(u64::from(length))? & !0xFFF;
        write(0x218, &u32::try_from(start).ok()?.to_le_bytes())?;
        write(0x21C, &length.to_le_bytes())?;
    }
    Some(patched)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_watched_machine() {
        // As OVMF of Debian 12 got it from QEMU 7.2 with 1 GiB and an initial RAM disk of 1,028,511 bytes.
        let mut kernel = vec![0; 0x400];
        kernel[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
        kernel[0x211] = 1;
        kernel[0x236] = 0x7F;
        let patched = hand_over(&kernel, 1 << 30, Some(1_028_511)).unwrap();
        assert_eq!(patched[0x210..0x212], [0xB0, 0x81]);
        assert_eq!(patched[0x218..0x220], [0x00, 0xC0, 0xED, 0x3F, 0x9F, 0xB1, 0x0F, 0x00]);
        assert_eq!(patched[0x224..0x226], 0xFE00_u16.to_le_bytes());
        assert_eq!(patched[0x228..0x22C], [0, 0, 2, 0]);
        assert_eq!(hand_over(&kernel, 1 << 20, Some(1_028_511)), None, "no room");
        kernel[0x206] = 0x0B;
        assert_eq!(hand_over(&kernel, 1 << 30, None), None, "an older protocol has other rules");
        assert_eq!(hand_over(b"MZ", 1 << 30, None), None);
    }
}
