//! The chain of pages: AMD 56860 (SEV-SNP firmware ABI) 8.17.2, "PAGE_INFO".

use std::thread;

use sha2::{Digest as _, Sha384};

use super::LaunchDigest;

/// A page of guest memory.
pub const PAGE_BYTES: usize = 4096;

/// Where the secure processor counts each vCPU's page of registers: the last page below 2^48.
const SAVE_AREA_GPA: u64 = 0xFFFF_FFFF_F000;

/// Length of PAGE_INFO, 0x70.
const PAGE_INFO_BYTES: u16 = 112;

/// More processors than that wait for the chain, which has one step for each page.
const MAX_THREADS: usize = 8;
/// Less is not worth a thread.
const LEAST_SHARE_BYTES: usize = 64 * PAGE_BYTES;

/// What a page is to the secure processor. `PAGE_TYPE`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PageKind {
    /// Its contents are measured.
    Normal,
    /// Registers of a vCPU; measured.
    SaveArea,
    /// Zeros; the address is measured.
    Zero,
    /// The contents are not measured, the address is.
    Unmeasured,
    /// Filled in by the secure processor.
    Secrets,
    /// Filled in by the monitor and checked by the secure processor.
    Cpuid,
}

impl PageKind {
    fn number(self) -> u8 {
        match self {
            Self::Normal => 1,
            Self::SaveArea => 2,
            Self::Zero => 3,
            Self::Unmeasured => 4,
            Self::Secrets => 5,
            Self::Cpuid => 6,
        }
    }
}

/// A launch digest that grows page by page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chain(LaunchDigest);

impl Chain {
    /// Before the first page.
    pub fn new() -> Self {
        Self(LaunchDigest::ZERO)
    }

    /// Goes on from what somebody else computed.
    pub fn resume(digest: LaunchDigest) -> Self {
        Self(digest)
    }

    /// So far.
    pub fn digest(&self) -> LaunchDigest {
        self.0
    }

    /// Adds the pages that `contents` fills from guest address `gpa` on. The last one is filled up with zeros.
    pub(crate) fn add_contents(&mut self, gpa: u64, contents: &[u8]) {
        for (hash, gpa) in page_hashes(contents).iter().zip(page_addresses(gpa)) {
            self.add(PageKind::Normal, gpa, hash);
        }
    }

    /// Adds `bytes / 4096` pages without contents from `gpa` on.
    pub(crate) fn add_empty(&mut self, kind: PageKind, gpa: u64, bytes: u32) {
        for gpa in page_addresses(gpa).take(usize::try_from(bytes).unwrap_or(usize::MAX) / PAGE_BYTES) {
            self.add(kind, gpa, &[0; 48]);
        }
    }

    /// Adds the page of registers whose hash this is.
    pub(crate) fn add_save_area(&mut self, page_hash: &[u8; 48]) {
        self.add(PageKind::SaveArea, SAVE_AREA_GPA, page_hash);
    }

