//! The way to a running server and back: through the engine, or over a socket to the bridge beside it.
//!
//! The engine's stream passes through its daemon and the container's shim, twice for each call, and all containers share the
//! daemon. Where this process may look into the container's processes (`CAP_SYS_PTRACE`), it takes the far end of a socket
//! out of the bridge before the server exists ([`bridge::Offer`]), and the bridge stands between that socket and the server's
//! pipes. Nothing of the host is put into the container for it, nothing in it has a name that the server could reach, and the
//! server itself never holds what this process reads: it could hold up its reader. stderr stays with the engine.

use std::{
    mem::MaybeUninit,
    os::unix::net,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bollard::container::LogOutput;
use bridge::{Offer, Redactor, TAKEN, Token, UNTAKEN};
use futures_util::{Stream, StreamExt};
use rustix::{
    io::Errno,
    net::RecvFlags,
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use zeroize::Zeroizing;

use crate::{
    Config, InstanceError, LINE_LIMIT, Runtime, STDERR_LIMIT, Sandbox, SandboxError,
    error::engine,
    instance::Guard,
    lines::{Lines, Tail},
};

/// How much of a server's stderr goes into an error, bytes.
const STDERR_IN_ERROR: usize = 2 << 10;
/// How much of a line that is not JSON goes into an error, bytes.
const GARBAGE_IN_ERROR: usize = 200;
/// After the streams ended, the exit code follows at once; this long we wait for it.
const CODE_GRACE: Duration = Duration::from_secs(2);
/// How long a container that was started may take until its bridge offers a socket.
const OFFER_GRACE: Duration = Duration::from_secs(30);
/// What is read of a server at once, bytes.
const READ: usize = 32 << 10;
/// After so many containers in a row whose sockets could not be taken, no further one is asked for it.
const TRIES: u8 = 3;

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Streams {
    /// Over a socket that is taken out of its container, where the runtime and the rights of this process allow it; else
    /// through the engine.
    #[default]
    Direct,
    /// Through the engine.
    Engine,
}

impl Streams {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Engine => "engine",
        }
    }
}

/// How often in a row the socket of a container could not be taken.
#[derive(Debug, Default)]
pub(crate) struct Failures(AtomicU8);

impl Failures {
    fn are_too_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= TRIES
    }

    /// Whether this one was the last that was to be tried.
    fn count(&self, untaken: &Untaken) -> bool {
        let counts = match untaken {
            // The container is gone, or the engine, or this process is short of something: another time.
            Untaken::Engine(_) | Untaken::Late | Untaken::NoProcess | Untaken::Unusable(_) => return false,
            Untaken::Refused(Errno::MFILE | Errno::NFILE | Errno::NOMEM) => return false,
            Untaken::Refused(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => TRIES,
            Untaken::Refused(_) | Untaken::OtherProcess => 1,
        };
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_add(counts)));
        let before = before.unwrap_or(TRIES);
        before < TRIES && before.saturating_add(counts) >= TRIES
    }

    fn forget(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Sandbox {
    /// Whether containers of this configuration are to offer a socket. gVisor's processes are none of the host's.
    pub(crate) fn takes_sockets(&self, config: &Config) -> bool {
        config.streams == Streams::Direct && config.runtime == Runtime::Runc && !self.untaken.are_too_many()
    }

    /// Waits for the bridge's offer, takes what it offers if that can be, tells it whether it was taken, and sends the launch
    /// message.
    ///
    /// # Errors
    /// The bridge said nothing in time, or something else, or the engine ended. If the bridge ended, the next line says so.
    pub(crate) async fn launch_over_socket(
        &self,
        token: &Token,
        launch: &[u8],
        sender: &mut Sender,
        receiver: &mut Receiver,
    ) -> Result<(), SandboxError> {
        // The engine is asked while the bridge starts.
        let pid = tokio::time::timeout(OFFER_GRACE, self.pid(&sender.guard.id));
        let (line, pid) = tokio::join!(tokio::time::timeout(OFFER_GRACE, receiver.line()), pid);
        let line = match line {
            Ok(Ok(line)) => line,
            Ok(Err(InstanceError::Died { .. })) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(InstanceError::Hung { waited: OFFER_GRACE, stderr: receiver.stderr.end() }.into()),
        };
        let offer = std::str::from_utf8(&line).ok().and_then(|line| line.parse::<Offer>().ok());
        let offer = offer.ok_or_else(|| receiver.garbage(&line))?;
        let taken = pid.unwrap_or(Err(Untaken::Late)).and_then(|pid| take_from(pid, offer, token));
        let answer = match taken {
            Ok(socket) => {
                self.untaken.forget();
                let (back, forth) = socket.into_split();
                receiver.stdout = Stdout::Taken(back);
                sender.answer(TAKEN, launch, Some(forth)).await
            }
            Err(untaken) => {
                tracing::debug!(container = %sender.guard.id, %untaken, "its socket is not taken");
                // What a process that has just ended leaves behind looks like another process.
                let lives = self.pid(&sender.guard.id).await.is_ok();
                if lives && self.untaken.count(&untaken) {
                    tracing::info!(
                        %untaken,
                        fix = "give the gateway CAP_SYS_PTRACE and the engine's process ids, or set sandbox.streams = \"engine\"",
                        "servers are spoken to through the engine"
                    );
                }
                sender.answer(UNTAKEN, launch, None).await
            }
        };
        if let Err(error) = answer {
            // The bridge is gone; why, the next line says.
            tracing::debug!(container = %sender.guard.id, %error, "its offer is not answered");
        }
        Ok(())
    }

    /// The bridge, as the engine sees it.
    async fn pid(&self, container: &str) -> Result<Pid, Untaken> {
        let inspected = self.docker.inspect_container(container, None).await.map_err(engine("inspect container"));
        let state = inspected.map_err(Box::new)?.state.unwrap_or_default();
        state.pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).ok_or(Untaken::NoProcess)
    }
}

