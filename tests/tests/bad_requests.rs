//! Requests of clients that are careless or worse: ids, arguments and headers that could be read in two ways, and schemas of
//! servers that would have somebody fetch something.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, net::TcpListener, thread};

use sealgate_tests::{Client, Gateway, fixture};
use serde_json::{Value, json};

const JSON: Option<&str> = Some("application/json");

#[test]
fn an_id_that_stands_twice_is_none_and_two_requests_of_one_id_have_their_own_answers() {
    let gateway = Gateway::start();
    let (client, endpoint) = (gateway.caller(), gateway.endpoint("everything"));
    for path in ["/mcp", &endpoint] {
        for body in [
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","\u0069d":1}"#,
        ] {
            let answer = client.send("POST", path, JSON, body.as_bytes());
            let said = answer.json();
            assert_eq!((answer.status, &said["error"]["code"]), (400, &json!(-32700)), "{path} {body}: {said}");
            assert_eq!(said["id"], Value::Null, "neither of them is echoed");
        }
    }
    let echo = |message: &str| {
        let params = json!({"name": "echo", "arguments": {"message": message}});
        json!({"jsonrpc": "2.0", "id": "the same", "method": "tools/call", "params": params})
    };
    let text = |answer: &Value| answer["result"]["content"][0]["text"].as_str().map(str::to_owned);
    thread::scope(|scope| {
        let words = ["a", "b", "c", "d", "e", "f"];
        let (client, endpoint, echo) = (&client, &endpoint, &echo);
        let calls = words.map(|word| (word, scope.spawn(move || client.post(endpoint, &echo(word)).json())));
        for (word, call) in calls {
            let answer = call.join().unwrap();
            assert_eq!((&answer["id"], text(&answer)), (&json!("the same"), Some(format!("Echo: {word}"))), "{answer}");
        }
    });
    let both = client.post(&endpoint, &json!([echo("one"), echo("two")])).json();
    let said: Vec<_> = both.as_array().unwrap().iter().map(text).collect();
    assert_eq!(said, [Some("Echo: one".to_owned()), Some("Echo: two".to_owned())], "{both}");
}

#[test]
fn a_hundred_thousand_bytes_of_arguments_pass_and_one_more_is_told_the_limit() {
    let gateway = Gateway::start();
    let (client, endpoint) = (gateway.caller(), gateway.endpoint("everything"));
    let enabled = client.call("/mcp", "gateway__enable_server", json!({"server_name": "everything"}));
    assert_ne!(enabled["isError"], true, "{enabled}");
    let frame = json!({"message": ""}).to_string().len();
    for (path, tool) in [(endpoint.as_str(), "echo"), ("/mcp", "everything__echo"), ("/mcp", "gateway__call_tool")] {
        let arguments = |bytes: usize| {
            let own = json!({"message": "x".repeat(bytes - frame)});
            match tool {
                "gateway__call_tool" => json!({"server_name": "everything", "tool": "echo", "arguments": own}),
                _ => own,
            }
        };
        for modern in [false, true] {
            let call = |bytes: usize| {
                let params = json!({"name": tool, "arguments": arguments(bytes)});
                let answer = match modern {
                    true => client.modern(path, "tools/call", params),
                    false => client.rpc(path, "tools/call", params),
                };
                answer.messages().pop().unwrap()
            };
            let most = call(100_000);
            let said = most["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{path}: {most}"));
            assert_eq!(said.len(), "Echo: ".len() + 100_000 - frame, "{path} {tool}");
            for bytes in [100_001, 101 << 10] {
                let refused = call(bytes);
                let said = refused.to_string();
                assert!(said.contains("ARGUMENTS_TOO_LONG") && said.contains("100000"), "{path} {tool}: {said}");
                assert!(!said.contains("Echo"), "{path} {tool}");
            }
        }
    }
}

