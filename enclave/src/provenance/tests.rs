use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, spki::der::pem::LineEnding},
};
use evidence::{
    dsse::EnvelopeSignature,
    profile::from_base64,
    provenance::{Subject, TYPE},
};

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn facts() -> Facts {
    Facts {
        code_hash: Some([1; 32]),
        git_commit: Some([2; 20]),
        source_hash: Some([3; 32]),
        commit_time: Some(1_790_000_000),
        dirty: Some(false),
        repository: Some("https://code.example/sealgate".into()),
        profile: Some("release".into()),
        target: Some("x86_64-unknown-linux-gnu".into()),
        lock_hash: Some([4; 32]),
        rust: Some(("1.95.0".into(), [5; 20])),
        release_keys: vec![*key(1).verifying_key().as_bytes(), *key(2).verifying_key().as_bytes()],
    }
}

fn signed(facts: &Facts, key: &SigningKey) -> String {
    signed_statement(&facts.statement(), &[key])
}

fn signed_statement(statement: &Statement, keys: &[&SigningKey]) -> String {
    let payload = statement.to_value().to_text().into_bytes();
    let mut envelope = Envelope { payload_type: PAYLOAD_TYPE.to_owned(), payload, signatures: vec![] };
    keys.iter().for_each(|key| signing::sign(&mut envelope, key));
    envelope.to_value().to_text()
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.member(name))
}

/// What is served with these bytes beside the executable.
fn served(facts: &Facts, bytes: &[u8]) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let file = beside(&directory.path().join("enclave"));
    std::fs::write(&file, bytes).unwrap();
    Provenance::read(facts, &file).to_value(Value::Array(Vec::new()))
}

fn reason(facts: &Facts, bytes: &[u8]) -> String {
    let served = served(facts, bytes);
    assert_eq!(served.member("signed"), Some(&Value::Bool(false)));
    assert!(served.member("dsse").is_none());
    assert_eq!(at(&served, &["statement", "_type"]), Some(&TYPE.into()), "the own statement is served");
    served.member("reason").and_then(Value::as_str).unwrap().to_owned()
}

