//! JSON with a key twice reads differently in different programs: whoever signs one may show the other. So no document is
//! read that has one, at whatever depth, whichever of the two comes first.
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

use std::sync::OnceLock;

use attestation_verifier::registers;
use boot::{ARGUMENTS, Asked, Boot, NONCE, accepted, claim, judge_bytes, rejected_by, result, terms};
use common::{read_json, vectors};
use serde_json::Value;

/// The document once more for each of its keys, with this key twice: the second time with the same value, and with null.
fn doubled(document: &Value) -> Vec<(String, String)> {
    let mut count = 0;
    let whole = written(document, &mut count, None, "");
    assert_eq!(serde_json::from_str::<Value>(&whole).unwrap(), *document);
    let mut texts = Vec::new();
    for key in 0..count {
        for again in [None, Some("null"), Some("{}")] {
            let mut seen = 0;
            let text = written(document, &mut seen, Some((key, again)), "");
            texts.push((format!("key {key}, then {}", again.unwrap_or("the same")), text));
        }
    }
    texts
}

/// Writes a value; `seen` counts keys on the way.
fn written(value: &Value, seen: &mut usize, double: Option<(usize, Option<&str>)>, comma: &str) -> String {
    match value {
        Value::Object(members) => {
            let mut text = format!("{comma}{{");
            for (at, (key, value)) in members.iter().enumerate() {
                let mine = *seen;
                *seen += 1;
                let key = Value::String(key.clone());
                let value = written(value, seen, double, "");
                text.push_str(&format!("{}{key}:{value}", if at == 0 { "" } else { "," }));
                if let Some((_, again)) = double.filter(|(wanted, _)| *wanted == mine) {
                    text.push_str(&format!(",{key}:{}", again.unwrap_or(&value)));
                }
            }
            text + "}"
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, seen, double, "")).collect();
            format!("{comma}[{}]", items.join(","))
        }
        other => format!("{comma}{other}"),
    }
}

/// A paid call's proof with its bundle.
fn asked() -> &'static Asked {
    static ASKED: OnceLock<Asked> = OnceLock::new();
    ASKED.get_or_init(|| {
        let boot = Boot::new();
        let bundle = boot.bundle();
        let mut body = boot.body(&bundle, &result());
        body.payment = Some(claim(&terms()));
        let envelope = boot.envelope(body).to_value().to_text().into_bytes();
        Asked { envelope, bundle: bundle.to_bytes().unwrap(), ..Asked::default() }
    })
}

fn tree(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn no_bundle_with_a_key_twice_is_read() {
    let document = tree(&asked().bundle);
    accepted(&judge_bytes(document.to_string().as_bytes(), Some(&NONCE)).verdict);
    let texts = doubled(&document);
    assert!(texts.len() >= 60, "{}", texts.len());
    for (what, text) in &texts {
        let verdict = judge_bytes(text.as_bytes(), Some(&NONCE)).verdict;
        assert_eq!(verdict.exit_code(), 2, "{what}");
        rejected_by(&verdict, 2, "bundle");
    }
    println!("{} bundles", texts.len());
}

#[test]
fn no_proof_with_a_key_twice_is_read() {
    let document = tree(&asked().envelope);
    let judge = |text: &str| Asked { envelope: text.as_bytes().to_vec(), ..asked().clone() }.judge();
    accepted(&judge(&document.to_string()));
    let texts = doubled(&document);
    assert!(texts.len() >= 60, "{}", texts.len());
    for (what, text) in &texts {
        let verdict = judge(text);
        assert_eq!(verdict.exit_code(), 2, "{what}");
        rejected_by(&verdict, 2, "proof");
    }
    println!("{} proofs", texts.len());
}

#[test]
fn no_payment_with_a_key_twice_counts() {
    let document = tree(&terms().to_bytes().unwrap());
    let judge = |text: &str| Asked { payment: Some(text.to_owned()), ..asked().clone() }.judge();
    accepted(&judge(&document.to_string()));
    for (what, text) in doubled(&document) {
        let verdict = judge(&text);
        assert_ne!(verdict.exit_code(), 0, "{what}");
        assert_eq!(verdict.check("payment").map(|check| check.outcome.name()), Some("fail"), "{what}");
    }
}

#[test]
fn no_request_and_no_answer_with_a_key_twice_count() {
    // The call as a message, with the challenge that the proof repeats.
    let request = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{ARGUMENTS},
            "_meta":{{"io.sealgate/challenge":"{}"}}}}}}"#,
        hex::encode(boot::CHALLENGE)
    );
    let ask = |request: &str| Asked { request: Some(request.to_owned()), ..asked().clone() }.judge();
    accepted(&ask(&request));
    for (what, text) in doubled(&tree(request.as_bytes())) {
        assert_ne!(ask(&text).exit_code(), 0, "request, {what}");
    }
    let answer = |text: &str| Asked { response: Some(text.to_owned()), ..asked().clone() }.judge();
    accepted(&answer(boot::RESULT));
    for (what, text) in doubled(&tree(boot::RESULT.as_bytes())) {
        assert_ne!(answer(&text).exit_code(), 0, "answer, {what}");
    }
}

#[test]
fn no_registers_with_a_key_twice_are_read() {
    let document = read_json(vectors().join("eventlog/made_uki_boot.pcrs.json"));
    assert!(registers(document.to_string().as_bytes()).is_ok());
    for (what, text) in doubled(&document) {
        assert!(registers(text.as_bytes()).is_err(), "{what}");
    }
}