/// Duplicates what a process offers. Of another process nothing is taken: the token is looked for first, and stays where it is.
fn take_from(pid: Pid, offer: Offer, token: &Token) -> Result<UnixStream, Untaken> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let socket = pidfd_getfd(&process, offer.socket, PidfdGetfdFlags::empty())?;
    let mut found = Token::default();
    let (length, _) = rustix::net::recv(&socket, &mut found, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    if length != found.len() || found != *token {
        return Err(Untaken::OtherProcess);
    }
    rustix::net::recv(&socket, &mut found, RecvFlags::DONTWAIT)?;
    let socket = net::UnixStream::from(socket);
    socket.set_nonblocking(true)?;
    Ok(UnixStream::from_std(socket)?)
}

/// Why a server is spoken to through the engine.
#[derive(Debug, thiserror::Error)]
enum Untaken {
    #[error(transparent)]
    Engine(#[from] Box<SandboxError>),
    #[error("the engine did not say in time which process is the container's")]
    Late,
    #[error("the engine names no process of the container")]
    NoProcess,
    #[error("the process that the engine names is another one as seen from here")]
    OtherProcess,
    #[error("its socket cannot be duplicated: {0}")]
    Refused(#[from] Errno),
    #[error("its socket cannot be used: {0}")]
    Unusable(#[from] std::io::Error),
}

/// The way to the server.
pub(crate) struct Sender {
    /// Until it is closed.
    input: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    pub(crate) guard: Arc<Guard>,
}

impl Sender {
    pub(crate) fn new(input: Pin<Box<dyn AsyncWrite + Send>>, guard: Arc<Guard>) -> Self {
        Self { input: Some(input), guard }
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), InstanceError> {
        if message.contains(&b'\n') {
            return Err(InstanceError::NotOneLine);
        }
        let mut line = Zeroizing::new(Vec::with_capacity(message.len().saturating_add(1)));
        line.extend_from_slice(message);
        line.push(b'\n');
        self.write(&line).await
    }

    /// Closes the server's stdin.
    pub(crate) async fn close(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.shutdown().await;
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), InstanceError> {
        let input = self.input.as_mut().ok_or_else(|| broken("the server's stdin is closed"))?;
        input.write_all(bytes).await.map_err(broken)?;
        input.flush().await.map_err(broken)
    }

    /// Answers an offer and sends the launch message; what was taken is the way from here on.
    async fn answer(&mut self, answer: u8, launch: &[u8], taken: Option<OwnedWriteHalf>) -> Result<(), InstanceError> {
        self.write(&[answer]).await?;
        self.write(launch).await?;
        if let Some(forth) = taken {
            self.input = Some(Box::pin(forth));
        }
        Ok(())
    }
}

/// What the engine passes on of a container.
type Passed = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

/// Where the server's stdout comes from.
enum Stdout {
    /// The engine passes it on.
    Passed,
    /// The bridge does.
    Taken(OwnedReadHalf),
    /// The bridge did, until its end.
    Ended,
}

/// The way back.
pub(crate) struct Receiver {
    stdout: Stdout,
    /// stderr, and stdout where it was not taken, until the container's end.
    passed: Option<Passed>,
    /// Of two that always have more to say neither is left unheard.
    passed_first: bool,
    lines: Lines,
    overflowed: bool,
    stderr: Stderr,
    redactor: Arc<Redactor>,
    code: watch::Receiver<Option<i64>>,
    /// Only held: the container lives as long as either half.
    #[expect(dead_code, reason = "dropping it removes the container")]
    guard: Arc<Guard>,
}

impl Receiver {
    pub(crate) fn new(
        passed: Passed,
        redactor: Arc<Redactor>,
        code: watch::Receiver<Option<i64>>,
        guard: Arc<Guard>,
    ) -> Self {
        Self {
            stdout: Stdout::Passed,
            passed: Some(passed),
            passed_first: false,
            lines: Lines::new(LINE_LIMIT),
            overflowed: false,
            stderr: Stderr(Arc::new(Mutex::new(Tail::new(STDERR_LIMIT)))),
            redactor,
            code,
            guard,
        }
    }

    pub(crate) fn is_direct(&self) -> bool {
        !matches!(self.stdout, Stdout::Passed)
    }

    /// The next line of stdout, whatever it holds. May be dropped and called again; nothing is lost.
    pub(crate) async fn line(&mut self) -> Result<Vec<u8>, InstanceError> {
        loop {
            if let Some(line) = self.lines.pop() {
                return Ok(line);
            }
            if self.overflowed {
                return Err(InstanceError::LineTooLong);
            }
            if std::future::poll_fn(|context| self.poll_more(context)).await?.is_none() {
                return Err(self.died().await);
            }
        }
    }

    /// Takes in what comes next. `None`: there will be no more.
    fn poll_more(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<()>, InstanceError>> {
        self.passed_first = !self.passed_first;
        for passed in [self.passed_first, !self.passed_first] {
            let came = if passed { self.poll_passed(context) } else { self.poll_stdout(context) };
            if came.is_ready() {
                return came.map_ok(Some);
            }
        }
        let over = self.passed.is_none() && !matches!(self.stdout, Stdout::Taken(_));
        if over { Poll::Ready(Ok(None)) } else { Poll::Pending }
    }

    /// Of the taken socket. Pending for ever where there is none.
    fn poll_stdout(&mut self, context: &mut Context<'_>) -> Poll<Result<(), InstanceError>> {
        let Stdout::Taken(stdout) = &mut self.stdout else { return Poll::Pending };
        let mut space = [const { MaybeUninit::uninit() }; READ];
        let mut read = ReadBuf::uninit(&mut space);
        let heard = ready!(Pin::new(stdout).poll_read(context, &mut read));
        if heard.is_err() || read.filled().is_empty() {
            // A bridge that dies with words of ours unread is an error here (ECONNRESET): why it died, its end says.
            tracing::debug!(?heard, "a server's stdout has ended");
            self.stdout = Stdout::Ended;
            return Poll::Pending;
        }
        self.overflowed = self.lines.push(read.filled()).is_err();
        Poll::Ready(Ok(()))
    }

    /// Of what the engine passes on. Pending for ever where it has ended.
    fn poll_passed(&mut self, context: &mut Context<'_>) -> Poll<Result<(), InstanceError>> {
        let Some(passed) = &mut self.passed else { return Poll::Pending };
        match ready!(passed.poll_next_unpin(context)) {
            Some(Ok(LogOutput::StdErr { message })) => self.stderr.push(&message),
            Some(Ok(LogOutput::StdOut { message })) if matches!(self.stdout, Stdout::Passed) => {
                self.overflowed = self.lines.push(&message).is_err();
            }
            Some(Ok(_)) => {}
            Some(Err(error)) if matches!(self.stdout, Stdout::Passed) => return Poll::Ready(Err(broken(error))),
            Some(Err(error)) => {
                tracing::debug!(%error, "a server's stderr is heard no longer");
                self.passed = None;
                return Poll::Pending;
            }
            None => {
                self.passed = None;
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn garbage(&self, line: &[u8]) -> InstanceError {
        let shown = self.redactor.whole(line);
        let shown = shown.get(..GARBAGE_IN_ERROR).unwrap_or(&shown);
        InstanceError::Garbage { line: String::from_utf8_lossy(shown).into_owned() }
    }

    pub(crate) fn stderr(&self) -> Stderr {
        self.stderr.clone()
    }

    pub(crate) fn redactor(&self) -> Arc<Redactor> {
        self.redactor.clone()
    }

    async fn died(&mut self) -> InstanceError {
        let _ = tokio::time::timeout(CODE_GRACE, self.code.wait_for(Option::is_some)).await;
        let code = *self.code.borrow();
        InstanceError::Died { code, stderr: self.stderr.end() }
    }
}

fn broken(error: impl std::fmt::Display) -> InstanceError {
    InstanceError::Connection(error.to_string())
}

/// The end of a server's stderr, shared with whoever reports an error. The bridge redacted it.
#[derive(Clone)]
pub(crate) struct Stderr(Arc<Mutex<Tail>>);

impl Stderr {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).text()
    }

    /// As much as belongs into an error.
    pub(crate) fn end(&self) -> String {
        let text = self.text();
        let start = text.len().saturating_sub(STDERR_IN_ERROR);
        let start = (start..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.get(start..).unwrap_or_default().to_owned()
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::fd::AsRawFd,
    };

    use rustix::fs::{OFlags, fcntl_getfl};

    use super::*;

    const TOKEN: Token = [7; 16];

    /// What a bridge holds: its own end and the far one.
    struct Held {
        near: net::UnixStream,
        far: net::UnixStream,
    }

    impl Held {
        fn marked(token: &[u8]) -> Self {
            let (mut near, far) = net::UnixStream::pair().unwrap();
            near.write_all(token).unwrap();
            Self { near, far }
        }

        fn offer(&self) -> Offer {
            Offer { socket: self.far.as_raw_fd() }
        }

        /// Everything that waits in the far end.
        fn waiting(mut self) -> Vec<u8> {
            drop(self.near);
            let mut bytes = Vec::new();
            self.far.read_to_end(&mut bytes).unwrap();
            bytes
        }
    }

    fn this_process() -> Pid {
        rustix::process::getpid()
    }

    #[tokio::test]
    async fn a_socket_that_bears_the_token_is_taken_and_speaks_to_the_bridge() {
        use tokio::io::AsyncReadExt;

        let mut held = Held::marked(&TOKEN);
        let mut taken = take_from(this_process(), held.offer(), &TOKEN).unwrap();
        taken.write_all(b"to the server").await.unwrap();
        let mut heard = [0; 13];
        held.near.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"to the server");
        held.near.write_all(b"and back").unwrap();
        let mut heard = [0; 8];
        taken.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"and back");
    }

    #[tokio::test]
    async fn of_a_process_without_the_token_nothing_is_taken_and_nothing_changed() {
        for other in [&[8; 16][..], &[7; 15], b"a line of somebody else's conversation"] {
            let held = Held::marked(other);
            let untaken = take_from(this_process(), held.offer(), &TOKEN).unwrap_err();
            assert!(matches!(untaken, Untaken::OtherProcess), "{untaken}");
            assert!(!fcntl_getfl(&held.far).unwrap().contains(OFlags::NONBLOCK));
            assert_eq!(held.waiting(), other);
        }
        let errno = |offer: Offer| match take_from(this_process(), offer, &TOKEN).unwrap_err() {
            Untaken::Refused(errno) => errno,
            other => panic!("{other}"),
        };
        assert_eq!(errno(Offer { socket: 1 << 20 }), Errno::BADF);
        let held = Held::marked(b"");
        assert_eq!(errno(held.offer()), Errno::AGAIN, "nothing is waited for");
        let file = tempfile::tempfile().unwrap();
        assert_eq!(errno(Offer { socket: file.as_raw_fd() }), Errno::NOTSOCK);
    }

    /// A receiver over a taken socket, and the bridge's end of it. `passed`: what the engine passes on.
    fn receiving(
        passed: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + 'static,
    ) -> (Receiver, OwnedWriteHalf, net::UnixStream) {
        let (far, near) = net::UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let (_, code) = watch::channel(Some(3));
        let mut receiver =
            Receiver::new(Box::pin(passed), Arc::new(Redactor::new(&[])), code, Arc::new(Guard::of_none()));
        let (back, forth) = UnixStream::from_std(far).unwrap().into_split();
        receiver.stdout = Stdout::Taken(back);
        (receiver, forth, near)
    }

    fn stderr(text: &'static str) -> Result<LogOutput, bollard::errors::Error> {
        Ok(LogOutput::StdErr { message: text.into() })
    }

    #[tokio::test]
    async fn of_a_server_that_floods_both_its_streams_both_are_heard() {
        let (mut receiver, _forth, mut near) = receiving(futures_util::stream::repeat_with(|| stderr("e")));
        // More than is read at once, so there always is more to say.
        near.write_all(&b"{}\n".repeat((64 << 10) / 3)).unwrap();
        let Stdout::Taken(taken) = &receiver.stdout else { panic!("it was taken") };
        taken.readable().await.unwrap();
        for heard in 1..=2 {
            for _ in 0..2 {
                std::future::poll_fn(|context| receiver.poll_more(context)).await.unwrap().unwrap();
            }
            assert_eq!(receiver.stderr.text().len(), heard);
        }
        assert_eq!(receiver.line().await.unwrap(), b"{}");
    }

    #[tokio::test]
    async fn an_engine_that_breaks_ends_no_conversation_that_does_not_pass_through_it() {
        let broken = bollard::errors::Error::IOError { err: std::io::ErrorKind::ConnectionReset.into() };
        let said = [stderr("before"), Ok(LogOutput::StdOut { message: "not the server's\n".into() }), Err(broken)];
        let (mut receiver, _forth, mut near) = receiving(futures_util::stream::iter(said));
        near.write_all(b"one\n").unwrap();
        assert_eq!(receiver.line().await.unwrap(), b"one");
        near.write_all(b"two\nthr").unwrap();
        assert_eq!(receiver.line().await.unwrap(), b"two");
        near.write_all(b"ee\n").unwrap();
        drop(near);
        assert_eq!(receiver.line().await.unwrap(), b"three");
        let died = InstanceError::Died { code: Some(3), stderr: "before".to_owned() };
        assert_eq!(receiver.line().await.unwrap_err(), died);
    }

    #[tokio::test]
    async fn a_bridge_that_dies_with_words_of_ours_unread_has_died_and_its_last_words_are_heard() {
        let (mut receiver, mut forth, mut near) = receiving(futures_util::stream::iter([stderr("no such program")]));
        forth.write_all(b"initialize\n").await.unwrap();
        near.write_all(b"one\n").unwrap();
        drop(near);
        assert_eq!(receiver.line().await.unwrap(), b"one");
        let died = InstanceError::Died { code: Some(3), stderr: "no such program".to_owned() };
        assert_eq!(receiver.line().await.unwrap_err(), died);
    }

    #[test]
    fn what_will_not_change_is_tried_once_and_what_may_three_times_in_a_row() {
        let failures = Failures::default();
        assert!(!failures.are_too_many());
        assert!(failures.count(&Untaken::Refused(Errno::PERM)), "it is said once");
        assert!(failures.are_too_many() && !failures.count(&Untaken::Refused(Errno::PERM)));

        let failures = Failures::default();
        assert!(!failures.count(&Untaken::OtherProcess) && !failures.count(&Untaken::Refused(Errno::SRCH)));
        failures.forget();
        assert!(!failures.count(&Untaken::OtherProcess) && !failures.count(&Untaken::Refused(Errno::SRCH)));
        for other in [Untaken::NoProcess, Untaken::Late, Untaken::Refused(Errno::MFILE)] {
            assert!(!failures.count(&other) && !failures.are_too_many(), "{other} says nothing of the next container");
        }
        assert!(failures.count(&Untaken::OtherProcess) && failures.are_too_many());
    }
}
