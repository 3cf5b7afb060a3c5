//! From a release's files to a verdict: two people sign what a gateway is, the gateway carries it, and a stranger who knows
//! their keys looks the code up in it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, path::Path, process::Command};

use sealgate_tests::{Gateway, Settings, program, repository, run, verify};
use serde_json::Value;

/// A folder with the keys of two people, and a description of this very build.
fn described() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for person in ["alice", "bob"] {
        let (key, public) = (at(&format!("{person}.pem")), at(&format!("{person}.public.pem")));
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &key]);
        openssl(&["pkey", "-in", &key, "-pubout", "-out", &public]);
    }
    let shown = run("enclave", &["provenance", "show"]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    // A build outside a repository names no commit, and then any will do.
    let commit = shown["source"]["gitCommit"].as_str().map_or("91".repeat(20), ToOwned::to_owned);
    let (enclave, script) = (program("enclave"), repository().join("scripts/verify-bundle"));
    let description = format!(
        "name = \"1.0.0\"\ngit_commit = {commit:?}\nsource_hash = {:?}\ncreated = 1795219200\nscript = {script:?}\n\
         release_keys = [\"alice.public.pem\", \"bob.public.pem\"]\n[binaries]\nenclave = {enclave:?}\n\
         [[launch_digest]]\nmeasurement = {:?}\nplatform = \"qemu\"\nvcpus = 2\n",
        "50".repeat(32),
        "00".repeat(48),
    );
    fs::write(folder.path().join("release.toml"), description).unwrap();
    folder
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn release(arguments: &[&str]) {
    let output = run("measured-boot", &[&["release"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn settings(manifest: &Path) -> Settings {
    Settings { more: format!("[release]\nmanifest = {manifest:?}\n"), ..Settings::default() }
}

#[test]
fn a_gateway_carries_its_release_and_keys_decide_what_it_is_worth() {
    let folder = described();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, description) = (at("release.json"), at("release.toml"));
    release(&["create", &description, "--out", &file]);
    release(&["sign", &file, "--key", &at("alice.pem")]);

    // Half signed is not signed.
    let mut draft = Gateway::prepared(&settings(Path::new(&file)));
    assert!(run("enclave", &["keys", "init", "--config", &draft.config()]).status.success());
    let log = draft.serve().expect_err("a draft is served");
    assert!(log.contains("not signed by ") && log.contains("fix: "), "{log}");
    drop(draft);

    release(&["sign", &file, "--key", &at("bob.pem")]);
    let gateway = Gateway::with(&settings(Path::new(&file)));
    let answer = gateway.anonymous().get("/api/attestation/bundle");
    let bundle = at("bundle.json");
    fs::write(&bundle, &answer.body).unwrap();
    let carried = answer.json()["release"].clone();
    assert_eq!(carried, serde_json::from_slice::<Value>(&fs::read(&file).unwrap()).unwrap());

    let root = gateway.test_root().display().to_string();
    let judge = |more: &[&str]| verify(&[&["bundle", &bundle, "--trust-root", &root], more].concat());
    let unasked = judge(&[]);
    assert_eq!(unasked.code, 0, "{}", unasked.said);
    assert!(unasked.said.contains("worth nothing until you name the release keys"), "{}", unasked.said);
    let (alice, bob) = (at("alice.public.pem"), at("bob.public.pem"));
    let keys = ["--release-key", &alice, "--release-key", &bob];
    for more in [&keys[..], &[&keys[..], &["--release", &file]].concat()] {
        let judged = judge(more);
        let is_row = |line: &&str| line.split_whitespace().nth(1) == Some("release");
        let row = judged.said.lines().find(is_row).unwrap_or_default();
        assert!(row.trim_start().starts_with("pass") && row.contains("1.0.0"), "{}", judged.said);
        let script = judged.said.lines().find(|line| line.split_whitespace().nth(1) == Some("release-script"));
        assert!(script.unwrap_or_default().trim_start().starts_with("pass"), "{}", judged.said);
        // It is the release, and no hardware has measured that: a machine of software is in no list.
        assert_eq!(judged.code, 5, "{}", judged.said);
        assert!(judged.said.contains("software stands in for the hardware: no release does"), "{}", judged.said);
    }
    let one = judge(&keys[..2]);
    assert_eq!(one.code, 3, "{}", one.said);

    let script =
        Command::new(repository().join("scripts/verify-bundle")).args(["--trust-root", &root, &bundle]).output();
    let script = script.unwrap();
    let said = String::from_utf8_lossy(&script.stdout);
    assert!(script.status.success() && said.contains("the bundle carries a release manifest"), "{said}");
}

#[test]
fn a_manifest_that_lists_another_script_stops_the_start() {
    let folder = described();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, description) = (at("release.json"), at("release.toml"));
    let text = fs::read_to_string(&description).unwrap();
    let own = format!("script = {:?}", repository().join("scripts/verify-bundle"));
    fs::write(&description, text.replacen(&own, "script = \"release.toml\"", 1)).unwrap();
    release(&["create", &description, "--out", &file]);
    for person in ["alice.pem", "bob.pem"] {
        release(&["sign", &file, "--key", &at(person)]);
    }
    let mut gateway = Gateway::prepared(&settings(Path::new(&file)));
    assert!(run("enclave", &["keys", "init", "--config", &gateway.config()]).status.success());
    let log = gateway.serve().expect_err("it serves a manifest with another script");
    assert!(log.contains("release.script is ") && log.contains("fix: "), "{log}");
}

#[test]
fn a_manifest_of_another_program_stops_the_start() {
    let folder = described();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, description) = (at("release.json"), at("release.toml"));
    let text = fs::read_to_string(&description).unwrap();
    let own = format!("enclave = {:?}", program("enclave"));
    fs::write(&description, text.replacen(&own, "enclave = \"release.toml\"", 1)).unwrap();
    release(&["create", &description, "--out", &file]);
    for person in ["alice.pem", "bob.pem"] {
        release(&["sign", &file, "--key", &at(person)]);
    }
    let mut gateway = Gateway::prepared(&settings(Path::new(&file)));
    assert!(run("enclave", &["keys", "init", "--config", &gateway.config()]).status.success());
    let log = gateway.serve().expect_err("it serves a manifest of another program");
    assert!(log.contains("release.binaries: enclave has SHA-256") && log.contains("fix: "), "{log}");
}