#[test]
fn openssl_verifies_the_served_envelope_with_the_release_key() {
    let served = served(&facts(), signed_statement(&facts().statement(), &[&key(2), &key(1)]).as_bytes());
    assert_eq!(served.member("signed"), Some(&Value::Bool(true)));
    let bytes = |path: &[&str]| from_base64(at(&served, path).and_then(Value::as_str).unwrap()).unwrap();
    let payload = bytes(&["dsse", "payload"]);
    assert_eq!(String::from_utf8(payload.clone()).unwrap(), served.member("statement").unwrap().to_text());
    let signature = &at(&served, &["dsse", "signatures"]).and_then(Value::as_array).unwrap()[0];
    let signature_bytes = from_base64(signature.member("sig").and_then(Value::as_str).unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    write("payload", &payload);
    write("sig", &signature_bytes);
    write("key.der", key(2).verifying_key().to_public_key_der().unwrap().as_bytes());
    // The message is put together and the key's id computed as a stranger would.
    let script = r#"
        { printf 'DSSEv1 28 application/vnd.in-toto+json %s ' "$(wc -c <payload)"; cat payload; } >message
        openssl pkeyutl -verify -pubin -keyform DER -inkey key.der -rawin -in message -sigfile sig >&2
        openssl dgst -sha256 -r key.der | cut -d' ' -f1
    "#;
    let output = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let key_id = String::from_utf8(output.stdout).unwrap();
    assert_eq!(signature.member("keyid").and_then(Value::as_str), Some(key_id.trim()));
    let signed_by = served.member("signedBy").and_then(Value::as_array).unwrap();
    assert!(signed_by.len() == 2 && signed_by.contains(&key_id.trim().into()), "{signed_by:?}");
}

#[test]
fn the_statement_is_a_complete_slsa_provenance() {
    let own = Statement { builder: "https://ci.example/builder".to_owned(), ..facts().statement() }.to_value();
    let text = |path: &[&str]| at(&own, path).and_then(Value::as_str).unwrap().to_owned();
    let build = |name| ["predicate", "buildDefinition", "externalParameters", name];
    assert_eq!(text(&build("gitCommit")), "02".repeat(20));
    assert_eq!(text(&build("sourceSha256")), "03".repeat(32));
    assert_eq!(text(&build("repository")), "https://code.example/sealgate");
    assert_eq!(text(&["predicate", "buildDefinition", "internalParameters", "profile"]), "release");
    assert_eq!(text(&["predicate", "runDetails", "builder", "id"]), "https://ci.example/builder");
    let metadata = |name| ["predicate", "runDetails", "metadata", name];
    assert_eq!(text(&metadata("startedOn")), "2026-09-21T14:13:20Z");
    assert_eq!(text(&metadata("startedOn")), text(&metadata("finishedOn")));
    let dependencies = at(&own, &["predicate", "buildDefinition", "resolvedDependencies"]).unwrap();
    let digests: Vec<_> =
        dependencies.as_array().unwrap().iter().map(|d| d.member("digest").unwrap().to_text()).collect();
    assert_eq!(digests[0], format!("{{\"gitCommit\":\"{}\"}}", "02".repeat(20)));
    assert_eq!(digests[1], format!("{{\"sha256\":\"{}\"}}", "04".repeat(32)));
    assert_eq!(digests[2], format!("{{\"gitCommit\":\"{}\"}}", "05".repeat(20)));
    let first = &dependencies.as_array().unwrap()[0];
    let uri = format!("git+https://code.example/sealgate@{}", "02".repeat(20));
    assert_eq!(first.member("uri"), Some(&uri.into()));
}

#[test]
fn what_it_cannot_know_itself_is_the_signers_word_and_served_byte_for_byte() {
    let other = Subject { name: "bridge".into(), sha256: Some([6; 32]) };
    let mut statement = Statement {
        system: vec![("cc".into(), "12.2.0".into())],
        sbom_sha256: Some([9; 32]),
        builder: "https://ci.example/builder".into(),
        ..facts().statement()
    };
    statement.subjects.push(other);
    let text = signed_statement(&statement, &[&key(1), &key(3), &key(2), &key(1)]);
    let directory = tempfile::tempdir().unwrap();
    let file = beside(&directory.path().join("enclave"));
    std::fs::write(&file, &text).unwrap();
    let read = Provenance::read(&facts(), &file);
    assert_eq!(read.signed_bytes(), Some(text.as_bytes()), "a bundle carries the file itself");
    let served = read.to_value(Value::Array(Vec::new()));
    let signed_by = served.member("signedBy").and_then(Value::as_array).unwrap();
    assert_eq!(signed_by.len(), 2, "a key that was not compiled in is not named");
    assert_eq!(Provenance::read(&facts(), Path::new("/nonexistent/enclave.provenance.json")).signed_bytes(), None);
    // Of itself it knows better.
    statement.subjects.remove(0);
    assert!(reason(&facts(), signed_statement(&statement, &[&key(1)]).as_bytes()).contains("SHA-256 none"));
}

#[test]
fn a_second_person_adds_a_signature_only_to_what_the_own_build_gave() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pem = |seed: u8| file(&format!("{seed}.pem"), key(seed).to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes());
    let out = directory.path().join("enclave.provenance.json");
    let arguments = |seed, add, bridge: &[u8]| command::SignArgs {
        release_key: vec![pem(seed)],
        program: vec![file("bridge", bridge)],
        sbom: Some(file("sbom.cdx.json", b"{}")),
        system: vec![("cc".into(), "12.2.0".into())],
        builder: "https://ci.example/builder".into(),
        add,
        out: Some(out.clone()),
    };
    let sign = |seed, add, bridge: &[u8]| command::sign(&facts(), &arguments(seed, add, bridge));
    let signers = || {
        let served = Provenance::read(&facts(), &out).to_value(Value::Array(Vec::new()));
        served.member("signedBy").and_then(Value::as_array).map_or(0, <[Value]>::len)
    };
    assert!(sign(1, true, b"one").is_err(), "there is nothing to add to");
    sign(1, false, b"one").unwrap();
    assert_eq!(signers(), 0, "one person of two has released nothing");
    let alone = std::fs::read(&out).unwrap();
    let refused = sign(2, true, b"another").unwrap_err().to_string();
    assert!(refused.contains("statement.subject[1].digest.sha256"), "{refused}");
    assert_eq!(std::fs::read(&out).unwrap(), alone, "what the first one signed is left as it was");
    sign(2, true, b"one").unwrap();
    assert_eq!(signers(), 2);
    sign(2, true, b"one").unwrap();
    let envelope = Envelope::from_bytes(&std::fs::read(&out).unwrap(), PAYLOAD_TYPE).unwrap();
    assert_eq!(envelope.signatures.len(), 2, "who signs again replaces the own signature");
    assert!(sign(3, true, b"one").unwrap_err().to_string().contains("does not know the key"));
}

