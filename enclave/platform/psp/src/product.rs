//! The three products, and how each lays out its firmware levels.

use std::{fmt, str::FromStr};

/// A line of processors with a root of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Product {
    /// EPYC 7003, family 0x19 models 0x00-0x0F.
    Milan,
    /// EPYC 9004, family 0x19 models 0x10-0x1F and 0xA0-0xAF.
    Genoa,
    /// EPYC 9005, family 0x1A models 0x00-0x1F.
    Turin,
}

impl Product {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name in certificate subjects: `ARK-Milan`, `SEV-VLEK-Milan`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// The `productName` extension of a VCEK; AMD's Milan certificates name the stepping, and a VLEK never does.
    pub fn vcek_name(self) -> &'static str {
        match self {
            Self::Milan => "Milan-B0",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// CPUID family, model and stepping, as a report of version 3 or later carries them.
    pub fn cpuid(self) -> [u8; 3] {
        match self {
            Self::Milan => [0x19, 0x01, 0x01],
            Self::Genoa => [0x19, 0x11, 0x01],
            Self::Turin => [0x1A, 0x02, 0x01],
        }
    }

    /// Serial numbers of ARK, ASK and ASVK, those that AMD gave to its own.
    pub(crate) fn serials(self) -> [u64; 3] {
        match self {
            Self::Milan => [0x1_0000, 0x1_0001, 0x1_0101],
            Self::Genoa => [0x2_0000, 0x2_0002, 0x2_0101],
            Self::Turin => [0x3_0000, 0x3_0001, 0x3_0101],
        }
    }

    /// Bytes of the hardware id: 64, on Turin 8.
    pub(crate) fn chip_id_length(self) -> usize {
        match self {
            Self::Milan | Self::Genoa => 64,
            Self::Turin => 8,
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Product {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|product| product.name() == text).ok_or(())
    }
}

/// Firmware levels (`TCB_VERSION`, AMD 56860 section 2.3). `fmc` exists on Turin only.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tcb {
    /// Firmware of the management controller (Turin).
    pub fmc: u8,
    /// Boot loader of the secure processor.
    pub bootloader: u8,
    /// Its operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode.
    pub microcode: u8,
}

impl Tcb {
    /// Levels that current firmware of each product reports.
    pub fn recent(product: Product) -> Self {
        match product {
            Product::Milan => Self { fmc: 0, bootloader: 4, tee: 0, snp: 24, microcode: 219 },
            Product::Genoa => Self { fmc: 0, bootloader: 10, tee: 0, snp: 25, microcode: 84 },
            Product::Turin => Self { fmc: 1, bootloader: 1, tee: 1, snp: 4, microcode: 81 },
        }
    }

    /// The eight bytes of a report.
    pub fn bytes(self, product: Product) -> [u8; 8] {
        match product {
            Product::Milan | Product::Genoa => [self.bootloader, self.tee, 0, 0, 0, 0, self.snp, self.microcode],
            Product::Turin => [self.fmc, self.bootloader, self.tee, self.snp, 0, 0, 0, self.microcode],
        }
    }

    /// The reverse of [`Tcb::bytes`]; reserved bytes are not looked at.
    pub(crate) fn from_bytes(bytes: [u8; 8], product: Product) -> Self {
        match product {
            Product::Milan | Product::Genoa => {
                let [bootloader, tee, _, _, _, _, snp, microcode] = bytes;
                Self { fmc: 0, bootloader, tee, snp, microcode }
            }
            Product::Turin => {
                let [fmc, bootloader, tee, snp, _, _, _, microcode] = bytes;
                Self { fmc, bootloader, tee, snp, microcode }
            }
        }
    }
}

/// CHIP_ID as the report holds it: 64 bytes, on Turin eight and zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChipId(pub [u8; 64]);

impl ChipId {
    /// What a report shows when the host masks the id, and always beside a VLEK.
    pub const MASKED: Self = Self([0; 64]);

    /// Fits random bytes to the product.
    pub fn new(product: Product, mut bytes: [u8; 64]) -> Self {
        for spare in bytes.iter_mut().skip(product.chip_id_length()) {
            *spare = 0;
        }
        Self(bytes)
    }

    /// The bytes of the HWID extension.
    pub fn hwid(&self, product: Product) -> &[u8] {
        self.0.get(..product.chip_id_length()).unwrap_or(&self.0)
    }
}
