//! The bridge as a process. Inside a container it is PID 1; everything but the reaping of orphans works outside as well.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::expect_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
};

use bridge::{Launch, Variable};
use zeroize::Zeroizing;

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

#[test]
fn bytes_after_the_message_reach_the_server_untouched_and_its_code_comes_back() {
    let mut child = bridge();
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
    let mut child = bridge();
    child.stdin.take().unwrap().write_all(&shell("env; echo $PWD").encode().unwrap()).unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(text.contains("TOKEN=swordfish") && !text.contains("INHERITED"), "{text}");
}

#[test]
fn a_secret_on_stderr_is_redacted_even_in_pieces() {
    let mut child = bridge();
    let script = "printf 'a sword' >&2; sleep 0.1; printf 'fish b\\n' >&2; exit 3";
    child.stdin.take().unwrap().write_all(&shell(script).encode().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "a [redacted:TOKEN] b\n");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn secrets_are_in_neither_command_line_nor_environment_of_the_bridge() {
    let mut child = bridge();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&shell("echo ready; cat").encode().unwrap()).unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
        assert!(!text.windows(9).any(|window| window == b"swordfish"), "{file} holds the secret");
    }
    drop(stdin);
    child.wait().unwrap();
}

#[test]
fn a_termination_signal_reaches_the_server() {
    let mut child = bridge();
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
    let mut child = bridge();
    child.stdin.take().unwrap().write_all(&shell("kill -9 $$").encode().unwrap()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(137));
}

#[test]
fn a_grandchild_that_keeps_stderr_open_does_not_keep_the_bridge() {
    let mut child = bridge();
    child.stdin.take().unwrap().write_all(&shell("sleep 3 >/dev/null </dev/null & exit 5").encode().unwrap()).unwrap();
    let started = std::time::Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
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
        let mut child = bridge();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with("bridge: ") && stderr.contains(text), "{stderr}");
    }
}
