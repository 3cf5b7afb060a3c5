//! How many vCPUs, of which type, with which features.

use std::fmt;

/// Threads of the largest host so far, two EPYC 9965 (Turin) of 192 cores. No more vCPUs than that make sense under SNP.
pub const MAX_VCPUS: u32 = 768;

/// From 1 to [`MAX_VCPUS`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct VcpuCount(u32);

/// A number of vCPUs that no guest has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} vCPUs: want 1 to {MAX_VCPUS}, the threads of the largest host")]
pub struct VcpuCountError(pub u32);

impl VcpuCount {
    /// The smallest guest.
    pub const ONE: Self = Self(1);

    /// This many.
    ///
    /// # Errors
    /// None, or more than [`MAX_VCPUS`].
    pub fn new(count: u32) -> Result<Self, VcpuCountError> {
        if (1..=MAX_VCPUS).contains(&count) { Ok(Self(count)) } else { Err(VcpuCountError(count)) }
    }

    /// As a number.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// CPUID Fn0000_0001_EAX: family, model and stepping in one number (AMD 25481). QEMU starts a vCPU with it in RDX.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct VcpuSignature(u32);

/// A part of a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignaturePart {
    /// 0 to 270.
    Family,
    /// 0 to 255.
    Model,
    /// 0 to 15.
    Stepping,
}

/// A family, model or stepping that has no place in a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{part:?} {found}: want 0 to {maximum}")]
pub struct VcpuSignatureError {
    /// Which.
    pub part: SignaturePart,
    /// What was given.
    pub found: u32,
    /// The largest that fits.
    pub maximum: u32,
}

impl VcpuSignature {
    /// The register's value.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// Of family, model and stepping as `lscpu` prints them: 25, 1, 1 for Milan.
    ///
    /// # Errors
    /// A part that does not fit.
    pub fn from_parts(family: u32, model: u32, stepping: u32) -> Result<Self, VcpuSignatureError> {
        let parts = [
            (SignaturePart::Family, family, 0xF + 0xFF),
            (SignaturePart::Model, model, 0xFF),
            (SignaturePart::Stepping, stepping, 0xF),
        ];
        match parts.into_iter().find(|(_, found, maximum)| found > maximum) {
            Some((part, found, maximum)) => Err(VcpuSignatureError { part, found, maximum }),
            None => Ok(Self(packed(family, model, stepping))),
        }
    }

    /// The register's value.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The names under which QEMU has it.
    pub fn types(self) -> impl Iterator<Item = &'static str> {
        TYPES.iter().filter(move |kind| kind.signature == self).map(|kind| kind.name)
    }
}

impl fmt::Display for VcpuSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A CPU model of QEMU (`-cpu`, target/i386/cpu.c).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VcpuType {
    name: &'static str,
    signature: VcpuSignature,
}

/// A name that no AMD EPYC model of QEMU has.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}: no such vCPU type")]
pub struct UnknownVcpuType(pub String);

impl VcpuType {
    /// Every model we know, by generation.
    pub fn all() -> impl Iterator<Item = Self> {
        TYPES.iter().copied()
    }

    /// The model of this name.
    ///
    /// # Errors
    /// There is none. `host` and `max` are those of the machine: take its signature.
    pub fn from_name(name: &str) -> Result<Self, UnknownVcpuType> {
        TYPES.iter().find(|kind| kind.name == name).copied().ok_or_else(|| UnknownVcpuType(name.to_owned()))
    }

    /// As QEMU writes it.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// CPUID Fn0000_0001_EAX of such a vCPU.
    pub fn signature(self) -> VcpuSignature {
        self.signature
    }
}

/// Versions of one model differ in features, never in their signature.
const TYPES: &[VcpuType] = &[
    naples("EPYC"),
    naples("EPYC-v1"),
    naples("EPYC-v2"),
    naples("EPYC-IBPB"),
    naples("EPYC-v3"),
    naples("EPYC-v4"),
    naples("EPYC-v5"),
    rome("EPYC-Rome"),
    rome("EPYC-Rome-v1"),
    rome("EPYC-Rome-v2"),
    rome("EPYC-Rome-v3"),
    rome("EPYC-Rome-v4"),
    rome("EPYC-Rome-v5"),
    milan("EPYC-Milan"),
    milan("EPYC-Milan-v1"),
    milan("EPYC-Milan-v2"),
    milan("EPYC-Milan-v3"),
    genoa("EPYC-Genoa"),
    genoa("EPYC-Genoa-v1"),
    genoa("EPYC-Genoa-v2"),
    turin("EPYC-Turin"),
    turin("EPYC-Turin-v1"),
    turin("EPYC-Turin-v2"),
];

const fn naples(name: &'static str) -> VcpuType {
    VcpuType { name, signature: VcpuSignature(packed(23, 1, 2)) }
}

