//! Bad input on the command line: a clear error that names the file and the fix, and the right exit code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

mod common;

use common::{Run, vectors};

fn milan() -> Run {
    let dir = vectors().join("registry/sev-8.0.0");
    Run::of(dir.join("report_milan.bin")).vek(dir.join("vcek_milan.der")).at("2026-01-01T00:00:00Z")
}

/// Runs, wants this exit code and all of these words, and gives what was printed.
fn says(run: &Run, exit: i32, words: &[&str]) -> String {
    let output = run.output();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(exit), "{run:?}: {text}");
    for word in words {
        assert!(text.contains(word), "no \"{word}\" in: {text}");
    }
    text
}

#[test]
fn an_unreadable_file_is_a_usage_error_that_names_it() {
    says(&Run::of("/nonexistent/report.bin"), 1, &["REPORT /nonexistent/report.bin", "fix:"]);
    says(&milan().vek("/nonexistent/vek.der"), 1, &["--vek /nonexistent/vek.der", "fix:"]);
    says(&milan().crl("/nonexistent/x.crl"), 1, &["--crl /nonexistent/x.crl", "fix:"]);
    says(&Run::of(vectors()), 1, &["fix:"]);
}

#[test]
fn evidence_of_the_wrong_kind_is_malformed_and_says_what_it_looks_like() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    for (name, bytes, looks) in [
        ("empty", &b""[..], "an empty file"),
        ("short", &[2; 100], "a truncated report"),
        ("json", b"{}", "JSON"),
        ("pem", b"-----BEGIN CERTIFICATE-----", "PEM"),
    ] {
        let path = file(name, bytes);
        let run = Run { report: path.clone(), ..milan() };
        says(&run, 2, &["rejected", looks, "fix:", path.to_str().unwrap()]);
        let run = milan().vek(&path);
        says(&run, 2, &["rejected", "fix:", path.to_str().unwrap()]);
        assert_eq!(run.judge().outcome("vek"), "fail");
        assert_eq!(milan().intermediate(&path).judge().outcome("intermediate"), "fail");
        assert_eq!(milan().crl(&path).judge().outcome("revocation"), "fail");
    }
}

#[test]
fn an_expectation_of_the_wrong_length_is_a_usage_error() {
    for bad in ["", "00", &"00".repeat(63), &"00".repeat(65), &"zz".repeat(64)] {
        says(&milan().with(&["--report-data", bad]), 1, &["--report-data", "128 hexadecimal digits"]);
    }
}

#[test]
fn arguments_that_make_no_sense_are_usage_errors() {
    says(&milan().with(&["--at", "yesterday"]), 1, &["--at"]);
    says(&milan().with(&["--colour"]), 1, &["--colour"]);
    says(&milan().with(&["--policy", "lax"]), 1, &["--policy lax", "fix:"]);
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    says(&milan().with(&["--policy", cargo]), 1, &["--policy", "Cargo.toml", "fix:"]);
    says(&Run { trust_root: Some(cargo.into()), ..milan() }, 1, &["--trust-root", "Cargo.toml", "fix:"]);
    says(&milan().with(&["--help"]), 0, &["--trust-root", "Exit codes"]);
}

#[test]
fn a_verdict_is_a_table_for_people() {
    let text =
        says(&milan(), 0, &["accepted\n", "ARK-Milan", "SEV-Milan", "VCEK", "not checked", "code-unknown", "(--at)"]);
    assert!(text.lines().count() < 65, "{text}");
    says(&Run { vek: None, ..milan() }, 3, &["rejected: chain: no endorsement certificate given", "--vek"]);
}

#[test]
fn without_a_time_the_system_clock_is_used_and_named() {
    let run = Run { at: None, ..milan() };
    says(&run, 0, &["system clock", "--at"]);
    let output = run.with(&["--json"]).output();
    assert!(String::from_utf8(output.stderr).unwrap().contains("system clock"));
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
}

#[test]
fn a_json_verdict_has_the_documented_members() {
    let said = milan().judge();
    for member in ["verdict", "checks", "notProven", "grade", "trust", "time", "evidence", "exit"] {
        assert!(said.json.get(member).is_some(), "{member}");
    }
    assert_eq!(said.json["trust"], "amd");
    assert_eq!(said.json["time"]["verifiedAt"], "2026-01-01T00:00:00Z");
    assert_eq!(Run { vek: None, ..milan() }.judge().json["trust"], serde_json::Value::Null);
}

#[test]
fn a_policy_can_ask_for_more_and_leaving_a_claim_open_then_rejects() {
    let strict = include_str!("../policy/strict.toml");
    let dir = tempfile::tempdir().unwrap();
    let judge = |from: &str, to: &str| {
        assert!(strict.contains(from), "{from}");
        let path = dir.path().join("policy.toml");
        std::fs::write(&path, strict.replace(from, to)).unwrap();
        milan().with(&["--policy", path.to_str().unwrap()]).judge()
    };
    let open = "{ unchecked = \"no particular one is expected\" }";
    let rule = |field: &str, value: &str| (format!("{field} = {open}"), format!("{field} = {value}"));
    let one = |digits: usize| format!("[\"{}\"]", "01".repeat(digits));
    let word = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    for ((from, to), check) in [
        (
            word(
                "report_data = { unchecked = \"nothing is compared unless you name a nonce or the report data\" }",
                "report_data = \"require\"",
            ),
            "report-data",
        ),
        (word("revocation = \"optional\"", "revocation = \"require\""), "revocation"),
        (word("products = [\"Milan\", \"Genoa\"", "products = [\"Genoa\""), "accepted-product"),
        (word("keys = [\"VCEK\", ", "keys = ["), "accepted-key"),
        (rule("measurements", &one(48)), "measurement"),
        (rule("host_data", &one(32)), "host-data"),
        (rule("id_keys", &one(48)), "id-key"),
        (rule("author_keys", &one(48)), "author-key"),
        (rule("chips", &one(64)), "chip"),
        (rule("providers", "[\"CN=x\"]"), "provider"),
        (rule("min_guest_svn", "4000000000"), "guest-svn"),
    ] {
        let said = judge(&from, &to);
        assert_eq!((said.word(), said.exit), ("rejected", 5), "{to}");
        assert_ne!(said.outcome(check), "pass", "{to}");
        assert_ne!(said.outcome(check), "absent", "{to}");
    }
    let measurement =
        "7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f";
    let (from, to) = rule("measurements", &format!("[\"{measurement}\"]"));
    let said = judge(&from, &to);
    assert_eq!((said.word(), said.outcome("measurement")), ("accepted", "pass"));
}
