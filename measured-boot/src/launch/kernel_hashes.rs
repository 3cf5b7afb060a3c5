//! The table by which QEMU binds a directly booted kernel to the measurement: OVMF's `SevHashTable`
//! (OvmfPkg/AmdSev/BlobVerifierLibSevHashes, QEMU target/i386/sev.c, `kernel-hashes=on`).

use sha2::{Digest as _, Sha256};

use super::chain::PAGE_BYTES;
use crate::efi::guid::guid;

/// SHA-256, 32 bytes.
pub type Sha256Digest = [u8; 32];

/// GUIDs as they lie in memory.
const TABLE: [u8; 16] = guid(0x9438_d606, 0x4f22, 0x4cc9, [0xb4, 0x79, 0xa7, 0x93, 0xd4, 0x11, 0xfd, 0x21]);
const KERNEL: [u8; 16] = guid(0x4de7_9437, 0xabd2, 0x427f, [0xb8, 0x35, 0xd5, 0xb1, 0x72, 0xd2, 0x04, 0x5b]);
const INITRD: [u8; 16] = guid(0x44ba_f731, 0x3a2f, 0x4bd7, [0x9a, 0xf1, 0x41, 0xe2, 0x91, 0x69, 0x78, 0x1d]);
const COMMAND_LINE: [u8; 16] = guid(0x97d0_2dd8, 0xbd20, 0x4c94, [0xaa, 0x78, 0xe7, 0x71, 0x4d, 0x36, 0xab, 0x2a]);

/// A GUID and a length before each hash.
const ENTRY_BYTES: u16 = 50;
const TABLE_HEAD_BYTES: u16 = 18;
/// The table is filled up to a multiple of 16.
pub(crate) const TABLE_BYTES: usize = 176;

/// What the firmware compares kernel, initrd and command line with before it starts them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KernelHashes {
    /// Of the kernel's file.
    pub kernel: Sha256Digest,
    /// Of the initrd's file; of nothing where there is none.
    pub initrd: Sha256Digest,
    /// Of the command line with the NUL that ends it.
    pub command_line: Sha256Digest,
}

impl KernelHashes {
    /// The hash that stands for a missing initrd.
    pub fn no_initrd() -> Sha256Digest {
        Sha256::digest([]).into()
    }

    /// The hash of a command line given without its NUL.
    pub fn of_command_line(text: &[u8]) -> Sha256Digest {
        Sha256::new().chain_update(text).chain_update([0]).finalize().into()
    }

    /// The page that holds the table at `offset`. None if the table would not fit.
    pub(crate) fn page(&self, offset: usize) -> Option<[u8; PAGE_BYTES]> {
        let mut page = [0; PAGE_BYTES];
        let place = page.get_mut(offset..offset.checked_add(TABLE_BYTES)?)?;
        for (to, from) in place.iter_mut().zip(self.table()) {
            *to = from;
        }
        Some(page)
    }

    fn table(&self) -> Vec<u8> {
        let mut table = Vec::with_capacity(TABLE_BYTES);
        table.extend(TABLE);
        table.extend((TABLE_HEAD_BYTES + 3 * ENTRY_BYTES).to_le_bytes());
        for (guid, hash) in [(COMMAND_LINE, self.command_line), (INITRD, self.initrd), (KERNEL, self.kernel)] {
            table.extend(guid);
            table.extend(ENTRY_BYTES.to_le_bytes());
            table.extend(hash);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lies_where_the_firmware_looks_and_nowhere_past_the_page() {
        let hashes = KernelHashes { kernel: [1; 32], initrd: [2; 32], command_line: [3; 32] };
        assert_eq!(hashes.table().len(), 168);
        let last = PAGE_BYTES - TABLE_BYTES;
        let page = hashes.page(last).unwrap();
        assert!(page[..last].iter().all(|&byte| byte == 0));
        assert_eq!(&page[last + 18 + 18..][..32], &[3; 32]);
        assert_eq!(&page[last + 18 + 50 + 18..][..32], &[2; 32]);
        assert_eq!(&page[last + 18 + 100 + 18..][..32], &[1; 32]);
        assert_eq!(hashes.page(last + 1), None);
        assert_eq!(hashes.page(usize::MAX), None);
    }
}
