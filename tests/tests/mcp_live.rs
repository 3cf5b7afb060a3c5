//! What changes while the gateway runs: tools that come and go, what listeners hear of it, batches.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a scenario that panics has failed")]

use std::collections::BTreeMap;

use sealgate_tests::{
    Client, EVERYTHING, Events, FILESYSTEM, Gateway, Paying, Saved, Settings, Wallet, clients, fixture, wallet::header,
};
use serde_json::{Value, json};

const STREAM: &str = "application/json, text/event-stream";
const WATCHED: &str = "test://watched-resource";

fn of(servers: &[String]) -> Settings {
    Settings { more: servers.concat(), ..Settings::default() }
}

fn enable(caller: &Client, name: &str) {
    let said = caller.call("/mcp", "gateway__enable_server", json!({"server_name": name}));
    assert_eq!(said["structuredContent"]["enabled"], true, "{said}");
}

fn disable(caller: &Client, name: &str) {
    caller.call("/mcp", "gateway__disable_server", json!({"server_name": name}));
}

/// A tool of the fixture that only does something.
fn trigger(caller: &Client, path: &str, tool: &str) {
    let said = caller.call(path, tool, json!({}));
    assert!(said["isError"] != json!(true) && said["content"].is_array(), "{tool}: {said}");
}

/// A subscription, and what of it was granted.
fn listen(caller: &Client, path: &str, wanted: Value) -> (Events, Value) {
    let (client, body) = caller.modern_request("subscriptions/listen", json!({"notifications": wanted}), json!({}));
    let mut events = client.open(path, &body);
    let first = events.message().unwrap();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    (events, first["params"]["notifications"].clone())
}

fn everything_listed() -> Value {
    json!({"toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true})
}

/// The next message is the change of this list, tagged.
fn changed(events: &mut Events, list: &str) {
    let told = events.message().unwrap();
    assert_eq!(told["method"], format!("notifications/{list}/list_changed"), "{told}");
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1, "{told}");
}

fn names(caller: &Client, path: &str) -> Vec<String> {
    let answer = caller.rpc(path, "tools/list", json!({})).json();
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn call(caller: &Client, path: &str, tool: &str) -> Value {
    caller.rpc(path, "tools/call", json!({"name": tool, "arguments": {}})).json()
}

fn is_unknown(said: &Value, what: &str) {
    let error = &said["error"];
    assert_eq!((&error["code"], &error["data"]["error"]), (&json!(-32602), &json!("UNKNOWN_TOOL")), "{what}: {said}");
}

#[test]
fn a_tool_that_comes_is_called_like_the_others_and_one_that_went_is_refused() {
    let gateway = Gateway::with(&of(&[fixture("old", &["legacy", "--faults"]), fixture("new", &["dual", "--faults"])]));
    let (caller, other) = (gateway.caller(), gateway.anonymous().with("x-mcp-session", "the-session-of-another"));
    for server in ["old", "new"] {
        let endpoint = gateway.endpoint(server);
        let rest = format!("/api/servers/{server}/tools/test_toggled_tool");
        is_unknown(&call(&caller, &endpoint, "test_toggled_tool"), "not there yet");
        trigger(&caller, &endpoint, "test_trigger_tool_change");
        let request =
            json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "test_toggled_tool"}});
        let (answer, proof) = caller.proven(&endpoint, &request);
        assert_eq!(answer.json()["result"]["content"][0]["text"], "I am here", "{server}");
        assert_eq!(proof["proof"]["execution"]["tool"], "test_toggled_tool");
        let bundle = gateway.anonymous().get("/api/attestation/bundle").body;
        let saved = Saved::new(&gateway.directory().join(server), &request, &answer.body, &proof, &bundle);
        let judged = saved.judge(Some(&gateway.test_root()), &[]);
        assert_eq!(judged.code, 0, "{}", judged.said);
        assert!(names(&caller, &endpoint).contains(&"test_toggled_tool".to_owned()), "{server}");
        assert_eq!(caller.post(&rest, &json!({})).status, 200, "over REST too");
        // On the gateway's own endpoint under its prefix, and without being enabled.
        enable(&caller, server);
        let prefixed = format!("{server}__test_toggled_tool");
        assert!(names(&caller, "/mcp").contains(&prefixed), "{:?}", names(&caller, "/mcp"));
        assert_eq!(call(&caller, "/mcp", &prefixed)["result"]["content"][0]["text"], "I am here");
        let through = caller.call("/mcp", "gateway__call_tool", json!({"tool": prefixed}));
        assert_eq!(through["content"][0]["text"], "I am here", "{through}");
        // So are prompts and resources that came.
        trigger(&caller, &endpoint, "test_trigger_prompt_change");
        trigger(&caller, &endpoint, "test_trigger_resource_change");
        let prompt = json!({"name": format!("{server}__test_toggled_prompt")});
        let got = caller.rpc("/mcp", "prompts/get", prompt).json();
        assert!(got["result"]["messages"].is_array(), "{server}: {got}");
        let read = caller.rpc("/mcp", "resources/read", json!({"uri": "test://toggled"})).json();
        assert_eq!(read["result"]["contents"][0]["text"], "I am here", "{server}: {read}");
        // It is there in this caller's container, and nowhere else.
        is_unknown(&call(&other, &endpoint, "test_toggled_tool"), "another caller");
        is_unknown(&call(&gateway.anonymous(), &endpoint, "test_toggled_tool"), "a stranger");
        trigger(&caller, &endpoint, "test_trigger_tool_change");
        let gone = call(&caller, &endpoint, "test_toggled_tool");
        is_unknown(&gone, "it went");
        assert_eq!(caller.post(&rest, &json!({})).json()["error"], "UNKNOWN_TOOL");
        is_unknown(&call(&caller, "/mcp", &prefixed), "nor by its prefix");

        // One that was there at install goes: it is not called, though the catalogue knows it.
        let (_events, _) = listen(&caller, &endpoint, json!({"toolsListChanged": true}));
        trigger(&caller, &endpoint, "fault_hides_a_tool");
        assert!(!names(&caller, &endpoint).contains(&"counter".to_owned()), "{server}");
        is_unknown(&call(&caller, &endpoint, "counter"), "it went");
        assert_eq!(call(&other, &endpoint, "counter")["result"]["structuredContent"]["count"], 1, "it is another's");
        trigger(&caller, &endpoint, "fault_hides_a_tool");
        assert_eq!(call(&caller, &endpoint, "counter")["result"]["structuredContent"]["count"], 1);
        disable(&caller, server);
    }
}

