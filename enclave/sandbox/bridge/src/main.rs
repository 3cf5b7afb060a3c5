//! PID 1 of a server's container. Takes the launch message from stdin, starts the server on the same stdin and stdout,
//! reaps, forwards signals, and lets the server's stderr through a redactor. Exits as the server did.

use std::{
    fs::File,
    io::{Read, Write},
    os::{fd::AsFd, unix::process::ExitStatusExt},
    process::{ChildStderr, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc,
    time::Duration,
};

use bridge::{Launch, LineCap, Redactor};
use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

/// The launch message was unusable.
const BAD_MESSAGE: u8 = 120;
/// The server could not be started.
const NOT_STARTED: u8 = 121;
/// Grandchildren may keep the server's stderr open: they get this long, then the container ends with PID 1.
const STDERR_DRAIN: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    // Same user as the server: without this the server could read our memory through /proc/1/mem.
    let _ = prctl::set_dumpable(false);
    match run() {
        Ok(code) => ExitCode::from(code),
        Err((code, text)) => {
            let _ = writeln!(std::io::stderr(), "bridge: {text}");
            ExitCode::from(code)
        }
    }
}

fn run() -> Result<u8, (u8, String)> {
    // `std::io::stdin()` buffers and would swallow the server's first bytes: read from the descriptor itself.
    let descriptor = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| (BAD_MESSAGE, e.to_string()))?;
    let launch = Launch::read(&mut File::from(descriptor)).map_err(|e| (BAD_MESSAGE, e.to_string()))?;

    // Blocked before the first thread and the child exist, so that none is missed; std empties the child's own mask.
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGCHLD] {
        signals.add(signal);
    }
    signals.thread_block().map_err(|e| (NOT_STARTED, format!("signals: {e}")))?;

    let (program, arguments) = launch.argv.split_first().ok_or((BAD_MESSAGE, "no program".to_owned()))?;
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(&launch.directory)
        .env_clear()
        .envs(launch.environment.iter().map(|variable| (&variable.name, variable.value.as_str())))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| (NOT_STARTED, format!("{program} in {}: {e}", launch.directory)))?;

    let (drained, stderr_ended) = mpsc::channel();
    if let Some(stderr) = child.stderr.take() {
        let redactor = Redactor::new(&launch.environment);
        std::thread::spawn(move || {
            pass_stderr(stderr, redactor);
            let _ = drained.send(());
        });
    }
    let status = wait_and_forward(Pid::from_raw(child.id().cast_signed()), &signals);
    let _ = stderr_ended.recv_timeout(STDERR_DRAIN);
    Ok(code_of(status))
}

/// Waits until the server ended. Reaps whatever else ends meanwhile: orphans of a container become children of PID 1.
fn wait_and_forward(server: Pid, signals: &SigSet) -> ExitStatus {
    loop {
        loop {
            match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid == server => return ExitStatus::from_raw((code & 0xff) << 8),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid == server => {
                    return ExitStatus::from_raw(signal as i32);
                }
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) => {}
                Err(nix::errno::Errno::EINTR) => {}
                // No child left though the server was never seen to end: cannot be, but must not spin.
                Err(_) => return ExitStatus::from_raw(i32::from(NOT_STARTED) << 8),
            }
        }
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(_) => {}
            Ok(signal) => {
                let _ = kill(server, signal);
            }
        }
    }
}

fn pass_stderr(mut stderr: ChildStderr, mut redactor: Redactor) {
    let mut out = std::io::stderr();
    let mut cap = LineCap::default();
    let mut buffer = [0; 8192];
    loop {
        let shown = match stderr.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => redactor.push(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        // Nobody listens any more: keep reading, or the server would block on a full pipe.
        let _ = out.write_all(&cap.push(&shown));
    }
    let _ = out.write_all(&cap.push(&redactor.finish()));
}

/// The server's own code, or 128 + signal as shells have it.
fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
