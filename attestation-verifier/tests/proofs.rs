//! Proofs of one call: accepted with the bundle of its boot, and everything else gives 7.
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

use attestation_verifier::{NotProven, Verdict};
use boot::{ARGUMENTS, Asked, Boot, CHALLENGE, RESULT, accepted, core, key, outcome, rejected_by, result, sign, tree};
use evidence::{
    Opened, ResultObject,
    core::Platform,
    proof::{Envelope, ProofBody, proof_message},
};

fn text(envelope: &Envelope) -> Vec<u8> {
    envelope.to_value().to_text().into_bytes()
}

/// The call's proof and bundle, the body changed before it was signed.
fn asked_of(result: &ResultObject, change: impl FnOnce(&mut ProofBody, &Boot)) -> Asked {
    let boot = Boot::new();
    let bundle = boot.bundle();
    let mut body = boot.body(&bundle, result);
    change(&mut body, &boot);
    Asked { envelope: text(&boot.envelope(body)), bundle: bundle.to_bytes().unwrap(), ..Asked::default() }
}

fn asked() -> Asked {
    asked_of(&result(), |_, _| {})
}

fn with_request(request: &str) -> Verdict {
    Asked { request: Some(request.to_owned()), ..asked() }.judge()
}

fn with_response(response: &str) -> Verdict {
    Asked { response: Some(response.to_owned()), ..asked() }.judge()
}

fn message(name: &str, arguments: &str, meta: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}{meta}}}}}"#
    )
}

#[test]
fn a_proof_is_accepted_with_the_bundle_of_its_boot() {
    let verdict = asked().judge();
    accepted(&verdict);
    for (name, wanted) in [
        ("proof", "pass"),
        ("claims", "pass"),
        ("server", "not_checked"),
        ("hmac", "not_checked"),
        ("request", "not_checked"),
        ("response", "not_checked"),
        ("challenge", "not_checked"),
    ] {
        assert_eq!(outcome(&verdict, name), wanted, "{name}");
    }
    for code in [NotProven::HmacNotRevealed, NotProven::NoChallenge, NotProven::PackageBehaviour, NotProven::ToolTruth]
    {
        assert!(verdict.not_proven.contains(&code), "{code:?}");
    }
    assert_eq!(verdict.times.claimed.map(|at| at.0), Some(1_772_323_199));
}

#[test]
fn every_claim_that_disagrees_with_the_evidence_gives_7_though_it_is_signed() {
    type Change = fn(&mut ProofBody, &Boot);
    let changes: [(&str, Change); 12] = [
        ("proof.core", |body, _| body.core = [9; 32]),
        ("proof.state", |body, _| body.state = [9; 32]),
        ("proof.state", |body, boot| body.state = boot.c),
        ("proof.gateway.codeHash", |body, _| body.gateway.code_hash = Some([9; 32])),
        ("proof.gateway.codeHash", |body, _| body.gateway.code_hash = None),
        ("proof.gateway.gitCommit", |body, _| body.gateway.git_commit = Some([9; 20])),
        ("proof.gateway.gitCommit", |body, _| body.gateway.git_commit = None),
        ("proof.gateway.platform", |body, _| body.gateway.platform = Platform::Baremetal),
        ("proof.gateway.instance", |body, _| body.gateway.instance = [9; 32]),
        ("proof.gateway.reportSha256", |body, _| body.gateway.report_sha256 = [9; 32]),
        ("proof.gateway.teeEnabled", |body, _| body.gateway.tee_enabled = true),
        ("proof.core", |body, boot| (body.core, body.state) = (boot.heads[0], boot.c)),
    ];
    for (field, change) in changes {
        let verdict = asked_of(&result(), change).judge();
        rejected_by(&verdict, 7, "claims");
        assert!(verdict.check("claims").unwrap().detail.starts_with(field), "{field}");
    }
    // Every state of the boot is one.
    accepted(&asked_of(&result(), |body, boot| body.state = boot.heads[1]).judge());
}

#[test]
fn a_proof_of_another_boot_or_by_another_key_gives_7() {
    let mut other = core();
    other.instance = [0x77; 32];
    let other = Boot::of(other);
    let theirs = other.bundle();
    let foreign = text(&other.envelope(other.body(&theirs, &result())));
    let verdict = Asked { envelope: foreign.clone(), ..asked() }.judge();
    rejected_by(&verdict, 7, "proof");
    assert!(verdict.check("proof").unwrap().detail.contains("names core"));
    assert_eq!(verdict.times.claimed, None);
    accepted(&Asked { envelope: foreign, bundle: theirs.to_bytes().unwrap(), ..Asked::default() }.judge());

    let boot = Boot::new();
    let mut envelope = boot.envelope(boot.body(&boot.bundle(), &result()));
    let body = envelope.proof.body.to_bytes().unwrap();
    envelope.proof.signature = sign(&key(2), &proof_message(&boot.c, &body));
    rejected_by(&Asked { envelope: text(&envelope), ..asked() }.judge(), 7, "proof");
    // The right key, but for something else: a signature of one kind is none of another.
    envelope.proof.signature = sign(&key(1), &body);
    rejected_by(&Asked { envelope: text(&envelope), ..asked() }.judge(), 7, "proof");
}