#[test]
fn listeners_of_the_gateways_own_endpoint_hear_of_the_servers_that_are_switched_on() {
    let gateway = Gateway::with(&of(&[fixture("old", &["legacy"]), fixture("new", &["dual"])]));
    let (caller, other) = (gateway.caller(), gateway.anonymous().with("x-mcp-session", "the-session-of-another"));
    enable(&caller, "old");
    let (mut events, granted) = listen(&caller, "/mcp", everything_listed());
    assert_eq!(granted, everything_listed());
    let (mut others, _) = listen(&other, "/mcp", json!({"toolsListChanged": true, "promptsListChanged": true}));
    // Enabled while the stream is open: it is heard from then on.
    enable(&caller, "new");
    for list in ["tools", "prompts", "resources"] {
        changed(&mut events, list);
    }
    for server in ["old", "new"] {
        for list in ["tool", "prompt", "resource"] {
            trigger(&caller, "/mcp", &format!("{server}__test_trigger_{list}_change"));
            changed(&mut events, &format!("{list}s"));
        }
    }
    // Not enabled any more: it is heard no longer. Its own change of the switches is.
    disable(&caller, "new");
    for list in ["tools", "prompts", "resources"] {
        changed(&mut events, list);
    }
    trigger(&caller, &gateway.endpoint("new"), "test_trigger_tool_change");
    trigger(&caller, "/mcp", "old__test_trigger_prompt_change");
    changed(&mut events, "prompts");
    // Nobody hears of another's containers: the first thing that comes is what this caller does itself.
    enable(&other, "old");
    changed(&mut others, "tools");
    changed(&mut others, "prompts");
}

