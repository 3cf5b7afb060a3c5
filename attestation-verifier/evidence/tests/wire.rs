//! docs/WIRE.md says what these crates do: its worked examples are recomputed here, its tables compared with the code.
//! `UPDATE_WIRE=1` writes the blocks anew; read the difference before you keep it.
#![expect(clippy::disallowed_methods, reason = "the test, never the library, reads its environment")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod sample;

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf};

use evidence::{
    OpeningSeed, ResultObject, ServerId, canon, hash,
    hmac_chain::TagKey,
    json::{Limits, Value, parse},
    mac, merkle,
    proof::Opening,
    report_data::{self, Nonce, Purpose},
    state, t, tag,
};
use sample::Sample;

#[test]
fn every_worked_example_of_the_document_is_what_the_code_computes() {
    let document = std::fs::read_to_string(document_path()).unwrap();
    let mut expected = document.clone();
    for (name, text) in examples() {
        let (start, end) = block(&expected, name);
        expected.replace_range(start..end, &text);
    }
    if std::env::var_os("UPDATE_WIRE").is_some() {
        std::fs::write(document_path(), expected).unwrap();
        return;
    }
    for (name, text) in examples() {
        let (start, end) = block(&document, name);
        assert_eq!(&document[start..end], text, "example {name}");
    }
}

#[test]
fn the_document_has_no_example_that_nobody_recomputes() {
    let document = std::fs::read_to_string(document_path()).unwrap();
    let named: BTreeSet<_> = document.lines().filter_map(|line| marker(line, "example")).collect();
    let computed: BTreeSet<_> = examples().into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, computed);
    assert_eq!(document.matches("<!-- example:").count(), computed.len(), "an example stands twice");
}

#[test]
fn the_table_of_tags_is_the_list_of_tags() {
    assert_eq!(first_cells("tags"), tag::ALL);
}

#[test]
fn the_tables_of_members_list_every_member_and_no_other() {
    let sample = Sample::new();
    let documents = [
        ("genesis", sample.genesis.clone()),
        ("core", read(&sample.core_bytes)),
        ("state", read(&sample.state_bytes)),
        ("proof", sample.proof.to_value()),
        ("settlement", sample.settlement().to_value()),
        ("terms", read(&sample::terms().to_bytes().unwrap())),
        ("bundle", sample.bundle.to_value()),
        ("release", read(&sample.bundle.release.as_ref().unwrap().bytes)),
    ];
    for (table, value) in documents {
        let mut members = BTreeSet::new();
        paths(&value, "", &mut members);
        let listed: BTreeSet<_> = first_cells(table).into_iter().collect();
        assert_eq!(listed, members, "members of {table}");
    }
}

