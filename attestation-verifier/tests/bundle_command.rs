//! `bundle` and `proof` on the command line: the right exit code, and words that name file and fix.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use boot::{ARGUMENTS, AT, Boot, CHALLENGE, NONCE, PAYEES, RESULT, chip, claim, result, terms, write};
use evidence::payment::Authorization;
use serde_json::Value;

/// The files of one call, in a folder of their own.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let boot = Boot::new();
        let bundle = boot.bundle();
        let envelope = boot.envelope(boot.body(&bundle, &result()));
        write(dir.path(), "bundle.json", bundle.to_bytes().unwrap());
        write(dir.path(), "proof.json", envelope.to_value().to_text());
        write(dir.path(), "request.json", ARGUMENTS);
        write(dir.path(), "answer.json", RESULT);
        write(dir.path(), "root.der", chip().ark());
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes one byte of a file.
    fn flip(&self, name: &str, at: usize) {
        let mut bytes = std::fs::read(self.path(name)).unwrap();
        bytes[at] ^= 1;
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"))
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .expect("the program runs");
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code().expect("an exit code"), text)
    }

    #[track_caller]
    fn says(&self, arguments: &[&str], exit: i32, words: &[&str]) -> String {
        let (code, text) = self.run(arguments);
        assert_eq!(code, exit, "{arguments:?}: {text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        text
    }
}

const ROOT: [&str; 4] = ["--trust-root", "root.der", "--at", AT];

fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, &ROOT, more].concat()
}

const BUNDLE: [&str; 2] = ["bundle", "bundle.json"];
const PROOF: [&str; 4] = ["proof", "proof.json", "--bundle", "bundle.json"];

#[test]
fn a_bundle_is_accepted_under_the_root_that_is_named_and_under_no_other() {
    let files = Files::new();
    let nonce = hex::encode(NONCE);
    let text = files.says(
        &with(&BUNDLE, &["--nonce", &nonce]),
        0,
        &["accepted (test root)\n", "nonce", "code-unknown", "(--at)"],
    );
    assert!(!text.contains("FAIL") && !text.contains("no-nonce"), "{text}");
    let named =
        format!("TLS keys {}; payees {}; prices none; token keys 6a6a6a6a6a6a6a6a:", "75".repeat(32), PAYEES[1]);
    assert!(text.contains(&named), "{text}");
    files.says(&["bundle", "bundle.json", "--at", AT], 3, &["rejected: "]);
    files.says(&with(&BUNDLE, &["--nonce", &"00".repeat(16)]), 6, &["rejected: nonce", "another nonce", "fix:"]);
    files.says(&["bundle", "bundle.json", "--trust-root", "root.der"], 0, &["system clock", "--at"]);
    let late = ["bundle", "bundle.json", "--trust-root", "root.der", "--at", "2060-01-01T00:00:00Z"];
    files.says(&late, 3, &["rejected"]);
}

#[test]
fn a_proof_is_accepted_with_request_and_answer_and_one_flipped_byte_gives_7() {
    let files = Files::new();
    let challenge = hex::encode(CHALLENGE);
    let all = with(&PROOF, &["--request", "request.json", "--response", "answer.json", "--challenge", &challenge]);
    let text = files.says(&all, 0, &["accepted (test root)\n", "hmac-not-revealed"]);
    assert!(!text.contains("FAIL") && !text.contains("no-challenge"), "{text}");
    files.says(&with(&PROOF, &["--challenge", "00"]), 7, &["rejected: challenge"]);

    let proof = std::fs::read_to_string(files.path("proof.json")).unwrap();
    files.flip("proof.json", proof.find("responseHash").unwrap() + 16);
    files.says(&with(&PROOF, &[]), 7, &["rejected: proof", "proof.json", "altered", "fix:"]);
}

#[test]
fn a_payment_that_is_given_is_compared_and_a_bad_one_names_the_file() {
    let files = Files::new();
    let boot = Boot::new();
    let mut body = boot.body(&boot.bundle(), &result());
    body.payment = Some(claim(&terms()));
    write(files.dir.path(), "proof.json", boot.envelope(body).to_value().to_text());
    write(files.dir.path(), "payment.json", terms().to_bytes().unwrap());
    files.says(&with(&PROOF, &[]), 0, &["accepted (test root)\n", "--payment", "payment-on-chain"]);
    files.says(&with(&PROOF, &["--payment", "payment.json"]), 0, &["by the authorization you gave"]);
    let other = Authorization { nonce: [9; 32], ..terms() };
    write(files.dir.path(), "other.json", other.to_bytes().unwrap());
    files.says(&with(&PROOF, &["--payment", "other.json"]), 7, &["rejected: payment", "other.json", "fix:"]);
    files.says(&with(&PROOF, &["--payment", "request.json"]), 2, &["rejected: payment", "request.json", "fix:"]);
    files.says(&with(&PROOF, &["--payment", "missing"]), 1, &["--payment missing", "fix:"]);
}

