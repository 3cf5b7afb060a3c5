//! Other people's clients, old and new, at servers of both eras.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::thread;

use sealgate_tests::{Gateway, clients, fixture, fixture_over_stdio};
use serde_json::{Value, json};

const TEXT: &str = "This is a simple text response for testing.";

#[test]
fn every_official_client_uses_servers_of_both_eras() {
    let more: String = ["legacy", "dual"].iter().map(|mode| fixture(mode, &[mode])).collect();
    let gateway = &Gateway::serving(&more);
    for mode in ["legacy", "dual"] {
        // What the server itself lists, over stdio.
        let mut server = fixture_over_stdio(&[mode]);
        server.initialize();
        let listed = server.answer("tools/list", &json!({}))["result"]["tools"].as_array().unwrap().clone();
        let tools: &Vec<Value> = &listed.iter().map(|tool| tool["name"].clone()).collect();
        thread::scope(|scope| {
            for (client, protocol) in [
                ("mcp-ts-new", "2026-07-28"),
                ("mcp-ts-old", "2025-11-25"),
                ("mcp-py-new", "2026-07-28"),
                ("mcp-py-old", "2025-11-25"),
            ] {
                scope.spawn(move || {
                    let url = format!("{}{}", gateway.base(), gateway.endpoint(mode));
                    let said = clients::visit(client, &url, &[&format!("X-MCP-Session: {client}-{mode}")]);
                    assert_eq!(said["protocol"], protocol, "{client} at {mode}: {said}");
                    assert_eq!(said["tools"], json!(tools), "{client} at {mode}");
                    assert_eq!(said["text"], TEXT, "{client} at {mode}: {said}");
                    assert_eq!(said["resource"], "This is the content of the static text resource.");
                    assert_eq!(said["prompt"], "This is a simple prompt for testing.");
                    let steps: Vec<f64> =
                        said["progress"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
                    assert_eq!(steps, [0.0, 50.0, 100.0], "{client} at {mode}: {said}");
                    let elicited = said["elicited"].as_str().unwrap();
                    assert!(elicited.contains("accept") && elicited.contains("Who are you?"), "{client}: {elicited}");
                    // Only the newer era has a way to hear of changes between requests.
                    let changed = if protocol == "2026-07-28" { json!(true) } else { Value::Null };
                    assert_eq!(said["changed"], changed, "{client} at {mode}: {said}");
                });
            }
        });
    }
}

#[test]
fn the_inspector_lists_calls_and_reads_in_either_era() {
    let gateway = Gateway::serving(&fixture("legacy", &["legacy"]));
    let url = format!("{}{}", gateway.base(), gateway.endpoint("legacy"));
    for era in ["legacy", "modern"] {
        let session = format!("X-MCP-Session: inspector-{era}");
        let inspect = |words: &[&str]| clients::inspect(&url, &[&session], &[&["--protocol-era", era], words].concat());
        let listed = inspect(&["--method", "tools/list"]);
        assert_eq!(listed["tools"][0]["name"], "test_simple_text", "{era}: {listed}");
        let called = inspect(&["--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hello"]);
        assert_eq!(called["content"][0]["text"], r#"{"message":"hello"}"#, "{era}: {called}");
        let read = inspect(&["--method", "resources/read", "--uri", "test://static-text"]);
        assert_eq!(read["contents"][0]["uri"], "test://static-text", "{era}: {read}");
        let prompts = inspect(&["--method", "prompts/list"]);
        assert_eq!(prompts["prompts"][0]["name"], "test_simple_prompt", "{era}: {prompts}");
    }
}
