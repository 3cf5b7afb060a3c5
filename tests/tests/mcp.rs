//! MCP of either era on one address.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{Answer, Client, EVERYTHING, FILESYSTEM, Gateway};
use serde_json::{Value, json};

const META_TOOLS: [&str; 7] = [
    "gateway__search_servers",
    "gateway__semantic_search",
    "gateway__call_tool",
    "gateway__enable_server",
    "gateway__disable_server",
    "gateway__list_enabled",
    "gateway__server_info",
];

#[test]
fn clients_of_every_legacy_version_initialize_list_and_call() {
    let gateway = Gateway::start();
    let client = gateway.anonymous().with("accept", "application/json, text/event-stream");
    for (asked, given) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1.0", "2025-11-25"),
    ] {
        for path in ["/mcp", "/mcp/server/everything"] {
            let answer = client.rpc(
                path,
                "initialize",
                json!({"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}),
            );
            assert_eq!(answer.status, 200);
            assert_eq!(answer.header("content-type"), Some("application/json"));
            let result = answer.json()["result"].clone();
            assert_eq!(result["protocolVersion"], given, "{asked}");
            assert_eq!(result["serverInfo"]["name"], "sealgate");
            assert!(result["capabilities"]["tools"].is_object());
            assert!(!result["instructions"].as_str().unwrap().is_empty());
        }
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let silent = client.with("mcp-protocol-version", given).post("/mcp", &initialized);
        assert_eq!((silent.status, silent.body.len()), (202, 0));
        let listed = client.with("mcp-protocol-version", given).rpc("/mcp/server/everything", "tools/list", json!({}));
        let result = listed.json()["result"].clone();
        assert_eq!(result["tools"].as_array().unwrap().len(), 17);
        for modern in ["resultType", "ttlMs", "cacheScope", "_meta"] {
            assert!(result.get(modern).is_none(), "legacy results stay as they were: {modern}");
        }
        let ping = client.with("mcp-protocol-version", given).rpc("/mcp", "ping", json!({}));
        assert_eq!(ping.json()["result"], json!({}));
    }
    // The server's own definitions, members that we know nothing of included.
    let tools = client.rpc("/mcp/server/everything", "tools/list", json!({})).json()["result"]["tools"].clone();
    assert!(
        tools
            .as_array()
            .unwrap()
            .iter()
            .any(|tool| tool.get("annotations").is_some() || tool.get("execution").is_some())
    );
    // Ids come back as they were sent.
    for id in [json!(0), json!(-7), json!(9_007_199_254_740_993_u64), json!(""), json!("a\u{e9}\u{0}")] {
        let answer = client.post("/mcp", &json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
        assert_eq!(answer.json(), json!({"jsonrpc": "2.0", "id": id, "result": {}}));
    }
    for (method, path) in
        [("GET", "/mcp"), ("DELETE", "/mcp"), ("GET", "/mcp/server/everything"), ("DELETE", "/mcp/server/everything")]
    {
        let answer = client.send(method, path, None, b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {path}");
    }
}

#[test]
fn servers_are_switched_on_for_those_who_switched_them_on_and_for_nobody_else() {
    let gateway = Gateway::serving(&format!("{EVERYTHING}{FILESYSTEM}"));
    let one = gateway.anonymous().with("x-mcp-session", "one-random-string");
    let two = gateway.anonymous().with("x-mcp-session", "two-random-string");
    for client in [&one, &two, &gateway.anonymous(), &gateway.member()] {
        assert_eq!(names(client), META_TOOLS, "nothing but the gateway's own tools at first");
    }
    let refused =
        one.rpc("/mcp", "tools/call", json!({"name": "everything__echo", "arguments": {"message": "a"}})).json();
    let text = refused["error"]["message"].as_str().unwrap();
    assert!(text.contains("not enabled") && text.contains("gateway__enable_server"), "{text}");

    // Without a place to keep it, nothing is kept; the answer says what to do.
    let nowhere = meta(&gateway.anonymous(), "gateway__enable_server", json!({"server_name": "everything"}));
    assert_eq!(nowhere["isError"], true);
    let text = nowhere["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("X-MCP-Session") && text.contains("/mcp/server/"), "{text}");

    let enabled = meta(&one, "gateway__enable_server", json!({"server_name": "Everything"}));
    let said = &enabled["structuredContent"];
    assert_eq!(
        (&said["enabled"], &said["already_enabled"], &said["toolCount"]),
        (&json!(true), &json!(false), &json!(17))
    );
    let text: Value = serde_json::from_str(enabled["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(&text, said, "the text and the structure are the same");
    let again = meta(&one, "gateway__enable_server", json!({"server_id": gateway.id("everything")}));
    assert_eq!(again["structuredContent"]["already_enabled"], true);

    let listed = names(&one);
    assert_eq!(listed.len(), META_TOOLS.len() + 17);
    assert!(listed.contains(&"everything__echo".to_owned()), "{listed:?}");
    for client in [&two, &gateway.anonymous(), &gateway.member()] {
        assert_eq!(names(client), META_TOOLS);
    }
    // The session of an anonymous caller is another than the same words with a name in front.
    assert_eq!(names(&gateway.member().with("x-mcp-session", "one-random-string")), META_TOOLS);
    let result = one.call("/mcp", "everything__echo", json!({"message": "mine"}));
    assert_eq!(result["content"][0]["text"], "Echo: mine");
    let proof = &result["_meta"]["io.sealgate/proof"]["proof"];
    assert_eq!((&proof["execution"]["tool"], &proof["caller"]), (&json!("echo"), &Value::Null));

    // A wallet keeps its switches without a session, and they are its own.
    let member = gateway.member();
    meta(&member, "gateway__enable_server", json!({"server_name": "@modelcontextprotocol/server-filesystem"}));
    assert!(names(&member).contains(&"filesystem__write_file".to_owned()));
    assert_eq!(names(&gateway.member()), META_TOOLS);
    assert_eq!(names(&two), META_TOOLS);
    let listed = meta(&member, "gateway__list_enabled", json!({}))["structuredContent"].clone();
    assert_eq!((&listed["total"], &listed["servers"][0]["name"]), (&json!(1), &json!("filesystem")));
    let result = member.call("/mcp", "filesystem__list_allowed_directories", json!({}));
    assert!(result["_meta"]["io.sealgate/proof"]["proof"]["caller"].is_string(), "salted, but there");

    let off = meta(&one, "gateway__disable_server", json!({"server_name": "everything"}));
    assert_eq!(off["structuredContent"], json!({"disabled": true, "was_enabled": true, "server": said["server"]}));
    assert_eq!(names(&one), META_TOOLS);
    let gone = one.rpc("/mcp", "tools/call", json!({"name": "everything__echo", "arguments": {"message": "a"}})).json();
    assert!(gone["error"]["message"].as_str().unwrap().contains("not enabled"));

    // Search and information need no scope.
    let anonymous = gateway.anonymous();
    let found = |arguments: Value| meta(&anonymous, "gateway__search_servers", arguments)["structuredContent"].clone();
    assert_eq!(found(json!({}))["total"], 2);
    assert_eq!(found(json!({"query": "write_file"}))["servers"][0]["name"], "filesystem");
    assert_eq!(found(json!({"query": "zebra"}))["total"], 0);
    assert_eq!(found(json!({"category": "files"}))["total"], 1);
    let limited = found(json!({"limit": 1}));
    assert_eq!((&limited["total"], &limited["showing"]), (&json!(2), &json!(1)));
    for bad in
        [json!({"limit": 0}), json!({"limit": 101}), json!({"limit": 1.5}), json!({"limit": "1"}), json!({"query": 7})]
    {
        let answer = meta(&anonymous, "gateway__search_servers", bad.clone());
        assert_eq!(
            (&answer["isError"], &answer["structuredContent"]["error"]),
            (&json!(true), &json!("BAD_ARGUMENTS")),
            "{bad}"
        );
    }
    let info =
        meta(&anonymous, "gateway__server_info", json!({"server_name": "filesystem"}))["structuredContent"].clone();
    assert_eq!(info["version"], "2026.8.31");
    assert!(info["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "write_file"));
    assert_eq!(info, anonymous.get("/api/servers/filesystem").json(), "REST says the same");
    let slip = meta(&anonymous, "gateway__server_info", json!({"server_name": "filesytem"}));
    assert!(slip["content"][0]["text"].as_str().unwrap().contains("did you mean \"filesystem\""), "{slip}");

    // The catalogue over REST.
    let page = |query: &str| anonymous.get(&format!("/api/servers?{query}")).json();
    for (query, total, shown) in [
        ("", 2, 2),
        ("limit=1", 2, 1),
        ("offset=1", 2, 1),
        ("offset=9", 2, 0),
        ("limit=5000", 2, 2),
        ("q=echo", 1, 1),
        ("search=directories", 1, 1),
        ("registry=pypi", 0, 0),
        ("deploymentType=remote", 0, 0),
        ("gatewayCompatible=true", 2, 2),
        ("gatewayCompatible=false", 0, 0),
    ] {
        let said = page(query);
        assert_eq!((&said["total"], said["servers"].as_array().unwrap().len()), (&json!(total), shown), "{query}");
    }
    for name in [&gateway.id("filesystem"), "FileSystem", "@modelcontextprotocol%2Fserver-filesystem"] {
        let found = anonymous.get(&format!("/api/servers/{name}")).json();
        assert_eq!(found["package"], "@modelcontextprotocol/server-filesystem", "{name}");
    }
    let tools = anonymous.get(&format!("/api/servers/{}/tools", gateway.id("everything"))).json();
    assert!(
        tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo" && tool["inputSchema"].is_object())
    );
}

#[test]
fn modern_clients_say_everything_with_every_request_and_hear_what_does_not_fit() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let endpoint = gateway.endpoint("everything");
    for path in ["/mcp", &endpoint] {
        let found = client.modern(path, "server/discover", json!({}));
        assert_eq!(found.status, 200, "{}", found.json());
        let found = found.json()["result"].clone();
        assert_eq!(found["supportedVersions"], json!(["2026-07-28"]));
        assert_eq!(found["resultType"], "complete");
        assert!(
            found["capabilities"]["tools"].is_object() && found["ttlMs"].is_u64() && found["cacheScope"].is_string()
        );
        assert_eq!(found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "sealgate");
    }
    let list = |path: &str| client.modern(path, "tools/list", json!({})).json()["result"].clone();
    assert_eq!(list("/mcp")["cacheScope"], "private", "it depends on who asks");
    let of_one = list(&endpoint);
    assert_eq!((&of_one["cacheScope"], &of_one["resultType"]), (&json!("public"), &json!("complete")));
    assert!(of_one["ttlMs"].as_u64().unwrap() > 0);
    assert_eq!(of_one["tools"].as_array().unwrap().len(), 17);

    let called = client.modern(&endpoint, "tools/call", json!({"name": "echo", "arguments": {"message": "new"}}));
    assert_eq!(called.status, 200, "{}", called.json());
    let called = called.json()["result"].clone();
    assert_eq!((&called["resultType"], &called["content"][0]["text"]), (&json!("complete"), &json!("Echo: new")));
    assert!(called["_meta"]["io.sealgate/proof"]["proof"].is_object());
    assert!(called["_meta"]["io.modelcontextprotocol/serverInfo"].is_object());
    assert!(called.get("ttlMs").is_none(), "a call is not a list");
    // Names that do not fit a header travel in base64.
    let encoded = modern_with(&client, "tools/call", &[("mcp-name", Some("=?base64?ZWNobw==?="))]);
    assert_eq!(post(&encoded, &endpoint, "tools/call", version("2026-07-28")).status, 200);

    for (method, instead) in [
        ("initialize", "there is server/discover"),
        ("ping", "this endpoint answers server/discover"),
        ("logging/setLevel", "says io.modelcontextprotocol/logLevel"),
        ("resources/subscribe", "there is subscriptions/listen"),
        ("nothing/known", "the methods of tools, prompts, resources, completions"),
    ] {
        let answer = client.modern("/mcp", method, json!({}));
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, &error["code"], &answer.json()["id"]), (404, &json!(-32601), &json!(1)), "{method}");
        let text = error["message"].as_str().unwrap();
        assert!(text.contains(instead) && !text.contains("completions, logging"), "{text}");
    }
    let all = &[][..];
    for (what, headers, meta, status, code) in [
        ("no version header", &[("mcp-protocol-version", None)][..], version("2026-07-28"), 400, -32020),
        ("another version header", &[("mcp-protocol-version", Some("2025-11-25"))], version("2026-07-28"), 400, -32020),
        ("no method header", &[("mcp-method", None)], version("2026-07-28"), 400, -32020),
        ("another method header", &[("mcp-method", Some("tools/list"))], version("2026-07-28"), 400, -32020),
        ("no name header", &[("mcp-name", None)], version("2026-07-28"), 400, -32020),
        ("another name header", &[("mcp-name", Some("get-env"))], version("2026-07-28"), 400, -32020),
        ("a name in broken base64", &[("mcp-name", Some("=?base64?!?="))], version("2026-07-28"), 400, -32020),
        (
            "a version of the future",
            &[("mcp-protocol-version", Some("2099-01-01"))],
            version("2099-01-01"),
            400,
            -32022,
        ),
        ("no version in the body", all, json!({}), 400, -32602),
        ("no _meta", all, Value::Null, 400, -32602),
        ("a version that is no text", all, json!({"io.modelcontextprotocol/protocolVersion": 7}), 400, -32602),
        ("no capabilities", all, json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"}), 400, -32602),
    ] {
        let answer = post(&modern_with(&client, "tools/call", headers), &endpoint, "tools/call", meta);
        let said = answer.json();
        assert_eq!((answer.status, &said["error"]["code"]), (status, &json!(code)), "{what}: {said}");
        assert_eq!(said["id"], 5, "{what}: errors carry the id");
        assert!(said["error"]["message"].as_str().unwrap().len() > 20, "{what}: {said}");
        if code == -32022 {
            assert_eq!(said["error"]["data"], json!({"supported": ["2026-07-28"], "requested": "2099-01-01"}));
        }
    }
    let old = client.with("mcp-protocol-version", "1999-01-01").rpc("/mcp", "tools/list", json!({}));
    assert_eq!((old.status, &old.json()["error"]["code"]), (400, &json!(-32022)));
}

fn names(client: &Client) -> Vec<String> {
    let tools = client.rpc("/mcp", "tools/list", json!({})).json()["result"]["tools"].clone();
    tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

fn meta(client: &Client, tool: &str, arguments: Value) -> Value {
    client.call("/mcp", tool, arguments)
}

fn version(version: &str) -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": version, "io.modelcontextprotocol/clientCapabilities": {}})
}

/// The headers of a modern call of `echo`, some of them changed or left out.
fn modern_with(client: &Client, method: &str, changes: &[(&str, Option<&str>)]) -> Client {
    let usual = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", method), ("mcp-name", "echo")];
    usual.iter().fold(client.clone(), |client, (name, value)| {
        let changed = changes.iter().find(|(changed, _)| changed == name);
        match changed.map_or(Some(*value), |(_, value)| *value) {
            Some(value) => client.with(name, value),
            None => client,
        }
    })
}

fn post(client: &Client, path: &str, method: &str, meta: Value) -> Answer {
    let mut params = json!({"name": "echo", "arguments": {"message": "a"}});
    if !meta.is_null() {
        params["_meta"] = meta;
    }
    client.post(path, &json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params}))
}