#[test]
fn a_flipped_byte_of_request_or_answer_gives_7_and_names_the_file() {
    let files = Files::new();
    files.flip("request.json", ARGUMENTS.find("llo").unwrap());
    files.says(&with(&PROOF, &["--request", "request.json"]), 7, &["rejected: request", "request.json"]);
    files.flip("answer.json", RESULT.find("llo").unwrap());
    files.says(&with(&PROOF, &["--response", "answer.json"]), 7, &["rejected: response", "answer.json"]);
}

#[test]
fn the_json_verdict_is_one_object_on_standard_output() {
    let files = Files::new();
    let output = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"))
        .args(with(&PROOF, &["--json"]))
        .current_dir(files.dir.path())
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.stderr.len(), &json["verdict"]), (0, &"accepted (test root)".into()));
    assert_eq!(json["time"]["claimed"], "2026-02-28T23:59:59Z");
    for member in ["checks", "notProven", "grade", "trust", "time"] {
        assert!(json.get(member).is_some(), "{member}");
    }
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let files = Files::new();
    for (name, bytes) in [("empty", &b""[..]), ("cut", b"{\"type\":\"bundle\","), ("binary", &[0xff; 32])] {
        let path = write(files.dir.path(), name, bytes);
        let path = path.to_str().unwrap();
        files.says(&with(&["bundle", name], &[]), 2, &["rejected: bundle", name, "fix:"]);
        files.says(&with(&["proof", name, "--bundle", "bundle.json"], &[]), 2, &["rejected: proof", name, "fix:"]);
        files.says(&with(&["proof", "proof.json", "--bundle", path], &[]), 2, &["rejected: bundle", name]);
        files.says(&with(&PROOF, &["--request", name]), 2, &["rejected: request", name]);
        files.says(&with(&PROOF, &["--response", name]), 2, &["rejected: response", name]);
    }
    // The wrong kind: proof and bundle changed places.
    files.says(&with(&["bundle", "proof.json"], &[]), 2, &["rejected: bundle"]);
    files.says(&with(&["proof", "bundle.json", "--bundle", "bundle.json"], &[]), 2, &["rejected: proof"]);
    files.says(&with(&["bundle", "missing"], &[]), 1, &["missing", "fix:"]);
    files.says(&with(&["proof", "missing", "--bundle", "bundle.json"], &[]), 1, &["missing", "fix:"]);
    files.says(&with(&["proof", "proof.json", "--bundle", "missing"], &[]), 1, &["--bundle missing", "fix:"]);
    files.says(&with(&["proof", "proof.json"], &[]), 1, &["--bundle"]);
    std::fs::write(files.path("huge"), vec![b' '; (4 << 20) + 1]).unwrap();
    files.says(&with(&["bundle", "huge"], &[]), 1, &["longer than 4 MiB"]);
}

#[test]
fn nonces_and_challenges_of_a_bad_length_are_usage_errors() {
    let files = Files::new();
    for bad in ["", "00", &"00".repeat(15), &"00".repeat(65), &"z".repeat(32), &"0".repeat(33)] {
        files.says(&with(&BUNDLE, &["--nonce", bad]), 1, &["--nonce"]);
        files.says(&with(&PROOF, &["--nonce", bad]), 1, &["--nonce"]);
    }
    for bad in ["", "0", &"00".repeat(65), "zz"] {
        files.says(&with(&PROOF, &["--challenge", bad]), 1, &["--challenge"]);
    }
}

#[test]
fn the_call_recorded_by_the_demo_is_accepted_and_one_flipped_digit_gives_7() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/demo");
    let files = Files { dir: tempfile::tempdir().unwrap() };
    for name in ["bundle.json", "proof.json", "request.json", "answer.json", "test-root.pem"] {
        std::fs::copy(recorded.join(name), files.path(name)).unwrap();
    }
    let at = std::fs::read_to_string(recorded.join("recorded-at")).unwrap();
    let common = ["--trust-root", "test-root.pem", "--at", at.trim()];
    files.says(&[&BUNDLE[..], &common].concat(), 0, &["accepted (test root)"]);
    let opened = [&PROOF[..], &common, &["--request", "request.json", "--response", "answer.json"]].concat();
    let text = files.says(&opened, 0, &["accepted (test root)"]);
    assert!(!text.contains("no-challenge"), "{text}");
    // The proof is the one inside the answer.
    let read = |name: &str| serde_json::from_slice::<Value>(&std::fs::read(files.path(name)).unwrap()).unwrap();
    assert_eq!(read("answer.json")["result"]["_meta"]["io.sealgate/proof"], read("proof.json"));
    let proof = std::fs::read_to_string(files.path("proof.json")).unwrap();
    files.flip("proof.json", proof.find("responseHash").unwrap() + 16);
    files.says(&opened, 7, &["rejected: proof"]);
}
