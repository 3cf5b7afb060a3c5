//! The page of registers a vCPU starts with: AMD 24593 (APM volume 2), Table B-4, "VMSA layout". Values are those that
//! KVM and each monitor set; what is not named here is zero.

use super::{GuestFeatures, Machine, chain::PAGE_BYTES};

/// Where the first vCPU starts: the x86 reset vector.
const RESET_EIP: u32 = 0xFFFF_FFF0;
/// The page-attribute table as a processor has it after reset.
const PAT: u64 = 0x0007_0406_0007_0406;

/// One vCPU's page of registers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SaveArea([u8; PAGE_BYTES]);

impl SaveArea {
    /// Of the vCPU that boots.
    pub(crate) fn first(machine: &Machine<'_>, features: GuestFeatures, entry: u32) -> Self {
        match machine {
            Machine::Svsm { .. } => Self::flat(machine, features, entry),
            _ => Self::real_mode(machine, features, RESET_EIP),
        }
    }

    /// Of each other vCPU. `entry` is where firmware or SVSM asks for them.
    pub(crate) fn other(machine: &Machine<'_>, features: GuestFeatures, entry: u32) -> Self {
        match machine {
            Machine::Svsm { .. } => Self::flat(machine, features, entry),
            _ => Self::real_mode(machine, features, entry),
        }
    }

    /// The 4096 bytes that are measured.
    pub fn as_bytes(&self) -> &[u8; PAGE_BYTES] {
        &self.0
    }

    /// 16-bit, as a processor comes out of reset.
    fn real_mode(machine: &Machine<'_>, features: GuestFeatures, eip: u32) -> Self {
        let cs = match machine {
            // EC2 starts the reset vector itself with a code segment not yet accessed.
            Machine::Ec2 { .. } if eip == RESET_EIP => 0x9A,
            _ => 0x9B,
        };
        let (ss, tr) = if matches!(machine, Machine::Ec2 { .. }) { (0x92, 0x83) } else { (0x93, 0x8B) };
        let mut page = Self::common(machine, features, tr);
        page.segment(0x00, 0, 0x93, 0xFFFF, 0); // ES
        page.segment(0x10, 0xF000, cs, 0xFFFF, u64::from(eip & 0xFFFF_0000));
        page.segment(0x20, 0, ss, 0xFFFF, 0);
        page.segment(0x30, 0, 0x93, 0xFFFF, 0); // DS
        page.segment(0x40, 0, 0x93, 0xFFFF, 0); // FS
        page.put(0x158, u64::from(0x10_u8)); // CR0: ET
        page.put(0x178, u64::from(eip & 0xFFFF)); // RIP
        page
    }

    /// 32-bit, flat segments: how QEMU starts an SVSM.
    fn flat(machine: &Machine<'_>, features: GuestFeatures, eip: u32) -> Self {
        let mut page = Self::common(machine, features, 0x8B);
        for data in [0x00, 0x20, 0x30, 0x40] {
            page.segment(data, 0x10, 0xC93, 0xFFFF_FFFF, 0);
        }
        page.segment(0x10, 0x08, 0xC9B, 0xFFFF_FFFF, 0);
        page.put(0x158, u64::from(0x11_u8)); // CR0: ET, PE
        page.put(0x178, u64::from(eip));
        page
    }

    fn common(machine: &Machine<'_>, features: GuestFeatures, tr: u16) -> Self {
        let mut page = Self([0; PAGE_BYTES]);
        page.segment(0x50, 0, 0x93, 0xFFFF, 0); // GS
        page.segment(0x60, 0, 0, 0xFFFF, 0); // GDTR
        page.segment(0x70, 0, 0x82, 0xFFFF, 0); // LDTR
        page.segment(0x80, 0, 0, 0xFFFF, 0); // IDTR
        page.segment(0x90, 0, tr, 0xFFFF, 0);
        page.put(0x0D0, 0x1000); // EFER: SVME
        page.put(0x148, 0x40); // CR4: MCE
        page.put(0x160, 0x400); // DR7
        page.put(0x168, 0xFFFF_0FF0); // DR6
        page.put(0x170, 0x2); // RFLAGS
        page.put(0x268, if matches!(machine, Machine::Gce) { 0x0007_0106 } else { PAT });
        page.put(0x310, machine.first_rdx());
        page.put(0x3B0, features.bits());
        page.put(0x3E8, 0x1); // XCR0
        let (mxcsr, fcw) = match machine {
            Machine::Qemu { .. } => (0x1F80, 0x37F),
            Machine::Svsm { .. } => (0x1F80, 0),
            Machine::Ec2 { .. } | Machine::Gce => (0, 0),
        };
        page.put(0x408, mxcsr); // and, above it, x87_ftw and x87_fsw: zero
        page.put(0x410, fcw);
        page
    }

    /// Selector, attributes, limit, base.
    fn segment(&mut self, offset: usize, selector: u16, attributes: u16, limit: u32, base: u64) {
        self.put(offset, u64::from(selector) | u64::from(attributes) << 16 | u64::from(limit) << 32);
        self.put(offset + 8, base);
    }

    fn put(&mut self, offset: usize, value: u64) {
        for (place, byte) in self.0.iter_mut().skip(offset).zip(value.to_le_bytes()) {
            *place = byte;
        }
    }
}
