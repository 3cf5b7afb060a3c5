//! The monitors whose start state we know.

use super::{Image, VcpuSignature};

/// Who starts the guest, and what only this one asks for.
#[derive(Clone, Debug)]
pub enum Machine<'a> {
    /// QEMU with KVM.
    Qemu {
        /// Of `-cpu`: in RDX of each vCPU.
        vcpu: VcpuSignature,
    },
    /// Amazon EC2.
    Ec2 {
        /// What RDX holds.
        rdx: Ec2Rdx,
    },
    /// Google Compute Engine.
    Gce,
    /// QEMU with a COCONUT-SVSM below the firmware.
    Svsm {
        /// Of `-cpu`.
        vcpu: VcpuSignature,
        /// The SVSM.
        image: Image<'a>,
        /// Length of the variables that lie between SVSM and firmware, bytes.
        vars_bytes: u64,
    },
}

/// RDX of a vCPU that EC2 starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ec2Rdx {
    /// 0x600: since 2026-05.
    X600,
    /// 0: before.
    Zero,
}

impl Ec2Rdx {
    /// The register's value.
    pub fn number(self) -> u32 {
        match self {
            Self::X600 => 0x600,
            Self::Zero => 0,
        }
    }
}

impl Machine<'_> {
    /// RDX at a vCPU's first instruction.
    pub(crate) fn first_rdx(&self) -> u64 {
        u64::from(match self {
            Self::Qemu { vcpu } | Self::Svsm { vcpu, .. } => vcpu.number(),
            Self::Ec2 { rdx } => rdx.number(),
            Self::Gce => 0x600,
        })
    }

    /// `QEMU`, `ec2`, `gce`, as sev-snp-measure writes them.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Qemu { .. } | Self::Svsm { .. } => "QEMU",
            Self::Ec2 { .. } => "ec2",
            Self::Gce => "gce",
        }
    }
}
