//! What a caller has switched on, what it finds, and what it calls without switching anything on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use sealgate_tests::{Client, EVERYTHING, FILESYSTEM, Gateway, Settings, Wallet};
use serde_json::{Value, json};

fn both() -> Settings {
    Settings { more: format!("{EVERYTHING}{FILESYSTEM}"), ..Settings::default() }
}

fn meta(client: &Client, tool: &str, arguments: Value) -> Value {
    client.rpc("/mcp", "tools/call", json!({"name": tool, "arguments": arguments})).json()["result"].clone()
}

/// Servers whose tools are listed, by what stands before them.
fn listed(client: &Client) -> Vec<String> {
    let tools = client.rpc("/mcp", "tools/list", json!({})).json()["result"]["tools"].clone();
    let names = tools.as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().split("__").next().unwrap());
    let mut names: Vec<String> = names.filter(|name| *name != "gateway").map(str::to_owned).collect();
    names.dedup();
    names.sort();
    names
}

#[test]
fn a_wallet_finds_its_switches_after_a_restart_and_each_scope_its_own() {
    let mut gateway = Gateway::with(&both());
    let (wallet, other) = (Wallet::new(), Wallet::new());
    let sessions = [wallet.session(&gateway), other.session(&gateway)];
    let client =
        |gateway: &Gateway, who: usize| gateway.anonymous().with("authorization", &format!("Bearer {}", sessions[who]));
    let enable = |client: &Client, server: &str| {
        let said = meta(client, "gateway__enable_server", json!({"server_name": server}));
        assert_eq!(said["structuredContent"]["enabled"], true, "{said}");
        assert!(said["structuredContent"].get("persisted").is_none(), "it is kept, so nothing is said of it");
    };
    let wide = client(&gateway, 0);
    let (runtime, session) =
        (wide.with("x-runtime-scope-id", "team-a"), wide.with("x-mcp-session", "a-session-of-its-own"));
    let stranger = gateway.anonymous().with("x-mcp-session", "nobody-in-particular");
    enable(&wide, "everything");
    assert_eq!(listed(&runtime), ["everything"], "a narrower scope begins with what the wider one has");
    enable(&runtime, "filesystem");
    meta(&session, "gateway__disable_server", json!({"server_name": "everything"}));
    enable(&stranger, "everything");
    assert!(gateway.anonymous().with("x-runtime-scope-id", "team-a").get("/health").status == 200);
    let bad = wide.with("x-runtime-scope-id", &"x".repeat(129)).rpc("/mcp", "tools/list", json!({}));
    assert_eq!((bad.status, &bad.json()["error"]), (400, &json!("BAD_SCOPE")));
    for restarts in 0..2 {
        let wide = client(&gateway, 0);
        assert_eq!(listed(&wide), ["everything"], "after {restarts} restarts");
        assert_eq!(listed(&wide.with("x-runtime-scope-id", "team-a")), ["everything", "filesystem"]);
        assert_eq!(listed(&wide.with("x-runtime-scope-id", "team-b")), ["everything"], "one without a way of its own");
        assert!(listed(&wide.with("x-mcp-session", "a-session-of-its-own")).is_empty(), "switched off is no default");
        assert!(listed(&client(&gateway, 1)).is_empty(), "another wallet");
        let stranger = gateway.anonymous().with("x-mcp-session", "nobody-in-particular");
        assert_eq!(listed(&stranger).len(), 1 - restarts, "an anonymous session ends with the gateway");
        if restarts == 0 {
            gateway.stop();
            gateway.serve().unwrap_or_else(|log| panic!("it did not start again:\n{log}"));
        }
    }
    let files = std::fs::read(gateway.state().join("gateway.db")).unwrap();
    let id = gateway.id("everything").replace('-', "");
    let id: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()).collect();
    for secret in [wallet.address().to_lowercase().as_bytes(), b"team-a", &id] {
        assert!(!files.windows(secret.len()).any(|window| window == secret), "what is kept is sealed");
    }
}

