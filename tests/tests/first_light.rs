//! One call through everything, its proof, and a stranger with nothing but files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, path::Path};

use sealgate_tests::{Answer, Client, Gateway, Judged, Saved};
use serde_json::{Value, json};

#[test]
fn a_stranger_verifies_a_call_over_mcp_from_files_after_the_gateway_has_stopped() {
    let mut gateway = Gateway::start();
    let client = gateway.anonymous();
    let challenge = "c0ffee".repeat(10);
    let request = json!({"jsonrpc": "2.0", "id": "first", "method": "tools/call", "params": {
        "name": "echo", "arguments": {"message": "hello"}, "_meta": {"io.sealgate/challenge": challenge}}});
    let (answer, proof) = client.proven(&gateway.endpoint("everything"), &request);
    assert_eq!(answer.json()["id"], "first");
    assert_eq!(answer.json()["result"]["content"][0]["text"], "Echo: hello");
    assert_eq!(proof["proof"]["execution"]["challenge"], challenge);
    assert_eq!(proof["proof"]["execution"]["isError"], false);
    assert_eq!(proof["proof"]["signature"]["keySource"], "tpm-sealed");
    let saved = save(&gateway, "mcp", &request, &answer, &proof);
    let root = gateway.test_root();

    gateway_judges(&client, &saved);
    let first_core = proof["proof"]["core"].clone();
    gateway.stop();
    assert!(gateway.containers().is_empty(), "no container outlives its gateway");
    stranger_judges(&saved, &root);

    // The same machine after a restart: another core, so its evidence does not carry this proof.
    gateway.serve().unwrap();
    let client = gateway.anonymous();
    let other = client.get("/api/attestation/bundle").body;
    let other = saved.put("other-boot.json", &other);
    rejected(&saved.judge(Some(&root), &[("bundle.json", &other)]), &[6, 7], "evidence of another boot");
    let (_, second) = client.proven(&gateway.endpoint("everything"), &request);
    assert_ne!(second["proof"]["core"], first_core);
    let second = saved.put("second.json", second.to_string().as_bytes());
    rejected(&saved.judge(Some(&root), &[("proof.json", &second)]), &[7], "a proof of another boot");
    let said = client.post("/api/verify", &saved.proof()).json();
    assert_eq!(said["verdict"], "rejected", "a gateway does not take a proof of an earlier boot for its own: {said}");
}

#[test]
fn a_call_over_rest_a_failed_tool_and_rewritten_arguments_are_proven_alike() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let root = gateway.test_root();
    let id = gateway.id("everything");

    // REST: the body is the argument object, the proof stands beside the content.
    let arguments = json!({"a": 2, "b": 40});
    let challenge = "00".repeat(64);
    let answer =
        client.with("sealgate-challenge", &challenge).post(&format!("/api/servers/{id}/tools/get-sum"), &arguments);
    assert_eq!(answer.status, 200);
    let proof = answer.json()["proof"].clone();
    assert!(answer.json()["content"][0]["text"].as_str().unwrap().contains("42"), "{}", answer.json());
    assert_eq!(proof["proof"]["execution"]["challenge"], challenge);
    let saved = save(&gateway, "rest", &arguments, &answer, &proof);
    accepted(&saved.judge(Some(&root), &[]));
    gateway_judges(&client, &saved);

    // Another spelling of the same arguments opens the same proof; other arguments do not.
    let same = saved.put("same.json", br#"{ "b": 4.0e1, "a": 2.0 }"#);
    accepted(&saved.judge(Some(&root), &[("request.json", &same)]));
    let other = saved.put("other.json", br#"{"a":40,"b":2}"#);
    rejected(&saved.judge(Some(&root), &[("request.json", &other)]), &[7], "swapped arguments");

    // A tool that fails: its error is an answer like any other, and is proven.
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "get-sum", "arguments": {"a": "two", "b": []}}});
    let (answer, proof) = client.proven(&gateway.endpoint("everything"), &request);
    assert_eq!(answer.json()["result"]["isError"], true);
    assert_eq!(proof["proof"]["execution"]["isError"], true);
    let saved = save(&gateway, "error", &request, &answer, &proof);
    accepted(&saved.judge(Some(&root), &[]));
    let mut denied = answer.json();
    denied["result"]["isError"] = json!(false);
    let denied = saved.put("denied.json", denied.to_string().as_bytes());
    rejected(&saved.judge(Some(&root), &[("answer.json", &denied)]), &[7], "a failure told as a success");

    // The gateway keeps the proof, not what opens it.
    let kept = client.get(&format!("/api/proofs/{}", proof["proof"]["id"].as_str().unwrap()));
    assert_eq!(kept.status, 200);
    assert_eq!(kept.json()["proof"], proof["proof"]);
    assert!(kept.json().get("opening").is_none(), "only the caller can open a proof");
    assert_eq!(client.get(&format!("/api/proofs/{}", "0".repeat(64))).status, 404);
    for bad in ["xyz".to_owned(), "0".repeat(63), "0".repeat(66)] {
        let answer = client.get(&format!("/api/proofs/{bad}"));
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("BAD_ID")));
    }
}

