//! What a release was built from: `provenance` on the command line, over envelopes that openssl signed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::process::Command;

use evidence::{
    dsse::{Envelope, EnvelopeSignature},
    provenance::{BUILDER, PAYLOAD_TYPE, Statement, Subject},
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Two programs, a bill of materials, two release keys, and an envelope that both signed.
struct Release {
    dir: tempfile::TempDir,
    envelope: Envelope,
}

const KEYS: [&str; 2] = ["one", "two"];

impl Release {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
        // Longer than any evidence: programs are.
        write("enclave", &vec![0x7f; 5 << 20]);
        write("bridge", b"\x7fELF bridge");
        write("sbom.cdx.json", b"{}");
        let subject = |name: &str| Subject {
            name: name.to_owned(),
            sha256: Some(Sha256::digest(std::fs::read(dir.path().join(name)).unwrap()).into()),
        };
        let statement = Statement {
            subjects: vec![subject("enclave"), subject("bridge")],
            git_commit: Some([0x91; 20]),
            source_sha256: Some([3; 32]),
            repository: None,
            release_keys: vec![],
            profile: Some("release".to_owned()),
            target: Some("x86_64-unknown-linux-gnu".to_owned()),
            system: vec![("cc".to_owned(), "cc (Debian 12.2.0-14) 12.2.0".to_owned())],
            lock_sha256: Some([4; 32]),
            rust: Some(("1.95.0".to_owned(), [5; 20])),
            sbom_sha256: Some(Sha256::digest(b"{}").into()),
            builder: BUILDER.to_owned(),
            time: Some("2026-09-21T14:13:20Z".to_owned()),
        };
        let payload = statement.to_value().to_text().into_bytes();
        let mut release =
            Self { dir, envelope: Envelope { payload_type: PAYLOAD_TYPE.into(), payload, signatures: vec![] } };
        for key in [KEYS[0], KEYS[1], "stranger"] {
            release.openssl(&["genpkey", "-algorithm", "ed25519", "-out", &format!("{key}.pem")]);
            release.openssl(&["pkey", "-in", &format!("{key}.pem"), "-pubout", "-out", &format!("{key}.pub")]);
        }
        release.sign(&KEYS);
        release
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(self.dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Signs what the envelope holds now, and writes it.
    fn sign(&mut self, keys: &[&str]) {
        std::fs::write(self.dir.path().join("message"), self.envelope.message()).unwrap();
        self.envelope.signatures.clear();
        for key in keys {
            let file = format!("{key}.pem");
            self.openssl(&["pkeyutl", "-sign", "-inkey", &file, "-rawin", "-in", "message", "-out", "signature"]);
            let bytes = std::fs::read(self.dir.path().join("signature")).unwrap();
            self.envelope.signatures.push(EnvelopeSignature { key_id: String::new(), bytes });
        }
        self.write();
    }

    fn write(&self) {
        std::fs::write(self.dir.path().join("p.json"), self.envelope.to_value().to_text()).unwrap();
    }

    #[track_caller]
    fn says(&self, arguments: &[&str], exit: i32, words: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"))
            .args(["provenance", "p.json"])
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in: {text}");
        }
        text
    }
}

const BOTH: [&str; 4] = ["--release-key", "one.pub", "--release-key", "two.pub"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&BOTH, more].concat()
}

