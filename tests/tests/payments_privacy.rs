//! Who paid is between payer, chain and gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sealgate_tests::{
    Paying, Settings, text,
    wallet::{Terms, header},
};
use serde_json::json;

#[test]
fn who_paid_is_written_down_nowhere_and_told_to_nobody_else() {
    let settings = Settings { log: "debug".to_owned(), ..Settings::default() };
    let mut paying = Paying::with("", settings);
    let payer = paying.payer();
    let client = payer.login(&paying.gateway);
    let terms = Terms::new(&paying.payee);
    let payment = payer.pay(&paying.offer(), &terms);
    let paid = client
        .with("payment-signature", &header(&payment))
        .post(&paying.path("echo"), &json!({"message": "between us"}));
    assert_eq!(paid.status, 200, "{}", text(&paid));
    // A refused one and a failed one too: errors are where such things slip out.
    let late = payer.pay(&paying.offer(), &Terms { valid_before: 1, ..Terms::new(&paying.payee) });
    assert_eq!(client.with("x-payment", &header(&late)).post(&paying.path("echo"), &json!({})).status, 402);
    let failed = paying.payment(&payer);
    client.with("x-payment", &header(&failed)).post(&paying.path("get-sum"), &json!({"a": "x", "b": []}));

    let address = payer.address();
    let bare = address.trim_start_matches("0x").to_owned();
    let signature = payment["payload"]["signature"].as_str().unwrap().trim_start_matches("0x").to_owned();
    let raw = |text: &str| hex::decode(text).unwrap();
    // Bytes as Rust's `Debug` shows them.
    let listed = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).as_bytes().to_vec();
    let hidden: Vec<Vec<u8>> = vec![
        listed(&raw(&bare)),
        listed(&raw(&signature)[..16]),
        listed(&terms.nonce),
        bare.clone().into_bytes(),
        bare.to_lowercase().into_bytes(),
        raw(&bare),
        signature.clone().into_bytes(),
        raw(&signature),
        raw(&signature)[..32].to_vec(),
        hex::encode(terms.nonce).into_bytes(),
        terms.nonce.to_vec(),
        header(&payment).into_bytes(),
        STANDARD.encode(terms.nonce).into_bytes(),
        b"between us".to_vec(),
    ];
    let shows = |bytes: &[u8]| hidden.iter().position(|secret| bytes.windows(secret.len()).any(|part| part == secret));
    let stranger = paying.gateway.anonymous();
    let id = paid.json()["proof"]["proof"]["id"].as_str().unwrap().to_owned();
    for path in [
        &format!("/api/proofs/{id}"),
        "/health",
        "/api/attestation/bundle",
        "/api/attestation/report",
        "/api/attestation/security",
        "/api/payments/config",
        "/api/servers",
        "/metrics",
    ] {
        let answer = stranger.get(path);
        assert_eq!(shows(&answer.body), None, "{path}: {}", text(&answer));
        assert!(answer.status == 200 || path == "/metrics", "{path}: {}", text(&answer));
    }
    let kept = stranger.get(&format!("/api/proofs/{id}")).json();
    assert!(kept.get("opening").is_none() && kept.get("settlement").is_none(), "{kept}");

    // While it runs, with its write-ahead log, and after it has ended.
    let journal = fs::read_dir(paying.gateway.state())
        .unwrap()
        .flatten()
        .any(|e| e.file_name().to_string_lossy().ends_with("-wal") && e.metadata().unwrap().len() > 0);
    assert!(journal, "the journal is in use");
    nothing_in(&paying.gateway.state(), &shows);
    paying.gateway.stop();
    nothing_in(&paying.gateway.state(), &shows);
    let log = paying.gateway.log();
    assert!(log.contains("DEBUG"));
    assert_eq!(log.lines().find(|line| shows(line.as_bytes()).is_some()), None);
}

fn nothing_in(place: &Path, shows: &impl Fn(&[u8]) -> Option<usize>) {
    for entry in fs::read_dir(place).unwrap().flatten() {
        // npm's packages are nobody's secret, and many.
        if entry.file_type().unwrap().is_dir() && entry.file_name() != "servers" {
            nothing_in(&entry.path(), shows);
        } else if entry.file_type().unwrap().is_file() {
            let found = shows(&fs::read(entry.path()).unwrap());
            assert_eq!(found, None, "{}", entry.path().display());
        }
    }
}