#[test]
fn arguments_and_answers_pass_unchanged() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let endpoint = gateway.endpoint("everything");
    for message in [
        "",
        "\u{0}\u{1}\t\n\r\u{7f}\"\\\\/",
        "e\u{301} \u{e9} \u{2028}\u{2029} \u{1f980} \u{10ffff} \u{feff}",
        "{\"jsonrpc\":\"2.0\",\"id\":1}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}",
        &"x".repeat(90_000),
    ] {
        let result = client.call(&endpoint, "echo", json!({"message": message}));
        assert_eq!(result["content"][0]["text"], format!("Echo: {message}"));
    }
    // Numbers as they were written: JavaScript's own rounding is the only one.
    let id = gateway.id("everything");
    let path = format!("/api/servers/{id}/tools/get-sum");
    for (body, sum) in [
        (r#"{"a":0.1,"b":0.2}"#, "0.30000000000000004"),
        (r#"{"a":9007199254740993,"b":0}"#, "9007199254740992"),
        (r#"{"a":1e300,"b":-1E+300}"#, "0"),
        (r#"{"b":1.50,"a":-0.0}"#, "1.5"),
    ] {
        let answer = client.send("POST", &path, Some("application/json"), body.as_bytes()).json();
        let text = answer["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(text.contains(&format!(" is {sum}")), "{body}: {text}");
    }
}

/// `POST /api/verify` of the gateway that made the proof: it alone knows the key of the HMAC.
fn gateway_judges(client: &Client, saved: &Saved) {
    let verdict = |envelope: &Value| client.post("/api/verify", envelope).json();
    let good = verdict(&saved.proof());
    assert_eq!(good["verdict"], "accepted (test root)", "{good}");
    assert_eq!(outcome(&good, "hmac"), "pass");
    let nonce = "5e".repeat(16);
    let whole = json!({"envelope": saved.proof(), "nonce": nonce, "request": file(saved, "request.json"),
        "response": file(saved, "answer.json")});
    let good = verdict(&whole);
    assert_eq!(good["verdict"], "accepted (test root)", "{good}");
    assert_eq!((outcome(&good, "request"), outcome(&good, "response")), ("pass".into(), "pass".into()));
    assert_eq!(good["signed"]["nonce"], nonce);
    for path in ["signature/value", "publicSignature/value", "execution/responseHash"] {
        let bad = verdict(&flipped(&saved.proof(), path));
        assert_eq!(bad["verdict"], "rejected", "{path}: {bad}");
    }
}

/// `attestation-verifier proof` over files, and over files that somebody touched.
fn stranger_judges(saved: &Saved, root: &Path) {
    accepted(&saved.judge(Some(root), &[]));
    let unnamed = saved.judge(None, &[]);
    assert_eq!(unnamed.code, 3, "a root that nobody named is not trusted: {}", unnamed.said);
    for path in [
        "id",
        "core",
        "state",
        "epoch",
        "gateway/codeHash",
        "gateway/instance",
        "gateway/reportSha256",
        "gateway/teeEnabled",
        "server/id",
        "server/packageAttestation/integrity/registryDigest",
        "server/packageAttestation/integrity/lockDigest",
        "server/imageDigest",
        "execution/tool",
        "execution/requestHash",
        "execution/responseHash",
        "execution/isError",
        "execution/timestamp",
        "execution/durationMs",
        "execution/challenge",
        "publicSignature/value",
    ] {
        let name = format!("{}.json", path.replace('/', "-"));
        let changed = saved.put(&name, flipped(&saved.proof(), path).to_string().as_bytes());
        rejected(&saved.judge(Some(root), &[("proof.json", &changed)]), &[7], path);
    }
    // The HMAC's key is secret until its epoch ends: a stranger checks its public twin, and the verdict says so.
    let changed = saved.put("hmac.json", flipped(&saved.proof(), "signature/value").to_string().as_bytes());
    let judged = saved.judge(Some(root), &[("proof.json", &changed)]);
    assert_eq!(judged.code, 0, "{}", judged.said);
    assert!(judged.said.contains("not checked  hmac") && judged.said.contains("hmac-not-revealed"), "{}", judged.said);

    for (name, from, to) in [("answer.json", "Echo: hello", "Echo: hallo"), ("request.json", "\"hello\"", "\"hallo\"")]
    {
        let text = fs::read_to_string(saved.path(name)).unwrap();
        assert!(text.contains(from));
        let changed = saved.put(&format!("changed-{name}"), text.replace(from, to).as_bytes());
        rejected(&saved.judge(Some(root), &[(name, &changed)]), &[7], name);
    }
    for (name, bytes) in [("proof.json", &b""[..]), ("bundle.json", b"{}"), ("proof.json", b"{\"proof\":{}}")] {
        let broken = saved.put("broken", bytes);
        rejected(&saved.judge(Some(root), &[(name, &broken)]), &[2], "what is no evidence");
    }
    rejected(&saved.judge(Some(root), &[("bundle.json", "/nowhere/bundle.json")]), &[1], "a file that is not there");
}

fn save(gateway: &Gateway, name: &str, request: &Value, answer: &Answer, proof: &Value) -> Saved {
    let bundle = gateway.anonymous().get("/api/attestation/bundle").body;
    Saved::new(&gateway.directory().join(name), request, &answer.body, proof, &bundle)
}

fn file(saved: &Saved, name: &str) -> Value {
    serde_json::from_slice(&fs::read(saved.path(name)).unwrap()).unwrap()
}

/// The envelope with one character, digit or truth value of `proof/<path>` changed.
fn flipped(envelope: &Value, path: &str) -> Value {
    let mut envelope = envelope.clone();
    let at = envelope.pointer_mut(&format!("/proof/{path}")).unwrap_or_else(|| panic!("no {path}"));
    *at = match at.take() {
        Value::Bool(yes) => json!(!yes),
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::String(text) => {
            let other = if text.ends_with('0') { "1" } else { "0" };
            json!(format!("{}{other}", &text[..text.len() - 1]))
        }
        other => panic!("{path}: {other}"),
    };
    envelope
}

fn outcome(verdict: &Value, check: &str) -> String {
    let checks = verdict["checks"].as_array().unwrap();
    let found = checks.iter().find(|c| c["name"] == check).unwrap_or_else(|| panic!("no check {check}: {verdict}"));
    found["outcome"].as_str().unwrap().to_owned()
}

fn accepted(judged: &Judged) {
    assert_eq!(judged.code, 0, "{}", judged.said);
    assert!(judged.said.starts_with("accepted (test root)"), "{}", judged.said);
}

fn rejected(judged: &Judged, codes: &[i32], what: &str) {
    assert!(codes.contains(&judged.code), "{what}: exit {}\n{}", judged.code, judged.said);
    assert!(!judged.said.contains("\naccepted") && !judged.said.starts_with("accepted"), "{what}: {}", judged.said);
}
