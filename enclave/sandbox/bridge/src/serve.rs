//! Starts the server and stands between it and the gateway.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{ChildStderr, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use bridge::{Launch, LineCap, Redactor};

use crate::{
    BAD_MESSAGE, Fault, NOT_STARTED, child,
    relay::{Gateway, Relay},
};

/// Argument: the gateway is at this process's stdin and stdout.
pub(crate) const OVER_STDIO: &str = "serve-over-stdio";
/// Argument: this process's stdout is a socket to the gateway, for both directions; its stdin has the launch message alone.
pub(crate) const OVER_SOCKET: &str = "serve-over-socket";

/// Grandchildren may keep the server's stderr open: they get this long, then the container ends with PID 1.
const STDERR_DRAIN: Duration = Duration::from_millis(300);

pub(crate) fn run(over_socket: bool) -> Result<u8, Fault> {
    let stdio = |e: io::Error| Fault::new(BAD_MESSAGE, "stdin and stdout", e);
    let mut input = crate::stdin().map_err(stdio)?;
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(stdio)?;
    let launch = Launch::read(&mut input).map_err(|e| Fault { code: BAD_MESSAGE, text: e.to_string() })?;
    let gateway = if over_socket {
        let socket = UnixStream::from(output);
        let end = || Ok(File::from(OwnedFd::from(socket.try_clone()?)));
        Gateway { input: end().map_err(stdio)?, output: end().map_err(stdio)?, socket: Some(socket) }
    } else {
        Gateway { input, output: File::from(output), socket: None }
    };
    let signals = child::block_signals()?;

    let (program, arguments) =
        launch.argv.split_first().ok_or_else(|| Fault::new(BAD_MESSAGE, "launch message", "no program"))?;
    let mut server = Command::new(program)
        .args(arguments)
        .current_dir(&launch.directory)
        .env_clear()
        .envs(launch.environment.iter().map(|variable| (&variable.name, variable.value.as_str())))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| Fault::new(NOT_STARTED, &format!("{program} in {}", launch.directory), e))?;

    let no_thread = |e: io::Error| Fault::new(NOT_STARTED, "no thread beside the server", e);
    let relay = match (server.stdin.take(), server.stdout.take()) {
        (Some(stdin), Some(stdout)) => Some(Relay::between(gateway, stdin, stdout).map_err(no_thread)?),
        _ => None,
    };
    let (drained, stderr_ended) = mpsc::channel();
    if let Some(stderr) = server.stderr.take() {
        let redactor = Redactor::new(&launch.environment);
        let pass = move || {
            pass_stderr(stderr, redactor);
            let _ = drained.send(());
        };
        std::thread::Builder::new().spawn(pass).map_err(no_thread)?;
    }
    let code = child::wait_and_forward(&server, &signals);
    if let Some(relay) = relay {
        relay.drain();
    }
    let _ = stderr_ended.recv_timeout(STDERR_DRAIN);
    Ok(code)
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
