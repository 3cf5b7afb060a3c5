//! The server of our own, alone and behind a gateway: a test that relies on it relies on this.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{Gateway, fixture, fixture_over_stdio};
use serde_json::{Value, json};

const MODERN: &str = "2026-07-28";

#[test]
fn the_eras_are_those_of_the_mode() {
    for (mode, legacy, modern) in [("legacy", true, false), ("dual", true, true), ("modern", false, true)] {
        let mut server = fixture_over_stdio(&[mode]);
        let discovered = server.answer("server/discover", &json!({"_meta": meta(json!({}))}));
        assert_eq!(discovered["result"]["supportedVersions"] == json!([MODERN]), modern, "{mode}: {discovered}");
        assert_eq!(discovered["error"]["code"] == -32601, !modern, "{mode}: {discovered}");
        for (asked, given) in [("2024-11-05", "2024-11-05"), ("2025-11-25", "2025-11-25"), (MODERN, "2025-11-25")] {
            let begun = server.answer("initialize", &json!({"protocolVersion": asked, "capabilities": {}}));
            assert_eq!(begun["result"]["protocolVersion"] == given, legacy, "{mode}, {asked}: {begun}");
        }
    }
    // Whoever forgets what its era asks for is told so.
    let mut legacy = fixture_over_stdio(&["legacy"]);
    assert_eq!(legacy.answer("tools/list", &json!({}))["error"]["code"], -32600);
    let mut modern = fixture_over_stdio(&["modern"]);
    let without = |member: &str| {
        let mut meta = meta(json!({}));
        meta.as_object_mut().unwrap().remove(member);
        json!({ "_meta": meta })
    };
    for params in [
        json!({}),
        without("io.modelcontextprotocol/protocolVersion"),
        without("io.modelcontextprotocol/clientCapabilities"),
    ] {
        assert_eq!(modern.answer("tools/list", &params)["error"]["code"], -32602, "{params}");
    }
    let future = json!({"_meta": {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}});
    let refused = modern.answer("tools/list", &future);
    assert_eq!(refused["error"]["code"], -32022, "{refused}");
    assert_eq!(refused["error"]["data"], json!({"supported": [MODERN], "requested": "2099-01-01"}));
}

#[test]
fn lists_come_whole_or_in_pages() {
    let mut whole = fixture_over_stdio(&["legacy", "--faults"]);
    let mut pages = fixture_over_stdio(&["legacy", "--faults", "--page=7"]);
    whole.initialize();
    pages.initialize();
    for (method, name) in [
        ("tools/list", "tools"),
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        let all = whole.answer(method, &json!({}))["result"][name].as_array().unwrap().clone();
        assert!(!all.is_empty(), "{method}");
        let (mut together, mut params) = (Vec::new(), json!({}));
        loop {
            let page = pages.answer(method, &params)["result"].clone();
            together.extend(page[name].as_array().unwrap().clone());
            assert!(page[name].as_array().unwrap().len() <= 7);
            match page.get("nextCursor") {
                Some(cursor) => params = json!({ "cursor": cursor }),
                None => break,
            }
        }
        assert_eq!(together, all, "{method}");
        assert_eq!(whole.answer(method, &json!({"cursor": "x"}))["error"]["code"], -32602);
    }
}

#[test]
fn a_question_is_a_request_in_the_older_era_and_a_result_in_the_newer_one() {
    let name = json!({"action": "accept", "content": {"name": "Alice"}});
    let mut legacy = fixture_over_stdio(&["dual"]);
    legacy.initialize();
    legacy.send(&call(50, "test_input_required_result_elicitation", json!({})));
    let question = legacy.message();
    assert_eq!((&question["id"], &question["method"]), (&json!("user_name"), &json!("elicitation/create")));
    legacy.send(&json!({"jsonrpc": "2.0", "id": "user_name", "result": name}).to_string());
    assert_eq!(text(&legacy.message()), "Hello, Alice!");

    let mut modern = fixture_over_stdio(&["dual"]);
    let tool = "test_input_required_result_multi_round";
    let mut round = |more: Value| {
        let mut params = json!({"name": tool, "arguments": {}, "_meta": meta(json!({"elicitation": {}}))});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        modern.answer("tools/call", &params)
    };
    let first = round(json!({}))["result"].clone();
    assert_eq!(first["resultType"], "input_required");
    let state = &first["requestState"];
    let second = round(json!({"requestState": state, "inputResponses": {"step1": name}}))["result"].clone();
    assert!(second["inputRequests"]["step2"].is_object(), "{second}");
    let color = json!({"action": "accept", "content": {"color": "blue"}});
    let last = round(json!({"requestState": second["requestState"], "inputResponses": {"step2": color}}));
    assert_eq!(text(&last), "Alice likes blue");
    // A changed state, a broken answer, and a capability that was not declared.
    let changed = format!("{}x", state.as_str().unwrap());
    assert_eq!(round(json!({"requestState": changed}))["error"]["code"], -32602);
    assert_eq!(round(json!({"inputResponses": null}))["error"]["code"], -32602);
    assert_eq!(round(json!({"inputResponses": {"step1": 7}}))["result"]["resultType"], "input_required");
    let refused = round(json!({"_meta": meta(json!({}))}));
    assert_eq!(refused["error"]["code"], -32021, "{refused}");
    assert_eq!(refused["error"]["data"]["requiredCapabilities"], json!({"elicitation": {}}));
}