#[test]
fn a_legacy_client_hears_of_them_on_a_stream_that_is_open() {
    let gateway = Gateway::with(&of(&[fixture("old", &["legacy"]), fixture("new", &["dual"])]));
    let caller = gateway.caller();
    enable(&caller, "old");
    enable(&caller, "new");
    let wait = json!({"name": "old__wait", "arguments": {"ms": 60_000}, "_meta": {"progressToken": 7}});
    let wait = json!({"jsonrpc": "2.0", "id": "w", "method": "tools/call", "params": wait});
    let mut events = caller.with("accept", STREAM).open("/mcp", &wait);
    assert_eq!(events.message().unwrap()["method"], "notifications/progress");
    let mut told = |method: &str| {
        let told = std::iter::from_fn(|| events.message()).find(|told| told["method"] != "notifications/progress");
        assert_eq!(told.as_ref().unwrap()["method"], method, "{told:?}");
        told.unwrap()
    };
    for server in ["new", "old"] {
        trigger(&caller, "/mcp", &format!("{server}__test_trigger_tool_change"));
        let told = told("notifications/tools/list_changed");
        assert!(told["params"].get("_meta").is_none(), "nothing that its revision does not know: {told}");
    }
    disable(&caller, "new");
    for list in ["tools", "prompts", "resources"] {
        told(&format!("notifications/{list}/list_changed"));
    }
    let subscribed = caller.rpc("/mcp", "resources/subscribe", json!({"uri": WATCHED})).json();
    assert_eq!(subscribed["result"], json!({}), "{subscribed}");
    trigger(&caller, "/mcp", "old__test_trigger_resource_update");
    assert_eq!(told("notifications/resources/updated")["params"]["uri"], WATCHED);
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}});
    assert_eq!(caller.post("/mcp", &cancelled).status, 202);
}

