//! Between the server's pipes and the gateway.
//!
//! No server holds an end of what anybody outside its container reads, nor of what PID 1 holds. Through a socket it could send
//! descriptors, which the reader would have to close; a pipe it could keep locked (`splice` from a silent source does) while
//! somebody reads or closes it. Either would hold that one up for as long as the server likes: a thread of the gateway, or the
//! end of the container. Here it holds up a thread of its own container that dies with PID 1.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::{ChildStdin, ChildStdout},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

/// What is passed on at once, bytes: as much as a pipe holds.
const PIECE: usize = 64 << 10;
/// After the server's end: grandchildren that keep its stdout open are heard until they are silent for so long.
const SILENCE: Duration = Duration::from_millis(300);
/// After the server's end: a gateway that takes none of its last words is waited for so long.
const UNHEARD: Duration = Duration::from_secs(5);

/// Where the gateway is.
pub(crate) struct Gateway {
    /// What it says.
    pub(crate) input: File,
    /// What it hears.
    pub(crate) output: File,
    /// Where both are a socket: what has ended in one direction is told through it.
    pub(crate) socket: Option<UnixStream>,
}

/// What passes on the server's stdout.
pub(crate) struct Relay {
    ended: mpsc::Receiver<()>,
    /// Odd while something is being written.
    steps: Arc<AtomicU64>,
}

impl Relay {
    /// Passes on in both directions until either side ends. The other hears it: at once, or of a server that closed its stdin
    /// after the first word that it did not take.
    pub(crate) fn between(gateway: Gateway, stdin: ChildStdin, stdout: ChildStdout) -> io::Result<Self> {
        let Gateway { input, output, socket } = gateway;
        let tell = socket.as_ref().map(UnixStream::try_clone).transpose()?;
        std::thread::Builder::new().spawn(move || {
            pass(input, stdin, &AtomicU64::new(0));
            if let Some(socket) = tell {
                let _ = socket.shutdown(Shutdown::Read);
            }
        })?;
        let steps = Arc::new(AtomicU64::new(0));
        let (end, ended) = mpsc::channel();
        let counted = Arc::clone(&steps);
        std::thread::Builder::new().spawn(move || {
            pass(stdout, output, &counted);
            if let Some(socket) = socket {
                let _ = socket.shutdown(Shutdown::Write);
            }
            let _ = end.send(());
        })?;
        Ok(Self { ended, steps })
    }

    /// Waits, once the server has ended, until its last words are passed on.
    pub(crate) fn drain(&self) {
        let (mut seen, mut moved) = (self.steps.load(Ordering::Acquire), Instant::now());
        while self.ended.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
            let steps = self.steps.load(Ordering::Acquire);
            let writing = steps % 2 == 1;
            if steps != seen {
                (seen, moved) = (steps, Instant::now());
            } else if !writing || moved.elapsed() > UNHEARD {
                return;
            }
        }
    }
}

/// Until the one ends, or the other takes no more. Both are closed then.
fn pass(mut from: impl Read, mut to: impl Write, steps: &AtomicU64) {
    let mut piece = vec![0; PIECE];
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return,
        };
        steps.fetch_add(1, Ordering::AcqRel);
        let written = to.write_all(piece.get(..length).unwrap_or_default());
        steps.fetch_add(1, Ordering::AcqRel);
        if written.is_err() {
            return;
        }
    }
}
