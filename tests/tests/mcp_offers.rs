//! What servers offer beside tools, the older clients' batches, and who must show who they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a scenario that panics has failed")]

use sealgate_tests::{Client, EVERYTHING, FILESYSTEM, Gateway, Settings};
use serde_json::{Value, json};

fn items(client: &Client, path: &str, list: &str, member: &str) -> Vec<Value> {
    let answer = client.rpc(path, list, json!({})).json();
    answer["result"][member].as_array().unwrap_or_else(|| panic!("{list}: {answer}")).clone()
}

#[test]
fn resources_prompts_and_completions_of_a_server_are_served_in_both_eras() {
    let gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let caller = gateway.caller();
    let resources = items(&caller, &endpoint, "resources/list", "resources");
    let templates = items(&caller, &endpoint, "resources/templates/list", "resourceTemplates");
    let prompts = items(&caller, &endpoint, "prompts/list", "prompts");
    assert!(!resources.is_empty() && templates.len() == 2 && prompts.len() == 4, "{resources:?}");
    for list in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        let listed = caller.modern(&endpoint, list, json!({})).json()["result"].clone();
        assert_eq!((&listed["cacheScope"], &listed["resultType"]), (&json!("public"), &json!("complete")), "{list}");
        assert_eq!(caller.rpc(&endpoint, list, json!({"cursor": "2"})).json()["error"]["code"], -32602, "{list}");
    }
    assert!(gateway.containers().is_empty(), "a list wakes no container");

    let found = caller.modern(&endpoint, "server/discover", json!({})).json()["result"]["capabilities"].clone();
    for capability in ["tools", "prompts", "resources", "completions", "logging"] {
        assert!(found[capability].is_object(), "{capability}: {found}");
    }
    let begun = caller.rpc(&endpoint, "initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}}));
    assert!(begun.json()["result"]["capabilities"]["resources"]["subscribe"].is_boolean());
    assert!(begun.json()["result"]["instructions"].as_str().unwrap().len() > 100, "the server's own");

    let uri = resources[0]["uri"].clone();
    let old = caller.rpc(&endpoint, "resources/read", json!({"uri": uri})).json()["result"].clone();
    assert_eq!(old["contents"][0]["uri"], uri);
    assert!(old.get("ttlMs").is_none() && old.get("resultType").is_none() && old.get("_meta").is_none(), "{old}");
    let new = caller.modern(&endpoint, "resources/read", json!({"uri": uri})).json()["result"].clone();
    assert_eq!(new["contents"], old["contents"]);
    assert_eq!(
        (&new["resultType"], &new["ttlMs"], &new["cacheScope"]),
        (&json!("complete"), &json!(0), &json!("private"))
    );
    // Its container runs now and has announced that its tools changed, as this server does at every start.
    let live = caller.modern(&endpoint, "tools/list", json!({})).json()["result"].clone();
    assert_eq!((&live["cacheScope"], &live["ttlMs"]), (&json!("private"), &json!(0)), "{live}");
    let kept = gateway.anonymous().modern(&endpoint, "tools/list", json!({})).json()["result"].clone();
    assert_eq!((&kept["cacheScope"], &kept["tools"]), (&json!("public"), &live["tools"]), "the same for who has none");
    let got =
        caller.modern(&endpoint, "prompts/get", json!({"name": "args-prompt", "arguments": {"city": "Ulm"}})).json();
    assert!(got["result"]["messages"].to_string().contains("Ulm"), "{got}");
    let reference = json!({"type": "ref/prompt", "name": "completable-prompt"});
    let asked = json!({"ref": reference, "argument": {"name": "department", "value": "E"}});
    let completed = caller.rpc(&endpoint, "completion/complete", asked.clone()).json();
    assert_eq!(completed["result"]["completion"]["values"], json!(["Engineering"]), "{completed}");
    assert_eq!(caller.modern(&endpoint, "completion/complete", asked).status, 200);
    for level in ["debug", "emergency"] {
        assert_eq!(caller.rpc(&endpoint, "logging/setLevel", json!({"level": level})).json()["result"], json!({}));
    }
    assert_eq!(caller.rpc(&endpoint, "logging/setLevel", json!({"level": "loud"})).json()["error"]["code"], -32602);
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        assert_eq!(caller.rpc(&endpoint, method, json!({"uri": uri})).json()["result"], json!({}), "{method}");
    }
    // An unknown resource is -32602 to modern clients, whatever the server calls it.
    let gone = caller.modern(&endpoint, "resources/read", json!({"uri": "demo://nothing"})).json();
    assert_eq!(gone["error"]["code"], -32602, "{gone}");
    // What a server has not is not there.
    let other = Gateway::serving(FILESYSTEM);
    let endpoint = other.endpoint("filesystem");
    for list in ["prompts/list", "resources/list"] {
        assert_eq!(other.anonymous().rpc(&endpoint, list, json!({})).json()["error"]["code"], -32601, "{list}");
        assert_eq!(other.anonymous().modern(&endpoint, list, json!({})).status, 404, "{list}");
    }
}

