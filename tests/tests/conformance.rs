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
    Gateway, Proxy,
    conformance::{Scenario, conformance},
    fixture, repository,
};

const REVISIONS: [&str; 2] = ["2026-07-28", "2025-11-25"];
const MODES: [&str; 2] = ["legacy", "dual"];

/// Why a server of the older era passes none of the scenarios of tasks.
const NO_TASKS: &str = "a server of this era has no tasks extension";
/// The unscored scenarios that are not passed in front of a server of the older era. Everything else must pass.
const OF_TASKS: [&str; 9] = [
    "tasks-lifecycle",
    "tasks-capability-negotiation",
    "tasks-wire-fields",
    "tasks-request-state-removal",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-dispatch-and-envelope",
    "tasks-required-task-error",
    "tasks-mrtr-composition",
];

#[test]
fn the_suite_finds_no_failure_and_the_document_says_what_it_finds() {
    let more: String = MODES.iter().map(|mode| fixture(mode, &[mode])).collect();
    let gateway = Gateway::serving(&more);
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
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{}\n\n{table}", wrong.join("\n"));
    let written = fs::read_to_string(repository().join("docs/CONFORMANCE.md")).expect("docs/CONFORMANCE.md");
    assert!(written.contains(&table), "docs/CONFORMANCE.md does not hold the table of this run:\n{table}");
}

/// What a cell of the table says of a run.
fn cell(scenario: &Scenario) -> String {
    match (scenario.is_passed(), scenario.passed, scenario.warned.len()) {
        (false, _, _) if OF_TASKS.contains(&scenario.name.as_str()) => format!("fail: {NO_TASKS}"),
        (false, _, _) => "fail".to_owned(),
        (true, 0, 0) => "does not apply".to_owned(),
        (true, _, 0) => "pass".to_owned(),
        (true, _, warned) => format!("pass, {warned} warned"),
    }
}

/// What must not be.
fn faults(mode: &str, revision: &str, scenario: &Scenario) -> Vec<String> {
    let allowed = mode == "legacy" && scenario.unscored.is_some() && OF_TASKS.contains(&scenario.name.as_str());
    let mut wrong = Vec::new();
    if allowed == scenario.is_passed() {
        wrong.extend(match (allowed, scenario.failed.is_empty()) {
            (true, _) => vec!["passed, and is said not to".to_owned()],
            (false, true) => vec!["nothing was checked".to_owned()],
            (false, false) => scenario.failed.clone(),
        });
    }
    wrong.into_iter().map(|why| format!("{mode}, {revision}, {}: {why}", scenario.name)).collect()
}
