//! The bridge as a process. Inside a container it is PID 1; everything but the reaping of orphans works outside as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, clippy::panic, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bridge::{Launch, Offer, TAKEN, Token, UNTAKEN, Variable, Wanted};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use zeroize::Zeroizing;

/// A bridge that is told to offer nothing.
fn plain() -> Child {
    let mut child = bridge();
    child.stdin.as_mut().unwrap().write_all(&Wanted(None).encode()).unwrap();
    child
}

fn bridge() -> Child {
    Command::new(env!("CARGO_BIN_EXE_bridge"))
        .env("INHERITED", "must-not-arrive")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn shell(script: &str) -> Launch {
    Launch {
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        directory: "/".into(),
        environment: vec![
            Variable { name: "PATH".into(), value: Zeroizing::new("/usr/bin:/bin".into()), secret: false },
            Variable { name: "TOKEN".into(), value: Zeroizing::new("swordfish".into()), secret: true },
        ],
    }
}

fn children(process: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    children.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn only_child(process: u32) -> u32 {
    let [child] = children(process).try_into().expect("one child");
    child
}

const TOKEN: Token = *b"sixteen-byte-sig";

/// A bridge that offers a socket, and takes the far end of the socket as a gateway does.
fn offering() -> (Child, UnixStream) {
    let mut child = bridge();
    child.stdin.as_mut().unwrap().write_all(&Wanted(Some(TOKEN)).encode()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let socket = far_end(child.id(), &line);
    (child, socket)
}

fn far_end(bridge: u32, line: &str) -> UnixStream {
    let offer: Offer = line.trim_end_matches('\n').parse().unwrap();
    let process = pidfd_open(Pid::from_raw(bridge.cast_signed()).unwrap(), PidfdFlags::empty()).unwrap();
    let socket = UnixStream::from(pidfd_getfd(&process, offer.socket, PidfdGetfdFlags::empty()).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// The same, taken.
fn taken(script: &str) -> (Child, UnixStream) {
    let (mut child, mut socket) = offering();
    let mut token = Token::default();
    socket.read_exact(&mut token).unwrap();
    assert_eq!(token, TOKEN);
    child.stdin.as_mut().unwrap().write_all(&[&[TAKEN], shell(script).encode().unwrap().as_slice()].concat()).unwrap();
    (child, socket)
}

#[test]
fn over_a_socket_that_is_taken_the_server_hears_and_answers_and_each_side_hears_the_others_end() {
    let (child, mut socket) = taken("cat; exit 42");
    socket.write_all(b"first\nsecond").unwrap();
    let mut echoed = [0; 12];
    socket.read_exact(&mut echoed).unwrap();
    assert_eq!(&echoed, b"first\nsecond");
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(socket.read(&mut echoed).unwrap(), 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(42), b"".as_slice()));
}

#[test]
fn a_server_whose_gateway_is_gone_hears_it_on_both_its_streams() {
    let (mut child, socket) =
        taken("trap '' PIPE; cat >/dev/null; i=0; while echo x; do i=$((i+1)); done 2>/dev/null; exit 7");
    drop(socket);
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_gateway_hears_that_a_server_closed_its_stdin_or_its_stdout_and_lives_on() {
    let (mut child, mut socket) =
        taken("trap 'echo end; exit 3' TERM; exec <&-; echo closed; while :; do sleep 0.02; done");
    let mut heard = [0; 7];
    socket.read_exact(&mut heard).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while socket.write_all(b"anybody there?\n").is_ok() {
        assert!(Instant::now() < until, "nobody reads it");
        std::thread::sleep(Duration::from_millis(5));
    }
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let mut rest = Vec::new();
    // What lies unread when the bridge ends makes its end an error.
    let _reset = socket.read_to_end(&mut rest);
    assert_eq!((rest.as_slice(), child.wait().unwrap().code()), (b"end\n".as_slice(), Some(3)));

    let (mut child, mut socket) = taken("exec >&-; read line; exit 4");
    assert_eq!(socket.read(&mut heard).unwrap(), 0);
    assert!(child.try_wait().unwrap().is_none(), "it has not ended");
    socket.write_all(b"end\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}

#[test]
fn the_last_words_of_a_server_are_waited_for_also_by_a_slow_gateway() {
    let (mut child, mut socket) = taken("head -c 1000000 /dev/zero; exit 5");
    // Longer than silence is waited for; far more is to come than a socket and a pipe hold.
    std::thread::sleep(Duration::from_millis(800));
    let mut heard = Vec::new();
    socket.read_to_end(&mut heard).unwrap();
    assert_eq!((heard.len(), child.wait().unwrap().code()), (1_000_000, Some(5)));
}

#[test]
fn who_keeps_a_servers_stdout_open_is_heard_until_silent() {
    let (mut child, mut socket) = taken("(for n in $(seq 40); do sleep 0.02; echo $n; done; sleep 30) & exit 6");
    let started = Instant::now();
    let mut heard = String::new();
    socket.read_to_string(&mut heard).unwrap();
    assert!(heard.ends_with("39\n40\n"), "{heard}");
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Who splices into a pipe holds its lock while the source is silent; whoever reads or closes that pipe hangs, non-blocking or
/// not, and cannot be killed.
#[cfg(target_arch = "x86_64")]
mod locked {
    use super::*;

    const SPLICE: &str = "275";

    /// A server that locks one of its streams, by a descriptor of its own.
    fn locks(descriptor: u32) -> Launch {
        shell(&format!(
            "exec perl -MSocket -e 'socketpair(A, B, AF_UNIX, SOCK_STREAM, 0); open(N, q(>), q(/proc/self/fd/{descriptor})); \
             close STDIN; close STDOUT; syscall({SPLICE}, fileno(A), 0, fileno(N), 0, 4096, 0)'"
        ))
    }

    /// Waits until the server below a bridge holds the lock.
    fn holding(bridge: u32) -> u32 {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let server = children(bridge).first().and_then(|serve| children(*serve).first().copied());
            let calls = server.and_then(|server| std::fs::read_to_string(format!("/proc/{server}/syscall")).ok());
            if let (Some(server), Some(true)) = (server, calls.map(|calls| calls.starts_with(SPLICE))) {
                return server;
            }
            assert!(Instant::now() < until, "the server never came to it");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn kill(process: u32) {
        Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    }

    #[test]
    fn a_server_that_locks_its_stdout_holds_up_nobody_but_its_bridge() {
        let (mut child, mut socket) = offering();
        socket.read_exact(&mut Token::default()).unwrap();
        let launch = locks(1).encode().unwrap();
        child.stdin.as_mut().unwrap().write_all(&[&[TAKEN], launch.as_slice()].concat()).unwrap();
        let server = holding(child.id());
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        drop(socket);
        // In a container it ends with PID 1.
        kill(server);
        assert_eq!(child.wait().unwrap().code(), Some(137));
    }

    #[test]
    fn a_container_whose_server_locks_its_streams_ends_whole_when_it_is_killed() {
        // Starts the bridge as PID 1, and holds none of its streams.
        const OUTSIDE: &str =
            "syscall(272, 0x20000000) == 0 or die; unless (fork) { exec @ARGV } close STDIN; close STDOUT; wait";
        for (descriptor, over_socket) in [(1, true), (1, false), (2, true), (2, false)] {
            let mut outside = Command::new("perl")
                .args(["-e", OUTSIDE, env!("CARGO_BIN_EXE_bridge")])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = outside.stdin.take().unwrap();
            let mut socket = None;
            if over_socket {
                let mut line = String::new();
                stdin.write_all(&Wanted(Some(TOKEN)).encode()).unwrap();
                BufReader::new(outside.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
                socket = Some(far_end(only_child(outside.id()), &line));
                stdin.write_all(&[TAKEN]).unwrap();
            } else {
                stdin.write_all(&Wanted(None).encode()).unwrap();
            }
            stdin.write_all(&locks(descriptor).encode().unwrap()).unwrap();
            let first = {
                let until = Instant::now() + Duration::from_secs(20);
                while children(outside.id()).is_empty() && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(5));
                }
                only_child(outside.id())
            };
            let server = holding(first);
            // The server may do so: it is the same user.
            kill(only_child(first));
            kill(first);
            let until = Instant::now() + Duration::from_secs(20);
            while std::path::Path::new(&format!("/proc/{server}")).exists() {
                if Instant::now() > until {
                    kill(server);
                    panic!("{descriptor} {over_socket}: the server outlives its container");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            outside.wait().unwrap();
            drop(socket);
        }
    }
}

#[test]
fn a_server_finds_no_descriptor_of_an_offer() {
    const LIST: &str = "ls /proc/self/fd | tr '\\n' ' '";
    let mut plain = plain();
    plain.stdin.take().unwrap().write_all(&shell(LIST).encode().unwrap()).unwrap();
    let inherited = plain.wait_with_output().unwrap().stdout;
    assert!(inherited.starts_with(b"0 1 "));
    let (mut child, mut socket) = taken(LIST);
    let mut found = Vec::new();
    socket.read_to_end(&mut found).unwrap();
    assert_eq!(found, inherited);
    child.wait().unwrap();
    let (mut child, _socket) = offering();
    child.stdin.take().unwrap().write_all(&[&[UNTAKEN], shell(LIST).encode().unwrap().as_slice()].concat()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, inherited);
}

#[test]
fn where_the_socket_is_not_taken_the_streams_are_the_bridges_own() {
    let (mut child, mut socket) = offering();
    let launch = shell("cat; exit 42").encode().unwrap();
    child.stdin.take().unwrap().write_all(&[&[UNTAKEN], launch.as_slice(), b"first\nsecond"].concat()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(42), b"first\nsecond".as_slice()));
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, TOKEN);
}

#[test]
fn an_offer_that_is_not_answered_or_wrongly_starts_nothing() {
    for (answer, text) in
        [(b"".as_slice(), "offer of a socket: failed to fill"), (b"?", "offer of a socket: answered by byte 63")]
    {
        let (mut child, mut socket) = offering();
        child.stdin.take().unwrap().write_all(answer).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(120), b"".as_slice()));
        assert!(String::from_utf8(output.stderr).unwrap().contains(text));
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, TOKEN);
    }
}

#[test]
fn bytes_after_the_message_reach_the_server_untouched_and_its_code_comes_back() {
    let mut child = plain();
    let mut stdin = child.stdin.take().unwrap();
    let mut bytes = shell("cat; exit 42").encode().unwrap().to_vec();
    bytes.extend_from_slice(b"first\nsecond");
    stdin.write_all(&bytes).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.stdout, b"first\nsecond");
    assert_eq!(output.status.code(), Some(42));
}

#[test]
fn the_server_sees_exactly_the_environment_of_the_message() {
    let mut child = plain();
    child.stdin.take().unwrap().write_all(&shell("env; echo $PWD").encode().unwrap()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(text.contains("TOKEN=swordfish") && !text.contains("INHERITED"), "{text}");
}

#[test]
fn a_secret_on_stderr_is_redacted_even_in_pieces() {
    let mut child = plain();
    let script = "printf 'a sword' >&2; sleep 0.1; printf 'fish b\\n' >&2; exit 3";
    child.stdin.take().unwrap().write_all(&shell(script).encode().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "a [redacted:TOKEN] b\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn secrets_are_in_neither_command_line_nor_environment_of_the_bridge() {
    let mut child = plain();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&shell("echo ready; cat").encode().unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    for process in [child.id(), only_child(child.id())] {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{process}/{file}")).unwrap();
            assert!(!text.windows(9).any(|window| window == b"swordfish"), "{file} holds the secret");
        }
    }
    drop(stdin);
    child.wait().unwrap();
}

#[test]
fn a_termination_signal_reaches_the_server() {
    let mut child = plain();
    let stdin = child.stdin.as_mut().unwrap();
    stdin
        .write_all(&shell("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done").encode().unwrap())
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "bye\n");
    assert_eq!(child.wait().unwrap().code(), Some(7));
}

#[test]
fn a_server_killed_by_a_signal_ends_as_shells_say_it() {
    let mut child = plain();
    child.stdin.take().unwrap().write_all(&shell("kill -9 $$").encode().unwrap()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));
}

#[test]
fn a_grandchild_that_keeps_stderr_open_does_not_keep_the_bridge() {
    let mut child = plain();
    child.stdin.take().unwrap().write_all(&shell("sleep 3 >/dev/null </dev/null & exit 5").encode().unwrap()).unwrap();
    let started = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_cut_or_overlong_message_and_a_missing_program_are_told() {
    let mut missing = shell("");
    missing.argv = vec!["/nowhere/node".into()];
    let cut = shell("true").encode().unwrap()[..20].to_vec();
    for (bytes, code, text) in [
        (cut, 120, "launch message: stdin"),
        (vec![0xff; 8], 120, "the limit is 1048576"),
        (missing.encode().unwrap().to_vec(), 121, "/nowhere/node in /"),
    ] {
        let mut child = plain();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("bridge: ") && stderr.contains(text), "{stderr}");
    }
}
