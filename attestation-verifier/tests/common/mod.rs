//! Running the program and reading its verdict.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test reads files and may fail loudly"
)]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

/// One run of `attestation-verifier report`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) report: PathBuf,
    pub(crate) vek: Option<PathBuf>,
    pub(crate) intermediate: Option<PathBuf>,
    pub(crate) trust_root: Option<PathBuf>,
    pub(crate) crl: Vec<PathBuf>,
    pub(crate) at: Option<String>,
    pub(crate) more: Vec<String>,
}

/// What it said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) json: Value,
}

impl Run {
    pub(crate) fn of(report: impl Into<PathBuf>) -> Self {
        Self { report: report.into(), ..Self::default() }
    }

    pub(crate) fn vek(self, path: impl Into<PathBuf>) -> Self {
        Self { vek: Some(path.into()), ..self }
    }

    pub(crate) fn intermediate(self, path: impl Into<PathBuf>) -> Self {
        Self { intermediate: Some(path.into()), ..self }
    }

    pub(crate) fn crl(mut self, path: impl Into<PathBuf>) -> Self {
        self.crl.push(path.into());
        self
    }

    pub(crate) fn at(self, time: impl Into<String>) -> Self {
        Self { at: Some(time.into()), ..self }
    }

    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.more.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Runs the program without `--json`.
    pub(crate) fn output(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"));
        command.arg("report").arg(&self.report).args(&self.more);
        for (name, path) in
            [("--vek", &self.vek), ("--intermediate", &self.intermediate), ("--trust-root", &self.trust_root)]
        {
            command.args(path.iter().flat_map(|path| [Path::new(name), path]));
        }
        command.args(self.crl.iter().flat_map(|path| [Path::new("--crl"), path]));
        command.args(self.at.iter().flat_map(|at| ["--at", at]));
        command.output().expect("the program runs")
    }

    /// Runs the program with `--json`.
    pub(crate) fn judge(&self) -> Said {
        let output = self.clone().with(&["--json"]).output();
        let json = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{self:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
        Said { exit: output.status.code().expect("an exit code"), json }
    }
}

/// `attestation-verifier ARGUMENTS --json`.
pub(crate) fn run_json(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_attestation-verifier"));
    let output = command.args(arguments).arg("--json").output().expect("run");
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    Said { exit: output.status.code().expect("exit code"), json }
}

impl Said {
    pub(crate) fn word(&self) -> &str {
        self.json["verdict"].as_str().expect("verdict")
    }

    pub(crate) fn outcome(&self, name: &str) -> &str {
        let checks = self.json["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == name);
        check.and_then(|check| check["outcome"].as_str()).unwrap_or("absent")
    }

    pub(crate) fn leaves_open(&self, code: &str) -> bool {
        self.json["notProven"].as_array().expect("notProven").iter().any(|open| open == code)
    }

    /// Is this check the first that failed or, where none did, one that could not be made?
    pub(crate) fn is_refused_by(&self, name: &str) -> bool {
        match self.failures().first() {
            Some(first) => first["name"] == name,
            None => self.outcome(name) == "not_checked",
        }
    }

    pub(crate) fn failures(&self) -> Vec<&Value> {
        self.json["checks"].as_array().expect("checks").iter().filter(|check| check["outcome"] == "fail").collect()
    }
}

/// `tests/vectors` of the repository.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn read_json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

/// S := n - S in the signature of a report: the other signature that verifies.
pub(crate) fn negate_s(report: &mut [u8]) {
    let s = &mut report[0x2E8..0x318];
    s.reverse();
    let negated = n_minus(s);
    s.copy_from_slice(&negated);
    s.reverse();
}

/// The order of P-384 (FIPS 186-5) less a number below it, both big-endian.
fn n_minus(number: &[u8]) -> Vec<u8> {
    let n =
        hex::decode("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973")
            .unwrap();
    let mut borrow = 0;
    let mut out = vec![0; 48];
    for at in (0..48).rev() {
        let digit = i16::from(n[at]) - i16::from(number[at]) - borrow;
        borrow = i16::from(digit < 0);
        out[at] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    out
}
