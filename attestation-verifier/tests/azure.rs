//! `attestation-verifier azure`: report, claims and quote of machines made in software, and one lie at a time.
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
mod common;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use attestation_verifier::{Hcl, HclError};
use common::{Said, read, run_json, vectors};
use software_psp::{ClaimsHash, QuoteKey, QuoteRequest, hcl_blob, runtime_claims};
use tempfile::TempDir;

const USER_DATA: [u8; 64] = [0xD7; 64];
const NONCE: [u8; 32] = [0x4E; 32];

/// One machine: its keys take seconds to make.
fn keys() -> &'static (QuoteKey, QuoteKey) {
    static KEYS: OnceLock<(QuoteKey, QuoteKey)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let kept = |name: &str| {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            if let Ok(der) = std::fs::read(&path) {
                return QuoteKey::rsassa_from_pkcs8(&der).unwrap();
            }
            let key = QuoteKey::rsassa(&mut rsa::rand_core::OsRng).unwrap();
            let draft = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            std::fs::write(draft.path(), key.to_pkcs8().unwrap()).unwrap();
            // Whoever is first is the one that all use.
            let _ = draft.persist_noclobber(&path);
            QuoteKey::rsassa_from_pkcs8(&std::fs::read(&path).unwrap()).unwrap()
        };
        (kept("azure-ak.der"), kept("azure-ek.der"))
    })
}

/// Files of one machine, and how they are judged.
struct Machine {
    dir: TempDir,
    claims: String,
    hash: ClaimsHash,
    capabilities: Option<u32>,
    request: QuoteRequest,
}

impl Machine {
    fn new() -> Self {
        let (ak, ek) = keys();
        Self {
            dir: tempfile::tempdir().unwrap(),
            claims: runtime_claims(ak, Some(ek), &USER_DATA),
            hash: ClaimsHash::Sha256,
            capabilities: None,
            request: QuoteRequest::new(NONCE, [0x15; 32]),
        }
    }

