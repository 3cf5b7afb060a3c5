//! The command, run as a stranger would run it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]
#![allow(clippy::disallowed_methods, reason = "tests read vectors from files")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/eventlog").join(name)
}

fn replay(eventlog: &Path, more: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_measured-boot"));
    command.args(["replay", "--json", "--eventlog"]).arg(eventlog);
    if let [pcrs] = more {
        command.arg("--pcrs").arg(pcrs);
    }
    command.output().unwrap()
}

fn refused(output: &Output, code: i32, words: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(words) && text.contains("\nfix: "), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_log_alone_gives_registers_and_proves_nothing() {
    let output = replay(&vector("made_uki_boot_locality_3.bin"), &[]);
    assert!(output.status.success());
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let wanted: serde_json::Value =
        serde_json::from_slice(&fs::read(vector("made_uki_boot_locality_3.pcrs.json")).unwrap()).unwrap();
    assert_eq!(value["pcrs"], wanted);
    assert_eq!(value["startupLocality"], 3);
    assert_eq!(value["proven"], serde_json::Value::Null);
}

#[test]
fn a_log_with_its_registers_shows_its_events() {
    let output = replay(&vector("made_uki_boot.bin"), &[&vector("made_uki_boot.pcrs.json")]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["proven"]["sha256"]["events"].as_array().unwrap().len(), 17);
}

#[test]
fn registers_of_another_boot_end_with_6_and_both_values() {
    let output = replay(&vector("made_uki_boot.bin"), &[&vector("made_uki_boot_locality_3.pcrs.json")]);
    refused(
        &output,
        6,
        "PCR 0: given f9d0330f7e41cb01970c8a2f8ca296fdf65b4f8b, replayed cd91cba9cfd34195ec6b50c373020efb9525ca01",
    );
}

#[test]
fn damaged_files_end_with_2_and_missing_ones_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let log = vector("made_uki_boot.bin");
    refused(
        &replay(&write("empty", b""), &[]),
        2,
        "offset 0x0: pcrIndex of the first record needs 4 bytes, 0 are left",
    );
    let whole = fs::read(&log).unwrap();
    refused(&replay(&write("cut", &whole[..whole.len() - 1]), &[]), 2, "event data needs");
    refused(&replay(Path::new("/nowhere/log"), &[]), 1, "/nowhere/log: No such file");
    refused(&replay(folder.path(), &[]), 1, "Is a directory");
    for (text, words) in [
        ("", "EOF"),
        ("[]", "want a JSON object"),
        ("{}", "no bank in it"),
        (r#"{"sha256":{}}"#, "sha256: no register in it"),
        (r#"{"md5":{"0":""}}"#, "md5: not a bank"),
        (r#"{"sha256":{"24":""}}"#, "sha256.24: not a register"),
        (r#"{"sha256":{"0":"00"}}"#, "sha256.0: want 64 hexadecimal digits for sha256, got 2"),
        (r#"{"sha256":{"0":7}}"#, "sha256.0: want a string"),
        (r#"{"sha256":{"0":"00","00":"00"}}"#, "want 64"),
    ] {
        refused(&replay(&log, &[&write("pcrs", text.as_bytes())]), 2, words);
    }
}

#[test]
fn no_arguments_and_unknown_ones_end_with_1_and_help_with_0() {
    let run = |arguments: &[&str]| Command::new(env!("CARGO_BIN_EXE_measured-boot")).args(arguments).output().unwrap();
    assert_eq!(run(&[]).status.code(), Some(1));
    assert_eq!(run(&["replay"]).status.code(), Some(1));
    assert_eq!(run(&["replay", "--eventlog", "x", "--loud"]).status.code(), Some(1));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}