#[test]
fn resources_are_followed_on_the_gateways_own_endpoint_by_their_addresses() {
    let dynamic = "demo://resource/dynamic/text/1";
    for mode in ["legacy", "dual"] {
        let gateway = Gateway::with(&of(&[fixture("live", &[mode]), EVERYTHING.to_owned(), FILESYSTEM.to_owned()]));
        let caller = gateway.caller();
        for server in ["live", "everything", "filesystem"] {
            enable(&caller, server);
        }
        let wanted = json!([WATCHED, "test://nobody-has-this", dynamic]);
        let (mut events, granted) = listen(&caller, "/mcp", json!({"resourceSubscriptions": wanted}));
        assert_eq!(granted, json!({"resourceSubscriptions": [WATCHED, dynamic]}), "{mode}");
        trigger(&caller, "/mcp", "live__test_trigger_tool_change");
        trigger(&caller, "/mcp", "live__test_trigger_resource_update");
        let told = events.message().unwrap();
        assert_eq!(
            (&told["method"], &told["params"]["uri"]),
            (&json!("notifications/resources/updated"), &json!(WATCHED))
        );
        assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        trigger(&caller, "/mcp", "everything__toggle-subscriber-updates");
        let told = events.message().unwrap();
        assert_eq!(told["params"]["uri"], dynamic, "{told}");
        drop(events);

        // A stranger follows nothing.
        let (_events, granted) = listen(&gateway.anonymous(), "/mcp", json!({"resourceSubscriptions": [WATCHED]}));
        assert_eq!(granted, json!({}));
        // Legacy clients subscribe and unsubscribe by request.
        let begun =
            caller.rpc("/mcp", "initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}})).json();
        assert_eq!(begun["result"]["capabilities"]["resources"], json!({"listChanged": true, "subscribe": true}));
        for method in ["resources/subscribe", "resources/unsubscribe"] {
            assert_eq!(
                caller.rpc("/mcp", method, json!({"uri": WATCHED})).json()["result"],
                json!({}),
                "{mode} {method}"
            );
            let long = format!("test://{}", "u".repeat(2048));
            for uri in ["test://nobody-has-this", &long] {
                let refused = caller.rpc("/mcp", method, json!({"uri": uri})).json();
                assert_eq!(refused["error"]["code"], -32602, "{mode} {method}: {refused}");
            }
            let stranger = gateway.anonymous().rpc("/mcp", method, json!({"uri": WATCHED})).json();
            assert_eq!(stranger["error"]["code"], -32602, "{stranger}");
            let modern = caller.modern("/mcp", method, json!({"uri": WATCHED}));
            assert_eq!((modern.status, &modern.json()["error"]["code"]), (404, &json!(-32601)));
        }
    }
}

#[test]
fn a_reload_is_told_to_those_whom_it_concerns() {
    let operator = Wallet::new();
    let settings = Settings {
        environment: vec![("OPERATOR_WALLETS".to_owned(), operator.address())],
        ..of(&[EVERYTHING.to_owned(), FILESYSTEM.to_owned(), fixture("live", &["legacy"])])
    };
    let gateway = Gateway::with(&settings);
    let order_by = operator.login(&gateway);
    let reload = || {
        let answer = order_by.send("POST", "/health/reload", None, b"");
        assert_eq!(answer.status, 200, "{}", answer.json());
    };
    let (one, two) = (gateway.member(), gateway.member());
    enable(&one, "filesystem");
    enable(&one, "live");
    enable(&two, "everything");
    let both = json!({"toolsListChanged": true, "promptsListChanged": true});
    let (mut ones, _) = listen(&one, "/mcp", everything_listed());
    let (mut twos, _) = listen(&two, "/mcp", both.clone());
    let (of_filesystem, _) = listen(&one, &gateway.endpoint("filesystem"), json!({"toolsListChanged": true}));
    let (mut of_live, _) = listen(&one, &gateway.endpoint("live"), both.clone());
    let wanted = json!({"resourceSubscriptions": [WATCHED]});
    let (of_resource, granted) = listen(&one, &gateway.endpoint("live"), wanted.clone());
    assert_eq!(granted, wanted);

    // A server that is gone: its tools left the list, and its own streams end with the reason.
    gateway.reconfigure(FILESYSTEM, "");
    reload();
    changed(&mut ones, "tools");
    let last = of_filesystem.rest();
    assert_eq!((last.len(), &last[0]["id"]), (1, &json!(1)), "{last:?}");
    let error = &last[0]["error"];
    assert_eq!((&error["code"], &error["data"]["error"]), (&json!(-32602), &json!("UNKNOWN_SERVER")), "{last:?}");
    // A server that is another one: what differs is told; whoever followed a resource of it begins anew.
    gateway.reconfigure("args = [\"legacy\"]", "args = [\"legacy\", \"--faults\"]");
    reload();
    changed(&mut ones, "tools");
    changed(&mut of_live, "tools");
    let last = of_resource.rest();
    assert_eq!((last.len(), &last[0]["result"]["resultType"]), (1, &json!("complete")), "{last:?}");
    // The streams go on in the new catalogue: what is there now can be switched on, and is heard.
    let config = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), format!("{config}{}", fixture("late", &["legacy"]))).unwrap();
    reload();
    enable(&one, "late");
    for list in ["tools", "prompts", "resources"] {
        changed(&mut ones, list);
    }
    trigger(&one, "/mcp", "late__test_trigger_prompt_change");
    changed(&mut ones, "prompts");
    trigger(&one, &gateway.endpoint("live"), "test_trigger_prompt_change");
    changed(&mut of_live, "prompts");
    changed(&mut ones, "prompts");
    // Whom it does not concern hears nothing of all that.
    disable(&two, "everything");
    changed(&mut twos, "tools");
    changed(&mut twos, "prompts");
}