#[test]
fn what_the_document_says_is_added_to_a_result_is_removed_from_it() {
    let bare = r#"{"content":[],"isError":false}"#;
    for member in first_cells("added") {
        let text = match member.strip_prefix("_meta.") {
            None => format!(r#"{{"content":[],{member:?}:{{"x":1}}}}"#),
            // A prefix ends in its separator; anything may follow it.
            Some(prefix) if prefix.ends_with(['/', '.']) => {
                format!(r#"{{"content":[],"_meta":{{"{prefix}anything":1}}}}"#)
            }
            Some(name) => format!(r#"{{"content":[],"_meta":{{{name:?}:1}}}}"#),
        };
        assert_eq!(canon(result(&text).value()), bare, "{member}");
    }
    // And no other member goes.
    for kept in ["structuredContent", "ttlMs", "cacheScope", "Proof", "result_type"] {
        assert!(result(&format!(r#"{{"content":[],{kept:?}:1}}"#)).value().member(kept).is_some(), "{kept}");
    }
}

/// T by hand, so that the examples do not rest on the function under test alone.
#[test]
fn the_framing_is_the_one_the_document_describes() {
    let mut expected = Vec::new();
    for (count, part) in [(None, &b"sealgate/core/v1"[..]), (Some(2_u32), b"ab"), (None, b"")] {
        if let Some(count) = count {
            expected.extend(count.to_be_bytes());
        }
        expected.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        expected.extend(part);
    }
    assert_eq!(t(tag::CORE, &[b"ab", b""]), expected);
}

fn examples() -> Vec<(&'static str, String)> {
    let sample = Sample::new();
    vec![
        ("framing", framing()),
        ("canon", canonical_samples()),
        ("opening", opening(&sample)),
        ("call", call(&sample)),
        ("nonces", nonces(&sample)),
        ("report-data", report_data_example(&sample)),
        ("genesis", lines(&[("J", &text(&sample.genesis)), ("lineage", &hex::encode(sample.lineage))])),
        ("core", lines(&[("J", utf8(&sample.core_bytes)), ("C", &hex::encode(sample.core))])),
        ("state", state_example(&sample)),
        ("hmac-chain", chain(&sample)),
        ("proof", proof(&sample)),
        ("payment", payment(&sample)),
        ("settlement", settlement(&sample)),
        ("purchase", purchase(&sample)),
        ("envelope", lines(&[("J", &text(&sample.envelope.to_value()))])),
        ("bundle", lines(&[("J", &text(&sample.bundle.to_value()))])),
        ("release", release(&sample)),
    ]
}

fn framing() -> String {
    let parts: [&[u8]; 2] = [b"ab", b""];
    let key = [0x0b; 32];
    lines(&[
        ("T(\"sealgate/core/v1\", \"ab\", \"\")", &hex::encode(t(tag::CORE, &parts))),
        ("H(\"sealgate/core/v1\", \"ab\", \"\")", &hex::encode(hash(tag::CORE, &parts))),
        ("M(0b × 32, \"sealgate/core/v1\", \"ab\", \"\")", &hex::encode(mac(&key, tag::CORE, &parts))),
    ])
}

fn canonical_samples() -> String {
    let mut out = String::new();
    for sent in [
        "9007199254740993",
        "9007199254740992",
        "1e400",
        "1.0",
        "-0",
        "1E+2",
        "0.10000000000000000555",
        "5e-324",
        r#"{"b":[1.50,"\u00e9"],"a":{}}"#,
        r#"{"\ufb33":1,"\ud83d\ude00":2}"#,
        r#""\u0007\u001f\/""#,
    ] {
        writeln!(out, "{sent} → {}", canon(&their(sent))).unwrap();
    }
    out
}

fn opening(sample: &Sample) -> String {
    let seed = OpeningSeed::new(sample.opening);
    let mut out = lines(&[("s", &hex::encode(sample.opening))]);
    for what in evidence::Opened::ALL {
        out += &lines(&[(&format!("salt({})", what.as_str()), &hex::encode(seed.salt(what)))]);
    }
    out += &lines(&[("opening of all", &text(&Opening::of_seed(&seed).to_value()))]);
    let one = Opening::of_salts(&seed, &[evidence::Opened::Request]);
    out + &lines(&[("opening of the request", &text(&one.to_value()))])
}

fn call(sample: &Sample) -> String {
    let body = &sample.proof.body;
    lines(&[
        ("serverId", sample.server.as_str()),
        ("tool", "echo"),
        ("arguments as sent", sample::ARGUMENTS),
        ("canon(arguments)", &canon(&their(sample::ARGUMENTS))),
        ("requestHash", &hex::encode(body.execution.request_hash)),
        ("result as received", sample::RESULT),
        ("canon(R)", &canon(result(sample::RESULT).value())),
        ("responseHash", &hex::encode(body.execution.response_hash)),
        ("R of a JSON-RPC error", &canon(ResultObject::of_error(their(sample::ERROR)).unwrap().value())),
        ("principal", sample::PRINCIPAL),
        ("callerRef", &hex::encode(body.caller.unwrap())),
    ])
}

fn nonces(sample: &Sample) -> String {
    let mut out = String::new();
    for (at, nonce) in sample.nonces.iter().enumerate() {
        out += &lines(&[
            (&format!("nonce {at}"), &hex::encode(nonce.as_bytes())),
            (&format!("leaf {at}, client"), &hex::encode(nonce.leaf(Purpose::Client))),
        ]);
    }
    let leaves = sample.leaves();
    let path = |index| {
        let path = merkle::path(&leaves, index).unwrap();
        path.iter().map(hex::encode).collect::<Vec<_>>().join(" ")
    };
    out += &lines(&[
        ("root of 3", &hex::encode(merkle::root(&leaves))),
        ("path of 0", &path(0)),
        ("path of 2", &path(2)),
        ("root of none", &hex::encode(merkle::root(&[]))),
    ]);
    let tls = Nonce::new(vec![0xa5; 32]).unwrap();
    out + &lines(&[("leaf of a5 × 32, tls", &hex::encode(tls.leaf(Purpose::Tls)))])
}

fn report_data_example(sample: &Sample) -> String {
    let boot = report_data::report_data_without_nonce(&sample.core, &sample.state);
    let fresh = report_data::report_data(&merkle::root(&sample.leaves()), 3, &sample.core, &sample.state);
    lines(&[
        ("RD, count 0", &hex::encode(boot)),
        ("RD, count 3", &hex::encode(fresh)),
        ("Q, count 0", &hex::encode(report_data::quote_data(&boot))),
        ("Q, count 3", &hex::encode(report_data::quote_data(&fresh))),
        ("PCR 15", &hex::encode(report_data::core_register(&sample.core))),
        ("proof key", &hex::encode(sample.public_key)),
        ("possession, count 0", &hex::encode(sample.sign(&state::evidence_message(&sample.core, &boot)))),
    ])
}

fn state_example(sample: &Sample) -> String {
    lines(&[
        ("jwks", &text(&sample::jwks())),
        ("H(\"sealgate/jwks/v1\", J(jwks))", &hex::encode(hash(tag::JWKS, &[text(&sample::jwks()).as_bytes()]))),
        ("prices", &text(&sample::prices())),
        (
            "H(\"sealgate/prices/v1\", J(prices))",
            &hex::encode(hash(tag::PRICES, &[text(&sample::prices()).as_bytes()])),
        ),
        ("J", utf8(&sample.state_bytes)),
        ("S_0", &hex::encode(sample.state)),
        ("signature", &hex::encode(sample.bundle.states[0].signature)),
    ])
}

/// The chain walked by hand from the formulas; the code's own walk must agree.
fn chain(sample: &Sample) -> String {
    let mut key = [0; 32];
    hkdf::Hkdf::<sha2::Sha256>::new(Some(&sample.instance), &sample.seed)
        .expand(tag::HMAC_SEED.as_bytes(), &mut key)
        .unwrap();
    let end = key;
    let mut first = key;
    for epoch in (1..=evidence::hmac_chain::LENGTH).rev() {
        first = key;
        key = hash(tag::HMAC_CHAIN, &[&sample.instance, &epoch.to_be_bytes(), &key]);
    }
    let chain = sample.chain();
    assert_eq!(&key, chain.anchor());
    let tag_key = mac(&first, tag::HMAC_KEY, &[&sample.instance, &1_u32.to_be_bytes()]);
    let by_hand = mac(&tag_key, tag::PROOF, &[&sample.core, b"{}"]);
    assert_eq!(by_hand, TagKey::of(&first, &sample.instance, 1).tag(&sample.core, b"{}"));
    assert_eq!(by_hand, chain.tag_key(1).unwrap().tag(&sample.core, b"{}"));
    lines(&[
        ("seed", &hex::encode(sample.seed)),
        ("instance", &hex::encode(sample.instance)),
        ("K_16384", &hex::encode(end)),
        ("K_1", &hex::encode(first)),
        ("K_0 = anchor", &hex::encode(key)),
        ("A_1", &hex::encode(tag_key)),
    ])
}

fn proof(sample: &Sample) -> String {
    lines(&[
        ("J(body)", utf8(&sample.proof.body.to_bytes().unwrap())),
        ("tag", &hex::encode(sample.proof.tag)),
        ("signature", &hex::encode(sample.proof.signature)),
        ("J(proof)", &text(&sample.proof.to_value())),
        ("entry digest", &hex::encode(sample.proof.entry_digest().unwrap())),
    ])
}

/// The reference by hand, so that it does not rest on the function under test.
fn payment(sample: &Sample) -> String {
    let terms = sample::terms().to_bytes().unwrap();
    let salt = OpeningSeed::new(sample.opening).salt(evidence::Opened::Payment);
    let reference = hash(tag::PAYMENT, &[&salt, &terms]);
    assert_eq!(sample.proof.body.payment.as_ref().unwrap().payment_ref, reference);
    lines(&[("J(terms)", utf8(&terms)), ("paymentRef", &hex::encode(reference))])
}

fn settlement(sample: &Sample) -> String {
    let signed = sample.settlement();
    let bytes = signed.settlement.to_bytes().unwrap();
    let message = t(tag::SETTLEMENT, &[&sample.core, &bytes]);
    assert_eq!(signed.signature, sample.sign(&message));
    lines(&[
        ("J(settlement)", utf8(&bytes)),
        ("signature", &hex::encode(signed.signature)),
        ("entry digest", &hex::encode(signed.entry_digest().unwrap())),
    ])
}

/// Message and order by hand, so that they do not rest on the functions under test.
fn release(sample: &Sample) -> String {
    let file = sample.bundle.release.as_ref().unwrap();
    let mut out = lines(&[("J(release)", utf8(&file.bytes))]);
    for (at, signature) in file.signatures.iter().enumerate() {
        let message = t("sealgate/release/v1", &[&file.bytes]);
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, signature.key.as_bytes());
        key.verify(&message, &signature.value).unwrap();
        out += &lines(&[
            (&format!("key {at}"), &hex::encode(signature.key.as_bytes())),
            (&format!("signature {at}"), &hex::encode(signature.value)),
        ]);
    }
    out + &lines(&[("file", &text(&file.to_value()))])
}

fn purchase(sample: &Sample) -> String {
    let arguments = canon(&their(sample::ARGUMENTS));
    let of = |server: &str, tool: &str, caller: &str, session: &str| {
        let parts = [server, tool, arguments.as_str(), caller, session, ""].map(str::as_bytes);
        hex::encode(hash(tag::PURCHASE, &parts))
    };
    lines(&[
        ("call by a wallet", &of(sample.server.as_str(), "echo", sample::PRINCIPAL, "")),
        ("the same by nobody, in a session", &of(sample.server.as_str(), "echo", "", "s-1")),
    ])
}

fn document_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/WIRE.md")
}

/// Where the lines of the fenced block under `<!-- example: name -->` start and end.
fn block(document: &str, name: &str) -> (usize, usize) {
    let head = format!("<!-- example: {name} -->\n```text\n");
    let start =
        document.find(&head).unwrap_or_else(|| panic!("docs/WIRE.md has no block under {}", head.trim())) + head.len();
    (start, start + document[start..].find("```").unwrap())
}

fn marker<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(kind)?.strip_prefix(": ")
}

/// First cells of the table under `<!-- table: name -->`, without back-quotes.
fn first_cells(name: &str) -> Vec<String> {
    let document = std::fs::read_to_string(document_path()).unwrap();
    let rows = document.lines().skip_while(|line| marker(line, "table") != Some(name)).skip(3);
    let cells: Vec<_> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('|').nth(1).unwrap().trim().trim_matches('`').to_owned())
        .collect();
    assert!(!cells.is_empty(), "docs/WIRE.md has no table {name}");
    cells
}

/// Dotted paths of all members; `[]` stands for an element.
fn paths(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
                into.insert(path.clone());
                paths(value, &path, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, &format!("{at}[]"), into)),
        _ => {}
    }
}

fn lines(rows: &[(&str, &str)]) -> String {
    rows.iter().fold(String::new(), |mut out, (name, value)| {
        writeln!(out, "{name} = {value}").unwrap();
        out
    })
}

fn text(value: &Value) -> String {
    String::from_utf8(evidence::profile::j(value).unwrap()).unwrap()
}

fn utf8(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn read(bytes: &[u8]) -> Value {
    evidence::profile::parse_carried(bytes).unwrap()
}

fn their(text: &str) -> Value {
    parse(text.as_bytes(), &Limits::THEIRS).unwrap()
}

fn result(text: &str) -> ResultObject {
    ResultObject::of(their(text)).unwrap()
}

/// Keeps the id's type in sight: examples name the server by its id, never by its package.
#[test]
fn the_server_of_the_examples_is_named_by_a_uuid() {
    assert!(Sample::new().server.as_str().parse::<ServerId>().is_ok());
}