#[test]
fn what_every_key_signed_holds_and_says_what_was_built_from_what() {
    let release = Release::new();
    let commit = "91".repeat(20);
    let arguments =
        with(&["--binary", "enclave", "--binary", "./bridge", "--commit", &commit, "--sbom", "sbom.cdx.json"]);
    release.says(
        &arguments,
        0,
        &["holds", "2 keys", "as signed: enclave ", &commit, "gcc", "rust 1.95.0"]
            .map(|word| if word == "gcc" { "cc (Debian 12.2.0-14) 12.2.0" } else { word }),
    );
    let json: Value = serde_json::from_str(&release.says(&[&arguments[..], &["--json"]].concat(), 0, &[])).unwrap();
    let row = |name: &str| json["checks"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    for name in ["signatures", "programs", "commit", "sbom"] {
        assert_eq!(row(name)["outcome"], "pass", "{name}");
    }
    // What the signers say and nobody looked at is never a pass.
    for name in ["source", "toolchain", "builder", "rebuilt"] {
        assert_eq!(row(name)["outcome"], "not_checked", "{name}");
    }
    // The keys are shown as one names them.
    let shown = row("signatures")["detail"].as_str().unwrap();
    let shown = shown.split(' ').filter(|word| word.len() == 64).flat_map(|key| ["--release-key", key]);
    let shown: Vec<&str> = shown.collect();
    assert_eq!(shown.len(), 4);
    release.says(&shown, 0, &["holds"]);
    assert!(json["restsOn"].as_str().unwrap().contains("release keys named by you"));
    // Not asked is not checked.
    let json: Value = serde_json::from_str(&release.says(&with(&["--json"]), 0, &[])).unwrap();
    let open = json["checks"].as_array().unwrap().iter().filter(|row| row["outcome"] == "not_checked").count();
    assert_eq!(open, 7);
}

#[test]
fn every_key_that_is_named_must_have_signed() {
    let mut release = Release::new();
    release.says(&["--release-key", "stranger.pub"], 3, &["signatures", "every key has to sign", "fix: "]);
    release.sign(&KEYS[..1]);
    release.says(&BOTH[..2], 0, &["holds"]);
    release.says(&BOTH, 3, &["does not hold: signatures"]);
    // Another's signature beside it neither helps nor harms.
    release.sign(&["stranger", "one"]);
    release.says(&BOTH[..2], 0, &["holds"]);
    release.says(&BOTH, 3, &["does not hold: signatures"]);
    release.sign(&[]);
    release.says(&BOTH[..2], 3, &["does not hold: signatures"]);
    release.says(&["--release-key", "one.pub", "--release-key", "one.pub"], 1, &["named twice"]);
    release.says(&["--release-key", "0102"], 1, &["64 hexadecimal digits"]);
    release.says(&["--release-key", "bridge"], 1, &["no Ed25519 public key in PEM"]);
    release.says(&[], 1, &["--release-key"]);
}

#[test]
fn a_changed_byte_of_what_was_signed_is_found_before_it_is_read() {
    let mut release = Release::new();
    let good = release.envelope.clone();
    for at in [0, 20, good.payload.len() - 1] {
        release.envelope.payload[at] ^= 1;
        release.write();
        release.says(&BOTH, 3, &["does not hold: signatures"]);
        release.envelope = good.clone();
    }
    release.envelope.signatures[1].bytes[5] ^= 1;
    release.write();
    release.says(&BOTH, 3, &["does not hold: signatures"]);
    release.envelope = good.clone();
    // A signature with a byte after it is none.
    release.envelope.signatures[1].bytes.push(0);
    release.write();
    release.says(&BOTH, 3, &["does not hold: signatures"]);
    // Signed, and no statement of ours.
    release.envelope.payload = b"{\"_type\":\"https://in-toto.io/Statement/v1\"}".to_vec();
    release.sign(&KEYS);
    release.says(&BOTH, 2, &["does not hold: provenance: signed, but statement.subject"]);
    std::fs::write(release.dir.path().join("p.json"), "[]").unwrap();
    release.says(&BOTH, 2, &["does not hold: provenance: no envelope", "not checked  programs"]);
}

#[test]
fn other_bytes_another_commit_and_another_bill_of_materials_do_not_hold() {
    let release = Release::new();
    let dir = release.dir.path();
    std::fs::create_dir(dir.join("other")).unwrap();
    std::fs::write(dir.join("other/enclave"), b"another").unwrap();
    std::fs::copy(dir.join("bridge"), dir.join("other/bridge")).unwrap();
    release.says(&with(&["--binary", "other/bridge"]), 0, &["holds"]);
    release.says(&with(&["--binary", "bridge", "--binary", "other/enclave"]), 6, &["other/enclave has SHA-256"]);
    std::fs::copy(dir.join("bridge"), dir.join("other/enclave")).unwrap();
    release.says(&with(&["--binary", "other/enclave"]), 6, &["other/enclave is the program bridge, not enclave"]);
    release.says(&with(&["--binary", "p.json"]), 6, &["of no program of the statement"]);
    release.says(&with(&["--commit", &"92".repeat(20)]), 6, &["does not hold: commit"]);
    release.says(&with(&["--commit", "main"]), 1, &["40 hexadecimal digits"]);
    release.says(&with(&["--sbom", "p.json"]), 6, &["does not hold: sbom"]);
    release.says(&with(&["--binary", "missing"]), 1, &["--binary missing", "fix: "]);
}
