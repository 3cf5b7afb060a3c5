//! docs/AUDITING.md: what it shows for an auditor is run, on a release of our own making, in the order of the page; and
//! the scripts that it names know the options that it gives them.
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

use base64::{Engine as _, engine::general_purpose::STANDARD};
use boot::{AT, Boot, NONCE, chip, core, key, sign};
use evidence::{
    Digest, Ed25519Public, UnixSeconds,
    bundle::Bundle,
    core::{Claims, Core},
    dsse::{Envelope, EnvelopeSignature},
    provenance::{BUILDER, PAYLOAD_TYPE, Statement, Subject},
    release::{Binary, LaunchDigest, ReleaseManifest, ReleaseSignature, SignedRelease, release_message},
};
use ring::signature::KeyPair as _;
use sha2::{Digest as _, Sha256};

const ALICE: u8 = 0xa1;
const BOB: u8 = 0xb0;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(repository().join("docs/AUDITING.md")).unwrap()
}

/// A folder with what an auditor has got: program, statement, bill of materials, bundle, keys, repository.
struct Audit(tempfile::TempDir);

impl Audit {
    fn new() -> Self {
        let audit = Self(tempfile::tempdir().unwrap());
        let source = repository().canonicalize().unwrap();
        audit.bash(&format!("git clone --quiet --shared --no-checkout '{}' sealgate", source.display()));
        let commit = audit.bash("git -C sealgate rev-parse HEAD");
        let archive = "git -C sealgate archive --format=tar HEAD | sha256sum | cut -d' ' -f1";
        let source_hash: Digest = hex::decode(audit.bash(archive).trim()).unwrap().try_into().unwrap();
        let commit: [u8; 20] = hex::decode(commit.trim()).unwrap().try_into().unwrap();

        let (program, sbom) = (b"\x7fELF gateway", b"{\"bomFormat\":\"CycloneDX\"}");
        let code: Digest = Sha256::digest(program).into();
        audit.write("enclave", program);
        audit.write("sbom.cdx.json", sbom);
        audit.bash("mkdir rebuilt && cp enclave rebuilt/");
        let statement = Statement {
            subjects: vec![Subject { name: "enclave".into(), sha256: Some(code) }],
            git_commit: Some(commit),
            source_sha256: Some(source_hash),
            profile: Some("release".into()),
            target: Some("x86_64-unknown-linux-gnu".into()),
            lock_sha256: Some([4; 32]),
            rust: Some(("1.95.0".into(), [5; 20])),
            sbom_sha256: Some(Sha256::digest(sbom).into()),
            builder: BUILDER.into(),
            time: Some("2026-02-01T00:00:00Z".into()),
            ..Statement::default()
        };
        let provenance = envelope(&statement);
        audit.write("enclave.provenance.json", &provenance);

        let claims = Claims { code_hash: Some(code), git_commit: Some(commit), release: None };
        let boot = Boot::of(Core { boot: "launch", claims, ..core() });
        let release = Some(manifest(code, commit, source_hash, Sha256::digest(&provenance).into()));
        let bundle = Bundle { provenance: Some(provenance), release, ..boot.bundle() };
        audit.write("bundle.json", bundle.to_bytes().unwrap());
        audit.write("nonce.hex", hex::encode(NONCE));
        audit.write("root.der", chip().ark());
        for (name, of) in [("alice.pem", ALICE), ("bob.pem", BOB)] {
            let head = hex::decode("302a300506032b6570032100").unwrap();
            let text = STANDARD.encode([&head, public(of).as_bytes().as_slice()].concat());
            audit.write(name, format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"));
        }
        audit
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.0.path().join(name), bytes).unwrap();
    }

    /// Runs a line as the page has it, and gives what it prints.
    #[track_caller]
    fn bash(&self, line: &str) -> String {
        let programs = Path::new(env!("CARGO_BIN_EXE_attestation-verifier")).parent().unwrap().to_owned();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path))).unwrap();
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(self.0.path())
            .env("PATH", path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{line}\n{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }
}

fn public(of: u8) -> Ed25519Public {
    Ed25519Public::new(key(of).public_key().as_ref().try_into().unwrap()).unwrap()
}

