//! Builds event logs byte by byte, independently of the parser: TCG PC Client Platform Firmware Profile, "Event logging".
#![allow(dead_code, reason = "each test file uses a part of it")]

use measured_boot::Bank;

/// A log under construction. Little-endian, as the firmware writes it.
pub(crate) struct LogBuilder {
    banks: Vec<Bank>,
    bytes: Vec<u8>,
    /// Offset of each record after the header.
    pub(crate) offsets: Vec<usize>,
}

impl LogBuilder {
    pub(crate) fn new(banks: &[Bank]) -> Self {
        let mut spec = b"Spec ID Event03\0".to_vec();
        spec.extend(1u32.to_le_bytes()); // platformClass: server
        spec.extend([0, 2, 6, 2]); // minor, major, errata, uintnSize
        spec.extend(u32::try_from(banks.len()).unwrap().to_le_bytes());
        for bank in banks {
            spec.extend(bank.algorithm_id().to_le_bytes());
            spec.extend(u16::try_from(bank.digest_bytes()).unwrap().to_le_bytes());
        }
        spec.push(0); // vendorInfoSize
        let mut bytes = 0u32.to_le_bytes().to_vec();
        bytes.extend(3u32.to_le_bytes());
        bytes.extend([0; 20]);
        bytes.extend(u32::try_from(spec.len()).unwrap().to_le_bytes());
        bytes.extend(spec);
        Self { banks: banks.to_vec(), bytes, offsets: Vec::new() }
    }

    /// A record whose digests are those of `measured`, and which shows `data`.
    pub(crate) fn event(mut self, pcr: u32, kind: u32, measured: &[u8], data: &[u8]) -> Self {
        let digests: Vec<_> = self.banks.iter().map(|bank| bank.hash(measured).as_bytes().to_vec()).collect();
        self.record(pcr, kind, &digests, data);
        self
    }

    /// A remark: digests of zeros.
    pub(crate) fn remark(mut self, pcr: u32, data: &[u8]) -> Self {
        let digests: Vec<_> = self.banks.iter().map(|bank| vec![0; bank.digest_bytes()]).collect();
        self.record(pcr, 3, &digests, data);
        self
    }

    pub(crate) fn startup_locality(self, locality: u8) -> Self {
        self.remark(0, &[b"StartupLocality\0".as_slice(), &[locality]].concat())
    }

    fn record(&mut self, pcr: u32, kind: u32, digests: &[Vec<u8>], data: &[u8]) {
        self.offsets.push(self.bytes.len());
        self.bytes.extend(pcr.to_le_bytes());
        self.bytes.extend(kind.to_le_bytes());
        self.bytes.extend(u32::try_from(digests.len()).unwrap().to_le_bytes());
        for (bank, digest) in self.banks.iter().zip(digests) {
            self.bytes.extend(bank.algorithm_id().to_le_bytes());
            self.bytes.extend(digest);
        }
        self.bytes.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        self.bytes.extend(data);
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The boot of a unified kernel image with Secure Boot, in miniature: the log of `tests/vectors/eventlog`.
pub(crate) fn uki_boot(locality: Option<u8>) -> LogBuilder {
    let mut log = LogBuilder::new(&Bank::ALL);
    if let Some(locality) = locality {
        log = log.startup_locality(locality);
    }
    let version = b"S\0e\0a\0l\0\0\0";
    let secure_boot = variable("SecureBoot", &[1]);
    let db = variable("db", b"a certificate");
    let separator = [0; 4];
    log = log
        .event(0, 0x8, version, version)
        .event(0, 0x8000_000A, b"the firmware volume itself", &firmware_blob("volume"))
        .event(7, 0x8000_0001, &secure_boot, &secure_boot)
        .event(7, 0x8000_0001, &db, &db);
    for pcr in 0..8 {
        log = log.event(pcr, 0x4, &separator, &separator);
    }
    let calling = b"Calling EFI Application from Boot Option";
    log.event(5, 0x8000_0007, calling, calling)
        .event(4, 0x8000_0003, b"Authenticode content of the unified kernel image", &image_load("BOOTX64.EFI"))
        .event(11, 0xD, b".linux\0", b".linux\0")
        .event(11, 0xD, b"the bytes of section .linux", b".linux\0")
        .event(12, 0xD, b"quiet\0", b"quiet\0")
        .remark(6, b"a remark, extended into nothing")
}

/// `UEFI_VARIABLE_DATA`.
fn variable(name: &str, value: &[u8]) -> Vec<u8> {
    let mut data = vec![0x5A; 16]; // variableName, a GUID
    data.extend(u64::try_from(name.len()).unwrap().to_le_bytes());
    data.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
    data.extend(name.encode_utf16().flat_map(u16::to_le_bytes));
    data.extend(value);
    data
}

/// `UEFI_PLATFORM_FIRMWARE_BLOB2`.
fn firmware_blob(description: &str) -> Vec<u8> {
    let mut data = vec![u8::try_from(description.len()).unwrap()];
    data.extend(description.as_bytes());
    data.extend(0xFFC0_0000u64.to_le_bytes());
    data.extend(0x0040_0000u64.to_le_bytes());
    data
}

/// `UEFI_IMAGE_LOAD_EVENT` with a device path of one file-path node and the end node.
fn image_load(file: &str) -> Vec<u8> {
    let name: Vec<_> = file.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
    let mut path = vec![4, 4];
    path.extend(u16::try_from(name.len() + 4).unwrap().to_le_bytes());
    path.extend(name);
    path.extend([0x7F, 0xFF, 4, 0]);
    let mut data = Vec::new();
    for number in [0x7E00_0000u64, 0x0010_0000, 0, u64::try_from(path.len()).unwrap()] {
        data.extend(number.to_le_bytes());
    }
    data.extend(path);
    data
}