#[test]
fn on_the_gateways_own_endpoint_prompts_have_prefixes_and_resources_are_found_by_their_address() {
    let second =
        EVERYTHING.replace("name = \"everything\"", "name = \"again\"\nid = \"0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f\"");
    let gateway = Gateway::serving(&format!("{EVERYTHING}{second}"));
    let caller = gateway.caller();
    let enable = |name: &str| caller.call("/mcp", "gateway__enable_server", json!({"server_name": name}));
    assert!(items(&caller, "/mcp", "prompts/list", "prompts").is_empty());
    let unknown = caller.rpc("/mcp", "resources/read", json!({"uri": "demo://resource/dynamic/text/1"})).json();
    assert!(unknown["error"]["message"].as_str().unwrap().contains("gateway__enable_server"), "{unknown}");
    enable("everything");
    let prompts = items(&caller, "/mcp", "prompts/list", "prompts");
    assert!(prompts.iter().any(|prompt| prompt["name"] == "everything__simple-prompt"), "{prompts:?}");
    let got = caller.rpc("/mcp", "prompts/get", json!({"name": "everything__simple-prompt"})).json();
    assert!(got["result"]["messages"].is_array(), "{got}");
    let reference = json!({"type": "ref/prompt", "name": "everything__completable-prompt"});
    let asked = json!({"ref": reference, "argument": {"name": "department", "value": "E"}});
    let completed = caller.rpc("/mcp", "completion/complete", asked).json();
    assert_eq!(completed["result"]["completion"]["values"], json!(["Engineering"]), "{completed}");
    let read = |uri: &str| caller.rpc("/mcp", "resources/read", json!({"uri": uri})).json();
    assert!(read("demo://resource/dynamic/text/1")["result"]["contents"].is_array(), "by its template");
    assert!(!items(&caller, "/mcp", "resources/list", "resources").is_empty());
    enable("again");
    let twice = read("demo://resource/dynamic/text/1");
    let text = twice["error"]["message"].as_str().unwrap();
    assert_eq!(twice["error"]["code"], -32602);
    assert!(text.contains("\"everything\"") && text.contains("\"again\"") && text.contains("/mcp/server/"), "{text}");
}

