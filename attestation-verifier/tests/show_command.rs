//! `show`: every kind of file is taken apart, and nothing is vouched for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "a test reads and writes files")]

mod common;

use std::process::{Command, Output};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{read, vectors};
use serde_json::Value;

fn show(bytes: &[u8], more: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"));
    command.arg("show").arg(&path).args(more).output().unwrap()
}

/// The JSON of a file, and the first line for people.
fn shown(bytes: &[u8]) -> (Value, String) {
    let (json, text) = (show(bytes, &["--json"]), show(bytes, &[]));
    assert_eq!((json.status.code(), text.status.code()), (Some(0), Some(0)), "{json:?}");
    let text = String::from_utf8(text.stdout).unwrap();
    (serde_json::from_slice(&json.stdout).unwrap(), text.lines().next().unwrap().to_owned())
}

fn value<'v>(json: &'v Value, part: usize, name: &str) -> &'v str {
    let fields = json["parts"][part]["fields"].as_array().unwrap();
    fields.iter().find(|field| field["name"] == name).and_then(|field| field["value"].as_str()).unwrap_or("absent")
}

fn registry(path: &str) -> Vec<u8> {
    read(vectors().join("registry").join(path))
}

#[test]
fn every_kind_of_file_is_shown_and_none_is_vouched_for() {
    let report = registry("sev-8.0.0/report_milan.bin");
    let vcek = registry("sev-8.0.0/vcek_milan.der");
    let chain = registry("sev-8.0.0/cert_chain_milan");
    let mut response = vec![0; 4000];
    response[4..8].copy_from_slice(&1184_u32.to_le_bytes());
    response[32..32 + 1184].copy_from_slice(&report);
    let mut table = hex::decode("63da758de6644564adc5f4b93be8accd").unwrap();
    table.extend(48_u32.to_le_bytes());
    table.extend(u32::try_from(vcek.len()).unwrap().to_le_bytes());
    table.extend([0; 24]);
    table.extend(&vcek);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(&vcek));
    let chain_text = String::from_utf8(chain.clone()).unwrap();
    let thim = serde_json::json!({ "vcekCert": pem, "tcbm": "7308000000000003", "certificateChain": chain_text });
    let crl = read(vectors().join("psp/milan/revokes-ask.crl"));
    for (bytes, kind, part, name, expected) in [
        (report, "report", 0, "VERSION", "2"),
        (response, "response of the guest driver", 1, "POLICY", "0x30000"),
        (registry("az-snp-vtpm-0.8.2/hcl-report-snp.bin"), "Azure HCL blob", 1, "VMPL", "0x0"),
        (vcek, "DER", 0, "subject", "SEV-VCEK"),
        (chain, "PEM", 0, "subject", "SEV-Milan"),
        (table, "certificate table of the host", 0, "kind", "VCEK"),
        (thim.to_string().into_bytes(), "THIM answer of Azure", 1, "pinned", "AMD's ASK of Milan"),
        (crl, "DER", 0, "revoked serial", "010001"),
    ] {
        let (json, line) = shown(&bytes);
        assert_eq!(json["kind"], kind);
        assert_eq!(json["vouchedFor"], false, "{kind}");
        assert!(line.contains("nothing below is vouched for"), "{line}");
        assert_eq!(value(&json, part, name), expected, "{kind}: {json:#}");
    }
}

#[test]
fn a_report_that_no_verifier_would_take_is_shown_all_the_same() {
    let mut report = registry("sev-8.0.0/report_milan.bin");
    report[0] = 9;
    report[0x0B] = 0xFF;
    report[0x4C] = 1;
    report[0x49F] = 1;
    let (json, _) = shown(&report);
    assert_eq!(value(&json, 0, "VERSION"), "9");
    assert!(json.to_string().contains("reserved bits above 25 are set"));
}

#[test]
fn what_is_none_of_them_is_malformed() {
    for bytes in [&b""[..], b"hello", b"{}", b"-----BEGIN CERTIFICATE-----", &[0x30, 0x82], b"HCLA", &[2; 1183]] {
        let output = show(bytes, &[]);
        assert_eq!(output.status.code(), Some(2), "{bytes:?}");
        assert!(output.stdout.is_empty() && String::from_utf8(output.stderr).unwrap().contains("fix:"), "{bytes:?}");
    }
}
