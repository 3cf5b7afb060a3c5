//! TCB_VERSION: the firmware levels a key is derived from. AMD 56860 rev 1.58, section 2.2; 8 bytes, one level each.

use std::fmt;

use crate::Product;

/// Levels of the parts of the trusted computing base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tcb {
    /// Flash microcontroller firmware; Turin only.
    pub fmc: Option<u8>,
    /// Secure processor boot loader.
    pub bootloader: u8,
    /// Secure processor operating system.
    pub tee: u8,
    /// SNP firmware.
    pub snp: u8,
    /// Microcode patch level, lowest byte.
    pub microcode: u8,
}

/// One part of a [`Tcb`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TcbPart {
    /// [`Tcb::fmc`].
    Fmc,
    /// [`Tcb::bootloader`].
    Bootloader,
    /// [`Tcb::tee`].
    Tee,
    /// [`Tcb::snp`].
    Snp,
    /// [`Tcb::microcode`].
    Microcode,
}

impl TcbPart {
    /// The name in policy files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fmc => "fmc",
            Self::Bootloader => "bootloader",
            Self::Tee => "tee",
            Self::Snp => "snp",
            Self::Microcode => "microcode",
        }
    }
}

impl Tcb {
    /// Reads the product's layout. `None` if a reserved byte is not zero.
    pub fn decode(product: Product, bytes: [u8; 8]) -> Option<Self> {
        match (product, bytes) {
            (Product::Milan | Product::Genoa, [bootloader, tee, 0, 0, 0, 0, snp, microcode]) => {
                Some(Self { fmc: None, bootloader, tee, snp, microcode })
            }
            (Product::Turin, [fmc, bootloader, tee, snp, 0, 0, 0, microcode]) => {
                Some(Self { fmc: Some(fmc), bootloader, tee, snp, microcode })
            }
            _ => None,
        }
    }

    /// The first part that is lower than in `floor`, with both levels: (part, found, floor).
    pub fn first_below(&self, floor: &Self) -> Option<(TcbPart, u8, u8)> {
        self.parts()
            .into_iter()
            .zip(floor.parts())
            .map(|((part, found), (_, minimum))| (part, found, minimum))
            .find(|(_, found, minimum)| found < minimum)
    }

    /// The first part that differs: (part, ours, theirs).
    pub fn first_difference(&self, other: &Self) -> Option<(TcbPart, u8, u8)> {
        self.parts()
            .into_iter()
            .zip(other.parts())
            .map(|((part, ours), (_, theirs))| (part, ours, theirs))
            .find(|(_, ours, theirs)| ours != theirs)
    }

    fn parts(&self) -> [(TcbPart, u8); 5] {
        [
            (TcbPart::Fmc, self.fmc.unwrap_or(0)),
            (TcbPart::Bootloader, self.bootloader),
            (TcbPart::Tee, self.tee),
            (TcbPart::Snp, self.snp),
            (TcbPart::Microcode, self.microcode),
        ]
    }
}

impl fmt::Display for Tcb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fmc) = self.fmc {
            write!(f, "fmc {fmc}, ")?;
        }
        write!(f, "boot loader {}, tee {}, snp {}, microcode {}", self.bootloader, self.tee, self.snp, self.microcode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_product_has_its_own_layout() {
        let milan = Tcb::decode(Product::Milan, [4, 1, 0, 0, 0, 0, 0x18, 0xDB]);
        assert_eq!(milan, Some(Tcb { fmc: None, bootloader: 4, tee: 1, snp: 0x18, microcode: 0xDB }));
        let turin = Tcb::decode(Product::Turin, [1, 2, 3, 4, 0, 0, 0, 0x51]);
        assert_eq!(turin, Some(Tcb { fmc: Some(1), bootloader: 2, tee: 3, snp: 4, microcode: 0x51 }));
    }

    #[test]
    fn a_reserved_byte_that_is_set_is_refused() {
        for at in 2..6 {
            let mut bytes = [0; 8];
            bytes[at] = 1;
            assert_eq!(Tcb::decode(Product::Milan, bytes), None, "byte {at}");
            assert_eq!(Tcb::decode(Product::Turin, bytes).is_none(), at >= 4, "byte {at}");
        }
    }

    #[test]
    fn a_level_below_the_floor_is_named_with_both_sides() {
        let found = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 72 };
        let floor = Tcb { microcode: 115, ..found };
        assert_eq!(found.first_below(&floor), Some((TcbPart::Microcode, 72, 115)));
        assert_eq!(floor.first_below(&found), None);
    }
    #[test]
    fn levels_are_told_by_the_names_that_policies_use() {
        let milan = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
        assert_eq!(milan.to_string(), "boot loader 4, tee 0, snp 24, microcode 219");
        let turin = Tcb { fmc: Some(1), ..milan };
        assert_eq!(turin.to_string(), "fmc 1, boot loader 4, tee 0, snp 24, microcode 219");
        assert_eq!(turin.parts().map(|(part, _)| part.name()), ["fmc", "bootloader", "tee", "snp", "microcode"]);
    }
}
