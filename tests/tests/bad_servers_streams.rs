//! Servers with bad habits while a stream is open: its client hears an end, nobody else notices, and memory stays as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, thread, time::Duration};

use sealgate_tests::{Client, Events, Gateway, fixture};
use serde_json::{Value, json};

/// The fixture as a server of each era.
const MODES: [&str; 2] = ["legacy", "dual"];

/// How clients speak.
const CLIENTS: [&str; 2] = ["modern", "legacy"];

/// Bytes by which a flood may move the gateway's memory: less than the flood has.
const ROOM: u64 = 24 << 20;

fn with(more: &str) -> Gateway {
    let servers: String = MODES.iter().map(|mode| fixture(mode, &[mode, "--faults"])).collect();
    Gateway::serving(&format!("{more}{servers}"))
}

/// Opens a tool call as a client of an era that wants to hear everything.
fn open(client: &Client, era: &str, endpoint: &str, tool: &str, arguments: &Value) -> Events {
    let meta = json!({"progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug"});
    let params = json!({"name": tool, "arguments": arguments, "_meta": meta});
    let (client, body) = match era {
        "modern" => client.modern_request("tools/call", params, json!({"elicitation": {}})),
        _ => {
            let client = client.with("accept", "application/json, text/event-stream");
            (client, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}))
        }
    };
    client.open(endpoint, &body)
}

/// Resident memory of the gateway, bytes.
fn memory(gateway: &Gateway) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", gateway.process())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn simple(client: &Client, endpoint: &str) -> String {
    let result = client.call(endpoint, "test_simple_text", json!({}));
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {result}")).to_owned()
}

const SIMPLE: &str = "This is a simple text response for testing.";

fn listen(client: &Client, endpoint: &str) -> Events {
    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]});
    let (client, body) = client.modern_request("subscriptions/listen", json!({"notifications": wanted}), json!({}));
    let mut events = client.open(endpoint, &body);
    let first = events.message().unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["notifications"]["resourceSubscriptions"][0], "test://watched-resource", "{first}");
    events
}

#[test]
fn a_flood_on_an_open_stream_takes_no_memory_and_nobody_elses_time() {
    let gateway = with("");
    let other = gateway.anonymous().with("x-mcp-session", "the-session-of-another");
    for mode in MODES {
        let (endpoint, caller) = (gateway.endpoint(mode), gateway.caller());
        assert_eq!(simple(&other, &endpoint), SIMPLE);
        for kind in ["progress", "message"] {
            let before = memory(&gateway);
            let flood = json!({"count": 150_000, "kind": kind});
            // Both floods at once, and nobody reads them yet.
            let streams = CLIENTS.map(|era| (era, open(&caller, era, &endpoint, "fault_floods", &flood)));
            for _ in 0..10 {
                assert_eq!(simple(&other, &endpoint), SIMPLE, "{mode}, {kind}");
                thread::sleep(Duration::from_millis(100));
                let grown = memory(&gateway).saturating_sub(before);
                assert!(grown < ROOM, "{mode}, {kind}: {grown} bytes more");
            }
            for (who, mut events) in streams {
                let mut last = Value::Null;
                while let Some(message) = events.message() {
                    assert!(last["id"].is_null(), "{mode}, {kind}, {who}: {message} after the answer");
                    last = message;
                }
                assert_eq!(last["result"]["content"][0]["text"], "flooded", "{mode}, {kind}, {who}: {last}");
            }
            let grown = memory(&gateway).saturating_sub(before);
            assert!(grown < ROOM, "{mode}, {kind}: {grown} bytes more at the end");
        }
    }
}

#[test]
fn a_listener_that_is_flooded_with_changes_hears_of_the_next_one_still() {
    let gateway = with("");
    let other = gateway.anonymous().with("x-mcp-session", "the-session-of-another");
    for mode in MODES {
        let (endpoint, caller) = (gateway.endpoint(mode), gateway.caller());
        let mut events = listen(&caller, &endpoint);
        let before = memory(&gateway);
        let flooded = caller.call(&endpoint, "fault_floods", json!({"count": 150_000, "kind": "list_changed"}));
        assert_eq!(flooded["content"][0]["text"], "flooded", "{mode}");
        assert_eq!(simple(&other, &endpoint), SIMPLE, "{mode}");
        let grown = memory(&gateway).saturating_sub(before);
        assert!(grown < ROOM, "{mode}: {grown} bytes more");
        caller.call(&endpoint, "test_trigger_resource_update", json!({}));
        let mut heard = 0;
        while events.message().unwrap()["method"] != "notifications/resources/updated" {
            heard += 1;
        }
        assert!((1..150_000).contains(&heard), "{mode}: {heard} messages of 150,000");
    }
}