    fn blob(&self) -> Vec<u8> {
        let chip = boot::chip();
        let report = chip.report(&chip.request(3, self.hash.report_data(self.claims.as_bytes())));
        hcl_blob(&report, self.claims.as_bytes(), self.hash, self.capabilities)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The arguments for a whole machine.
    fn arguments(&self) -> Vec<String> {
        let chip = boot::chip();
        let attest = self.request.attest(&keys().0);
        let pcrs =
            self.request.registers.iter().map(|(number, value)| format!(r#""{number}":"{}""#, hex::encode(value)));
        let pcrs = format!(r#"{{"sha256":{{{}}}}}"#, pcrs.collect::<Vec<_>>().join(","));
        let files = [
            ("", self.file("hcl.bin", &self.blob())),
            ("--vek", self.file("vek.der", chip.vcek())),
            ("--intermediate", self.file("ask.der", chip.ask())),
            ("--trust-root", self.file("ark.der", chip.ark())),
            ("--quote", self.file("quote.msg", &attest)),
            ("--quote-signature", self.file("quote.sig", &keys().0.sign(&attest))),
            ("--pcrs", self.file("pcrs.json", pcrs.as_bytes())),
        ];
        let mut arguments: Vec<String> = vec!["--at".into(), boot::AT.into()];
        for (name, path) in files {
            arguments.extend(
                [name.to_owned(), path.to_str().unwrap().to_owned()].into_iter().filter(|word| !word.is_empty()),
            );
        }
        arguments
    }

    fn judge(&self, more: &[&str]) -> Said {
        azure(&self.arguments(), more)
    }
}

fn azure(arguments: &[String], more: &[&str]) -> Said {
    run_json(["azure"].into_iter().chain(arguments.iter().map(String::as_str)).chain(more.iter().copied()))
}

fn accepted(said: &Said) {
    assert_eq!((said.word(), said.exit), ("accepted (test root)", 0), "{:?}", said.failures());
}

fn refused(said: &Said, exit: i32, row: &str) {
    assert_eq!((said.word(), said.exit, said.outcome(row)), ("rejected", exit, "fail"), "{:?}", said.failures());
}

#[test]
fn a_whole_machine_is_accepted_and_what_was_asked_for_is_answered() {
    let machine = Machine::new();
    let said = machine.judge(&[]);
    accepted(&said);
    for row in ["runtime-data", "claims", "quote", "pcrs"] {
        assert_eq!(said.outcome(row), "pass", "{row}");
    }
    // Any guest can make up claims: without a policy that knows the paravisor's key it is one by its own word.
    assert_eq!(said.outcome("vtpm"), "not_checked");
    assert!(
        said.leaves_open("no-nonce") && said.leaves_open("code-unknown") && said.leaves_open("code-vendor-paravisor")
    );
    for more in [["--nonce", &hex::encode(NONCE)], ["--user-data", &hex::encode(USER_DATA)]] {
        let said = machine.judge(&more);
        accepted(&said);
        assert!(!said.leaves_open("no-nonce"), "{more:?}");
    }
}

#[test]
fn every_shape_of_the_blob_is_read() {
    for hash in [ClaimsHash::Sha256, ClaimsHash::Sha384, ClaimsHash::Sha512] {
        for capabilities in [None, Some(0), Some(0x0000_0003)] {
            let machine = Machine { hash, capabilities, ..Machine::new() };
            let said = machine.judge(&["--user-data", &hex::encode(USER_DATA)]);
            accepted(&said);
        }
    }
    // Report and claims apart.
    let machine = Machine::new();
    let blob = machine.blob();
    let mut arguments = machine.arguments();
    let at = arguments.iter().position(|word| word.ends_with("hcl.bin")).unwrap();
    arguments[at] = machine.file("report.bin", &blob[0x20..0x4C0]).to_str().unwrap().to_owned();
    let claims = machine.file("claims.json", machine.claims.as_bytes());
    accepted(&azure(&arguments, &["--runtime-data", claims.to_str().unwrap()]));
    let said = azure(&arguments, &[]);
    assert_eq!((said.exit, said.outcome("runtime-data")), (6, "not_checked"));
    let other = machine.file("other.json", machine.claims.replace("sign", "sigm").as_bytes());
    refused(&azure(&arguments, &["--runtime-data", other.to_str().unwrap()]), 6, "runtime-data");
}

#[test]
fn one_lie_at_a_time_is_found() {
    let (ak, ek) = keys();
    let machine = Machine::new();
    refused(&machine.judge(&["--nonce", &"00".repeat(32)]), 6, "quote-nonce");
    refused(&machine.judge(&["--user-data", &"00".repeat(64)]), 6, "user-data");
    refused(&machine.judge(&["--report-data", &"00".repeat(64)]), 6, "report-data");

    let old = Machine { claims: runtime_claims(ak, None, &USER_DATA), ..Machine::new() };
    refused(&old.judge(&[]), 6, "claims");
    let foreign = Machine { claims: runtime_claims(ek, Some(ak), &USER_DATA), ..Machine::new() };
    refused(&foreign.judge(&[]), 3, "quote");
    let twice = machine.claims.replacen(r#"{"kid":"HCLEkPub""#, r#"{"kid":"HCLAkPub""#, 1);
    refused(&Machine { claims: twice, ..Machine::new() }.judge(&[]), 2, "claims");
    let escaped = machine.claims.replacen(r#""keys":"#, r#""k\u0065ys":[],"keys":"#, 1);
    refused(&Machine { claims: escaped, ..Machine::new() }.judge(&[]), 2, "claims");
    for (request, exit) in [
        (QuoteRequest { magic: 0, ..machine.request.clone() }, 2),
        (QuoteRequest { kind: 0x8017, ..machine.request.clone() }, 2),
        (QuoteRequest { bank: 0x0004, ..machine.request.clone() }, 2),
    ] {
        refused(&Machine { request, ..Machine::new() }.judge(&[]), exit, "quote");
    }
}

#[test]
fn quotes_of_one_machine_are_not_believed_of_another() {
    let machine = Machine::new();
    let arguments = machine.arguments();
    let attest = machine.request.attest(&keys().1);
    machine.file("quote.msg", &attest);
    machine.file("quote.sig", &keys().1.sign(&attest));
    let said = azure(&arguments, &["--nonce", &hex::encode(NONCE)]);
    refused(&said, 3, "quote");
    assert_eq!((said.outcome("pcrs"), said.outcome("vtpm")), ("not_checked", "not_checked"));
    assert!(said.leaves_open("no-nonce"), "a quote that does not verify answers nothing");
}

#[test]
fn a_report_that_nothing_vouches_for_speaks_for_no_key() {
    let machine = Machine::new();
    let mut arguments = machine.arguments();
    let mut blob = machine.blob();
    blob[0x20 + 0x90] ^= 1;
    let at = arguments.iter().position(|word| word.ends_with("hcl.bin")).unwrap();
    arguments[at] = machine.file("flipped.bin", &blob).to_str().unwrap().to_owned();
    let said = azure(&arguments, &["--nonce", &hex::encode(NONCE)]);
    assert_eq!((said.word(), said.exit), ("rejected", 3));
    for row in ["runtime-data", "claims", "quote", "pcrs", "vtpm"] {
        assert_eq!(said.outcome(row), "not_checked", "{row}");
    }
}

#[test]
fn hostile_lengths_and_other_kinds_of_blob_are_named() {
    let blob = Machine::new().blob();
    let with = |at: usize, word: u32| {
        let mut blob = blob.clone();
        blob[at..at + 4].copy_from_slice(&word.to_le_bytes());
        blob
    };
    let error = |blob: &[u8]| Hcl::parse(blob).unwrap_err();
    assert_eq!(error(&with(0x4C8, 4)), HclError::Kind { found: 4 });
    assert_eq!(error(&with(0x4CC, 0)), HclError::Hash { found: 0 });
    assert_eq!(error(&with(4, 3)), HclError::Version { found: 3 });
    assert_eq!(error(&with(0, 0)), HclError::Magic);
    let room = u32::try_from(blob.len() - 0x4D4).unwrap();
    for length in [room + 1, u32::MAX, u32::MAX - 3] {
        assert!(matches!(error(&with(0x4D0, length)), HclError::Length { .. }), "{length}");
    }
    let hcl = with(0x4D0, room);
    assert!(Hcl::parse(&hcl).unwrap().claims(&[0; 64]).is_none());
    for length in 0..0x4D4 {
        assert!(Hcl::parse(&blob[..length]).is_err(), "{length}");
    }
    assert!(Hcl::parse(&[&blob[..], &vec![0; 64 * 1024]].concat()).is_err());
    let tdx = read(vectors().join("registry/az-cvm-vtpm-0.8.2/hcl-report-tdx.bin"));
    assert_eq!(error(&tdx), HclError::Kind { found: 4 });
}

#[test]
fn what_the_policy_asks_of_the_boot_is_open_without_quote_and_log() {
    let machine = Machine::new();
    let strict = String::from_utf8(read(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/strict.toml"))).unwrap();
    let head = strict.split("\nevents = ").next().unwrap();
    let rest = strict.split_once("\nevents = ").unwrap().1.split_once('\n').unwrap().1;
    let fields = ["programs", "uki", "kernel", "initrd", "cmdline", "binary"]
        .map(|field| format!("{field} = {{ unchecked = \"x\" }}\n"));
    let events =
        format!("\n[events]\nsecure_boot = \"require\"\nloader_files = []\nloader_commands = []\n{}", fields.concat());
    let policy = machine.file("policy.toml", format!("{head}\n{rest}{events}").as_bytes());
    let asks = ["--policy", policy.to_str().unwrap()];
    // With quote and registers, and without a log.
    let said = machine.judge(&asks);
    assert_eq!((said.word(), said.exit, said.outcome("event-secure-boot")), ("rejected", 5, "not_checked"));
    // Without a quote.
    let mut arguments = machine.arguments();
    arguments.retain(|word| !word.contains("quote") && !word.contains("pcrs"));
    accepted(&azure(&arguments, &[]));
    let said = azure(&arguments, &asks);
    assert_eq!((said.word(), said.exit, said.outcome("event-secure-boot")), ("rejected", 5, "not_checked"));
}

#[test]
fn behind_the_hash_of_the_claims_there_are_zeros() {
    let machine = Machine::new();
    let mut arguments = machine.arguments();
    let chip = boot::chip();
    let mut data = ClaimsHash::Sha256.report_data(machine.claims.as_bytes());
    data[63] = 1;
    let report = chip.report(&chip.request(3, data));
    let at = arguments.iter().position(|word| word.ends_with("hcl.bin")).unwrap();
    let blob = hcl_blob(&report, machine.claims.as_bytes(), ClaimsHash::Sha256, None);
    arguments[at] = machine.file("tail.bin", &blob).to_str().unwrap().to_owned();
    refused(&azure(&arguments, &[]), 6, "runtime-data");
    arguments[at] = machine.file("tail-report.bin", &report).to_str().unwrap().to_owned();
    let claims = machine.file("claims.json", machine.claims.as_bytes());
    refused(&azure(&arguments, &["--runtime-data", claims.to_str().unwrap()]), 6, "runtime-data");
}

#[test]
fn a_policy_that_wants_an_expectation_takes_one_of_quote_or_claims() {
    let machine = Machine::new();
    let strict = String::from_utf8(read(Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/strict.toml"))).unwrap();
    let lines =
        strict.lines().map(|line| if line.starts_with("report_data") { "report_data = \"require\"" } else { line });
    let text = lines.collect::<Vec<_>>().join("\n");
    assert_ne!(text, strict.trim_end());
    let policy = machine.file("policy.toml", text.as_bytes());
    let with = |more: &[&str]| machine.judge(&[&["--policy", policy.to_str().unwrap()], more].concat());
    let said = with(&[]);
    assert_eq!((said.word(), said.exit, said.outcome("report-data")), ("rejected", 5, "not_checked"));
    accepted(&with(&["--nonce", &hex::encode(NONCE)]));
    accepted(&with(&["--user-data", &hex::encode(USER_DATA)]));
    refused(&with(&["--nonce", &"00".repeat(32)]), 6, "quote-nonce");
}

#[test]
fn arguments_that_go_together_are_asked_for_together() {
    let machine = Machine::new();
    let hcl = machine.file("hcl.bin", &machine.blob());
    for more in
        [&["--nonce", "00"][..], &["--pcrs", "x"], &["--quote", "x"], &["--user-data", "00"], &["--eventlog", "x"]]
    {
        let output =
            Command::new(env!("CARGO_BIN_EXE_attestation-verifier")).arg("azure").arg(&hcl).args(more).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1), "{more:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
