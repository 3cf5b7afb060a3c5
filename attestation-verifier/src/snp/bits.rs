//! POLICY and PLATFORM_INFO: AMD 56860 rev 1.58, tables 10 and 24. Bits we do not know are refused.

/// Guest policy, offset 0x008 of the report: what the guest's owner allows the host. It is not part of the measurement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GuestPolicy(pub u64);

impl GuestPolicy {
    /// Lowest ABI the firmware must speak: (major, minor).
    pub fn min_abi(self) -> (u8, u8) {
        let [minor, major, ..] = self.0.to_le_bytes();
        (major, minor)
    }
    /// Bit 16: simultaneous multithreading is allowed.
    pub fn smt(self) -> bool {
        self.bit(16)
    }
    /// Bit 17, which must be one.
    pub fn reserved_one(self) -> bool {
        self.bit(17)
    }
    /// Bit 18: a migration agent may move the guest.
    pub fn migration_agent(self) -> bool {
        self.bit(18)
    }
    /// Bit 19: the host may read and write the guest.
    pub fn debug(self) -> bool {
        self.bit(19)
    }
    /// Bit 20: only on one socket.
    pub fn single_socket(self) -> bool {
        self.bit(20)
    }
    /// Bit 21: CXL devices are allowed.
    pub fn cxl(self) -> bool {
        self.bit(21)
    }
    /// Bit 22: memory encryption must be AES-256-XTS.
    pub fn aes_256_xts(self) -> bool {
        self.bit(22)
    }
    /// Bit 23: RAPL must be off.
    pub fn rapl_off(self) -> bool {
        self.bit(23)
    }
    /// Bit 24: ciphertext hiding must be on.
    pub fn ciphertext_hiding(self) -> bool {
        self.bit(24)
    }
    /// Bit 25: the host may not swap or move pages by firmware command.
    pub fn page_swap_off(self) -> bool {
        self.bit(25)
    }

    pub(crate) fn check_reserved(self, version: u32) -> Result<(), u32> {
        // Bit 25 came with report version 5.
        first_set(self.0, if version >= 5 { 26 } else { 25 })
    }

    fn bit(self, at: u32) -> bool {
        self.0 >> at & 1 == 1
    }
}

/// Platform information, offset 0x040 of the report: how the host's firmware has set the machine up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlatformInfo(pub u64);

impl PlatformInfo {
    /// Bit 0: simultaneous multithreading is on.
    pub fn smt(self) -> bool {
        self.bit(0)
    }
    /// Bit 1: transparent memory encryption is on.
    pub fn tsme(self) -> bool {
        self.bit(1)
    }
    /// Bit 2: memory has ECC.
    pub fn ecc(self) -> bool {
        self.bit(2)
    }
    /// Bit 3: RAPL is off.
    pub fn rapl_off(self) -> bool {
        self.bit(3)
    }
    /// Bit 4: ciphertext hiding is on.
    pub fn ciphertext_hiding(self) -> bool {
        self.bit(4)
    }
    /// Bit 5: memory aliases were looked for since the last reset (AMD-SB-3015); since version 3.
    pub fn alias_check(self) -> bool {
        self.bit(5)
    }
    /// Bit 6: set by real Turins; others name it IOMMU_WRITE_SAFE. No check rests on it.
    pub fn iommu_write_safe(self) -> bool {
        self.bit(6)
    }
    /// Bit 7: trusted I/O is on; since version 5.
    pub fn trusted_io(self) -> bool {
        self.bit(7)
    }

    pub(crate) fn check_reserved(self, version: u32) -> Result<(), u32> {
        // Bit 5 came with version 3. Bit 6 is set by real Turins; bit 7 (trusted I/O) came with version 5.
        first_set(
            self.0,
            match version {
                2 => 5,
                3 | 4 => 7,
                _ => 8,
            },
        )
    }

    fn bit(self, at: u32) -> bool {
        self.0 >> at & 1 == 1
    }
}

/// The lowest bit that is set at `from` or above.
fn first_set(bits: u64, from: u32) -> Result<(), u32> {
    match (from..64).find(|bit| bits >> bit & 1 == 1) {
        Some(bit) => Err(bit),
        None => Ok(()),
    }
}
