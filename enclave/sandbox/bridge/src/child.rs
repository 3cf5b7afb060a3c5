//! Waiting for a child, as both processes of the bridge do.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
};

use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::{Fault, NOT_STARTED};

/// Blocks the signals that are waited for and forwarded. Before the first thread and the child exist, so that none is missed;
/// std empties the child's own mask.
pub(crate) fn block_signals() -> Result<SigSet, Fault> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|e| Fault::new(NOT_STARTED, "signals", e))?;
    Ok(signals)
}

/// Waits until a child ended and forwards signals to it. Reaps whatever else ends meanwhile: orphans of a container become
/// children of PID 1. Gives the child's own code, or 128 + signal as shells have it.
pub(crate) fn wait_and_forward(child: &Child, signals: &SigSet) -> u8 {
    code_of(wait(Pid::from_raw(child.id().cast_signed()), signals))
}

fn wait(child: Pid, signals: &SigSet) -> ExitStatus {
    loop {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == child => return ExitStatus::from_raw((code & 0xff) << 8),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                    return ExitStatus::from_raw(signal as i32);
                }
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => {}
                // No child left though it was never seen to end: cannot be, but must not spin.
                Err(_) => return ExitStatus::from_raw(i32::from(NOT_STARTED) << 8),
            }
        }
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(_) => {}
            Ok(signal) => {
                let _ = kill(child, signal);
            }
        }
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
