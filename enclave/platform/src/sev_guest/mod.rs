//! `/dev/sev-guest`, for kernels without configfs-tsm: SNP_GET_EXT_REPORT, and SNP_GET_REPORT where the host's
//! certificates cannot be taken (Linux include/uapi/linux/sev-guest.h; messages: AMD 56860, table 22 and following).
//!
//! The kernel numbers each message to the processor and must never encrypt two with one number. So a request that was
//! throttled is made again byte for byte, and nothing else is asked in between.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod ioctl;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::KernelDevice;
#[cfg(target_os = "linux")]
pub use ioctl::KernelDevice;

use crate::{EvidenceError, device::DeviceAnswer};

/// How often a throttled request is made.
const ATTEMPTS: u32 = 6;

/// Room for certificates at first: what the kernel takes at most (SEV_FW_BLOB_MAX_SIZE).
const ROOM: usize = 16 * 1024;

/// Most room we give; a host that wants more gives no certificates.
const MOST_ROOM: usize = 64 * 1024;

/// Certificates come in pages.
const PAGE: usize = 4096;

/// SW_EXITINFO2 bits 63:32: the buffer for certificates is too small, and it is too early for another request.
const HOST_TOO_SMALL: u32 = 1;
const HOST_BUSY: u32 = 2;

/// SW_EXITINFO2 bits 31:0 before any firmware was called.
const NO_FIRMWARE_CALL: u32 = u32::MAX;

/// Firmware: a parameter is not acceptable; the VMPL asked for may be above the guest's.
const INVALID_PARAM: u32 = 0x16;

/// The lowest privilege.
const LAST_VMPL: u32 = 3;

/// What is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GuestRequest {
    /// REPORT_DATA.
    pub report_data: [u8; 64],
    /// 0 to 3.
    pub vmpl: u32,
    /// Bytes of room for certificates; without any, SNP_GET_REPORT is used.
    pub room: usize,
}

/// What came, whether or not the call succeeded.
#[derive(Debug)]
pub struct GuestReply {
    /// The processor's message: status u32, size u32, 24 reserved bytes, the report from 0x20.
    pub message: Vec<u8>,
    /// As many bytes as there was room for.
    pub certificates: Vec<u8>,
    /// `certs_len` after the call: the room that is needed, if it was too small.
    pub needed: usize,
    /// SW_EXITINFO2.
    pub exit_info: u64,
    /// The system's answer to the call.
    pub outcome: io::Result<()>,
}

/// The device. The kernel's is [`KernelDevice`]; tests put a double here, because the processor is the one part of this
/// machine that cannot be had.
pub trait GuestDevice: Send {
    /// One call, SNP_GET_EXT_REPORT or, without room, SNP_GET_REPORT.
    ///
    /// # Errors
    /// The device cannot be opened.
    fn call(&mut self, request: &GuestRequest) -> io::Result<GuestReply>;

    /// Waits before another attempt.
    fn pause(&mut self, attempt: u32);
}

/// SEV-SNP through `/dev/sev-guest`.
pub struct SevGuest<D> {
    device: Mutex<Line<D>>,
    path: PathBuf,
}

/// One message is under way at a time.
struct Line<D> {
    device: D,
    /// The level that the firmware last accepted.
    vmpl: u32,
}

/// What to do after a call.
enum Next {
    Done(Vec<u8>),
    /// The same once more, after a wait.
    Again,
    /// With this room.
    Room(usize),
    /// At the next lower level.
    Lower,
}

impl<D: GuestDevice> SevGuest<D> {
    /// A device, and the path it has in messages.
    pub fn over(device: D, path: &Path) -> Self {
        Self { device: Mutex::new(Line { device, vmpl: 0 }), path: path.to_owned() }
    }

