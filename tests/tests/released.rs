//! A gateway with two people's release keys compiled in: what one of them signs is nothing, what both sign is served and
//! carried, and a stranger who knows their keys finds it in the bundle. tests/reproduce/released.sh builds such a gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, path::PathBuf, process::Command};

use sealgate_tests::{Gateway, program, repository, run, verify};
use serde_json::Value;

fn key(person: &str) -> String {
    let folder = std::env::var_os("SEALGATE_RELEASE_KEYS").expect("tests/reproduce/released.sh runs this");
    PathBuf::from(folder).join(format!("{person}.pem")).display().to_string()
}

#[track_caller]
fn does(name: &str, arguments: &[&str]) {
    let output = run(name, arguments);
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn shown() -> Value {
    serde_json::from_slice(&run("enclave", &["provenance", "show"]).stdout).unwrap()
}

#[test]
#[ignore = "needs a gateway with release keys compiled in: tests/reproduce/released.sh builds and runs it"]
fn what_both_release_keys_signed_is_served_carried_and_found_by_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for person in ["alice", "bob"] {
        let public = at(&format!("{person}.public.pem"));
        let made = Command::new("openssl").args(["pkey", "-in", &key(person), "-pubout", "-out", &public]).status();
        assert!(made.unwrap().success());
    }
    let executable = program("enclave");
    let statement = executable.with_file_name("enclave.provenance.json");
    let _ = fs::remove_file(&statement);
    assert_eq!(shown()["signed"], false);
    does("enclave", &["provenance", "sign", "--release-key", &key("alice")]);
    let half = shown();
    assert_eq!(half["signed"], false, "{half}");
    assert!(half["reason"].as_str().unwrap().contains("has not signed it"), "{half}");
    does("enclave", &["provenance", "sign", "--release-key", &key("bob"), "--add"]);
    let whole = shown();
    assert_eq!((&whole["signed"], whole["signedBy"].as_array().unwrap().len()), (&Value::Bool(true), 2), "{whole}");

    let (commit, script) = (whole["source"]["gitCommit"].as_str().unwrap(), repository().join("scripts/verify-bundle"));
    let inputs = &whole["statement"]["predicate"]["buildDefinition"]["externalParameters"];
    let keys = inputs["releasePublicKeys"].as_array().unwrap();
    assert!(
        keys.is_sorted_by_key(|key| key.as_str()),
        "the order in which keys were named is in the program: {keys:?}"
    );
    let description = format!(
        "name = \"1.0.0\"\ngit_commit = {commit:?}\nsource_hash = {}\ncreated = 1795219200\nscript = {script:?}\n\
         provenance = [{statement:?}]\nrelease_keys = [\"alice.public.pem\", \"bob.public.pem\"]\n[binaries]\n\
         enclave = {executable:?}\n",
        inputs["sourceSha256"],
    );
    let file = at("release.json");
    fs::write(at("release.toml"), description).unwrap();
    does("measured-boot", &["release", "create", &at("release.toml"), "--out", &file]);
    for person in ["alice", "bob"] {
        does("measured-boot", &["release", "sign", &file, "--key", &key(person)]);
    }

    let more = format!("[release]\nmanifest = {file:?}\n");
    let mut gateway = Gateway::serving(&more);
    let served = gateway.anonymous().get("/api/attestation/provenance").json();
    assert_eq!((&served["signed"], &served["dsse"]), (&Value::Bool(true), &whole["dsse"]));
    let answer = gateway.anonymous().get("/api/attestation/bundle");
    let bundle = at("bundle.json");
    fs::write(&bundle, &answer.body).unwrap();
    let root = gateway.test_root().display().to_string();
    let (alice, bob) = (at("alice.public.pem"), at("bob.public.pem"));
    let keys = ["--release-key", &alice, "--release-key", &bob];
    let judged = verify(&[&["bundle", &bundle, "--trust-root", &root], &keys[..]].concat());
    // No hardware has measured it, so the code itself is in no list: 5.
    assert_eq!(judged.code, 5, "{}", judged.said);
    for row in ["release", "release-script", "release-provenance", "provenance"] {
        let is_row = |line: &&str| line.split_whitespace().nth(1) == Some(row);
        let line = judged.said.lines().find(is_row).unwrap_or_default();
        assert!(line.trim_start().starts_with("pass"), "{row}: {}", judged.said);
    }
    let (beside, enclave) = (statement.display().to_string(), executable.display().to_string());
    let alone = verify(&[&["provenance", &beside, "--binary", &enclave, "--commit", commit], &keys[..]].concat());
    assert_eq!(alone.code, 0, "{}", alone.said);

    // One byte of the statement, and the gateway says what it is worth.
    let text = fs::read_to_string(&statement).unwrap();
    fs::write(&statement, text.replacen("\"payload\":\"e", "\"payload\":\"f", 1)).unwrap();
    gateway.stop();
    gateway.serve().expect("it serves without a statement");
    let served = gateway.anonymous().get("/api/attestation/provenance").json();
    assert_eq!(served["signed"], false, "{served}");
    assert_eq!(gateway.anonymous().get("/api/attestation/bundle").json()["provenance"], Value::Null);
}