#[test]
fn a_tool_is_called_without_enabling_its_server_and_proven_as_if_it_were_called_directly() {
    let gateway = Gateway::with(&both());
    let id = gateway.id("everything");
    let caller = gateway.caller();
    for arguments in [
        json!({"server_name": "everything", "tool": "echo", "arguments": {"message": "hello"}}),
        json!({"server_id": id, "tool": "echo", "arguments": {"message": "hello"}}),
        json!({"server_id": id, "tool": "everything__echo", "arguments": {"message": "hello"}}),
        json!({"tool": "everything__echo", "arguments": {"message": "hello"}}),
    ] {
        let result = meta(&caller, "gateway__call_tool", arguments.clone());
        assert_eq!(result["content"][0]["text"], "Echo: hello", "{arguments}: {result}");
        let proof = &result["_meta"]["io.sealgate/proof"]["proof"];
        assert_eq!((&proof["execution"]["tool"], &proof["server"]["id"]), (&json!("echo"), &json!(id)), "{proof}");
    }
    assert!(listed(&caller).is_empty(), "nothing was switched on by it");
    let without = meta(&gateway.anonymous(), "gateway__call_tool", json!({"tool": "everything__get-env"}));
    assert!(without["content"][0]["text"].is_string() && without["isError"] != true, "{without}");
    let modern = gateway.anonymous().modern(
        "/mcp",
        "tools/call",
        json!({"name": "gateway__call_tool",
               "arguments": {"server_name": "everything", "tool": "echo", "arguments": {"message": "new"}}}),
    );
    assert_eq!(modern.json()["result"]["content"][0]["text"], "Echo: new", "{}", modern.json());
    for (arguments, said) in [
        (json!({}), "name a tool"),
        (json!({"tool": "echo"}), "name a server"),
        (json!({"tool": 7, "server_name": "everything"}), "tool is a string"),
        (json!({"tool": "echo", "server_name": "evrything"}), "did you mean \"everything\""),
        (json!({"tool": "echo", "server_name": "everything", "arguments": "{}"}), "found a string"),
        (json!({"tool": "ecko", "server_name": "everything"}), "did you mean \"echo\""),
        (json!({"tool": "gateway__search_servers"}), "not found"),
    ] {
        let answer = caller.rpc("/mcp", "tools/call", json!({"name": "gateway__call_tool", "arguments": arguments}));
        let (answer, text) = (answer.status, answer.json().to_string().replace("\\\\\\\"", "\"").replace("\\\"", "\""));
        assert!(answer == 200 && text.contains(said), "{arguments}: {text}");
    }
}

#[test]
fn a_search_finds_servers_by_what_their_tools_do() {
    let gateway = Gateway::with(&both());
    let anonymous = gateway.anonymous();
    let found = |arguments: Value| meta(&anonymous, "gateway__search_servers", arguments)["structuredContent"].clone();
    for (query, name) in [
        ("directory listings", "filesystem"),
        ("filesys", "filesystem"),
        ("environment variables", "everything"),
        ("sum of two numbers", "everything"),
        ("\"files AND (", "filesystem"),
    ] {
        let said = found(json!({"query": query}));
        assert_eq!(said["servers"][0]["name"], name, "{query}: {said}");
        assert_eq!(said["searchMode"], "text");
    }
    let (first, second) = (found(json!({"limit": 1})), found(json!({"limit": 1, "offset": 1})));
    assert_eq!((&first["total"], &second["total"], &second["offset"]), (&json!(2), &json!(2), &json!(1)));
    assert_ne!(first["servers"][0]["id"], second["servers"][0]["id"]);
    let described = anonymous.rpc("/mcp", "tools/list", json!({})).json()["result"]["tools"].clone();
    let text = described[0]["description"].as_str().unwrap();
    assert!(text.contains("2 servers") && text.contains("filesystem") && text.contains("files (1)"), "{text}");
    assert!(described.as_array().unwrap().iter().all(|tool| tool["title"].is_string()), "{described}");
}

