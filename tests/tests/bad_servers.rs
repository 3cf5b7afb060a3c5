//! Servers with bad habits: the caller is told, and nobody else notices.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{Client, EVERYTHING, Gateway, fixture};
use serde_json::{Value, json};

/// Servers have three seconds for an answer.
const IMPATIENT: &str = "[limits]\ncall_timeout_s = 3\n";

#[test]
fn what_a_server_does_beside_its_answer_changes_nothing() {
    let gateway = Gateway::serving(&format!("{IMPATIENT}{}", fixture("fixture", &["legacy", "--faults"])));
    let client = gateway.caller();
    let endpoint = gateway.endpoint("fixture");
    for (tool, arguments, said) in [
        ("fault_answers_twice", json!({}), "first"),
        ("fault_answers_others", json!({}), "mine"),
        ("fault_floods", json!({"count": 20_000, "kind": "progress"}), "flooded"),
        ("fault_floods", json!({"count": 20_000, "kind": "message"}), "flooded"),
        ("fault_floods", json!({"count": 20_000, "kind": "unknown"}), "flooded"),
        ("fault_floods", json!({"count": 20_000, "kind": "list_changed"}), "flooded"),
        ("fault_floods", json!({"count": 20_000, "kind": "updated"}), "flooded"),
        ("fault_prints_a_banner", json!({"lines": 3}), "after the banner"),
        ("fault_prints_on_stderr", json!({"bytes": 4 << 20}), "printed"),
        ("fault_split_letters", json!({}), "zażółć 😀 日本語"),
        ("fault_other_line_ends", json!({}), "other line ends"),
        ("fault_answers_in_a_batch", json!({}), "in a batch"),
        ("fault_network_ref", json!({"value": 1}), "{\"value\":1}"),
        ("fault_unknown_definition", json!({}), "known"),
    ] {
        let result = call(&client, &endpoint, tool, arguments);
        assert_eq!(result["result"]["content"][0]["text"], said, "{tool}: {result}");
        // The next call gets its own answer and no other.
        assert_eq!(simple(&client, &endpoint), "This is a simple text response for testing.", "after {tool}");
    }
    // One container the whole time: none of this was worth a new one.
    let counts = || call(&client, &endpoint, "counter", json!({}))["result"]["structuredContent"]["count"].clone();
    assert_eq!((counts(), counts()), (json!(1), json!(2)));
    assert_eq!(gateway.containers().len(), 1);
    let large = call(&client, &endpoint, "fault_large_line", json!({"bytes": 5 << 20}));
    assert_eq!(large["result"]["content"][0]["text"].as_str().unwrap().len(), 5 << 20);
}

#[test]
fn a_server_that_gives_no_usable_answer_is_said_to_and_the_next_call_works() {
    let gateway = Gateway::serving(&format!("{IMPATIENT}{}", fixture("fixture", &["legacy", "--faults"])));
    let client = gateway.caller();
    let endpoint = gateway.endpoint("fixture");
    for (tool, arguments) in [
        ("fault_never_answers", json!({})),
        ("fault_dies", json!({})),
        ("fault_dies_after_progress", json!({})),
        ("fault_dies_in_its_answer", json!({})),
        ("fault_prints_a_banner", json!({"lines": 100_000})),
        ("fault_large_line", json!({"bytes": 9 << 20})),
        ("fault_deep_json", json!({"depth": 10_000})),
        ("fault_broken_letters", json!({})),
        ("fault_answers_with_nothing", json!({})),
        ("fault_result_is_no_object", json!({})),
    ] {
        let answer = call(&client, &endpoint, tool, arguments);
        let refused = answer["error"].is_object() || answer["result"]["isError"] == true;
        assert!(refused, "{tool}: {answer}");
        let said = answer.to_string();
        assert!(!said.contains("This is a simple text"), "{tool}: {said}");
        assert_eq!(simple(&client, &endpoint), "This is a simple text response for testing.", "after {tool}");
    }
    assert_eq!(client.get("/health").status, 200);
}

#[test]
fn a_server_that_cannot_begin_is_listed_with_the_reason_and_the_others_work() {
    let more = [
        IMPATIENT,
        EVERYTHING,
        &fixture("banner", &["legacy", "--banner"]),
        &fixture("flood", &["legacy", "--flood"]),
        &fixture("gone", &["legacy", "--exit"]),
        &fixture("confused", &["no-such-mode"]),
    ];
    let gateway = Gateway::serving(&more.concat());
    let client = gateway.caller();
    for name in ["banner", "flood"] {
        assert_eq!(simple(&client, &gateway.endpoint(name)), "This is a simple text response for testing.", "{name}");
    }
    for (name, said) in [("gone", "I was told to end"), ("confused", "no-such-mode")] {
        let about = client.get(&format!("/api/servers/{name}")).json();
        assert_eq!((&about["status"], &about["gatewayCompatible"]), (&json!("unavailable"), &json!(false)), "{about}");
        assert!(about["gatewayNotes"].as_str().unwrap().contains(said), "{about}");
    }
    let echo = client.call(&gateway.endpoint("everything"), "echo", json!({"message": "a"}));
    assert_eq!(echo["content"][0]["text"], "Echo: a");
}

/// The whole answer to a tool call.
fn call(client: &Client, endpoint: &str, tool: &str, arguments: Value) -> Value {
    let answer = client.rpc(endpoint, "tools/call", json!({"name": tool, "arguments": arguments}));
    // An answer that came as a stream is its last event.
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().unwrap_or(&text);
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{tool}: {error}: {text}"))
}

fn simple(client: &Client, endpoint: &str) -> String {
    let answer = call(client, endpoint, "test_simple_text", json!({}));
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}")).to_owned()
}
