//! The protocol's own conformance suite, through the gateway, against a server of each era.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::fs;

use sealgate_tests::{
    Gateway, Proxy, Settings,
    conformance::{Scenario, conformance},
    fixture, repository,
};

const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];
const MODES: [&str; 2] = ["legacy", "dual"];

/// Unscored scenarios that a server of this mode does not pass, and why. Everything else must pass.
const NOT_PASSED: &[(&str, &str)] = &[];

#[test]
fn the_suite_finds_no_failure_and_the_document_says_what_it_finds() {
    let more: String = MODES.iter().map(|mode| fixture(mode, &[mode])).collect();
    let gateway = Gateway::with(&Settings { more, ..Settings::default() });
    let mut table =
        String::from("| revision | scenario | counts | legacy server | dual-era server |\n|---|---|---|---|---|\n");
    let mut wrong = Vec::new();
    for revision in REVISIONS {
        let runs = MODES.map(|mode| {
            // The suite cannot say who it is, and strangers share no container.
            let session = format!("conformance-{mode}-{revision}");
            let proxy = Proxy::start(gateway.base(), &[("X-MCP-Session", &session)]);
            conformance(&format!("{}{}", proxy.base(), gateway.endpoint(mode)), revision)
        });
        let [legacy, dual] = &runs;
        for (one, two) in legacy.iter().zip(dual) {
            assert_eq!(one.name, two.name, "both runs have the same scenarios");
            let counts = one.unscored.as_deref().map_or("scored".to_owned(), |why| format!("no: {why}"));
            table += &format!("| {revision} | {} | {counts} | {} | {} |\n", one.name, cell(one), cell(two));
            for (mode, scenario) in MODES.iter().zip([one, two]) {
                wrong.extend(faults(mode, revision, scenario));
            }
        }
    }
    println!("{table}");
    assert!(wrong.is_empty(), "{}\n\n{table}", wrong.join("\n"));
    let written = fs::read_to_string(repository().join("docs/MCP.md")).expect("docs/MCP.md");
    assert!(written.contains(&table), "docs/MCP.md does not hold the table of this run:\n{table}");
}

/// What a cell of the table says of a run.
fn cell(scenario: &Scenario) -> String {
    let word = match (scenario.is_passed(), scenario.passed) {
        (false, _) => "fail",
        (true, 0) => "does not apply",
        (true, _) => "pass",
    };
    let why: Vec<&str> = NOT_PASSED.iter().filter(|(name, _)| *name == scenario.name).map(|(_, why)| *why).collect();
    match (word, why.as_slice()) {
        ("fail", [why, ..]) => format!("fail: {why}"),
        _ if scenario.warned.is_empty() => word.to_owned(),
        _ => format!("{word}, {} warned", scenario.warned.len()),
    }
}

/// What must not be.
fn faults(mode: &str, revision: &str, scenario: &Scenario) -> Vec<String> {
    let allowed =
        scenario.unscored.is_some() && mode == "legacy" && NOT_PASSED.iter().any(|(name, _)| *name == scenario.name);
    if scenario.is_passed() || allowed {
        return Vec::new();
    }
    let failed =
        if scenario.failed.is_empty() { vec!["nothing was checked".to_owned()] } else { scenario.failed.clone() };
    failed.into_iter().map(|why| format!("{mode}, {revision}, {}: {why}", scenario.name)).collect()
}