#[test]
fn a_search_by_meaning_is_for_wallets_and_goes_by_words_where_nobody_makes_vectors() {
    let gateway = Gateway::with(&both());
    let path = "/api/catalog/semantic-search";
    let ask = json!({"query": "list what lies in a directory", "limit": 1});
    let refused = gateway.anonymous().post(path, &ask);
    assert_eq!((refused.status, &refused.json()["error"]), (401, &json!("WALLET_REQUIRED")));
    let refused = meta(&gateway.anonymous(), "gateway__semantic_search", json!({"query": "files"}));
    let text = refused["content"][0]["text"].as_str().unwrap();
    assert!(refused["isError"] == true && text.contains("gateway__search_servers"), "{text}");

    let member = gateway.member();
    meta(&member, "gateway__enable_server", json!({"server_name": "filesystem"}));
    let said = member.post(path, &ask);
    assert_eq!(said.status, 200, "{}", said.json());
    let said = said.json();
    assert_eq!((&said["searchMode"], &said["query"]), (&json!("text"), &ask["query"]));
    let first = &said["results"][0];
    assert_eq!(
        (&first["name"], &first["type"], &first["isEnabled"]),
        (&json!("filesystem"), &json!("server"), &json!(true))
    );
    assert!(first["score"].is_f64() && first["textScore"].is_f64() && first["semanticScore"].is_null(), "{first}");
    assert_eq!((said["results"].as_array().unwrap().len(), &said["embeddingStats"]["enabled"]), (1, &json!(false)));
    assert!(said["totalResults"].as_u64().unwrap() >= 1 && said["latencyMs"].is_u64());
    let none = member.post(path, &json!({"query": "files", "type": "agent"})).json();
    assert_eq!((&none["results"], &none["totalResults"]), (&json!([]), &json!(0)), "there are no agents here");
    for wrong in [json!({}), json!({"query": "a", "limit": 101}), json!({"query": "a", "more": 1}), json!([])] {
        assert_eq!(member.post(path, &wrong).status, 400, "{wrong}");
    }
    let result = meta(&member, "gateway__semantic_search", json!({"query": "list what lies in a directory"}));
    assert_eq!(result["structuredContent"]["results"][0]["name"], "filesystem", "{result}");

    // Thirty a minute, three of which are gone; the catalogue of words stays open.
    let mut allowed = 3;
    let limited = loop {
        let answer = member.post(path, &ask);
        if answer.status != 200 {
            break answer;
        }
        allowed += 1;
        assert!(allowed <= 30, "nobody stops it");
    };
    assert_eq!((limited.status, &limited.json()["error"], allowed), (429, &json!("RATE_LIMITED"), 30));
    assert!((1..=60).contains(&limited.header("retry-after").unwrap().parse::<u64>().unwrap()));
    let said = meta(&member, "gateway__semantic_search", json!({"query": "files"}));
    assert!(said["content"][0]["text"].as_str().unwrap().contains("Retry-After: "), "{said}");
    assert_eq!(gateway.member().post(path, &ask).status, 200, "another wallet");
}

/// Somebody who makes vectors: a text is near another that has the same of three words. It can fall silent.
fn provider(silent: &Arc<AtomicBool>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let silent = Arc::clone(silent);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream);
            let (mut length, mut authorized) = (0, false);
            for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
                let line = line.to_ascii_lowercase();
                authorized |= line == "authorization: bearer the-key-of-the-service";
                length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().unwrap());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let vector = |text: &str| {
                let text = text.to_lowercase();
                let near = |words: &[&str]| f64::from(u8::from(words.iter().any(|word| text.contains(word))));
                json!([near(&["directory", "belongings"]), near(&["echo", "parrot"]), 0.01])
            };
            let data = asked["input"].as_array().unwrap().iter().enumerate();
            let data: Vec<Value> = data
                .map(|(index, text)| json!({"index": index, "embedding": vector(text.as_str().unwrap())}))
                .collect();
            let (status, body) = match silent.load(Ordering::SeqCst) || !authorized || asked["model"] != "three-words" {
                true => ("503 Service Unavailable", String::new()),
                false => ("200 OK", json!({"object": "list", "data": data}).to_string()),
            };
            let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n");
            let _gone = write!(reader.get_mut(), "{head}content-length: {}\r\n\r\n{body}", body.len());
        }
    });
    format!("http://{address}/v1/embeddings")
}

#[test]
fn a_search_by_meaning_finds_what_no_word_says_and_goes_on_when_its_provider_is_silent() {
    let silent = Arc::new(AtomicBool::new(false));
    let url = provider(&silent);
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "the-key-of-the-service\n").unwrap();
    let more = format!(
        "[search.embeddings]\nurl = {url:?}\nmodel = \"three-words\"\ndimensions = 3\nkey_file = {:?}\n{EVERYTHING}{FILESYSTEM}",
        key.path()
    );
    let gateway = Gateway::serving(&more);
    let member = gateway.member();
    let ask = |query: &str| {
        let answer = member.post("/api/catalog/semantic-search", &json!({"query": query}));
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.json()
    };
    // The vectors of the servers are made in the background.
    let mut said = ask("parrot");
    for _ in 0..20 {
        if said["embeddingStats"]["embeddedServers"] == 2 {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(200));
        said = ask("parrot");
    }
    assert_eq!((&said["searchMode"], &said["results"][0]["name"]), (&json!("hybrid"), &json!("everything")), "{said}");
    let first = &said["results"][0];
    assert!(first["textScore"].is_null() && first["semanticScore"].as_f64().unwrap() > 0.5, "{first}");
    assert_eq!(ask("belongings")["results"][0]["name"], "filesystem");
    silent.store(true, Ordering::SeqCst);
    let said = ask("belongings");
    assert_eq!((&said["searchMode"], &said["totalResults"]), (&json!("text"), &json!(0)), "{said}");
    assert_eq!(ask("directory")["results"][0]["name"], "filesystem", "words go on");
    let log = gateway.log();
    assert!(log.contains("status 503") && !log.contains("belongings") && !log.contains("the-key"), "{log}");
}