#[test]
fn changes_are_told_to_those_who_want_to_hear_of_them() {
    let mut modern = fixture_over_stdio(&["modern"]);
    let listen = json!({
        "jsonrpc": "2.0", "id": "listening", "method": "subscriptions/listen",
        "params": {"_meta": meta(json!({})), "notifications": {"toolsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]}},
    });
    modern.send(&listen.to_string());
    let acknowledged = modern.message();
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "listening");
    for (tool, method) in [
        ("test_trigger_prompt_change", None),
        ("test_trigger_tool_change", Some("notifications/tools/list_changed")),
        ("test_trigger_resource_update", Some("notifications/resources/updated")),
    ] {
        modern.send(&modern_call(60, tool));
        let mut message = modern.message();
        if let Some(method) = method {
            assert_eq!(message["method"], method);
            assert_eq!(message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "listening");
            message = modern.message();
        }
        assert_eq!(message["id"], 60, "{tool}: {message}");
    }
    let mut legacy = fixture_over_stdio(&["legacy"]);
    legacy.initialize();
    legacy.send(&call(61, "test_trigger_resource_update", json!({})));
    assert_eq!(legacy.message()["id"], 61, "nobody subscribed");
    legacy.answer("resources/subscribe", &json!({"uri": "test://watched-resource"}));
    legacy.send(&call(62, "test_trigger_resource_update", json!({})));
    assert_eq!(legacy.message()["method"], "notifications/resources/updated");
    assert_eq!(legacy.message()["id"], 62);
}

#[test]
fn a_task_goes_on_after_its_answer() {
    let mut server = fixture_over_stdio(&["modern"]);
    let tasks = meta(json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}));
    let begun = server.answer("tools/call", &json!({"name": "multi_input", "_meta": tasks}))["result"].clone();
    assert_eq!(begun["resultType"], "task", "{begun}");
    let id = begun["taskId"].clone();
    let open = server.answer("tasks/get", &json!({"taskId": id, "_meta": tasks}))["result"].clone();
    assert_eq!((&open["status"], &open["inputRequests"]["second"].is_object()), (&json!("input_required"), &true));
    for (key, name) in [("first", "a"), ("second", "b")] {
        let answer = json!({key: {"action": "accept", "content": {"name": name}}});
        let said = server.answer("tasks/update", &json!({"taskId": id, "inputResponses": answer, "_meta": tasks}));
        assert_eq!(said["result"]["resultType"], "complete");
    }
    let done = server.answer("tasks/get", &json!({"taskId": id, "_meta": tasks}))["result"].clone();
    assert_eq!((&done["status"], &done["result"]["content"][0]["text"]), (&json!("completed"), &json!("a and b")));
    for method in ["tasks/get", "tasks/cancel"] {
        assert_eq!(server.answer(method, &json!({"taskId": "x", "_meta": tasks}))["error"]["code"], -32602);
        let undeclared = server.answer(method, &json!({"taskId": id, "_meta": meta(json!({}))}));
        assert_eq!(undeclared["error"]["code"], -32021);
    }
}