#[test]
fn the_messages_of_a_batch_run_at_the_same_time_and_are_answered_in_their_order() {
    let gateway = Gateway::with(&of(&[fixture("old", &["legacy"])]));
    let caller = gateway.caller();
    let endpoint = gateway.endpoint("old");
    let request = |id: &str, tool: &str, arguments: Value| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "w"}});
    let batch = json!([
        request("w", "wait", json!({"ms": 20_000})),
        request("c", "counter", json!({})),
        cancel,
        {"jsonrpc": "2.0", "id": "p", "method": "ping"},
    ]);
    let answers = caller.post(&endpoint, &batch).json();
    let ids: Vec<&str> = answers.as_array().unwrap().iter().map(|answer| answer["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["w", "c", "p"], "{answers}");
    assert_eq!(answers[0]["error"]["data"]["error"], "WITHDRAWN", "withdrawn by the message after it: {answers}");
    assert_eq!(answers[1]["result"]["structuredContent"]["count"], 1, "{answers}");
}

#[test]
fn one_payment_pays_for_the_first_call_of_a_batch_that_takes_it() {
    let paying = Paying::start();
    let (gateway, payer) = (&paying.gateway, paying.payer());
    let endpoint = gateway.endpoint("everything");
    let echo = |id: u64, text: &str| {
        let params = json!({"name": "echo", "arguments": {"message": text}});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let batch = json!([echo(1, "first"), echo(2, "second"), echo(3, "third"), echo(4, "first")]);
    let payment = header(&paying.payment(&payer));
    let answers = gateway.caller().with("payment-signature", &payment).post(&endpoint, &batch).json();
    assert_eq!(answers[0]["result"]["content"][0]["text"], "Echo: first", "{answers}");
    for refused in [1, 2] {
        assert_eq!(answers[refused]["result"]["isError"], true, "{answers}");
    }
    // The same call with the same payment gets the answer that was paid for.
    let proof = |at: usize| answers[at]["result"]["_meta"]["io.sealgate/proof"]["proof"]["id"].clone();
    assert!(proof(0).is_string());
    assert_eq!(proof(0), proof(3), "{answers}");
    assert_eq!(paying.received(), 500);
}

#[test]
fn what_the_gateways_own_tools_answer_is_what_their_schemas_say() {
    let gateway = Gateway::with(&of(&[EVERYTHING.to_owned(), fixture("old", &["legacy"])]));
    let (caller, member) = (gateway.caller(), gateway.member());
    let listed = caller.rpc("/mcp", "tools/list", json!({})).json()["result"]["tools"].clone();
    let schemas: BTreeMap<String, Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| (tool["name"].as_str().unwrap().to_owned(), tool["outputSchema"].clone()))
        .collect();
    let absent = gateway.anonymous();
    let asked: &[(&Client, &str, Value)] = &[
        (&caller, "gateway__search_servers", json!({})),
        (&caller, "gateway__search_servers", json!({"query": "nothing like it zzz", "offset": 3})),
        (&caller, "gateway__search_servers", json!({"limit": 0})),
        (&member, "gateway__semantic_search", json!({"query": "a server with every feature"})),
        (&caller, "gateway__semantic_search", json!({"query": "x"})),
        (&caller, "gateway__enable_server", json!({"server_name": "old"})),
        (&caller, "gateway__enable_server", json!({"server_name": "old"})),
        (&caller, "gateway__enable_server", json!({"server_name": "nobody"})),
        (&absent, "gateway__enable_server", json!({"server_name": "old"})),
        (&caller, "gateway__list_enabled", json!({})),
        (&caller, "gateway__disable_server", json!({"server_name": "old"})),
        (&caller, "gateway__disable_server", json!({})),
        (&absent, "gateway__list_enabled", json!({})),
        (&caller, "gateway__server_info", json!({"server_name": "everything"})),
        (&caller, "gateway__server_info", json!({"server_name": "old"})),
        (&caller, "gateway__server_info", json!({"server_name": 7})),
    ];
    let mut cases = Vec::new();
    for (at, (client, tool, arguments)) in asked.iter().enumerate() {
        let result = client.call("/mcp", tool, arguments.clone());
        let place = format!("{tool}, {at}");
        cases.push(json!({"place": place, "schema": schemas[*tool], "body": result["structuredContent"]}));
    }
    // What the tool does not answer does not fit either: the schemas say something.
    let wrong = [json!({}), json!({"total": "one"}), json!([]), json!({"error": 1, "message": ""})];
    let judge = |cases: &[Value], name: &str| {
        let file = gateway.directory().join(name);
        std::fs::write(&file, json!({"components": {}, "cases": cases}).to_string()).unwrap();
        clients::validate_bodies(&file)
    };
    assert_eq!(judge(&cases, "answers.json"), json!({"checked": asked.len(), "faults": []}));
    let mut bad = Vec::new();
    for (tool, schema) in schemas.iter().filter(|(tool, _)| *tool != "gateway__call_tool") {
        assert_eq!(schema["type"], "object", "{tool}");
        bad.extend(wrong.iter().map(|body| json!({"place": tool, "schema": schema, "body": body})));
    }
    assert_eq!((bad.len(), judge(&bad, "wrong.json")["faults"].as_array().unwrap().len()), (24, 24));
    // What `gateway__call_tool` answers is what the tool behind it does: there is no schema for all of them.
    assert!(schemas["gateway__call_tool"].is_null());
}
