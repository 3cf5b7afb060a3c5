//! The system calls. The only `unsafe` of this crate: the kernel is handed addresses as numbers, and the compiler cannot
//! see what stands behind them.
#![allow(unsafe_code, reason = "two ioctls whose operands hold addresses; each says why it is sound")]

use std::{
    fs, io, mem,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::ioctl::{self, Opcode, Updater, opcode};

use super::{GuestDevice, GuestReply, GuestRequest};

/// Version of the messages this module speaks.
const MESSAGE_VERSION: u8 = 1;

const GET_REPORT: Opcode = opcode::read_write::<Exchange>(b'S', 0);
const GET_EXT_REPORT: Opcode = opcode::read_write::<Exchange>(b'S', 2);

/// `struct snp_guest_request_ioctl`
#[repr(C)]
struct Exchange {
    version: u8,
    request: u64,
    response: u64,
    exit_info: u64,
}

/// `struct snp_report_req`
#[repr(C)]
struct ReportRequest {
    report_data: [u8; 64],
    vmpl: u32,
    reserved: [u8; 28],
}

/// `struct snp_ext_report_req`
#[repr(C)]
struct ExtReportRequest {
    report: ReportRequest,
    certificates: u64,
    room: u32,
}

/// `struct snp_report_resp`
#[repr(C)]
struct Response([u8; 4000]);

const _: () = assert!(mem::size_of::<Exchange>() == 32 && mem::offset_of!(Exchange, request) == 8);
const _: () = assert!(mem::size_of::<ReportRequest>() == 96);
const _: () = assert!(mem::size_of::<ExtReportRequest>() == 112 && mem::offset_of!(ExtReportRequest, room) == 104);

/// The kernel's device. It is opened for each call: one that is held open keeps others from unloading the driver, and
/// nothing is gained.
pub struct KernelDevice {
    path: PathBuf,
}

impl KernelDevice {
    /// Where the kernel has it.
    pub const PATH: &str = "/dev/sev-guest";

    /// The device at `path`.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

impl GuestDevice for KernelDevice {
    fn call(&mut self, request: &GuestRequest) -> io::Result<GuestReply> {
        let device = fs::OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut response = Box::new(Response([0; 4000]));
        let mut certificates = vec![0; request.room];
        let mut operand = ExtReportRequest {
            report: ReportRequest { report_data: request.report_data, vmpl: request.vmpl, reserved: [0; 28] },
            certificates: certificates.as_mut_ptr().expose_provenance() as u64,
            room: u32::try_from(request.room).map_err(|_| io::ErrorKind::InvalidInput)?,
        };
        let mut exchange = Exchange {
            version: MESSAGE_VERSION,
            // Both operands begin with the report's request, so one address serves both calls.
            request: (&raw mut operand).expose_provenance() as u64,
            response: (&raw mut *response).expose_provenance() as u64,
            exit_info: 0,
        };
        let outcome = if request.room == 0 {
            // SAFETY: the opcode is SNP_GET_REPORT, whose operand is `Exchange`. The kernel reads 96 bytes at `request`
            // (`operand` has 112) and writes 4000 at `response`; both live, unaliased, until after the call.
            unsafe { ioctl::ioctl(&device, Updater::<GET_REPORT, Exchange>::new(&mut exchange)) }
        } else {
            // SAFETY: the opcode is SNP_GET_EXT_REPORT, whose operand is `Exchange`. The kernel reads and writes 112
            // bytes at `request`, writes 4000 at `response` and at most `room` at `certificates`, which has as many; all
            // three live, unaliased, until after the call.
            unsafe { ioctl::ioctl(&device, Updater::<GET_EXT_REPORT, Exchange>::new(&mut exchange)) }
        };
        Ok(GuestReply {
            message: response.0.to_vec(),
            certificates,
            // The kernel may have written here; its address was exposed, so the compiler reads it anew.
            needed: usize::try_from(operand.room).unwrap_or(usize::MAX),
            exit_info: exchange.exit_info,
            outcome: outcome.map_err(io::Error::from),
        })
    }

    fn pause(&mut self, attempt: u32) {
        // The kernel itself waits up to a minute while the host throttles; this is for what it hands on.
        thread::sleep(Duration::from_millis(250 << attempt.min(4)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_are_those_of_the_kernels_header() {
        // _IOWR('S', 0, 32 bytes) and _IOWR('S', 2, 32 bytes).
        assert_eq!((GET_REPORT, GET_EXT_REPORT), (0xC020_5300, 0xC020_5302));
    }

    #[test]
    fn a_file_that_is_no_such_device_refuses_the_call() {
        for room in [0, 4096] {
            let request = GuestRequest { report_data: [7; 64], vmpl: 0, room };
            let reply = KernelDevice::at(Path::new("/dev/null")).call(&request).expect("opened");
            assert_eq!(reply.outcome.expect_err("no such call").raw_os_error(), Some(25));
            assert_eq!((reply.exit_info, reply.needed), (0, room));
            assert!(reply.message.iter().all(|byte| *byte == 0));
        }
        let request = GuestRequest { report_data: [7; 64], vmpl: 0, room: 0 };
        let error = KernelDevice::at(Path::new("/nonexistent")).call(&request).expect_err("nothing there");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
