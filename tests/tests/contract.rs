//! docs/CONTRACT.md and docs/THREATS.md name checks and tests that exist.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::fs;

use sealgate_tests::repository;

/// Cells of the table rows under the headings of the contract's own lines: line, answer, smoke, tests.
fn rows(page: &str) -> Vec<Vec<String>> {
    let lines = page.lines().take_while(|line| *line != "## Where we differ");
    let rows = lines.filter(|line| line.starts_with("| ") && !line.starts_with("| line |"));
    // A bar inside of a cell is written \|.
    let cells =
        |line: &str| line.replace("\\|", "\u{0}").split('|').map(|cell| cell.trim().replace('\0', "|")).collect();
    rows.map(|line| cells(line.trim_matches('|'))).collect()
}

/// Texts between two marks.
fn between(cell: &str, open: char, close: char) -> Vec<&str> {
    let after = cell.split(open).skip(1);
    after.filter_map(|text| text.split(close).next()).step_by(if open == close { 2 } else { 1 }).collect()
}

#[test]
fn every_line_of_the_contract_names_tests_and_checks_that_are_there() {
    let page = fs::read_to_string(repository().join("docs/CONTRACT.md")).unwrap();
    let smoke = fs::read_to_string(repository().join("scripts/smoke")).unwrap();
    let rows = rows(&page);
    assert!(rows.len() > 40, "{} rows were read", rows.len());
    let mut missing = Vec::new();
    for row in &rows {
        let [line, _, checks, tests] = row.as_slice() else { panic!("four cells: {row:?}") };
        let checks = between(checks, '“', '”');
        missing.extend(
            checks
                .into_iter()
                .filter(|check| !smoke.contains(check))
                .map(|check| format!("{line}: scripts/smoke: {check}")),
        );
        let tests = between(tests, '`', '`');
        if tests.is_empty() {
            missing.push(format!("{line}: no test"));
        }
        missing.extend(tests.into_iter().filter(|test| !exists(test)).map(|test| format!("{line}: {test}")));
    }
    assert!(missing.is_empty(), "docs/CONTRACT.md names what is not there:\n{}", missing.join("\n"));
}

#[test]
fn every_known_attack_names_tests_that_are_there() {
    let page = fs::read_to_string(repository().join("docs/THREATS.md")).unwrap();
    let table =
        page.split("## Known attacks on the evidence").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack |")).collect();
    assert!(rows.len() > 18, "{} rows were read", rows.len());
    for row in rows {
        let tests = between(row.trim_end_matches(" |").rsplit(" | ").next().unwrap(), '`', '`');
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(exists(test), "docs/THREATS.md names {test}, which is not there");
        }
    }
}

/// Whether `file.rs::name` is a test: in `tests/tests/`, or from the top of the repository where it holds a slash.
fn exists(test: &str) -> bool {
    let Some((file, name)) = test.split_once("::") else { return false };
    let path = if file.contains('/') { repository().join(file) } else { repository().join("tests/tests").join(file) };
    let Ok(text) = fs::read_to_string(path) else { return false };
    let lines: Vec<&str> = text.lines().collect();
    let head = format!("fn {name}(");
    lines.iter().enumerate().any(|(at, line)| {
        // What stands between it and the line above that is empty: its attributes.
        let mut above = lines[..at].iter().rev().take_while(|line| !line.is_empty());
        line.contains(&head) && above.any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
    })
}