#[test]
fn one_release_key_of_two_vouches_for_nothing() {
    let own = facts();
    for only in [1, 2] {
        let other = hex::encode(key(3 - only).verifying_key().as_bytes());
        let said = reason(&own, signed(&own, &key(only)).as_bytes());
        assert!(said.contains(&format!("release key {other} has not signed it")), "{said}");
    }
    // One person's signature twice, under the other's name, is still one person's.
    let text = signed(&own, &key(1));
    let mut envelope = Envelope::from_bytes(text.as_bytes(), PAYLOAD_TYPE).unwrap();
    let mut again = envelope.signatures[0].clone();
    again.key_id = dsse::key_id(key(2).verifying_key().as_bytes());
    envelope.signatures.push(again);
    assert!(reason(&own, envelope.to_value().to_text().as_bytes()).contains("has not signed it"));
    // A key under which anybody signs is not just left out.
    let weak = Facts { release_keys: vec![*key(1).verifying_key().as_bytes(), [0; 32]], ..facts() };
    assert!(reason(&weak, signed(&weak, &key(1)).as_bytes()).contains("no release key was compiled in"));
}

#[test]
fn a_signature_under_a_name_that_lies_is_not_thrown_away_and_junk_is() {
    let statement = facts().statement();
    let mut envelope = Envelope::from_bytes(signed_statement(&statement, &[&key(1)]).as_bytes(), PAYLOAD_TYPE).unwrap();
    // Somebody with the folder renames the first person's signature, so that the second one's replaces it.
    envelope.signatures[0].key_id = dsse::key_id(key(2).verifying_key().as_bytes());
    let junk = EnvelopeSignature { key_id: String::new(), bytes: vec![0; 64] };
    envelope.signatures.resize(dsse::MAX_SIGNATURES, junk);
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("enclave.provenance.json");
    std::fs::write(&out, envelope.to_value().to_text()).unwrap();
    let pem = directory.path().join("2.pem");
    std::fs::write(&pem, key(2).to_pkcs8_pem(LineEnding::LF).unwrap().as_bytes()).unwrap();
    let arguments = command::SignArgs {
        release_key: vec![pem],
        program: vec![],
        sbom: None,
        system: vec![],
        builder: statement.builder.clone(),
        add: true,
        out: Some(out.clone()),
    };
    command::sign(&facts(), &arguments).unwrap();
    assert!(Provenance::read(&facts(), &out).is_signed());
    let written = Envelope::from_bytes(&std::fs::read(&out).unwrap(), PAYLOAD_TYPE).unwrap();
    assert_eq!(written.signatures.len(), 2);
    // What this executable would not accept is not written over what is there.
    let alone = std::fs::read(&out).unwrap();
    let names = vec![program_named(directory.path(), "twice/enclave")];
    let refused = command::sign(&facts(), &command::SignArgs { program: names, add: false, ..arguments }).unwrap_err();
    assert!(refused.to_string().contains("statement.subject[1]"), "{refused}");
    assert_eq!(std::fs::read(&out).unwrap(), alone);
}

/// A program of that name.
fn program_named(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"another").unwrap();
    file
}

