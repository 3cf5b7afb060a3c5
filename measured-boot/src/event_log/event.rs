//! One record of an event log. TCG PC Client Platform Firmware Profile, "TCG_PCR_EVENT2 structure" and "Event types".

use std::fmt;

use crate::pcr::{Bank, Digest};

/// `TCG_EVENTTYPE`: an open set, so an unknown number is kept and shown as it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EventType(pub u32);

impl EventType {
    /// `EV_NO_ACTION`: a remark of the firmware. Never extended, so never proven by a replay.
    pub const NO_ACTION: Self = Self(0x0000_0003);
    /// `EV_SEPARATOR`: the border between firmware and what it starts.
    pub const SEPARATOR: Self = Self(0x0000_0004);
    /// `EV_IPL`: used by boot loaders for whatever they load.
    pub const IPL: Self = Self(0x0000_000D);
    /// `EV_EFI_BOOT_SERVICES_APPLICATION`: a boot loader or unified kernel image; the digest is its Authenticode hash.
    pub const EFI_BOOT_SERVICES_APPLICATION: Self = Self(0x8000_0003);

    /// The specification's name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x0000_0000 => "EV_PREBOOT_CERT",
            0x0000_0001 => "EV_POST_CODE",
            0x0000_0003 => "EV_NO_ACTION",
            0x0000_0004 => "EV_SEPARATOR",
            0x0000_0005 => "EV_ACTION",
            0x0000_0006 => "EV_EVENT_TAG",
            0x0000_0007 => "EV_S_CRTM_CONTENTS",
            0x0000_0008 => "EV_S_CRTM_VERSION",
            0x0000_0009 => "EV_CPU_MICROCODE",
            0x0000_000A => "EV_PLATFORM_CONFIG_FLAGS",
            0x0000_000B => "EV_TABLE_OF_DEVICES",
            0x0000_000C => "EV_COMPACT_HASH",
            0x0000_000D => "EV_IPL",
            0x0000_000E => "EV_IPL_PARTITION_DATA",
            0x0000_000F => "EV_NONHOST_CODE",
            0x0000_0010 => "EV_NONHOST_CONFIG",
            0x0000_0011 => "EV_NONHOST_INFO",
            0x0000_0012 => "EV_OMIT_BOOT_DEVICE_EVENTS",
            0x0000_0013 => "EV_POST_CODE2",
            0x8000_0001 => "EV_EFI_VARIABLE_DRIVER_CONFIG",
            0x8000_0002 => "EV_EFI_VARIABLE_BOOT",
            0x8000_0003 => "EV_EFI_BOOT_SERVICES_APPLICATION",
            0x8000_0004 => "EV_EFI_BOOT_SERVICES_DRIVER",
            0x8000_0005 => "EV_EFI_RUNTIME_SERVICES_DRIVER",
            0x8000_0006 => "EV_EFI_GPT_EVENT",
            0x8000_0007 => "EV_EFI_ACTION",
            0x8000_0008 => "EV_EFI_PLATFORM_FIRMWARE_BLOB",
            0x8000_0009 => "EV_EFI_HANDOFF_TABLES",
            0x8000_000A => "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
            0x8000_000B => "EV_EFI_HANDOFF_TABLES2",
            0x8000_000C => "EV_EFI_VARIABLE_BOOT2",
            0x8000_000D => "EV_EFI_GPT_EVENT2",
            0x8000_0010 => "EV_EFI_HCRTM_EVENT",
            0x8000_00E0 => "EV_EFI_VARIABLE_AUTHORITY",
            0x8000_00E1 => "EV_EFI_SPDM_FIRMWARE_BLOB",
            0x8000_00E2 => "EV_EFI_SPDM_FIRMWARE_CONFIG",
            _ => return None,
        })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}

/// A record as the log states it. Until a replay it is a claim of whoever handed over the log, so the fields are the
/// crate's own; [`crate::BelievedEvent`] shows them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event<'a> {
    /// Where the record begins in the log.
    pub(crate) offset: usize,
    /// As written; only a remark (`EV_NO_ACTION`) may name a register that does not exist.
    pub(crate) pcr: u32,
    pub(crate) kind: EventType,
    /// One per bank of the log, in the record's order.
    pub(crate) digests: Vec<Digest>,
    pub(crate) data: &'a [u8],
}

impl Event<'_> {
    pub(crate) fn digest(&self, bank: Bank) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.bank() == bank)
    }
}
