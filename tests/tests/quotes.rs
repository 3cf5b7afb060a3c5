//! Quotes of the TPM: each boot's evidence carries one, nonces are answered by others, and a gateway that came too late
//! to close its register shows none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{Gateway, Judged, verify};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const NONCE: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// No server: these scenarios are about the machine under one.
fn gateway() -> Gateway {
    Gateway::serving("")
}

fn bundle(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.anonymous().get(&format!("/api/attestation/bundle{query}"));
    assert_eq!(answer.status, 200, "{}", answer.json());
    answer.json()
}

/// The verifier's verdict under the gateway's own test root, as JSON.
fn judged(gateway: &Gateway, bundle: &Value, more: &[&str]) -> (Judged, Value) {
    let file = gateway.directory().join("judged.json");
    fs::write(&file, bundle.to_string()).unwrap();
    let (file, root) = (file.display().to_string(), gateway.test_root().display().to_string());
    let arguments = [&["bundle", &file, "--trust-root", &root, "--json"], more].concat();
    let judged = verify(&arguments);
    // A note on the clock follows the verdict.
    let json = serde_json::Deserializer::from_str(&judged.said).into_iter().next();
    let json = json.and_then(Result::ok).unwrap_or_else(|| panic!("no verdict: {}", judged.said));
    (judged, json)
}

fn row<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let rows = verdict["checks"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no row {name} in {verdict}"))
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

fn register(quote: &Value, pcr: u64) -> &str {
    let registers = quote["pcrs"].as_array().unwrap();
    registers.iter().find(|entry| entry["pcr"] == pcr).unwrap()["sha256"].as_str().unwrap()
}

#[test]
fn the_quote_of_a_boot_names_its_core_and_the_tools_of_the_tpm_agree() {
    let gateway = gateway();
    let bundle = bundle(&gateway, "");
    let (verdict, rows) = judged(&gateway, &bundle, &[]);
    assert_eq!((verdict.code, rows["verdict"].as_str()), (0, Some("accepted (test root)")), "{}", verdict.said);
    for name in ["quote", "pcrs", "vtpm"] {
        assert_eq!(row(&rows, name)["outcome"], "pass", "{}", verdict.said);
    }
    assert_eq!(rows["grade"], "none", "a TPM in software vouches for nothing");

    // Register 15 holds the core's digest and nothing else.
    let core = decoded(&bundle["core"]);
    let summary = gateway.anonymous().get("/api/attestation").json();
    let c = hex::decode(summary["core"].as_str().unwrap()).unwrap();
    let closed = hex::encode(Sha256::digest([[0; 32].to_vec(), c].concat()));
    assert_eq!(register(&bundle["quote"], 15), closed);

    // Tools that share no line with us verify the same quote with the key that the core names.
    let core: Value = serde_json::from_slice(&core).unwrap();
    let dir = gateway.directory();
    let put = |name: &str, bytes: &[u8]| {
        fs::write(dir.join(name), bytes).unwrap();
        dir.join(name).display().to_string()
    };
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        core["vtpm"]["akSpki"]
            .as_str()
            .unwrap()
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line))
            .collect::<Vec<_>>()
            .join("\n")
    );
    let (key, attest) = (put("ak.pem", pem.as_bytes()), put("quote.msg", &decoded(&bundle["quote"]["attest"])));
    let signature = put("quote.sig", &decoded(&bundle["quote"]["signature"]));
    // What the quote was asked with: magic, type, the signer's name, then it, each behind its length.
    let bytes = decoded(&bundle["quote"]["attest"]);
    let length = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let asked = 6 + 2 + length(6);
    let qualifying = hex::encode(&bytes[asked + 2..asked + 2 + length(asked)]);
    assert_eq!(qualifying.len(), 64, "Q has 32 bytes");
    let check = |message: &str| {
        std::process::Command::new("tpm2_checkquote")
            .args(["-u", &key, "-m", message, "-s", &signature, "-g", "sha256", "-q", &qualifying])
            .output()
            .expect("tpm2-tools are here")
    };
    let checked = check(&attest);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    let mut other = decoded(&bundle["quote"]["attest"]);
    *other.last_mut().unwrap() ^= 1;
    assert!(!check(&put("other.msg", &other)).status.success());
}

#[test]
fn a_nonce_is_answered_by_a_quote_of_the_registers_as_they_are_now() {
    let gateway = gateway();
    let before = bundle(&gateway, &format!("?nonce={NONCE}"));
    let (verdict, rows) = judged(&gateway, &before, &["--nonce", NONCE]);
    assert_eq!((verdict.code, row(&rows, "fresh")["outcome"].as_str()), (0, Some("pass")), "{}", verdict.said);
    assert_ne!(before["fresh"]["quote"]["attest"], before["quote"]["attest"]);

    // The quote of another answer does not answer this one.
    let other = bundle(&gateway, &format!("?nonce={}", NONCE.replace('5', "6")));
    let mut moved = before.clone();
    moved["fresh"]["quote"] = other["fresh"]["quote"].clone();
    let (verdict, rows) = judged(&gateway, &moved, &["--nonce", NONCE]);
    assert_eq!((verdict.code, row(&rows, "fresh")["outcome"].as_str()), (6, Some("fail")), "{}", verdict.said);

    // Something is measured while the gateway runs: the next quote shows it.
    let event = "ab".repeat(32);
    gateway.tpm.tool("tpm2_pcrextend", &[&format!("14:sha256={event}")]);
    let after = bundle(&gateway, &format!("?nonce={NONCE}"));
    assert_ne!(register(&after["fresh"]["quote"], 14), register(&after["quote"], 14));
    let extended = [[0; 32].to_vec(), hex::decode(&event).unwrap()].concat();
    assert_eq!(register(&after["fresh"]["quote"], 14), hex::encode(Sha256::digest(extended)));
}

#[test]
fn a_gateway_that_starts_again_without_a_reboot_shows_no_quote_and_says_why() {
    let mut gateway = gateway();
    assert!(bundle(&gateway, "")["quote"].is_object());
    gateway.stop();
    gateway.serve().unwrap();
    assert!(gateway.log().contains("PCR 15 is not zero"), "{}", gateway.log());
    let again = bundle(&gateway, &format!("?nonce={NONCE}"));
    assert!(again["quote"].is_null() && again["fresh"]["quote"].is_null() && again["fresh"]["report"].is_string());
    let security = gateway.anonymous().get("/api/attestation/security").json();
    assert_eq!(security["tpm"]["quotes"], false);
    let (verdict, rows) = judged(&gateway, &again, &["--nonce", NONCE]);
    assert_eq!(verdict.code, 0, "{}", verdict.said);
    assert!(rows["notProven"].as_array().unwrap().iter().any(|code| code == "code-unknown"), "{rows}");

    gateway.stop();
    gateway.tpm.reboot();
    gateway.serve().unwrap();
    assert!(bundle(&gateway, "")["quote"].is_object());
}