    /// DIGEST_CUR, CONTENTS, LENGTH, PAGE_TYPE, IMI_PAGE and the permissions of VMPL 3, 2, 1 (all 0), GPA.
    fn add(&mut self, kind: PageKind, gpa: u64, contents: &[u8; 48]) {
        let mut hash = Sha384::new();
        hash.update(self.0.as_bytes());
        hash.update(contents);
        hash.update(PAGE_INFO_BYTES.to_le_bytes());
        hash.update([kind.number(), 0, 0, 0, 0, 0]);
        hash.update(gpa.to_le_bytes());
        self.0 = LaunchDigest::from_bytes(hash.finalize().into());
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// Of each page. Pages do not depend on each other, so an image is shared out among the processors.
fn page_hashes(contents: &[u8]) -> Vec<[u8; 48]> {
    let processors = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let share = contents.len().div_ceil(processors).max(LEAST_SHARE_BYTES).next_multiple_of(PAGE_BYTES);
    let Some((first, rest)) = contents.split_at_checked(share) else { return hashes_of_share(contents) };
    thread::scope(|scope| {
        let others: Vec<_> = rest
            .chunks(share)
            .map(|share| (share, thread::Builder::new().spawn_scoped(scope, || hashes_of_share(share))))
            .collect();
        let mut hashes = hashes_of_share(first);
        for (share, thread) in others {
            // Where there are no threads, it takes longer.
            let done = thread.ok().and_then(|thread| thread.join().ok());
            hashes.extend(done.unwrap_or_else(|| hashes_of_share(share)));
        }
        hashes
    })
}

fn hashes_of_share(contents: &[u8]) -> Vec<[u8; 48]> {
    let mut hashes = Vec::with_capacity(contents.len().div_ceil(PAGE_BYTES));
    // Firmware is padded with runs of equal pages: the hash of one is that of its neighbour.
    let mut previous: (&[u8], [u8; 48]) = (&[], [0; 48]);
    for page in contents.chunks(PAGE_BYTES) {
        if page != previous.0 {
            previous = (page, page_hash(page));
        }
        hashes.push(previous.1);
    }
    hashes
}

/// SHA-384 of a page, of what is missing at its end as zeros.
pub(crate) fn page_hash(page: &[u8]) -> [u8; 48] {
    let mut hash = Sha384::new();
    hash.update(page);
    hash.update([0; PAGE_BYTES].get(page.len()..).unwrap_or_default());
    hash.finalize().into()
}

fn page_addresses(gpa: u64) -> impl Iterator<Item = u64> {
    // Callers end far below the last address: images and sections lie below 4 GiB.
    (0..).map(move |page: u64| gpa.saturating_add(page.saturating_mul(0x1000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_page_of_each_kind_gives_what_the_table_says() {
        let contents = [0x5A; PAGE_BYTES];
        let kinds = [
            PageKind::Normal,
            PageKind::SaveArea,
            PageKind::Zero,
            PageKind::Unmeasured,
            PageKind::Secrets,
            PageKind::Cpuid,
        ];
        for (number, kind) in (1u8..).zip(kinds) {
            let mut chain = Chain::new();
            chain.add(kind, 0x1234_5000, &page_hash(&contents));
            let mut info = vec![0; 48];
            info.extend(Sha384::digest(contents));
            info.extend([0x70, 0, number, 0, 0, 0, 0, 0]);
            info.extend([0, 0x50, 0x34, 0x12, 0, 0, 0, 0]);
            assert_eq!(info.len(), usize::from(PAGE_INFO_BYTES));
            assert_eq!(chain.digest().as_bytes()[..], Sha384::digest(info)[..]);
        }
    }

    #[test]
    fn an_image_shared_out_has_the_hashes_of_its_pages_in_their_order() {
        for pages in [1, 63, 64, 65, 128, 129, 700] {
            let contents: Vec<_> = (0..pages * PAGE_BYTES).map(|at| (at / PAGE_BYTES * 7 % 251) as u8).collect();
            let one_by_one: Vec<_> = contents.chunks(PAGE_BYTES).map(page_hash).collect();
            assert!(page_hashes(&contents) == one_by_one, "{pages} pages");
        }
        assert_eq!(page_hashes(&[]), Vec::<[u8; 48]>::new());
    }

    #[test]
    fn equal_neighbours_are_hashed_as_pages_of_their_own() {
        let contents = [[7; PAGE_BYTES], [7; PAGE_BYTES], [8; PAGE_BYTES], [7; PAGE_BYTES]].concat();
        let mut chain = Chain::new();
        chain.add_contents(0x1000, &contents);
        let mut one_by_one = Chain::new();
        for (page, gpa) in contents.chunks(PAGE_BYTES).zip([0x1000, 0x2000, 0x3000, 0x4000]) {
            one_by_one.add(PageKind::Normal, gpa, &page_hash(page));
        }
        assert_eq!(chain, one_by_one);
    }
}
