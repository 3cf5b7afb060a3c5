//! The committed proofs of free and paid calls, judged by the program as a stranger would run it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::{collections::BTreeSet, path::PathBuf, process::Command};

use serde_json::Value;

fn set() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/proofs")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(set().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_committed_proof_ends_as_its_manifest_says() {
    let manifest: Vec<Value> = serde_json::from_slice(&read("cases.json")).unwrap();
    assert!(manifest.len() >= 20, "{}", manifest.len());
    for case in &manifest {
        let id = case["id"].as_str().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"));
        command.current_dir(set()).args([
            "proof",
            case["proof"].as_str().unwrap(),
            "--bundle",
            "bundle.json",
            "--json",
        ]);
        command.args(["--trust-root", "root.der", "--at", case["at"].as_str().unwrap()]);
        if let Some(payment) = case["payment"].as_str() {
            command.args(["--payment", payment]);
        }
        let output = command.output().unwrap();
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code().map(i64::from), case["exit"].as_i64(), "{id}: {verdict:#}");
        let rows = verdict["checks"].as_array().unwrap();
        for (name, wanted) in case["rows"].as_object().unwrap() {
            let outcome =
                rows.iter().find(|row| row["name"] == **name).map_or("absent", |row| row["outcome"].as_str().unwrap());
            assert_eq!(outcome, wanted.as_str().unwrap(), "{id}: {name}");
        }
        let failed: Vec<_> =
            rows.iter().filter(|row| row["outcome"] == "fail").map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(failed, case["rejects"].as_str().into_iter().collect::<Vec<_>>(), "{id}");
        assert_eq!(id.starts_with("pass_"), case["exit"] == 0, "{id}");
    }
    // Nothing lies there that nobody judges.
    let listed: BTreeSet<_> = manifest.iter().map(|case| case["proof"].as_str().unwrap().to_owned()).collect();
    let present: BTreeSet<_> = std::fs::read_dir(set())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("pass_") || name.starts_with("fail_"))
        .collect();
    assert_eq!(listed, present);
}
