//! Every committed set of vectors, through the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{Run, read, read_json, vectors};
use sha2::{Digest as _, Sha256};

#[test]
fn every_case_of_every_set_gets_its_verdict() {
    let mut sets = 0;
    for entry in std::fs::read_dir(vectors()).unwrap() {
        let dir = entry.unwrap().path();
        if dir.join("manifest.json").is_file() {
            sets += 1;
            run_set(&dir);
        }
    }
    assert!(sets > 0, "no set in {}", vectors().display());
}

#[test]
fn the_set_from_the_registries_is_there() {
    assert!(vectors().join("registry/manifest.json").is_file());
}

#[test]
fn files_from_registries_are_the_ones_in_the_index_and_no_others() {
    let index = String::from_utf8(read(vectors().join("INDEX.md"))).unwrap();
    let rows: Vec<(&str, &str)> = index
        .lines()
        .filter(|line| line.starts_with("| `registry/"))
        .map(|line| {
            let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            (cells[1], cells[4])
        })
        .collect();
    for (path, digest) in &rows {
        assert_eq!(hex::encode(Sha256::digest(read(vectors().join(path)))), *digest, "{path}");
    }
    let mut found = 0;
    for package in std::fs::read_dir(vectors().join("registry")).unwrap().map(|entry| entry.unwrap().path()) {
        for file in package.read_dir().into_iter().flatten().map(|entry| entry.unwrap().path()) {
            let path = file.strip_prefix(vectors()).unwrap();
            assert!(rows.iter().any(|(listed, _)| Path::new(listed) == path), "{} is not in INDEX.md", path.display());
            found += 1;
        }
    }
    assert_eq!(found, rows.len());
}

fn run_set(dir: &Path) {
    let manifest = read_json(dir.join("manifest.json"));
    let cases = manifest.as_array().expect("a list of cases");
    let mut wrong = Vec::new();
    for case in cases {
        let path = |name: &str| case[name].as_str().map(|file| dir.join(file));
        let crl = case["crl"].as_array().map_or(&[][..], Vec::as_slice);
        let run = Run {
            report: path("report").expect("report"),
            vek: path("vek"),
            intermediate: path("intermediate"),
            trust_root: path("trust_root"),
            crl: crl.iter().map(|file| dir.join(file.as_str().unwrap())).collect::<Vec<PathBuf>>(),
            at: case["at"].as_str().map(str::to_owned),
            more: vec![],
        };
        let said = run.judge();
        // Where a case names the check that refuses it, another refusal would hide that this one is gone.
        let by = case["by"].as_str().is_none_or(|by| said.is_refused_by(by));
        if case["expect"] != said.word() || case["exit"] != said.exit || !by {
            wrong.push(format!(
                "{} ({}): want {} {}, got {} {}: {:?}",
                case["id"],
                case["why"],
                case["expect"],
                case["exit"],
                said.word(),
                said.exit,
                said.failures()
            ));
        }
    }
    println!("{}: {} cases", dir.display(), cases.len());
    assert!(!cases.is_empty(), "{}: no cases", dir.display());
    assert!(wrong.is_empty(), "{}:\n{}", dir.display(), wrong.join("\n"));
}
