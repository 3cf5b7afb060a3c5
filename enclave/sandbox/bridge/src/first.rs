//! PID 1: offers a socket, starts the other process, waits.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Command, Stdio},
};

use bridge::{Offer, TAKEN, Token, UNTAKEN, Wanted};

use crate::{BAD_MESSAGE, Fault, NOT_STARTED, child, serve};

pub(crate) fn run() -> Result<u8, Fault> {
    let unusable = |e: io::Error| Fault::new(BAD_MESSAGE, "stdin", e);
    let mut input = crate::stdin().map_err(unusable)?;
    let socket = match Wanted::read(&mut input).map_err(unusable)? {
        Wanted(None) => None,
        Wanted(Some(token)) => {
            offer(&token, &mut input).map_err(|e| Fault::new(BAD_MESSAGE, "offer of a socket", e))?
        }
    };
    drop(input);
    let signals = child::block_signals()?;
    let mut serve = Command::new("/proc/self/exe");
    match socket {
        Some(socket) => serve.arg(serve::OVER_SOCKET).stdout(Stdio::from(OwnedFd::from(socket))),
        None => serve.arg(serve::OVER_STDIO),
    };
    let started = serve.spawn().map_err(|e| Fault::new(NOT_STARTED, "the bridge itself", e))?;
    // Its end of the socket is held by it alone.
    drop(serve);
    Ok(child::wait_and_forward(&started, &signals))
}

/// Offers the far end of a socket and gives the near one. `None`: it is not taken. Whoever takes the far end duplicates it:
/// ours is closed here, so that an end is an end.
fn offer(token: &Token, answers: &mut File) -> io::Result<Option<UnixStream>> {
    let (mut near, far) = UnixStream::pair()?;
    near.write_all(token)?;
    let mut out = io::stdout();
    writeln!(out, "{}", Offer { socket: far.as_raw_fd() })?;
    out.flush()?;
    let mut answer = [0];
    answers.read_exact(&mut answer)?;
    match answer {
        [TAKEN] => Ok(Some(near)),
        [UNTAKEN] => Ok(None),
        [other] => Err(io::Error::other(format!("answered by byte {other}"))),
    }
}
