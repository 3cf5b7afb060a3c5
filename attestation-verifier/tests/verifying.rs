//! docs/VERIFYING.md: every command that it shows for verifying is run, on evidence of our own and, where
//! `SEALGATE_EXTRA_VECTORS` names it, on genuine evidence of that cloud; and every test that docs/COMPARISON.md names is
//! there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

#[path = "common/boot.rs"]
mod boot;
mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use attestation_verifier::{Certificate, clock, roots};
use base64::Engine as _;
use boot::chip;
use common::{read, read_json, vectors};
use evidence::UnixSeconds;
use rsa::rand_core::OsRng;
use serde_json::{Value, json};
use software_psp::{ClaimsHash, QuoteKey, QuoteRequest, ReportRequest, VekKind, hcl_blob, runtime_claims};

/// A block of the page that is to be run.
struct Block {
    name: String,
    command: String,
    /// The verdict, then (outcome, check).
    verdict: String,
    rows: Vec<(String, String)>,
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    String::from_utf8(read(path)).unwrap()
}

fn blocks() -> Vec<Block> {
    let page = page("VERIFYING.md");
    page.split("```console verify ")
        .skip(1)
        .map(|rest| {
            let mut lines = rest.split("```").next().unwrap().lines();
            let name = lines.next().unwrap().to_owned();
            let command = lines.next().unwrap().strip_prefix("$ ").expect("a command").to_owned();
            let verdict = lines.next().expect("a verdict").to_owned();
            let rows = lines.map(|line| {
                let (outcome, check) = line.trim().rsplit_once(' ').expect("an outcome and a check");
                (outcome.trim().to_owned(), check.to_owned())
            });
            Block { name, command, verdict, rows: rows.collect() }
        })
        .collect()
}

/// Evidence as its owner would have it in a folder.
struct Evidence {
    dir: tempfile::TempDir,
    /// What a reader with evidence of AMD's does not have to write.
    more: Vec<&'static str>,
    /// Another time than the page's.
    at: Option<String>,
}