    /// A report over `report_data`.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn report(&self, report_data: &[u8; 64]) -> Result<DeviceAnswer, EvidenceError> {
        // Poison means that another request panicked; ours begins anew.
        let mut line = self.device.lock().unwrap_or_else(PoisonError::into_inner);
        let mut request = GuestRequest { report_data: *report_data, vmpl: line.vmpl, room: ROOM };
        let mut throttled = 0;
        loop {
            let reply = line.device.call(&request).map_err(|source| self.failed("open", source))?;
            let certificates = if request.room == 0 { Vec::new() } else { reply.certificates.clone() };
            match self.next(&request, reply)? {
                Next::Done(report) => {
                    line.vmpl = request.vmpl;
                    let answer = DeviceAnswer::check(report, certificates, None, report_data)?;
                    return Ok(answer);
                }
                Next::Again if throttled + 1 == ATTEMPTS => return Err(EvidenceError::Busy { attempts: ATTEMPTS }),
                Next::Again => {
                    line.device.pause(throttled);
                    throttled += 1;
                }
                Next::Room(room) => request.room = room,
                Next::Lower => request.vmpl += 1,
            }
        }
    }

    fn next(&self, request: &GuestRequest, reply: GuestReply) -> Result<Next, EvidenceError> {
        let (host, firmware) = ((reply.exit_info >> 32) as u32, (reply.exit_info & 0xFFFF_FFFF) as u32);
        match (host, firmware, reply.outcome) {
            (0, 0, Ok(())) => read_message(request, &reply.message),
            (HOST_TOO_SMALL, ..) if request.room > 0 => Ok(Next::Room(match reply.needed {
                // Room only grows, so a host that never has enough ends here, without certificates.
                needed if needed > request.room && needed <= MOST_ROOM => needed.next_multiple_of(PAGE),
                _ => 0,
            })),
            (HOST_BUSY, ..) => Ok(Next::Again),
            (code @ 1.., ..) => Err(EvidenceError::Host { code }),
            (0, code, _) if code != 0 && code != NO_FIRMWARE_CALL => Err(firmware_error(code)),
            (_, _, Err(source)) if is_passing(&source) => Ok(Next::Again),
            // EINVAL: more room than this kernel takes, whatever the host wants.
            (.., Err(source)) if request.room > ROOM && source.raw_os_error() == Some(22) => Ok(Next::Room(0)),
            // ENOTTY: the key of this VMPL is empty since the kernel destroyed it.
            (_, NO_FIRMWARE_CALL, Err(source)) if source.raw_os_error() == Some(25) => Err(EvidenceError::KeyGone),
            (_, _, Err(source)) => Err(self.failed("ask", source)),
            (_, _, Ok(())) => Err(EvidenceError::WrongReport { what: "no firmware was called" }),
        }
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> EvidenceError {
        EvidenceError::Device { doing, path: self.path.clone(), source }
    }
}