#[test]
fn a_server_that_dies_on_an_open_stream_ends_it_and_the_next_call_has_a_new_one() {
    let gateway = with("[limits]\ncall_timeout_s = 5\n");
    for mode in MODES {
        let (endpoint, caller) = (gateway.endpoint(mode), gateway.caller());
        for tool in ["fault_dies_after_progress", "fault_dies_in_its_answer"] {
            let mut listener = listen(&caller, &endpoint);
            for who in CLIENTS {
                let events = open(&caller, who, &endpoint, tool, &json!({}));
                let last = events.rest().pop().unwrap();
                assert_eq!((&last["result"]["isError"], &last["id"]), (&json!(true), &json!(1)), "{who}: {last}");
                assert!(!last.to_string().contains("the whole answer"), "{who}: {last}");
            }
            // Whoever listens hears an end, and may listen anew.
            let end = std::iter::from_fn(|| listener.message()).last().unwrap();
            assert_eq!((&end["id"], end["result"].is_object()), (&json!(1), true), "{mode}, {tool}: {end}");
            assert_eq!(simple(&caller, &endpoint), SIMPLE, "{mode}, {tool}");
        }
    }
}

#[test]
fn a_server_that_dies_while_its_client_is_asked_is_not_waited_for() {
    let gateway = with("");
    let caller = gateway.caller();
    // Of a server of the newer era nobody is asked that way: it hears so, and dies all the same.
    for mode in MODES {
        let endpoint = gateway.endpoint(mode);
        let tool = "fault_dies_after_its_question";
        let (mut question, mut end) = (Value::Null, Value::Null);
        let mut told = open(&caller, "legacy", &endpoint, tool, &json!({}));
        while let Some(message) = told.message() {
            if message["method"] == "elicitation/create" {
                question = message;
            } else {
                end = message;
            }
        }
        assert_eq!(end["result"]["isError"], true, "{mode}: {end}");
        assert_eq!(question.is_object(), mode == "legacy", "{mode}: {question}");
        if mode == "legacy" {
            // Its answer comes too late, and is nobody's.
            let given = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "cancel"}});
            assert_eq!(caller.post(&endpoint, &given).status, 202);
        }
        // Who is asked by `input_required` comes back to nobody, and hears so whether it answers or not.
        for answers in [json!({"elicitation-1": {"action": "accept", "content": {"ok": true}}}), json!({})] {
            let last = open(&caller, "modern", &endpoint, tool, &json!({})).rest().pop().unwrap();
            let Some(state) = last["result"]["requestState"].as_str() else {
                assert_eq!((mode, &last["result"]["isError"]), ("dual", &json!(true)), "{last}");
                continue;
            };
            thread::sleep(Duration::from_millis(1000));
            let params = json!({"name": tool, "arguments": {}, "requestState": state, "inputResponses": answers});
            let again = caller.modern_as(&endpoint, "tools/call", params, json!({"elicitation": {}}));
            let again = again.messages().pop().unwrap();
            assert_eq!(again["result"]["isError"], true, "{mode}, {answers}: {again}");
        }
        assert_eq!(simple(&caller, &endpoint), SIMPLE, "{mode}");
    }
}

#[test]
fn a_server_that_answers_twice_on_an_open_stream_has_answered_once() {
    let gateway = with("");
    for mode in MODES {
        let (endpoint, caller) = (gateway.endpoint(mode), gateway.caller());
        for who in CLIENTS {
            let events = open(&caller, who, &endpoint, "fault_answers_twice_while_it_reports", &json!({}));
            let told = events.rest();
            let answers: Vec<&Value> = told.iter().filter(|message| message["id"] == 1).collect();
            assert_eq!(answers.len(), 1, "{mode}, {who}: {told:?}");
            assert_eq!(told.last().unwrap()["result"]["content"][0]["text"], "first", "{mode}, {who}: {told:?}");
        }
        assert_eq!(simple(&caller, &endpoint), SIMPLE, "{mode}");
    }
}

#[test]
fn a_server_that_reports_for_ever_and_never_answers_has_ten_times_as_long_and_no_more() {
    let gateway = with("[limits]\ncall_timeout_s = 1\n");
    let other = gateway.anonymous().with("x-mcp-session", "the-session-of-another");
    for mode in MODES {
        let (endpoint, caller) = (gateway.endpoint(mode), gateway.caller());
        for who in CLIENTS {
            let mut events = open(&caller, who, &endpoint, "fault_reports_without_end", &json!({}));
            assert_eq!(events.message().unwrap()["method"], "notifications/progress", "{mode}, {who}");
            assert_eq!(simple(&other, &endpoint), SIMPLE, "{mode}, {who}");
            let last = events.rest().pop().unwrap();
            let refusal = &last["result"]["structuredContent"];
            assert_eq!(
                (&last["result"]["isError"], &refusal["error"]),
                (&json!(true), &json!("SERVER_TIMEOUT")),
                "{last}"
            );
            assert!(last.to_string().contains("10000"), "{mode}, {who}: how long it was waited for: {last}");
        }
        assert_eq!(simple(&caller, &endpoint), SIMPLE, "{mode}");
    }
}
