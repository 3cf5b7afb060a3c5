//! Processor generations, and how the evidence names them.

use std::fmt;

/// A generation with a root certificate of its own. Bergamo and Siena are served by Genoa's.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Product {
    /// Zen 3, family 0x19, models 0x00–0x0F.
    Milan,
    /// Zen 4, family 0x19, models 0x10–0x1F and 0xA0–0xAF (Bergamo, Siena).
    Genoa,
    /// Zen 5, family 0x1A, models 0x00–0x1F.
    Turin,
}

impl Product {
    /// Every product we hold a root of.
    pub const ALL: [Self; 3] = [Self::Milan, Self::Genoa, Self::Turin];

    /// The name inside AMD's certificates: `Milan`, `Genoa`, `Turin`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Milan => "Milan",
            Self::Genoa => "Genoa",
            Self::Turin => "Turin",
        }
    }

    /// From the CPUID family and model that a report of version 3 or later carries (AMD 56860, table 23).
    /// `None` for a generation we know no layout of.
    pub fn from_cpuid(family: u8, model: u8) -> Option<Self> {
        match (family, model) {
            (0x19, 0x00..=0x0F) => Some(Self::Milan),
            (0x19, 0x10..=0x1F | 0xA0..=0xAF) => Some(Self::Genoa),
            (0x1A, 0x00..=0x1F) => Some(Self::Turin),
            _ => None,
        }
    }

    /// True for Venice (Zen 6): AMD names the models, but this verifier holds no root certificate of it and no layout of
    /// its TCB, which has neither a boot loader nor a microcode level (AMD 56860 rev 1.58, section 2.2).
    pub fn is_venice(family: u8, model: u8) -> bool {
        matches!((family, model), (0x1A, 0x50..=0x57 | 0x90..=0xAF | 0xC0..=0xC7))
    }

    /// Bytes of the chip id that count: 64, on Turin 8 (AMD 57230).
    pub fn hwid_length(self) -> usize {
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

/// Which kind of endorsement key signs reports.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum VekKind {
    /// Versioned chip endorsement key: of one chip; issued by the ASK.
    Vcek,
    /// Versioned loaded endorsement key: of a cloud provider; issued by the ASVK.
    Vlek,
}

impl VekKind {
    /// `VCEK` or `VLEK`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vcek => "VCEK",
            Self::Vlek => "VLEK",
        }
    }

    /// What AMD calls the intermediate that issues this kind.
    pub fn issuer(self) -> &'static str {
        match self {
            Self::Vcek => "ASK",
            Self::Vlek => "ASVK",
        }
    }
}

impl fmt::Display for VekKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_model_is_of_one_product_or_of_none() {
        use Product::{Genoa, Milan, Turin};
        for (family, models, product) in [
            (0x19, 0x00..=0x0F, Some(Milan)),
            (0x19, 0x10..=0x1F, Some(Genoa)),
            (0x19, 0x20..=0x9F, None),
            // Bergamo and Siena.
            (0x19, 0xA0..=0xAF, Some(Genoa)),
            (0x19, 0xB0..=0xFF, None),
            (0x1A, 0x00..=0x1F, Some(Turin)),
            (0x1A, 0x20..=0xFF, None),
            (0x17, 0x00..=0xFF, None),
        ] {
            for model in models {
                assert_eq!(Product::from_cpuid(family, model), product, "{family:#x} {model:#x}");
                assert!(product.is_none() || !Product::is_venice(family, model));
            }
        }
        let venice: Vec<u8> = (0..=u8::MAX).filter(|model| Product::is_venice(0x1A, *model)).collect();
        let expected: Vec<u8> = (0x50..=0x57).chain(0x90..=0xAF).chain(0xC0..=0xC7).collect();
        assert_eq!(venice, expected);
        assert!(!Product::is_venice(0x19, 0xA0));
    }
}