fn read_message(request: &GuestRequest, message: &[u8]) -> Result<Next, EvidenceError> {
    let short = || EvidenceError::WrongReport { what: "length" };
    let (status, rest) = message.split_first_chunk::<4>().ok_or_else(short)?;
    let (size, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    match u32::from_le_bytes(*status) {
        0 => {}
        INVALID_PARAM if request.vmpl < LAST_VMPL => return Ok(Next::Lower),
        code => return Err(firmware_error(code)),
    }
    let size = usize::try_from(u32::from_le_bytes(*size)).map_err(|_| short())?;
    let report = rest.get(24..).and_then(|rest| rest.get(..size)).ok_or_else(short)?;
    Ok(Next::Done(report.to_vec()))
}

fn is_passing(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn firmware_error(code: u32) -> EvidenceError {
    EvidenceError::Firmware { code, name: firmware_name(code) }
}

/// Names of status codes that a guest's request can meet (AMD 56860, "Status Codes").
fn firmware_name(code: u32) -> &'static str {
    match code {
        0x01 => "INVALID_PLATFORM_STATE",
        0x02 => "INVALID_GUEST_STATE",
        0x03 => "INVALID_CONFIG",
        0x04 => "INVALID_LENGTH",
        0x07 => "POLICY_FAILURE",
        0x08 => "INACTIVE",
        0x09 => "INVALID_ADDRESS",
        0x10 => "INVALID_GUEST",
        0x11 => "INVALID_COMMAND",
        0x13 => "HWERROR_PLATFORM",
        0x14 => "HWERROR_UNSAFE",
        0x15 => "UNSUPPORTED",
        INVALID_PARAM => "INVALID_PARAM",
        0x17 => "RESOURCE_LIMIT",
        0x18 => "SECURE_DATA_INVALID",
        0x1A => "INVALID_PAGE_STATE",
        0x1C => "INVALID_PAGE_OWNER",
        0x1D => "AEAD_OFLOW",
        0x22 => "BAD_VERSION",
        0x27 => "INVALID_KEY",
        _ => "a code without a name here",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use software_psp::{ChipId, Product, ReportRequest};

    use super::*;

    /// A double of the device: reports are well formed and unsigned.
    #[derive(Default)]
    struct DoubleDevice {
        /// What happens at each call, in turn; afterwards all goes well.
        troubles: VecDeque<Trouble>,
        /// The host's table.
        table: Vec<u8>,
        /// The lowest level that this guest may ask for.
        level: u32,
        calls: Vec<GuestRequest>,
        pauses: u32,
    }

    #[derive(Clone, Copy, Debug)]
    enum Trouble {
        /// SW_EXITINFO2 beside EIO.
        Exit(u64),
        /// The same, although the call says it succeeded.
        QuietExit(u64),
        /// More room is needed, as the host says.
        Needs(usize),
        /// errno before any firmware was called.
        Errno(i32),
        Status(u32),
        Size(u32),
        OtherReport,
    }

    impl GuestDevice for DoubleDevice {
        fn call(&mut self, request: &GuestRequest) -> io::Result<GuestReply> {
            self.calls.push(request.clone());
            let mut certificates = self.table.clone();
            certificates.resize(request.room, 0);
            let mut reply = GuestReply {
                message: vec![0; 4000],
                certificates,
                needed: request.room,
                exit_info: 0,
                outcome: Ok(()),
            };
            let (mut status, mut size, mut report_data) = (0, 1184, request.report_data);
            match self.troubles.pop_front() {
                Some(Trouble::Exit(exit)) => {
                    reply.exit_info = exit;
                    reply.outcome = Err(io::Error::from_raw_os_error(5));
                }
                Some(Trouble::QuietExit(exit)) => reply.exit_info = exit,
                Some(Trouble::Needs(room)) => {
                    reply.exit_info = 0x1_0000_0000;
                    reply.needed = room;
                    reply.outcome = Err(io::Error::from_raw_os_error(5));
                }
                Some(Trouble::Errno(errno)) => {
                    reply.exit_info = 0xFFFF_FFFF;
                    reply.outcome = Err(io::Error::from_raw_os_error(errno));
                }
                Some(Trouble::Status(wrong)) => status = wrong,
                Some(Trouble::Size(wrong)) => size = wrong,
                Some(Trouble::OtherReport) => report_data = [9; 64],
                None if request.vmpl < self.level => status = INVALID_PARAM,
                None => {}
            }
            let report = ReportRequest::new(Product::Milan, 3, ChipId::MASKED, report_data).body();
            reply.message[..4].copy_from_slice(&status.to_le_bytes());
            reply.message[4..8].copy_from_slice(&size.to_le_bytes());
            reply.message[0x20..0x20 + report.0.len()].copy_from_slice(&report.0);
            Ok(reply)
        }

        fn pause(&mut self, _: u32) {
            self.pauses += 1;
        }
    }

    fn guest(troubles: impl IntoIterator<Item = Trouble>) -> SevGuest<DoubleDevice> {
        let troubles = troubles.into_iter().collect();
        SevGuest::over(DoubleDevice { troubles, ..DoubleDevice::default() }, Path::new("/dev/sev-guest"))
    }

    fn calls(guest: &SevGuest<DoubleDevice>) -> (Vec<GuestRequest>, u32) {
        let line = guest.device.lock().expect("lock");
        (line.device.calls.clone(), line.device.pauses)
    }

    fn asked(room: usize, vmpl: u32) -> GuestRequest {
        GuestRequest { report_data: [7; 64], vmpl, room }
    }

    #[test]
    fn a_quiet_device_gives_report_and_certificates_at_once() {
        let table = b"table".to_vec();
        let guest = SevGuest::over(DoubleDevice { table, ..DoubleDevice::default() }, Path::new("/dev/sev-guest"));
        let answer = guest.report(&[7; 64]).expect("report");
        assert_eq!((answer.report.len(), &answer.report[0x50..0x90]), (1184, &[7; 64][..]));
        assert!(answer.table.starts_with(b"table\0"));
        assert_eq!(calls(&guest), (vec![asked(16 * 1024, 0)], 0));
    }

    #[test]
    fn too_little_room_for_certificates_is_asked_again_with_as_much_as_the_host_names() {
        let guest = guest([Trouble::Needs(20_000)]);
        let answer = guest.report(&[7; 64]).expect("report");
        assert_eq!(answer.table.len(), 20_480, "whole pages");
        assert_eq!(calls(&guest), (vec![asked(16 * 1024, 0), asked(20_480, 0)], 0));
    }

    #[test]
    fn a_host_whose_certificates_never_fit_gives_a_report_without_them() {
        for needed in [0, 4096, 16 * 1024, 64 * 1024 + 1, usize::MAX] {
            let guest = guest([Trouble::Needs(needed)]);
            assert_eq!(guest.report(&[7; 64]).expect("report").table, Vec::<u8>::new());
            assert_eq!(calls(&guest), (vec![asked(16 * 1024, 0), asked(0, 0)], 0), "needed {needed}");
        }
        let refused = guest([Trouble::Needs(20_000), Trouble::Errno(22)]);
        refused.report(&[7; 64]).expect("report");
        assert_eq!(calls(&refused).0, [asked(16 * 1024, 0), asked(20_480, 0), asked(0, 0)], "the kernel takes 16 KiB");
        let growing = guest((5..=17).map(|pages| Trouble::Needs(pages * 4096)));
        growing.report(&[7; 64]).expect("report");
        assert_eq!(calls(&growing).0.last(), Some(&asked(0, 0)), "64 KiB is the most");
    }

    #[test]
    fn a_throttled_request_is_made_again_byte_for_byte() {
        for trouble in
            [Trouble::Exit(0x2_0000_0000), Trouble::QuietExit(0x2_0000_0000), Trouble::Errno(11), Trouble::Errno(4)]
        {
            let throttled = guest([trouble; 5]);
            throttled.report(&[7; 64]).expect("report");
            assert_eq!(calls(&throttled), (vec![asked(16 * 1024, 0); 6], 5), "{trouble:?}");
            let always = guest([trouble; 6]);
            assert!(matches!(always.report(&[7; 64]), Err(EvidenceError::Busy { attempts: 6 })), "{trouble:?}");
        }
    }

    #[test]
    fn the_firmwares_errors_have_names() {
        let named = |trouble| match guest([trouble]).report(&[7; 64]) {
            Err(EvidenceError::Firmware { code, name }) => (code, name),
            other => panic!("{other:?}"),
        };
        assert_eq!(named(Trouble::Exit(0x15)), (0x15, "UNSUPPORTED"));
        assert_eq!(named(Trouble::QuietExit(0x02)), (2, "INVALID_GUEST_STATE"));
        assert_eq!(named(Trouble::Status(0x27)), (0x27, "INVALID_KEY"));
        assert_eq!(named(Trouble::Status(0xABCD)), (0xABCD, "a code without a name here"));
        let error = guest([Trouble::Status(0x27)]).report(&[7; 64]).expect_err("no key");
        assert_eq!(error.to_string(), "evidence: the secure processor's firmware says 0x27, INVALID_KEY");
    }

    #[test]
    fn the_hosts_refusal_and_the_kernels_are_told_apart() {
        let refused = guest([Trouble::Exit(0x3_0000_0000)]).report(&[7; 64]);
        assert!(matches!(refused, Err(EvidenceError::Host { code: 3 })), "{refused:?}");
        let gone = guest([Trouble::Errno(25)]).report(&[7; 64]).expect_err("no key");
        assert!(matches!(gone, EvidenceError::KeyGone) && gone.fix().contains("reboot"), "{gone:?}");
        let denied = guest([Trouble::Errno(1)]).report(&[7; 64]).expect_err("not root");
        assert!(denied.fix().contains("root"), "{denied:?}");
        let never = guest([Trouble::QuietExit(0xFFFF_FFFF)]).report(&[7; 64]);
        assert!(matches!(never, Err(EvidenceError::WrongReport { .. })), "{never:?}");
    }

    #[test]
    fn a_message_that_is_no_report_is_refused() {
        for size in [0, 1183, 1185, 3968, 3969, u32::MAX] {
            let answer = guest([Trouble::Size(size)]).report(&[7; 64]);
            assert!(matches!(answer, Err(EvidenceError::WrongReport { what: "length" })), "{size}: {answer:?}");
        }
        let answer = guest([Trouble::OtherReport]).report(&[7; 64]);
        assert!(matches!(answer, Err(EvidenceError::WrongReport { what: "REPORT_DATA" })), "{answer:?}");
    }

    #[test]
    fn a_guest_below_an_svsm_finds_its_level_and_keeps_it() {
        let guest = SevGuest::over(DoubleDevice { level: 2, ..DoubleDevice::default() }, Path::new("/dev/sev-guest"));
        guest.report(&[7; 64]).expect("report");
        guest.report(&[7; 64]).expect("report");
        let levels: Vec<u32> = calls(&guest).0.iter().map(|call| call.vmpl).collect();
        assert_eq!(levels, [0, 1, 2, 2]);
        let nowhere = SevGuest::over(DoubleDevice { level: 4, ..DoubleDevice::default() }, Path::new("/dev/sev-guest"));
        assert!(matches!(nowhere.report(&[7; 64]), Err(EvidenceError::Firmware { code: 0x16, .. })));
    }

    #[test]
    fn a_machine_without_the_device_says_so() {
        let path = Path::new("/nonexistent/sev-guest");
        let error = SevGuest::over(KernelDevice::at(path), path).report(&[7; 64]).expect_err("nothing there");
        assert!(error.fix().contains("SEV-SNP guest"), "{}", error.fix());
    }
}
