//! PID 1 of a server's container, and the process beside it that starts the server.
//!
//! PID 1 (`first.rs`) offers the gateway a socket, reaps and forwards signals. It holds nothing that a server can lock, so it
//! dies when it is killed, and the kernel ends everything else in the container with it. The other (`serve.rs`) takes the
//! launch message, starts the server, stands between its pipes and the gateway, and lets its stderr through a redactor.

mod child;
mod first;
mod relay;
mod serve;

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    process::ExitCode,
};

use nix::sys::prctl;

/// What was said on stdin was unusable.
const BAD_MESSAGE: u8 = 120;
/// The server could not be started.
const NOT_STARTED: u8 = 121;

/// Why the container ends before the server has begun.
struct Fault {
    code: u8,
    text: String,
}

impl Fault {
    fn new(code: u8, what: &str, why: impl std::fmt::Display) -> Self {
        Self { code, text: format!("{what}: {why}") }
    }
}

/// stdin as a descriptor: `std::io::stdin()` buffers, and would swallow what is for who reads after us.
fn stdin() -> io::Result<File> {
    io::stdin().as_fd().try_clone_to_owned().map(File::from)
}

fn main() -> ExitCode {
    // Same user as the server: without this the server could read our memory through /proc/1/mem.
    let _ = prctl::set_dumpable(false);
    let ended = match std::env::args().nth(1).as_deref() {
        None => first::run(),
        Some(serve::OVER_STDIO) => serve::run(false),
        Some(serve::OVER_SOCKET) => serve::run(true),
        Some(other) => Err(Fault::new(BAD_MESSAGE, "unknown argument", other)),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Fault { code, text }) => {
            let _ = writeln!(io::stderr(), "bridge: {text}");
            ExitCode::from(code)
        }
    }
}
