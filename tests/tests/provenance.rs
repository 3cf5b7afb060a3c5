//! What the program says of its own making, with and without a file beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a scenario that panics has failed")]

use std::{fs, process::Command};

use sealgate_tests::program;
use serde_json::Value;

/// A copy of the program in a directory of its own, so that nothing lies beside the original.
fn copy() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("enclave");
    fs::copy(program("enclave"), &copy).unwrap();
    (directory, copy)
}

fn run(copy: &std::path::Path, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(copy).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[test]
fn without_a_file_beside_it_the_program_says_unsigned_and_names_its_own_digest() {
    let (_directory, copy) = copy();
    let (worked, said, _) = run(&copy, &["provenance", "show"]);
    assert!(worked);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["signed"], false);
    let sha256sum = Command::new("sha256sum").arg(&copy).output().unwrap().stdout;
    let digest = said["statement"]["subject"][0]["digest"]["sha256"].as_str().unwrap();
    assert!(String::from_utf8(sha256sum).unwrap().starts_with(digest));
}

#[test]
fn a_file_beside_it_that_proves_nothing_is_a_loud_refusal() {
    let (_directory, copy) = copy();
    fs::write(copy.with_file_name("enclave.provenance.json"), "{\"payloadType\":\"text/plain\"}").unwrap();
    let (worked, said, log) = run(&copy, &["provenance", "show"]);
    assert!(worked);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["signed"], false);
    assert!(said["reason"].as_str().unwrap().contains("is refused: its payload is \"text/plain\""), "{said}");
    assert!(log.contains("the provenance file is refused"), "{log}");
}

#[test]
fn a_key_that_the_program_does_not_know_signs_nothing_for_it() {
    let (directory, copy) = copy();
    let key = directory.path().join("release.pem");
    let made = Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key).status().unwrap();
    assert!(made.success());
    let (worked, _, said) = run(&copy, &["provenance", "sign", "--release-key", key.to_str().unwrap()]);
    assert!(!worked && said.contains("does not know the key") && said.contains("fix: "), "{said}");
    let other = directory.path().join("p256.pem");
    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
    assert!(Command::new("openssl").args(curve).arg(&other).status().unwrap().success());
    let (worked, _, said) = run(&copy, &["provenance", "sign", "--release-key", other.to_str().unwrap()]);
    assert!(!worked && said.contains("no Ed25519 key") && !said.contains("BEGIN"), "{said}");
    assert!(!copy.with_file_name("enclave.provenance.json").exists());
}
