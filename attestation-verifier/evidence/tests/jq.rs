//! `jq -cjS .` prints the canonical bytes of every document of profile `J` (docs/WIRE.md, P1). The served script
//! rests on this. Needs `jq` (1.6 or 1.7); only where `SEALGATE_PURE` is set may it be missing.
#![expect(clippy::disallowed_methods, reason = "the test, never the library, reads its environment")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::{
    io::{ErrorKind, Write as _},
    process::{Command, Stdio},
};

use evidence::{
    json::Value,
    profile::{MAX_INTEGER, j},
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Documents under one `jq`.
const BATCH: usize = 400;

#[test]
fn jq_prints_the_canonical_bytes_of_every_document_of_ours() {
    // Printed before anything can fail: nextest shows it with the failure, and SEALGATE_SEED runs it again.
    let seed = std::env::var("SEALGATE_SEED").map_or_else(|_| random(), |text| text.parse().unwrap());
    println!("SEALGATE_SEED={seed}");
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed.to_be_bytes(), [0; 8], [0; 8], [0; 8]].concat());
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = documents();
    let mut batch: Vec<Value> = (0..BATCH).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    batch.push(corners());
    let sent = batch.iter().map(Value::to_text).collect::<Vec<_>>().join("\n");
    let expected: Vec<u8> = batch.iter().flat_map(|document| j(document).unwrap()).collect();
    let Some(printed) = jq(sent.into_bytes()) else { return };
    if printed != expected {
        let at = printed.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        let around = |bytes: &[u8]| {
            let window = bytes.iter().skip(at.saturating_sub(60)).take(120).copied().collect::<Vec<_>>();
            String::from_utf8_lossy(&window).into_owned()
        };
        panic!("at byte {at}:\njq: {}\nJ:  {}", around(&printed), around(&expected));
    }
}

fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

/// What jq prints, or nothing where it may be missing and is.
fn jq(input: Vec<u8>) -> Option<Vec<u8>> {
    let spawned = Command::new("jq").args(["-cjS", "."]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("SEALGATE_PURE").is_some() => {
            println!("jq is not installed and SEALGATE_PURE is set: J was NOT compared with jq in this run");
            return None;
        }
        Err(error) => panic!("cannot run jq ({error}). fix: sudo apt-get install -y jq"),
    };
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "jq: {}", output.status);
    Some(output.stdout)
}

/// Values on which printers differ.
fn corners() -> Value {
    let numbers = [0, 1, 9, 10, 99_999_999_999_999_999 % MAX_INTEGER, 1 << 52, MAX_INTEGER - 1, MAX_INTEGER];
    let texts = ["", "\"", "\\", "/", "\u{80}", "\u{9f}", "\u{a0}", "\u{2028}", "\u{2029}", "\u{feff}", "\u{fffe}"];
    let more = ["\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}", "</script>", "é", "e\u{301}", "%s"];
    evidence::json::object([
        ("z", Value::Array(numbers.into_iter().map(Value::from).collect())),
        ("Z", Value::Array(texts.into_iter().chain(more).map(Value::from).collect())),
        ("a10", Value::Object(Vec::new())),
        ("a2", Value::Array(Vec::new())),
        ("a", Value::Null),
        ("A", false.into()),
    ])
}

/// Random documents: objects, since every document of ours is one.
fn documents() -> impl Strategy<Value = Value> {
    let text = any::<String>()
        .prop_map(|text| text.chars().filter(|c| u32::from(*c) >= 0x20 && *c != '\u{7f}').collect::<String>());
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (0..=MAX_INTEGER).prop_map(Value::from),
        (0..1000_u64).prop_map(Value::from),
        text.prop_map(Value::String),
    ];
    let any_value = leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array), members(inner)]
    });
    members(any_value)
}

fn members(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    proptest::collection::hash_map("[A-Za-z][A-Za-z0-9]{0,8}", value, 0..8)
        .prop_map(|map| Value::Object(map.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}