#[test]
fn any_change_of_the_signed_text_gives_7() {
    let good = asked();
    let text = String::from_utf8(good.envelope.clone()).unwrap();
    let changes = [
        (r#""epoch":1"#, r#""epoch":2"#),
        (r#""epoch":1"#, r#""epoch":0"#),
        (r#""isError":false"#, r#""isError":true"#),
        (r#""isError":false"#, r#""isError":0"#),
        (r#""tool":"echo""#, r#""tool":"Echo""#),
        (r#""runtime":"runc""#, r#""runtime":"runsc""#),
        (r#""durationMs":7"#, r#""durationMs":8"#),
        (r#""timestamp":1772323199123"#, r#""timestamp":1772323199124"#),
        (r#""environment":[]"#, r#""environment":["HOME"]"#),
        (r#""caller":null"#, r#""caller":"0000000000000000000000000000000000000000000000000000000000000000""#),
        (r#""payment":null"#, r#""payment":{}"#),
        (r#""log":null"#, r#""log":"x""#),
        (r#""decisions":[]"#, r#""decisions":[1]"#),
        (r#""decisions":[]"#, r#""decisions":[],"more":1"#),
        (r#""server-everything@2026.8.31""#, ""),
        ("server-everything@2026.8.31", "server-everything@2026.8.30"),
        (r#""algorithm":"Ed25519""#, r#""algorithm":"none""#),
        (r#""algorithm":"HMAC-SHA256""#, r#""algorithm":"none""#),
    ];
    for (from, to) in changes.into_iter().filter(|(from, _)| text.contains(from)) {
        let envelope = text.replacen(from, to, 1).into_bytes();
        assert_eq!(Asked { envelope, ..good.clone() }.judge().exit_code(), 7, "{from} -> {to}");
    }
    // Each digit of each digest and signature that the body or the Ed25519 twin holds.
    let body_end = text.find(r#""signature""#).unwrap();
    let twin = text.find(r#""publicSignature""#).unwrap();
    let twin_end = twin + text[twin..].find(r#","keyId""#).unwrap();
    let mut flipped = 0;
    for (at, digit) in text.char_indices().filter(|(_, c)| c.is_ascii_hexdigit()).step_by(5) {
        let quoted = text[..at]
            .rfind('"')
            .is_some_and(|quote| text[quote + 1..].chars().take(32).all(|c| c.is_ascii_hexdigit()));
        if !quoted || !(at < body_end || (twin..twin_end).contains(&at)) {
            continue;
        }
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if digit == '0' { b'1' } else { b'0' };
        assert_eq!(Asked { envelope: bytes, ..good.clone() }.judge().exit_code(), 7, "at {at}");
        flipped += 1;
    }
    assert!(flipped > 50, "{flipped}");
}

#[test]
fn what_is_no_proof_is_malformed_and_what_is_a_damaged_one_gives_7() {
    for envelope in [&b""[..], b"{}", b"[]", b"not json", br#"{"proof":{}}"#, br#"{"proof":null}"#, &[0xff; 64]] {
        rejected_by(&Asked { envelope: envelope.to_vec(), ..asked() }.judge(), 2, "proof");
    }
    let deep = format!(r#"{{"proof":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000)).into_bytes();
    rejected_by(&Asked { envelope: deep, ..asked() }.judge(), 2, "proof");
    let mut long = asked();
    long.envelope.extend(vec![b' '; 2 << 20]);
    rejected_by(&long.judge(), 2, "proof");
    let text = String::from_utf8(asked().envelope).unwrap();
    for damaged in [text.replacen(r#""id":"1d"#, r#""id":"1D"#, 1), text.replacen(r#""id""#, r#""iD""#, 1)] {
        assert_ne!(damaged, text);
        rejected_by(&Asked { envelope: damaged.into_bytes(), ..asked() }.judge(), 7, "proof");
    }
}

#[test]
fn a_bundle_that_does_not_hold_decides_before_the_proof() {
    let mut other = asked();
    other.bundle = b"{}".to_vec();
    rejected_by(&other.judge(), 2, "bundle");
    let boot = Boot::new();
    let mut bundle = boot.bundle();
    bundle.states.truncate(1);
    bundle.fresh = None;
    bundle.states[0].signature = [0; 64];
    let judged = Asked { bundle: bundle.to_bytes().unwrap(), ..asked() }.judge();
    rejected_by(&judged, 3, "states");
}

#[test]
fn the_request_is_known_in_every_form_it_is_sent_in() {
    for request in [
        ARGUMENTS.to_owned(),
        r#"{ "times": 1, "message": "h\u00e9llo" }"#.to_owned(),
        message("echo", ARGUMENTS, ""),
        message("everything__echo", ARGUMENTS, ""),
    ] {
        let verdict = with_request(&request);
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "request"), "pass", "{request}");
    }
    let none = asked_of(&result(), |body, _| {
        let salt = Boot::salts(&[Opened::Request]).salt(Opened::Request).unwrap();
        body.execution.request_hash = evidence::request_hash(&salt, &body.server.id, "echo", &tree("{}"));
    });
    for request in [
        "{}",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":null}}"#,
    ] {
        accepted(&Asked { request: Some(request.to_owned()), ..none.clone() }.judge());
    }
}

#[test]
fn another_request_gives_7() {
    for request in [
        r#"{"message":"hello","times":1.0}"#.to_owned(),
        r#"{"message":"héllo","times":"1"}"#.to_owned(),
        r#"{"message":"héllo"}"#.to_owned(),
        "[]".to_owned(),
        message("Echo", ARGUMENTS, ""),
        message("__echo", ARGUMENTS, ""),
        message("everything__other__echo", ARGUMENTS, ""),
        message("everything_echo", ARGUMENTS, ""),
        message("", ARGUMENTS, ""),
        message("echo", "{}", ""),
    ] {
        rejected_by(&with_request(&request), 7, "request");
    }
    // Another tool, or another server, with the same arguments.
    let tool = asked_of(&result(), |body, _| body.execution.tool = "shout".to_owned());
    rejected_by(&Asked { request: Some(ARGUMENTS.to_owned()), ..tool }.judge(), 7, "request");
    let id = "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e2f".parse().unwrap();
    let server = asked_of(&result(), |body, _| body.server.id = id);
    rejected_by(&Asked { request: Some(ARGUMENTS.to_owned()), ..server }.judge(), 7, "request");
}

#[test]
fn a_file_that_is_no_request_is_malformed() {
    for request in [
        "",
        "{",
        r#"{"message":"héllo","message":"héllo","times":1.0}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"name":"echo","arguments":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        rejected_by(&with_request(request), 2, "request");
    }
    for response in ["", "[", "[]", "1", r#"{"jsonrpc":"2.0","id":1}"#, r#"{"isError":1}"#, r#"{"_meta":[]}"#] {
        rejected_by(&with_response(response), 2, "response");
    }
}

#[test]
fn the_answer_is_known_in_every_form_it_is_received_in() {
    let proof = String::from_utf8(asked().envelope).unwrap();
    let modern = format!(
        r#"{{"content":[{{"type":"text","text":"Echo: héllo"}}],"isError":false,"resultType":"complete",
            "_meta":{{"io.sealgate/proof":{proof},"io.modelcontextprotocol/serverInfo":{{}}}}}}"#
    );
    for response in [
        RESULT.to_owned(),
        modern.clone(),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{RESULT}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"result":{modern}}}"#),
        format!(r#"{{"content":[{{"text":"Echo: héllo","type":"text"}}],"isError":false,"proof":{proof}}}"#),
    ] {
        let verdict = with_response(&response);
        accepted(&verdict);
        assert_eq!(outcome(&verdict, "response"), "pass", "{response}");
    }
}

#[test]
fn another_answer_gives_7() {
    for response in [
        r#"{"content":[]}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"Echo: hello"}]}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"Echo: héllo"}],"isError":true}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"Echo: héllo"}],"_meta":{"a/b":1}}"#.to_owned(),
        r#"{"content":[{"type":"text","text":"Echo: héllo"}],"structuredContent":{}}"#.to_owned(),
        // Somebody who reads this as REST sees the forged part, so it is read as REST.
        format!(r#"{{"content":[{{"type":"text","text":"forged"}}],"result":{RESULT}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"error":{RESULT}}}"#),
    ] {
        rejected_by(&with_response(&response), 7, "response");
    }
    // A message that shows one thing and proves another.
    let both = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[]}},"error":{{"code":1,"message":""}},"x":{RESULT}}}"#
    );
    rejected_by(&with_response(&both), 2, "response");
}

#[test]
fn an_error_of_the_server_is_proven_as_one() {
    let error = r#"{"code":-32602,"message":"no such tool"}"#;
    let failed = ResultObject::of_error(tree(error)).unwrap();
    let asked = asked_of(&failed, |_, _| {});
    let proof = String::from_utf8(asked.envelope.clone()).unwrap();
    let judge = |response: String| Asked { response: Some(response), ..asked.clone() }.judge();
    for response in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32602,"message":"no such tool","data":{{"io.sealgate/proof":{proof}}}}}}}"#
        ),
        format!(r#"{{"error":{error},"isError":true,"proof":{proof}}}"#),
    ] {
        accepted(&judge(response));
    }
    rejected_by(&judge(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{error}}}"#)), 7, "response");
    rejected_by(
        &judge(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"no such tool"}}"#.to_owned()),
        7,
        "response",
    );
    // The hash of an error under a body that says it was none.
    let lying = asked_of(&failed, |body, _| body.execution.is_error = false);
    let response = Some(format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#));
    rejected_by(&Asked { response, ..lying }.judge(), 7, "response");
}

#[test]
fn only_what_is_opened_can_be_compared() {
    let boot = Boot::new();
    let bundle = boot.bundle();
    let judge = |shown: Option<&[Opened]>| {
        let mut envelope = boot.envelope(boot.body(&bundle, &result()));
        envelope.opening = shown.map(Boot::salts);
        let (request, response) = (Some(ARGUMENTS.to_owned()), Some(RESULT.to_owned()));
        Asked { envelope: text(&envelope), bundle: bundle.to_bytes().unwrap(), request, response, ..Asked::default() }
            .judge()
    };
    accepted(&judge(Some(&[Opened::Request, Opened::Response])));
    for (shown, open) in [
        (Some(&[Opened::Request][..]), "response"),
        (Some(&[Opened::Response]), "request"),
        (Some(&[Opened::Caller, Opened::Payment]), "request"),
        (Some(&[]), "request"),
        (None, "request"),
    ] {
        let verdict = judge(shown);
        rejected_by(&verdict, 7, open);
        assert_eq!(outcome(&verdict, open), "not_checked");
    }
    // Somebody else's salt opens nothing.
    let mut swapped = String::from_utf8(asked().envelope).unwrap();
    swapped = swapped.replace(&"0f".repeat(32), &"0e".repeat(32));
    let verdict = Asked { envelope: swapped.into_bytes(), request: Some(ARGUMENTS.to_owned()), ..asked() }.judge();
    rejected_by(&verdict, 7, "request");
}

#[test]
fn a_challenge_passes_only_if_it_is_the_callers() {
    let meta = |hex: &str| format!(r#","_meta":{{"io.sealgate/challenge":"{hex}"}}"#);
    let right = with_request(&message("echo", ARGUMENTS, &meta(&hex::encode(CHALLENGE))));
    accepted(&right);
    assert_eq!(outcome(&right, "challenge"), "pass");
    assert!(!right.not_proven.contains(&NotProven::NoChallenge));
    rejected_by(&with_request(&message("echo", ARGUMENTS, &meta("c4c4"))), 7, "challenge");

    let named = |challenge: &[u8]| Asked { challenge: Some(challenge.to_vec()), ..asked() }.judge();
    assert_eq!(outcome(&named(&CHALLENGE), "challenge"), "pass");
    rejected_by(&named(&[1; 16]), 7, "challenge");
    let without = asked_of(&result(), |body, _| body.execution.challenge = None);
    accepted(&without.judge());
    rejected_by(&Asked { challenge: Some(CHALLENGE.to_vec()), ..without }.judge(), 7, "challenge");
}

#[test]
fn the_hmac_is_checked_by_who_has_its_key() {
    let with_key = |says, is| Asked { tag_epoch: Some((says, is)), ..asked() }.judge();
    let right = with_key(1, 1);
    accepted(&right);
    assert_eq!(outcome(&right, "hmac"), "pass");
    assert!(!right.not_proven.contains(&NotProven::HmacNotRevealed));
    rejected_by(&with_key(1, 2), 7, "hmac");
    let other = with_key(2, 2);
    accepted(&other);
    assert_eq!(outcome(&other, "hmac"), "not_checked");
    assert!(other.not_proven.contains(&NotProven::HmacNotRevealed));
    // A flipped tag beside a good twin.
    let text = String::from_utf8(asked().envelope).unwrap();
    let at = text.find(r#""HMAC-SHA256","value":""#).unwrap() + r#""HMAC-SHA256","value":""#.len();
    let mut bytes = text.into_bytes();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    rejected_by(&Asked { envelope: bytes, tag_epoch: Some((1, 1)), ..asked() }.judge(), 7, "hmac");
}
