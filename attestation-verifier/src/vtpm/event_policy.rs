//! What a relying party asks of the events of a boot. Each rule is a row of its own ([`super::events`]).

use std::collections::BTreeMap;

use crate::Rule;

/// The events of a register, all of which must be listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MeasuredBinary {
    /// The register it is measured into, 8 to 14.
    pub register: u8,
    /// SHA-256 digests, as extended.
    pub digests: Vec<[u8; 32]>,
}

/// What a relying party asks of the events of a boot. All digests are SHA-256.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventPolicy {
    /// Row `event-secure-boot`, PCR 7: was Secure Boot on?
    pub secure_boot: Rule<bool>,
    /// Row `event-programs`, PCR 4: Authenticode digests of everything that the firmware and what it started may start
    /// (boot loaders, unified kernel images, kernels).
    pub programs: Rule<Vec<[u8; 32]>>,
    /// Row `event-uki`, PCR 11: sections of a unified kernel image by name (`.linux`) with the digests of their
    /// contents. A section that is measured and not listed fails.
    pub uki: Rule<BTreeMap<String, Vec<[u8; 32]>>>,
    /// Row `event-kernel`: digests of the kernel file, as section `.linux` (PCR 11) or as a file that GRUB read (PCR 9).
    pub kernel: Rule<Vec<[u8; 32]>>,
    /// Row `event-initrd`: the same for `.initrd`.
    pub initrd: Rule<Vec<[u8; 32]>>,
    /// Row `event-cmdline`: texts of the kernel's command line, without the `BOOT_IMAGE=` that GRUB puts before it, as
    /// section `.cmdline` (PCR 11), as what replaces it (PCR 12), or as what GRUB passed (PCR 8).
    pub cmdline: Rule<Vec<String>>,
    /// Row `event-binary`: the gateway's executable, where an image measures it.
    pub binary: Rule<MeasuredBinary>,
    /// Other files that GRUB reads into PCR 9 (its configuration and modules): allowed beside kernel and initrd.
    pub loader_files: Vec<[u8; 32]>,
    /// Commands that GRUB measures into PCR 8: allowed beside the command line.
    pub loader_commands: Vec<[u8; 32]>,
}

impl EventPolicy {
    /// Asks nothing, for this reason.
    pub fn unchecked(reason: &str) -> Self {
        fn because<T>(reason: &str) -> Rule<T> {
            Rule::Unchecked(reason.to_owned())
        }
        Self {
            secure_boot: because(reason),
            programs: because(reason),
            uki: because(reason),
            kernel: because(reason),
            initrd: because(reason),
            cmdline: because(reason),
            binary: because(reason),
            loader_files: Vec::new(),
            loader_commands: Vec::new(),
        }
    }

    /// Is anything asked at all?
    pub fn asks(&self) -> bool {
        fn open<T>(rule: &Rule<T>) -> bool {
            matches!(rule, Rule::Unchecked(_))
        }
        let Self { secure_boot, programs, uki, kernel, initrd, cmdline, binary, loader_files: _, loader_commands: _ } =
            self;
        !(open(secure_boot)
            && open(programs)
            && open(uki)
            && open(kernel)
            && open(initrd)
            && open(cmdline)
            && open(binary))
    }
}