#[test]
fn batches_are_taken_from_the_one_version_that_has_them() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let ping = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "ping"});
    let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let echo = json!({"name": "echo", "arguments": {"message": "in a batch"}});
    let echo = json!({"jsonrpc": "2.0", "id": "e", "method": "tools/call", "params": echo});
    let batch = json!([ping(1), note, echo, 7, {"jsonrpc": "2.0", "id": 9, "method": "nothing/known"}]);
    for client in [client.clone(), client.with("mcp-protocol-version", "2025-03-26")] {
        let answer = client.post("/mcp/server/everything", &batch);
        let answers = answer.json();
        assert_eq!((answer.status, answers.as_array().unwrap().len()), (200, 4), "{answers}");
        assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": 1, "result": {}}));
        assert_eq!(answers[1]["result"]["content"][0]["text"], "Echo: in a batch");
        assert_eq!((&answers[2]["id"], &answers[2]["error"]["code"]), (&Value::Null, &json!(-32600)));
        assert_eq!((&answers[3]["id"], &answers[3]["error"]["code"]), (&json!(9), &json!(-32601)));
        let silent = client.post("/mcp", &json!([note, note]));
        assert_eq!((silent.status, silent.body.len()), (202, 0));
    }
    for version in ["2024-11-05", "2025-06-18", "2025-11-25", "2026-07-28"] {
        let refused = client.with("mcp-protocol-version", version).post("/mcp", &json!([ping(1)]));
        assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!(-32600)), "{version}");
    }
    for (batch, said) in [(json!([]), "empty"), (Value::Array((0..33).map(ping).collect()), "more than 32")] {
        let refused = client.post("/mcp", &batch).json();
        assert!(refused["error"]["message"].as_str().unwrap().contains(said), "{refused}");
    }
    let most = client.post("/mcp", &Value::Array((0..32).map(ping).collect()));
    assert_eq!(most.json().as_array().unwrap().len(), 32);
    // A stream of its own is not there, and an old client hears which transport is.
    let get = client.with("accept", "text/event-stream").get("/mcp");
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert!(get.json()["message"].as_str().unwrap().contains("HTTP+SSE"), "{}", get.json());
}

#[test]
fn a_header_that_stands_twice_is_refused() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    for name in ["mcp-protocol-version", "mcp-method", "mcp-name"] {
        let (client, body) = client.modern_request("tools/call", json!({"name": "gateway__list_enabled"}), json!({}));
        let value = match name {
            "mcp-protocol-version" => "2026-07-28",
            "mcp-method" => "tools/call",
            _ => "gateway__list_enabled",
        };
        let answer = client.with(name, value).post("/mcp", &body);
        assert_eq!((answer.status, &answer.json()["error"]["code"]), (400, &json!(-32020)), "{name}");
        assert_eq!(answer.json()["id"], 1);
    }
}

#[test]
fn where_callers_must_show_who_they_are_the_401_says_where_to_begin() {
    let open = Gateway::start();
    let bad = open.anonymous().with("authorization", "Bearer mcpwt_nonsense").rpc("/mcp", "ping", json!({}));
    let challenge = bad.header("www-authenticate").unwrap().to_owned();
    assert_eq!(bad.status, 401);
    assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    assert!(
        challenge.contains(&format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"", open.base()))
    );
    assert_eq!(open.anonymous().rpc("/mcp", "tools/list", json!({})).status, 200, "others need show nothing");

    let gateway = Gateway::with(&Settings::everything_with("[identity]\nauth = \"required\""));
    let endpoint = gateway.endpoint("everything");
    for (path, method) in [("/mcp", "initialize"), (endpoint.as_str(), "tools/list")] {
        let answer = gateway.anonymous().rpc(path, method, json!({}));
        assert_eq!((answer.status, &answer.json()["id"]), (401, &json!(1)), "{path}");
        let challenge = answer.header("www-authenticate").unwrap().to_owned();
        assert!(!challenge.contains("error="), "who shows nothing did nothing wrong: {challenge}");
        let url = challenge.split('"').nth(1).unwrap();
        let document = gateway.anonymous().get(url.strip_prefix(gateway.base()).unwrap());
        assert_eq!(document.status, 200);
        let document = document.json();
        assert_eq!(document["resource"], format!("{}{path}", gateway.base()), "each endpoint is its own resource");
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
        assert_eq!(gateway.member().rpc(path, method, json!({})).status, 200);
    }
    assert_eq!(gateway.anonymous().get("/.well-known/oauth-protected-resource/mcp/server/nobody").status, 404);
}