fn envelope(statement: &Statement) -> Vec<u8> {
    let payload = statement.to_value().to_text().into_bytes();
    let mut envelope = Envelope { payload_type: PAYLOAD_TYPE.into(), payload, signatures: vec![] };
    let message = envelope.message();
    let one = |of| EnvelopeSignature { key_id: String::new(), bytes: sign(&key(of), &message).to_vec() };
    envelope.signatures = [ALICE, BOB].map(one).to_vec();
    envelope.to_value().to_text().into_bytes()
}

fn manifest(code: Digest, git_commit: [u8; 20], source_hash: Digest, provenance: Digest) -> SignedRelease {
    let manifest = ReleaseManifest {
        name: "1.0".to_owned(),
        git_commit,
        source_hash,
        created: UnixSeconds(1_770_000_000),
        binaries: vec![Binary { program: "enclave".to_owned(), sha256: code }],
        launch_digests: vec![LaunchDigest {
            measurement: [0; 48],
            platform: "qemu".to_owned(),
            vcpus: 2,
            vcpu_type: Some("EPYC-v4".to_owned()),
            guest_features: Some(1),
        }],
        svsm_digests: vec![],
        paravisors: vec![],
        registers: vec![],
        policy: None,
        script: [0x5c; 32],
        provenance: vec![provenance],
        release_keys: vec![public(ALICE), public(BOB)],
    };
    let bytes = manifest.to_bytes().unwrap();
    let one = |of| ReleaseSignature { key: public(of), value: sign(&key(of), &release_message(&bytes)) };
    SignedRelease { signatures: [ALICE, BOB].map(one).to_vec(), bytes }
}

#[test]
fn every_command_of_the_page_that_names_its_output_gives_it() {
    let audit = Audit::new();
    let page = page();
    let blocks: Vec<_> =
        page.split("```console audit ").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 8, "{} blocks", blocks.len());
    for block in blocks {
        let mut lines = block.lines();
        let name = lines.next().unwrap();
        let mut command = lines.next().unwrap().strip_prefix("$ ").expect("a command").to_owned();
        let mut first = lines.next();
        let accepted = "accepted (test root)";
        if command.contains("attestation-verifier bundle") {
            // What a reader with evidence of AMD's does not have to write. A test root changes one word.
            assert!(command.contains(AT), "{command}");
            command.push_str(" --trust-root root.der");
            first = first.map(|first| if first == "accepted" { accepted } else { first });
        }
        let said = audit.bash(&command);
        if let Some(first) = first {
            assert_eq!(said.lines().next(), Some(first), "{name}: {said}");
        }
        for line in lines {
            let (outcome, check) = line.trim().rsplit_once(' ').expect("an outcome and a check");
            let row = said.lines().find(|line| {
                let rest = line.trim_start().strip_prefix(outcome);
                rest.is_some_and(|rest| rest.split_whitespace().next() == Some(check))
            });
            assert!(row.is_some(), "{name}: no line \"{outcome} {check}\" in\n{said}");
        }
    }
}

#[test]
fn the_scripts_that_the_page_names_know_the_options_that_it_gives_them() {
    let page = page();
    let mut looked_up = 0;
    for line in page.lines().filter(|line| line.contains("scripts/")) {
        let Some(at) = line.find("scripts/") else { continue };
        let name: String = line[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "/-".contains(*c)).collect();
        let script = repository().join(&name);
        assert!(script.is_file(), "{name} is not there");
        if !line.contains("--") {
            continue;
        }
        let help = Command::new(&script).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let rest = line[at..].split('`').next().unwrap();
        for word in rest.split_whitespace().filter(|word| word.starts_with("--")) {
            assert!(help.contains(word), "{name} does not know {word}:\n{help}");
            looked_up += 1;
        }
    }
    assert!(looked_up >= 8, "{looked_up} options");
}

#[test]
fn another_program_or_another_statement_ends_the_walk() {
    let audit = Audit::new();
    audit.write("enclave", b"\x7fELF another");
    let line = "attestation-verifier provenance enclave.provenance.json --binary enclave --release-key alice.pem || echo exit $?";
    let said = audit.bash(line);
    assert!(said.starts_with("does not hold: programs: ") && said.ends_with("exit 6\n"), "{said}");
}