#[test]
fn an_argument_that_stands_in_a_header_stands_there_once_and_alike() {
    let gateway = Gateway::serving(&fixture("fixture", &["dual"]));
    let (client, endpoint) = (gateway.caller(), gateway.endpoint("fixture"));
    let params = json!({"name": "test_x_mcp_header", "arguments": {"region": "north", "shard": 7}});
    let (client, body) = client.modern_request("tools/call", params, json!({}));
    let call = |headers: &[(&str, &str)]| {
        let client = headers.iter().fold(client.clone(), |client: Client, (name, value)| client.with(name, value));
        client.post(&endpoint, &body)
    };
    let good = call(&[("mcp-param-region", "north"), ("mcp-param-shard", "7.0"), ("mcp-param-unknown", "x")]);
    assert_eq!(good.status, 200, "{}", good.json());
    for headers in [
        &[("mcp-param-shard", "7")][..],
        &[("mcp-param-region", "south"), ("mcp-param-shard", "7")],
        &[("mcp-param-region", "north"), ("mcp-param-shard", "8")],
        &[("mcp-param-region", "north"), ("mcp-param-region", "north"), ("mcp-param-shard", "7")],
        &[("mcp-param-region", "north"), ("mcp-param-region", "south"), ("mcp-param-shard", "7")],
        &[("mcp-param-region", "=?base64?bm9ydGg?="), ("mcp-param-shard", "7")],
    ] {
        let refused = call(headers);
        let said = refused.json();
        assert_eq!((refused.status, &said["error"]["code"]), (400, &json!(-32020)), "{headers:?}: {said}");
        assert_eq!(said["id"], 1, "{headers:?}");
    }
}

/// A server whose schemas point at this address.
fn referring(folder: &std::path::Path, address: &str) -> String {
    fs::create_dir_all(folder).unwrap();
    let package = json!({"name": "referring", "version": "1.0.0", "type": "module", "bin": "server.mjs"});
    fs::write(folder.join("package.json"), package.to_string()).unwrap();
    let schema = json!({
        "$schema": format!("{address}/schema"), "$id": format!("{address}/id"), "type": "object",
        "properties": {"value": {"$ref": format!("{address}/value.json"), "x-mcp-header": "Value"}},
        "allOf": [{"$ref": format!("{address}/all.json#/$defs/a")}, {"$dynamicRef": format!("{address}/dynamic")}],
    });
    let tool = json!({
        "name": "refer", "description": "Refers", "inputSchema": schema, "outputSchema": schema,
        "icons": [{"src": format!("{address}/icon.png")}],
    });
    let program = r#"
        import readline from 'node:readline';
        const tool = TOOL;
        const results = {
          initialize: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'referring', version: '1' } },
          'tools/list': { tools: [tool] },
          'tools/call': { content: [{ type: 'text', text: 'referred' }], structuredContent: { value: 1 } },
        };
        readline.createInterface({ input: process.stdin }).on('line', (line) => {
          const { id, method } = JSON.parse(line);
          if (id === undefined) return;
          const answer = results[method] ? { result: results[method] } : { error: { code: -32601, message: 'unknown' } };
          process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...answer })}\n`);
        });
    "#;
    fs::write(folder.join("server.mjs"), program.replace("TOOL", &tool.to_string())).unwrap();
    format!("\n[[server]]\nname = \"referring\"\npath = {folder:?}\n")
}

#[test]
fn nobody_fetches_what_a_schema_refers_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let more = referring(&folder.path().join("server"), &address);
    let gateway = Gateway::serving(&more);
    let (client, endpoint) = (gateway.caller(), gateway.endpoint("referring"));
    let enabled = client.call("/mcp", "gateway__enable_server", json!({"server_name": "referring"}));
    assert_ne!(enabled["isError"], true, "{enabled}");
    for path in ["/mcp", &endpoint] {
        let listed = client.rpc(path, "tools/list", json!({})).json().to_string();
        assert!(
            listed.contains(&format!("{address}/value.json")),
            "{path}: the schema is passed on as it is: {listed}"
        );
        client.modern(path, "tools/list", json!({}));
    }
    for (path, tool) in [(endpoint.as_str(), "refer"), ("/mcp", "referring__refer")] {
        for arguments in [json!({}), json!({"value": 1}), json!({"value": {"$ref": format!("{address}/argument")}})] {
            let said = client.call(path, tool, arguments.clone());
            assert_eq!(said["content"][0]["text"], "referred", "{path} {arguments}: {said}");
            let modern = client.with("mcp-param-value", "1");
            modern.modern(path, "tools/call", json!({"name": tool, "arguments": arguments}));
        }
    }
    client.get("/api/servers/referring/tools");
    client.call("/mcp", "gateway__server_info", json!({"server_name": "referring"}));
    client.call("/mcp", "gateway__search_servers", json!({"query": "referring"}));
    let came = listener.accept();
    assert!(came.is_err(), "somebody came: {came:?}");
}