const fn rome(name: &'static str) -> VcpuType {
    VcpuType { name, signature: VcpuSignature(packed(23, 49, 0)) }
}

const fn milan(name: &'static str) -> VcpuType {
    VcpuType { name, signature: VcpuSignature(packed(25, 1, 1)) }
}

const fn genoa(name: &'static str) -> VcpuType {
    VcpuType { name, signature: VcpuSignature(packed(25, 17, 0)) }
}

const fn turin(name: &'static str) -> VcpuType {
    VcpuType { name, signature: VcpuSignature(packed(26, 0, 0)) }
}

/// What exceeds 15 of the family stands in bits 20 to 27, the upper half of the model in bits 16 to 19.
const fn packed(family: u32, model: u32, stepping: u32) -> u32 {
    let (base, extended) = if family > 0xF { (0xF, family - 0xF) } else { (family, 0) };
    extended << 20 | (model >> 4) << 16 | base << 8 | (model & 0xF) << 4 | stepping
}

/// SEV_FEATURES of a vCPU's page: which features the guest runs with (AMD 24593, Table B-4, offset 0x3B0).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GuestFeatures(u64);

/// Features with which no SNP guest starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0:#x}: bit 0, SNP_ACTIVE, is not set, and no SNP guest starts without it")]
pub struct GuestFeaturesError(pub u64);

impl GuestFeatures {
    /// SNP and nothing else.
    pub const SNP_ACTIVE: Self = Self(1);

    /// These bits.
    ///
    /// # Errors
    /// SNP_ACTIVE is not among them.
    pub fn new(bits: u64) -> Result<Self, GuestFeaturesError> {
        if bits & 1 == 1 { Ok(Self(bits)) } else { Err(GuestFeaturesError(bits)) }
    }

    /// As a number.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The names of the bits that are set, a bit without name as its number.
    pub fn names(self) -> Vec<String> {
        let name = |bit: u32| match FEATURES.iter().find(|(number, _)| *number == bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("bit {bit}"),
        };
        (0..u64::BITS).filter(|bit| self.0 >> bit & 1 == 1).map(name).collect()
    }
}

impl fmt::Display for GuestFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// AMD 24593, "SEV_FEATURES".
const FEATURES: &[(u32, &str)] = &[
    (0, "SNPActive"),
    (1, "vTOM"),
    (2, "ReflectVC"),
    (3, "RestrictedInjection"),
    (4, "AlternateInjection"),
    (5, "DebugSwap"),
    (6, "PreventHostIBS"),
    (7, "BTBIsolation"),
    (8, "VmplSSS"),
    (9, "SecureTSC"),
    (10, "VmgexitParameter"),
    (12, "IbsVirtualization"),
    (14, "VmsaRegProt"),
    (15, "SmtProtection"),
    (16, "SecureAVIC"),
    (21, "IbpbOnEntry"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_vcpu_and_one_too_many_are_refused() {
        assert_eq!(VcpuCount::new(0), Err(VcpuCountError(0)));
        assert_eq!(VcpuCount::new(MAX_VCPUS).map(VcpuCount::number), Ok(MAX_VCPUS));
        assert_eq!(VcpuCount::new(MAX_VCPUS + 1), Err(VcpuCountError(769)));
    }

    #[test]
    fn signatures_are_those_that_the_processors_show() {
        for (name, number) in
            [("EPYC-v4", 0x80_0F12), ("EPYC-Rome", 0x83_0F10), ("EPYC-Milan-v2", 0xA0_0F11), ("EPYC-Genoa", 0xA1_0F10)]
        {
            assert_eq!(VcpuType::from_name(name).unwrap().signature().number(), number);
        }
        assert_eq!(VcpuType::from_name("EPYC-Turin").unwrap().signature().number(), 0xB0_0F00);
        assert_eq!(VcpuSignature::from_parts(6, 0, 1).map(VcpuSignature::number), Ok(0x601));
        assert_eq!(VcpuType::from_name("host"), Err(UnknownVcpuType("host".to_owned())));
    }

    #[test]
    fn a_part_one_too_large_is_refused() {
        assert!(VcpuSignature::from_parts(0x10E, 0xFF, 0xF).is_ok());
        let wrong = [
            (0x10F, 0, 0, SignaturePart::Family),
            (0, 0x100, 0, SignaturePart::Model),
            (0, 0, 0x10, SignaturePart::Stepping),
        ];
        for (family, model, stepping, part) in wrong {
            assert_eq!(VcpuSignature::from_parts(family, model, stepping).unwrap_err().part, part);
        }
    }

    #[test]
    fn features_without_snp_are_refused_and_others_named() {
        assert_eq!(GuestFeatures::new(0x20), Err(GuestFeaturesError(0x20)));
        assert_eq!(GuestFeatures::new(0x8000_0021).unwrap().names(), ["SNPActive", "DebugSwap", "bit 31"]);
    }
}
