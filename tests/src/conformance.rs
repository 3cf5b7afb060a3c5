//! The protocol's own conformance suite (npm `@modelcontextprotocol/conformance`), run against an address. Needs
//! `scripts/test-parts`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::repository;

/// A run that takes longer hangs.
const SECONDS: &str = "240";

/// How one scenario went.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in the suite.
    pub name: String,
    /// Why it is not scored, in the suite's word; `None` where it is.
    pub unscored: Option<String>,
    /// Checks that passed.
    pub passed: usize,
    /// What failed, and what was only warned of: check and reason.
    pub failed: Vec<String>,
    /// What the specification asks for with SHOULD and did not get.
    pub warned: Vec<String>,
    /// Checks that did not apply.
    pub skipped: usize,
}

impl Scenario {
    /// Whether no check failed, by the suite's own rule: a warning is none. A scenario that checked nothing has not passed.
    pub fn is_passed(&self) -> bool {
        self.failed.is_empty() && self.passed + self.skipped + self.warned.len() > 0
    }
}

/// Runs the scenarios of a revision against `url`.
///
/// # Panics
/// The suite is not installed, or it left a scenario out.
pub fn conformance(url: &str, revision: &str) -> Vec<Scenario> {
    let suite = installed();
    let results = tempfile::tempdir().expect("a folder for the results");
    let output = Command::new("timeout")
        .arg(SECONDS)
        .arg(repository().join("target/parts/node22/bin/node"))
        .arg(suite.join("dist/index.js"))
        .args(["server", "--url", url, "--requirements", revision, "--output-dir"])
        .arg(results.path())
        .stdin(Stdio::null())
        .output()
        .expect("timeout (coreutils) runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let checks = checks(results.path());
    required(&suite.join(format!("requirements/{revision}.yaml")))
        .into_iter()
        .map(|(name, unscored)| {
            let checks = checks.get(&name).unwrap_or_else(|| panic!("{name} was not run:\n{said}"));
            scenario(name, unscored, checks)
        })
        .collect()
}

fn installed() -> PathBuf {
    let folder = repository().join("target/parts/conformance");
    assert!(folder.join("recipe").is_file(), "the conformance suite is not installed; fix: scripts/test-parts");
    folder.join("node_modules/@modelcontextprotocol/conformance")
}

fn scenario(name: String, unscored: Option<String>, checks: &[Value]) -> Scenario {
    let of = |status: &str| -> Vec<String> {
        let fitting = checks.iter().filter(|check| check["status"] == status);
        fitting.map(|check| format!("{}: {}", text(&check["id"]), text(&check["errorMessage"]))).collect()
    };
    Scenario {
        name,
        unscored,
        passed: of("SUCCESS").len(),
        failed: of("FAILURE"),
        warned: of("WARNING"),
        // What is only told and what does not apply: no session, for instance.
        skipped: of("SKIPPED").len() + of("INFO").len(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().split('\n').collect::<Vec<_>>().join(" ")
}

/// The checks of each scenario, from the folders `server-SCENARIO-TIME` that the suite wrote.
fn checks(results: &Path) -> BTreeMap<String, Vec<Value>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(results).expect("the results") {
        let entry = entry.expect("an entry");
        let Ok(written) = fs::read_to_string(entry.path().join("checks.json")) else { continue };
        let checks: Vec<Value> = serde_json::from_str(&written).expect("checks are a list");
        let folder = entry.file_name().to_string_lossy().into_owned();
        let name = folder.strip_prefix("server-").unwrap_or(&folder);
        // The time at the end: 2026-11-21T18-00-00-000Z.
        let name = name.get(..name.len().saturating_sub("-2026-11-21T18-00-00-000Z".len())).unwrap_or(name);
        found.insert(name.to_owned(), checks);
    }
    found
}

/// The scenarios that a revision requires of a server, and those that run unscored, with why. The file has one form, and
/// we read no other: `server:` with a list of names, `not_scored:` with a list of `scenario`, `leg`, `reason`.
fn required(file: &Path) -> Vec<(String, Option<String>)> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (mut section, mut scored, mut unscored) = ("", Vec::new(), Vec::new());
    let mut last: Option<(String, bool)> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if !line.starts_with([' ', '#']) && line.ends_with(':') {
            section = line.trim_end_matches(':');
        } else if let (true, Some(name)) = (section == "server", trimmed.strip_prefix("- ")) {
            scored.push((name.to_owned(), None));
        } else if let (true, Some(name)) = (section == "not_scored", trimmed.strip_prefix("- scenario: ")) {
            last = Some((name.to_owned(), false));
        } else if let (Some((name, _)), "leg: server") = (&last, trimmed) {
            last = Some((name.clone(), true));
        } else if let (Some((name, true)), Some(reason)) = (&last, trimmed.strip_prefix("reason: ")) {
            unscored.push((name.clone(), Some(reason.to_owned())));
            last = None;
        }
    }
    assert!(scored.len() >= 30, "{} names {} scenarios of servers", file.display(), scored.len());
    scored.extend(unscored);
    scored
}