#[test]
fn arguments_come_back_byte_for_byte_and_delicate_answers_are_as_delicate_as_they_say() {
    let mut server = fixture_over_stdio(&["legacy", "--faults"]);
    server.initialize();
    let delicate = r#"{"z":1,"a":1.0,"e":1e2,"big":18446744073709551615,"s":"\u00e9é\/","":[{"b":[],"a":{}}] }"#;
    let answer = server.ask("tools/call", &format!("{{\"name\":\"echo\",\"arguments\":{delicate}}}"));
    assert!(answer.contains(&format!("\"structuredContent\":{delicate}")), "{answer}");
    let answer = server.ask("tools/call", r#"{"name":"fault_delicate_json"}"#);
    for token in ["\"a\":1.0", "1E+2", "-0,", "9007199254740993", "1e-400", "\\u00e9\\/\\u0041", "é/A"] {
        assert!(answer.contains(token), "{token}: {answer}");
    }
    let answer = server.ask("tools/call", r#"{"name":"fault_large_line"}"#);
    assert!(answer.len() > 5 << 20);
    // A reader of JSON may refuse what is this deep; the line is there.
    server.send(&call(70, "fault_deep_json", json!({})));
    assert!(server.line().contains(&"[".repeat(10_000)));
}

#[test]
fn bad_habits_are_as_bad_as_they_say() {
    let begin = |words: &[&str]| {
        let mut server = fixture_over_stdio(words);
        server.initialize();
        server
    };
    let faults = ["legacy", "--faults"];
    let mut server = begin(&faults);
    server.send(&call(80, "fault_answers_twice", json!({})));
    assert_eq!((text(&server.message()), text(&server.message())), ("first".to_owned(), "second".to_owned()));
    server.send(&call(81, "fault_floods", json!({"count": 100, "kind": "list_changed"})));
    for _ in 0..100 {
        assert_eq!(server.message()["method"], "notifications/tools/list_changed");
    }
    assert_eq!(text(&server.message()), "flooded");
    server.send(&call(82, "fault_prints_a_banner", json!({"lines": 2})));
    assert!(server.line().starts_with("*** ") && server.line().starts_with("*** ") && server.line().is_empty());
    assert_eq!(text(&server.message()), "after the banner");
    server.send(&call(83, "fault_answers_in_a_batch", json!({})));
    assert!(server.message().is_array());
    server.send(&call(84, "fault_never_answers", json!({})));
    assert_eq!(server.answer("ping", &json!({}))["result"], json!({}), "nothing came before this");
    server.send(&call(85, "fault_dies", json!({})));
    assert_eq!(server.end(), Some(3));
    let mut server = begin(&faults);
    server.send(&call(86, "fault_dies_in_its_answer", json!({})));
    assert!(server.line().starts_with(r#"{"jsonrpc":"2.0","id":86,"#));
    assert_eq!(server.end(), Some(3));

    let mut banner = fixture_over_stdio(&["legacy", "--banner"]);
    assert!((0..3).all(|_| banner.line().starts_with("*** ")));
    let mut flood = fixture_over_stdio(&["legacy", "--flood"]);
    assert!((0..10_000).all(|_| flood.message()["method"] == "notifications/x-flood"));
    assert_eq!(fixture_over_stdio(&["legacy", "--exit"]).end(), Some(3));
    assert_eq!(fixture_over_stdio(&["legacy", "--unknown"]).end(), Some(2));
}

#[test]
fn a_folder_of_the_operators_runs_behind_the_gateway_and_a_proof_names_it() {
    let more = format!("{}{}", fixture("fixture", &["legacy"]), fixture("fixture dual", &["dual"]));
    let gateway = Gateway::serving(&more);
    let client = gateway.caller();
    for name in ["fixture", "fixture dual"] {
        let about = client.get(&format!("/api/servers/{}", name.replace(' ', "-"))).json();
        let said = (&about["registryType"], &about["package"], &about["version"], &about["status"]);
        assert_eq!(
            said,
            (&json!("local"), &json!("sealgate-fixture-server"), &json!("1.0.0"), &json!("ready")),
            "{about}"
        );
        let result = client.call(&gateway.endpoint(&name.replace(' ', "-")), "test_simple_text", json!({}));
        assert_eq!(result["content"][0]["text"], "This is a simple text response for testing.");
    }
    let local = client.get("/api/servers?registry=local").json();
    assert_eq!(local["total"], 2, "{local}");
    assert_eq!(client.get("/api/servers?registry=npm").json()["total"], 0);

    let answer = client.post("/api/servers/fixture/tools/echo", &json!({"message": "a"})).json();
    let server = &answer["proof"]["proof"]["server"];
    assert_eq!(server["package"], "sealgate-fixture-server@1.0.0", "{answer}");
    let integrity = &server["packageAttestation"]["integrity"];
    assert!(integrity["registryDigest"].is_null() && integrity["lockDigest"].is_null(), "{server}");
    assert!(server["imageDigest"].as_str().is_some_and(|digest| !digest.is_empty()), "{server}");
}

fn meta(capabilities: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
        "io.modelcontextprotocol/clientInfo": {"name": "scenario", "version": "1"},
    })
}

fn call(id: u64, tool: &str, arguments: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}})
        .to_string()
}

fn modern_call(id: u64, tool: &str) -> String {
    let params = json!({"name": tool, "arguments": {}, "_meta": meta(json!({}))});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}).to_string()
}

fn text(message: &Value) -> String {
    message["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {message}")).to_owned()
}