impl Evidence {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), more: vec![], at: None }
    }

    fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        self
    }

    /// Under a test root, which the command has to name.
    fn under(mut self, root: &[u8]) -> Self {
        self.more.extend(["--trust-root", "root.der"]);
        self.file("root.der", root)
    }

    /// Runs the block, and wants what the page shows. A test root changes one word.
    fn run(&self, block: &Block) {
        let mut command = block.command.clone();
        if let Some(at) = &self.at {
            command = command.replace("2026-06-01T00:00:00Z", at);
        }
        command = format!("{command} {}", self.more.join(" "));
        let program = Path::new(env!("CARGO_BIN_EXE_attestation-verifier")).parent().unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(std::iter::once(program.to_owned()).chain(std::env::split_paths(&path)));
        let output = Command::new("bash")
            .args(["-euc", &command])
            .current_dir(self.dir.path())
            .env("PATH", path.unwrap())
            .output()
            .expect("bash runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        let wanted = match self.more.contains(&"--trust-root") {
            true => format!("{} (test root)", block.verdict),
            false => block.verdict.clone(),
        };
        assert_eq!(said.lines().next(), Some(wanted.as_str()), "{}: {command}\n{said}{complaint}", block.name);
        for (outcome, check) in &block.rows {
            let row = said.lines().find(|line| {
                let rest = line.trim_start().strip_prefix(outcome.as_str());
                rest.is_some_and(|rest| rest.split_whitespace().next() == Some(check))
            });
            assert!(row.is_some(), "{}: no line \"{outcome} {check}\" in\n{said}", block.name);
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// What Azure's metadata service answers on the machine of this report.
fn thim(report: &[u8], vek: &[u8], chain: &[&[u8]]) -> String {
    let certificate = |der: &[u8]| pem("CERTIFICATE", der);
    let chain: String = chain.iter().map(|der| certificate(der)).collect();
    let tcb: Vec<u8> = report[0x180..0x188].iter().rev().copied().collect();
    let tcbm = hex::encode_upper(tcb);
    let answer =
        json!({ "vcekCert": certificate(vek), "tcbm": tcbm, "certificateChain": chain, "cacheControl": "86400" });
    answer.to_string()
}

/// A host's certificate table with one entry.
fn table(guid: &str, der: &[u8]) -> Vec<u8> {
    let mut table = hex::decode(guid.replace('-', "")).unwrap();
    table.extend(48u32.to_le_bytes());
    table.extend(u32::try_from(der.len()).unwrap().to_le_bytes());
    table.extend([0; 24]);
    table.extend(der);
    table
}

const VLEK: &str = "a8074bc2-a25a-483e-aae6-39c045a0b8a1";

fn ours(path: &str) -> Vec<u8> {
    read(vectors().join(path))
}

/// REPORT_DATA of a report: what its owner had asked for.
fn nonce_of(report: &[u8]) -> &[u8] {
    &report[0x50..0x90]
}

fn azure() -> Evidence {
    let nonce = [0x5A; 64];
    let (ak, ek) = (QuoteKey::rsassa(&mut OsRng).unwrap(), QuoteKey::rsassa(&mut OsRng).unwrap());
    let claims = runtime_claims(&ak, Some(&ek), &nonce);
    let mut request: ReportRequest = chip().request(5, ClaimsHash::Sha256.report_data(claims.as_bytes()));
    request.signer = VekKind::Vcek;
    // Microsoft's key for confidential VMs, by which the preset knows its paravisor.
    request.id_key_digest = hex::decode(MICROSOFT).unwrap().try_into().unwrap();
    let report = chip().report(&request);
    // The registers are those that the committed log replays to.
    let pcrs = read_json(vectors().join("eventlog/made_uki_boot.pcrs.json"));
    let registers: Vec<(u8, [u8; 32])> = registers(&pcrs["sha256"]);
    let mut quote = QuoteRequest::new(nonce[..32].try_into().unwrap(), [0; 32]);
    quote.registers = registers;
    let quote = quote.attest(&ak);
    Evidence::new()
        .under(chip().ark())
        .file("nonce.bin", nonce)
        .file("hcl-report.bin", hcl_blob(&report, claims.as_bytes(), ClaimsHash::Sha256, None))
        .file("thim.json", thim(&report, chip().vcek(), &[chip().ask(), chip().ark()]))
        .file("quote.sig", ak.sign(&quote))
        .file("quote.msg", quote)
        .file("pcrs.txt", json!({ "sha256": pcrs["sha256"] }).to_string())
        .file("eventlog.bin", ours("eventlog/made_uki_boot.bin"))
}

const MICROSOFT: &str =
    "942fd93ebde6ea7a96efadeafc60f1c6b3d10e703b1dafd7555b92f7f3d32d0e006767648cba5b102af3d65756af4177";

fn registers(bank: &Value) -> Vec<(u8, [u8; 32])> {
    let values = bank.as_object().unwrap().iter().map(|(number, value)| {
        let value = hex::decode(value.as_str().unwrap()).unwrap();
        (number.parse().unwrap(), value.try_into().unwrap())
    });
    let mut values: Vec<(u8, [u8; 32])> = values.collect();
    values.sort_unstable();
    values
}

/// Evidence of our own for each block of the page.
fn synthetic(name: &str) -> Evidence {
    match name {
        // Of a machine that AMD vouches for: no test root.
        "first" => ["report_milan.bin", "vcek_milan.der"].into_iter().fold(Evidence::new(), |evidence, name| {
            let path = format!("tests/vectors/registry/sev-8.0.0/{name}");
            evidence.file(&path, ours(path.strip_prefix("tests/vectors/").unwrap()))
        }),
        "azure-report" | "azure-quote" => azure(),
        "gcp" => {
            let report = ours("hostile/reports/genoa-v3-auxblob.bin");
            Evidence::new()
                .under(&ours("hostile/genoa/ark.der"))
                .file("nonce.bin", nonce_of(&report))
                .file("auxblob.bin", ours("hostile/genoa/auxblob-der.bin"))
                .file("report.bin", report)
        }
        "aws" => {
            let report = ours("psp/reports/milan-v3-vlek.bin");
            Evidence::new()
                .under(&ours("psp/milan/ark.der"))
                .file("nonce.bin", nonce_of(&report))
                .file("auxblob.bin", table(VLEK, &ours("psp/milan/vlek.der")))
                // AMD hands the ASVK out with its root.
                .file(
                    "asvk.pem",
                    ["asvk", "ark"].map(|n| pem("CERTIFICATE", &ours(&format!("psp/milan/{n}.der")))).concat(),
                )
                .file("report.bin", report)
        }
        "baremetal" => {
            let report = ours("psp/reports/turin-v5.bin");
            let mut evidence = Evidence::new()
                .under(&ours("psp/turin/ark.der"))
                .file("nonce.bin", nonce_of(&report))
                .file("vcek.der", ours("psp/turin/vcek.der"))
                .file("ask.der", ours("psp/turin/ask.der"))
                .file("report.bin", report);
            // AMD's ASKs are compiled in, a test root's is not.
            evidence.more.extend(["--intermediate", "ask.der"]);
            evidence
        }
        "proof" => ["bundle.json", "payment.json"]
            .into_iter()
            .fold(Evidence::new().under(&ours("proofs/root.der")), |evidence, name| {
                evidence.file(name, ours(&format!("proofs/{name}")))
            })
            .file("proof.json", ours("proofs/pass_paid_call.json")),
        other => panic!("docs/VERIFYING.md has a block \"{other}\" that nothing here has evidence for"),
    }
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let blocks = blocks();
    for block in &blocks {
        synthetic(&block.name).run(block);
    }
    let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
    assert_eq!(names, ["first", "azure-report", "azure-quote", "gcp", "aws", "baremetal", "proof"]);
}

/// A machine of that cloud, if there is one in the extra set.
fn genuine(set: &Path, name: &str) -> Option<Evidence> {
    let case = match name {
        "azure-report" => "milan-v3-azure-a",
        "gcp" => "genoa-v3-configfs-tsm-auxblob",
        "aws" => "milan-v3-aws-vlek-vmpl1",
        "baremetal" => "milan-v3-oak-cb",
        _ => return None,
    };
    let file = |name: &str| read(set.join("reports").join(case).join(name));
    let (report, vek) = (file("report.bin"), file("vek.der"));
    let certificate = Certificate::parse(&vek).unwrap();
    let (product, _) = certificate.issued_by().unwrap();
    let mut evidence = Evidence::new().file("nonce.bin", nonce_of(&report));
    evidence.at = Some(clock::text(UnixSeconds(certificate.validity().0.0 + 30 * 86_400)));
    evidence = match name {
        "azure-report" => evidence
            .file("hcl-report.bin", file("hcl-report.bin"))
            .file("thim.json", thim(&report, &vek, &[roots::ask(product), roots::ark(product)])),
        "gcp" => evidence.file("auxblob.bin", file("auxblob.bin")),
        "aws" => {
            let asvk = read(set.join(format!("certs/{}-asvk.der", product.name().to_lowercase())));
            evidence
                .file("auxblob.bin", table(VLEK, &vek))
                .file("asvk.pem", pem("CERTIFICATE", &asvk) + &pem("CERTIFICATE", roots::ark(product)))
        }
        _ => evidence.file("vcek.der", &vek),
    };
    Some(evidence.file("report.bin", report))
}

#[test]
fn every_command_of_the_page_does_it_for_genuine_evidence_too() {
    let Some(folder) = std::env::var_os("SEALGATE_EXTRA_VECTORS") else {
        println!("SEALGATE_EXTRA_VECTORS is not set: the page was tried on evidence of our own only");
        return;
    };
    let set = PathBuf::from(folder).join("snp");
    let mut ran = 0;
    for block in &blocks() {
        if let Some(evidence) = genuine(&set, &block.name) {
            evidence.run(block);
            ran += 1;
        }
    }
    assert_eq!(ran, 4);
}

#[test]
fn every_cell_of_the_comparison_names_a_test_that_is_there() {
    let page = page("COMPARISON.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .skip_while(|line| !line.starts_with("| what |"))
        .skip(2)
        .take_while(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 40, "{} rows were read", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        let (what, us) = (row[0], row[1]);
        let names: Vec<&str> = us.split('`').skip(1).step_by(2).collect();
        // What we do not do needs no test, what we do needs one.
        if names.is_empty() != us.starts_with('-') {
            wrong.push(format!("{what}: {us}"));
        }
        wrong.extend(names.into_iter().filter(|name| !exists(name)).map(|name| format!("{what}: no test {name}")));
        if row.len() != 15 {
            wrong.push(format!("{what}: {} cells", row.len()));
        }
        for other in &row[2..] {
            if !["Y", "p", "-"].contains(other) {
                wrong.push(format!("{what}: \"{other}\""));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/COMPARISON.md:\n{}", wrong.join("\n"));
}

/// Whether `path/file.rs::name` is a test; a path without a slash is of this folder.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else { return false };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = if file.contains('/') { root.join("..").join(file) } else { root.join("tests").join(file) };
    let Ok(text) = fs::read_to_string(path) else { return false };
    if file.ends_with(".mjs") {
        return text.contains(&format!("test(\"{name}\""));
    }
    let lines: Vec<&str> = text.lines().collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        let mut above = lines[..at].iter().rev().take_while(|line| !line.is_empty());
        line.contains(&head) && above.any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    })
}