#[test]
fn another_executable_commit_key_or_word_is_refused_with_the_reason() {
    let own = facts();
    for (other, said) in [
        (Facts { code_hash: Some([9; 32]), ..facts() }, "it is about an executable with SHA-256 0909"),
        (Facts { git_commit: Some([9; 20]), ..facts() }, "it names commit 0909"),
        (Facts { lock_hash: Some([9; 32]), ..facts() }, "resolvedDependencies[1].digest.sha256"),
        (Facts { repository: None, ..facts() }, "externalParameters.repository"),
        (Facts { profile: Some("debug".into()), ..facts() }, "internalParameters.profile"),
        (Facts { release_keys: own.release_keys[..1].to_vec(), ..facts() }, "releasePublicKeys"),
    ] {
        let reason = reason(&own, signed(&other, &key(1)).as_bytes());
        assert!(reason.contains(said), "{said}: {reason}");
    }
    assert!(reason(&own, signed(&own, &key(3)).as_bytes()).contains("none of the compiled-in release keys"));
    let no_keys = Facts { release_keys: Vec::new(), ..facts() };
    assert!(reason(&no_keys, signed(&no_keys, &key(1)).as_bytes()).contains("no release key was compiled in"));
    let weak = Facts { release_keys: vec![[0; 32]], ..facts() };
    assert!(reason(&weak, signed(&weak, &key(1)).as_bytes()).contains("no release key was compiled in"));
    let unknown = Facts { code_hash: None, ..facts() };
    assert!(reason(&unknown, signed(&own, &key(1)).as_bytes()).contains("it is about an executable"));
    assert!(
        reason(&unknown, signed(&unknown, &key(1)).as_bytes()).contains("no statement of ours: statement.subject[0]")
    );
}

#[test]
fn every_changed_byte_of_payload_and_signature_is_refused() {
    let own = facts();
    let good = signed(&own, &key(1));
    let envelope = Envelope::from_bytes(good.as_bytes(), PAYLOAD_TYPE).unwrap();
    let again = |payload: &[u8], signature: &[u8]| {
        let signature = EnvelopeSignature { key_id: String::new(), bytes: signature.to_vec() };
        let whole = Envelope { payload: payload.to_vec(), signatures: vec![signature], ..envelope.clone() };
        judge(&own, whole.to_value().to_text().as_bytes()).is_ok()
    };
    let signature = envelope.signatures[0].bytes.clone();
    assert!(again(&envelope.payload, &signature), "the id of the key is a hint and may be empty");
    for at in 0..envelope.payload.len() {
        let mut changed = envelope.payload.clone();
        changed[at] ^= 1;
        assert!(!again(&changed, &signature), "byte {at} of the payload");
    }
    for at in 0..signature.len() {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        assert!(!again(&envelope.payload, &changed), "byte {at} of the signature");
    }
}

#[test]
fn what_is_no_envelope_is_refused_and_what_is_not_there_is_unsigned() {
    let own = facts();
    let good = signed(&own, &key(1));
    for (bytes, said) in [
        (String::new(), "no JSON"),
        ("{}".to_owned(), "payloadType"),
        (good.replace("vnd.in-toto", "vnd.other"), "vnd.other"),
        (good.replace("\"payload\":\"", "\"payload\":\"!"), "base64"),
        (good.replace("\"sig\"", "\"gis\""), "signatures"),
        (good.replace("}]}", &format!("}}{}]}}", ",{\"sig\":\"\"}".repeat(16))), "17 signatures"),
        (good.clone() + &" ".repeat(dsse::MAX_BYTES), "no JSON"),
    ] {
        let reason = reason(&own, bytes.as_bytes());
        assert!(reason.contains("beside the executable is refused") && reason.contains(said), "{said}: {reason}");
    }
    let nowhere = Path::new("/nonexistent/enclave.provenance.json");
    let missing = |facts| Provenance::read(&facts, nowhere).to_value(Value::Array(Vec::new()));
    let said = missing(own);
    assert!(said.member("reason").and_then(Value::as_str).unwrap().contains("no signed statement lies beside"));
    let said = missing(Facts { release_keys: Vec::new(), ..facts() });
    assert!(said.member("reason").and_then(Value::as_str).unwrap().contains("was given no release key"));
    assert_eq!(at(&said, &["source", "gitCommit"]), Some(&"02".repeat(20).as_str().into()));
}

#[test]
fn this_executable_knows_how_it_was_built() {
    let facts = Facts::of_this_process();
    assert!(facts.code_hash.is_some() && facts.lock_hash.is_some() && facts.rust.is_some());
    assert!(facts.profile.is_some() && facts.target.is_some());
}
