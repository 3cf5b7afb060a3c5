//! Systems that are no SEV-SNP guests: the device is never there.

use std::{io, path::Path};

use super::{GuestDevice, GuestReply, GuestRequest};

/// The device of a kernel that this is not.
pub struct KernelDevice;

impl KernelDevice {
    /// Where Linux has it.
    pub const PATH: &str = "/dev/sev-guest";

    /// No device.
    pub fn at(_: &Path) -> Self {
        Self
    }
}

impl GuestDevice for KernelDevice {
    fn call(&mut self, _: &GuestRequest) -> io::Result<GuestReply> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn pause(&mut self, _: u32) {}
}
