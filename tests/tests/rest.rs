//! The REST interface: the catalogue, containers kept warm, how clients are connected, and the document of all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{collections::BTreeSet, thread, time::Duration};

use sealgate_tests::{Answer, Client, EVERYTHING, FILESYSTEM, Gateway, Settings, Wallet, clients};
use serde_json::{Value, json};

const PACKAGE: &str = "@modelcontextprotocol/server-everything";

/// The same package again, under a name of its own, priced for a tool that it does not have: it cannot run.
const BROKEN: &str = r#"
[[server]]
id = "0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f"
name = "Broken.One"
description = "Reads nothing and writes nothing"
categories = ["broken"]
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
tool_prices = { "no-such-tool" = "0" }
"#;

fn with(servers: &[&str]) -> Settings {
    Settings { more: servers.concat(), ..Settings::default() }
}

fn names(page: &Value) -> Vec<&str> {
    page["servers"].as_array().unwrap().iter().map(|server| server["name"].as_str().unwrap()).collect()
}

/// The answer is this problem, and says how to fix it.
fn is_problem(answer: &Answer, status: u16, error: &str) {
    let said = answer.json();
    assert_eq!((answer.status, said["error"].as_str().unwrap()), (status, error), "{said}");
    assert!(!said["remediation"]["text"].as_str().unwrap().is_empty(), "{said}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}

#[test]
fn servers_are_found_by_words_filters_and_pages_in_one_order() {
    let gateway = Gateway::with(&with(&[EVERYTHING, FILESYSTEM, BROKEN]));
    let client = gateway.anonymous();
    let page = |query: &str| client.get(&format!("/api/servers?{query}")).json();
    let all = page("");
    assert_eq!(
        (&all["total"], &all["limit"], &all["offset"], &all["hasMore"]),
        (&json!(3), &json!(100), &json!(0), &json!(false))
    );
    assert_eq!(names(&all), ["everything", "filesystem", "Broken.One"]);
    for (query, expected) in [
        ("q=directory", &["filesystem"][..]),
        ("search=directory", &["filesystem"]),
        ("q=directory&search=directory", &["filesystem"]),
        ("category=reference", &["everything"]),
        ("registry=npm&deploymentType=local_tool", &["everything", "filesystem", "Broken.One"]),
        ("registry=pypi", &[]),
        ("deploymentType=remote", &[]),
        ("status=ready", &["everything", "filesystem"]),
        ("status=unavailable", &["Broken.One"]),
        ("gatewayCompatible=false", &["Broken.One"]),
        ("gatewayCompatible=true&q=directory", &["filesystem"]),
    ] {
        let said = page(query);
        assert_eq!(names(&said), expected, "{query}");
        assert_eq!(said["total"], json!(expected.len()), "{query}");
    }
    // Pages put side by side are the whole, whatever is filtered.
    for filter in ["", "&status=ready", "&q=everything"] {
        let whole = page(filter.trim_start_matches('&'));
        let (mut shown, mut offset) = (Vec::new(), 0);
        loop {
            let said = page(&format!("limit=1&offset={offset}{filter}"));
            assert_eq!(said["total"], whole["total"]);
            shown.extend(said["servers"].as_array().unwrap().iter().cloned());
            if said["hasMore"] == json!(false) {
                break;
            }
            offset += 1;
        }
        assert_eq!(json!(shown), whole["servers"], "{filter}");
    }
    let behind = page("offset=9");
    assert_eq!((names(&behind).len(), &behind["total"], &behind["hasMore"]), (0, &json!(3), &json!(false)));
    for wrong in ["q=a&search=b", "limit=0", "limit=5001", "offset=-1", "status=active", "registry=", "page=2"] {
        is_problem(&client.get(&format!("/api/servers?{wrong}")), 400, "BAD_QUERY");
    }
}

#[test]
fn a_server_answers_to_its_id_slug_and_package_at_every_address() {
    let gateway = Gateway::with(&with(&[EVERYTHING, BROKEN]));
    let (client, member) = (gateway.anonymous(), gateway.member());
    let id = gateway.id("everything");
    let encoded = PACKAGE.replace('/', "%2F");
    let both = format!("%40{}", &encoded[1..]);
    for spelled in [id.as_str(), "everything", "EVERYTHING", &encoded, &both, PACKAGE] {
        let at = |rest: &str| format!("/api/servers/{spelled}{rest}");
        for rest in ["", "/connect"] {
            let answer = client.get(&at(rest));
            let said = answer.json();
            let found = said.get("server").unwrap_or(&said);
            assert_eq!((answer.status, &found["id"]), (200, &json!(id)), "{}", at(rest));
        }
        let tools = client.get(&at("/tools")).json();
        assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"), "{}", at("/tools"));
        let called = member.post(&at("/tools/echo"), &json!({"message": "hello"}));
        assert_eq!((called.status, &called.json()["content"][0]["text"]), (200, &json!("Echo: hello")), "{spelled}");
        for (rest, status) in [("/start", "started"), ("/stop", "stopped")] {
            let answer = member.send("POST", &at(rest), None, b"");
            assert_eq!((answer.status, &answer.json()["status"]), (200, &json!(status)), "{}", at(rest));
        }
    }
    assert_eq!(client.get("/api/servers/broken-one").json()["name"], "Broken.One", "a slug");
    // What names no server says so, and how one is named.
    for (address, error, said) in [
        ("/api/servers/everythign", "UNKNOWN_SERVER", "everything"),
        ("/api/servers/@modelcontextprotocol/tools", "UNKNOWN_SERVER", "%2F"),
        ("/api/servers/@modelcontextprotocol/server-everythign", "UNKNOWN_SERVER", "GET /api/servers"),
        ("/api/servers/everything/nothing", "NOT_FOUND", "/openapi.json"),
        ("/api/servers/everything/nothing/tools", "NOT_FOUND", "/openapi.json"),
    ] {
        let answer = client.get(address);
        is_problem(&answer, 404, error);
        let text = answer.json()["message"].to_string();
        assert!(text.contains(said), "{address}: {text}");
    }
    assert_eq!(client.get("/api/servers/%ff").status, 400);
    assert_eq!(client.send("DELETE", &format!("/api/servers/{PACKAGE}"), None, b"").status, 405);
}

#[test]
fn a_wallet_has_its_own_container_started_and_stopped_and_nobody_elses() {
    let gateway = Gateway::with(&with(&[EVERYTHING, BROKEN]));
    let (wallet, other) = (Wallet::new(), gateway.member());
    let (member, session) =
        (wallet.login(&gateway), wallet.login(&gateway).with("x-mcp-session", "a session of its own"));
    let (start, stop) = ("/api/servers/everything/start", "/api/servers/everything/stop");
    let post = |client: &Client, path: &str| client.send("POST", path, None, b"");
    for path in [start, stop] {
        let refused = post(&gateway.anonymous(), path);
        is_problem(&refused, 401, "WALLET_REQUIRED");
        assert!(refused.header("www-authenticate").is_some());
        is_problem(&post(&gateway.caller(), path), 401, "WALLET_REQUIRED");
        assert_eq!(post(&gateway.anonymous().with("authorization", "Bearer nonsense"), path).status, 401);
    }
    is_problem(&post(&member, "/api/servers/broken-one/start"), 503, "CONNECTION_FAILED");
    is_problem(&post(&member, "/api/servers/nothing/start"), 404, "UNKNOWN_SERVER");
    is_problem(&post(&member, &format!("{start}?wait=1")), 400, "BAD_QUERY");
    assert_eq!(gateway.containers().len(), 0, "nobody who was refused had anything run");

    // Many at once are one start.
    let answers: Vec<Value> = thread::scope(|scope| {
        let started: Vec<_> = (0..6).map(|_| scope.spawn(|| post(&member, start))).collect();
        started.into_iter().map(|one| one.join().unwrap().json()).collect()
    });
    assert!(answers.iter().all(|said| said["status"] == "started" && said["running"] == 1), "{answers:?}");
    assert!(answers.iter().any(|said| said["temperature"] == "cold"), "{answers:?}");
    assert_eq!(gateway.containers().len(), 1);
    let warm = post(&member, start).json();
    assert_eq!(
        (&warm["alreadyRunning"], &warm["temperature"], &warm["server"]["name"]),
        (&json!(true), &json!("warm"), &json!("everything"))
    );
    // A call finds what was started.
    assert_eq!(member.post("/api/servers/everything/tools/echo", &json!({"message": "a"})).status, 200);
    assert_eq!(gateway.containers().len(), 1);

    // A session has its own; a stranger's stop ends nothing; the wallet's own ends both.
    let second = post(&session, start).json();
    assert_eq!((&second["temperature"], &second["running"]), (&json!("cold"), &json!(2)));
    assert_eq!(post(&other, stop).json()["ended"], 0);
    assert_eq!(gateway.containers().len(), 2);
    let stopped = post(&member, stop).json();
    assert_eq!((&stopped["status"], &stopped["ended"], &stopped["running"]), (&json!("stopped"), &json!(2), &json!(0)));
    assert_eq!(gateway.containers().len(), 0);
    assert_eq!(post(&member, stop).json()["ended"], 0, "stopping twice is stopping");
    assert_eq!(post(&member, start).json()["temperature"], "cold");
}

#[test]
fn a_start_without_a_free_place_says_when_to_come_back() {
    let gateway = Gateway::with(&Settings::everything_with("[sandbox]\nmax_instances = 1\n"));
    let (busy, late) = (gateway.member(), gateway.member());
    let tools = busy.get("/api/servers/everything/tools").json();
    let names = tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str());
    let long =
        names.into_iter().find(|name| name.contains("long-running")).expect("a tool that takes its time").to_owned();
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            busy.post(&format!("/api/servers/everything/tools/{long}"), &json!({"duration": 12, "steps": 2}))
        });
        let running = || gateway.anonymous().get("/api/warmup/status").json()["summary"]["running"] == 1;
        let begun = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(50));
            running()
        });
        assert!(begun, "the call took the place");
        // Its container may still be starting, and gives way to nobody either.
        let refused = late.send("POST", "/api/servers/everything/start", None, b"");
        is_problem(&refused, 503, "NO_PLACE");
        assert!(refused.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
        assert_eq!(working.join().unwrap().status, 200, "the call went on");
    });
    // Nobody works now, so the idle one gives way.
    assert_eq!(late.send("POST", "/api/servers/everything/start", None, b"").status, 200);
}

#[test]
fn what_clients_are_to_copy_is_read_in_their_own_formats_and_leads_to_the_server() {
    let gateway = Gateway::start();
    let (client, token) = (gateway.anonymous(), Wallet::new().session(&gateway));
    let said = client.get("/api/servers/everything/connect").json();
    let url = format!("{}{}", gateway.base(), gateway.endpoint("everything"));
    assert_eq!((&said["url"], &said["token"]["variable"]), (&json!(url), &json!("SEALGATE_TOKEN")));
    let mut seen = BTreeSet::new();
    for shown in said["clients"].as_array().unwrap() {
        let id = shown["client"].as_str().unwrap();
        let alone = client.get(&format!("/api/servers/everything/connect?client={id}")).json();
        assert_eq!(alone["clients"], json!([shown]), "{id}");
        for snippet in shown["snippets"].as_array().unwrap() {
            let (format, text) = (snippet["format"].as_str().unwrap(), snippet["text"].as_str().unwrap());
            let (address, authorization) = read_as(id, format, text, &token);
            assert_eq!(address, url, "{id}, {format}");
            assert_eq!(authorization, format!("Bearer {token}"), "{id}, {format}");
            let path = address.strip_prefix(gateway.base()).expect("this gateway");
            let asking =
                client.with("authorization", &authorization).with("accept", "application/json, text/event-stream");
            let listed = asking.rpc(path, "tools/list", json!({})).json();
            assert!(listed["result"]["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "echo"), "{id}");
            seen.insert(format!("{id} {format}"));
        }
    }
    let expected = [
        "claude-code json",
        "claude-code shell",
        "claude-desktop json",
        "codex shell",
        "codex toml",
        "cursor json",
        "gemini json",
        "generic json",
        "generic shell",
        "vscode jsonc",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    is_problem(&client.get("/api/servers/everything/connect?client=netscape"), 400, "BAD_QUERY");
    is_problem(&client.get("/api/servers/everything/connect?clients=codex"), 400, "BAD_QUERY");
}

/// Address and authorization of a snippet, as its client would have them with the token in its place.
fn read_as(client: &str, format: &str, text: &str, token: &str) -> (String, String) {
    let text_of = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{client}: {text}")).to_owned();
    // Each client's own way to name a variable.
    let placed = |value: String, place: &str| {
        assert!(value.contains(place), "{client}: no {place} in {value}");
        value.replace(place, token)
    };
    match (client, format) {
        (_, "shell") => {
            let words = shell_words::split(text).expect("a shell reads it");
            let address = words.iter().find(|word| word.contains("://")).expect("an address").clone();
            if let Some(at) = words.iter().position(|word| word == "--bearer-token-env-var") {
                assert_eq!(words[at + 1], "SEALGATE_TOKEN");
                return (address, format!("Bearer {token}"));
            }
            let header = words.iter().find_map(|word| word.strip_prefix("Authorization: ")).expect("a header");
            (address, placed(header.to_owned(), "${SEALGATE_TOKEN}"))
        }
        (_, "toml") => {
            let read: toml::Table = text.parse().expect("TOML");
            let server = &read["mcp_servers"]["everything"];
            assert_eq!(server["bearer_token_env_var"].as_str(), Some("SEALGATE_TOKEN"));
            (server["url"].as_str().expect("an address").to_owned(), format!("Bearer {token}"))
        }
        (_, "jsonc") => {
            assert!(serde_json::from_str::<Value>(text).is_err(), "it has a comment, so it is more than JSON");
            let read: Value =
                jsonc_parser::parse_to_serde_value(text, &jsonc_parser::ParseOptions::default()).expect("JSONC");
            let server = &read["servers"]["everything"];
            assert_eq!((&server["type"], &read["inputs"][0]["password"]), (&json!("http"), &json!(true)));
            let input = format!("${{input:{}}}", read["inputs"][0]["id"].as_str().expect("an id"));
            (text_of(&server["url"]), placed(text_of(&server["headers"]["Authorization"]), &input))
        }
        ("claude-desktop", "json") => {
            let read: Value = serde_json::from_str(text).expect("JSON");
            let server = &read["mcpServers"]["everything"];
            let arguments: Vec<String> = server["args"].as_array().unwrap().iter().map(text_of).collect();
            assert_eq!((text_of(&server["command"]).as_str(), arguments[1].as_str()), ("npx", "mcp-remote"));
            let (name, variable) = arguments[4].split_once(':').expect("a header without a blank");
            assert_eq!((arguments[3].as_str(), name), ("--header", "Authorization"));
            let variable = variable.trim_start_matches("${").trim_end_matches('}');
            (arguments[2].clone(), placed(text_of(&server["env"][variable]), "YOUR_TOKEN"))
        }
        (_, "json") => {
            let read: Value = serde_json::from_str(text).expect("JSON");
            let server = &read["mcpServers"]["everything"];
            let (address, place) = match client {
                "cursor" => ("url", "${env:SEALGATE_TOKEN}"),
                "gemini" => ("httpUrl", "$SEALGATE_TOKEN"),
                _ => ("url", "${SEALGATE_TOKEN}"),
            };
            (text_of(&server[address]), placed(text_of(&server["headers"]["Authorization"]), place))
        }
        other => panic!("a format that nobody reads: {other:?}"),
    }
}

/// A body and what it is to be, for the validator.
fn case(media: &Value, body: &Value, place: &str) -> Value {
    json!({"place": place, "schema": media["schema"], "body": body})
}

#[test]
fn the_document_is_openapi_and_says_what_the_gateway_does() {
    let gateway = Gateway::with(&with(&[EVERYTHING, BROKEN]));
    let (client, member) = (gateway.anonymous(), gateway.member());
    let served = client.get("/openapi.json");
    assert_eq!((served.status, served.header("content-type")), (200, Some("application/json")));
    let document = served.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert_eq!(document["servers"][0]["url"], gateway.base());
    let judged = clients::validate_openapi(&format!("{}/openapi.json", gateway.base()));
    assert_eq!((&judged["valid"], &judged["version"]), (&json!(true), &json!("3.1")), "{judged}");

    // Every example is what its schema says.
    let mut cases = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let bodies = operation["responses"].as_object().unwrap().iter();
            let bodies = bodies.chain(operation.get("requestBody").map(|body| (method, body)));
            for (status, body) in bodies {
                for media in body["content"].as_object().into_iter().flatten().map(|(_, media)| media) {
                    cases.push(case(media, &media["example"], &format!("example of {method} {path}, {status}")));
                }
            }
        }
    }
    assert!(cases.len() > 40, "{} examples were read", cases.len());
    let problem = &document["components"]["responses"]["Problem"]["content"]["application/problem+json"];
    cases.push(case(problem, &problem["example"], "example of a problem"));

    // What is answered is what is described: each operation once, as it is meant or refused.
    let wallet = Wallet::new();
    let login = |nonce: &Value, message: &Value| json!({"walletAddress": wallet.address(), "signature": wallet.sign(message.as_str().unwrap()), "nonce": nonce});
    let proven = member.post("/api/servers/everything/tools/echo", &json!({"message": "hello"})).json();
    let proof = proven["proof"].clone();
    let mut answered = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = proof["proof"]["id"].as_str().or(proof["proof"]["body"]["id"].as_str()).unwrap_or_default();
            let address = path.replace("/api/proofs/{id}", &format!("/api/proofs/{id}"));
            let address = address.replace("{id}", "everything").replace("{tool}", "echo");
            let body = match path.as_str() {
                "/api/auth/verify" | "/auth/verify" => {
                    let fresh = client.get("/api/auth/challenge").json();
                    login(&fresh["nonce"], &fresh["message"])
                }
                "/api/verify" => proof.clone(),
                "/api/secrets" => json!({"serverId": "everything", "secrets": {"API_KEY": "value"}}),
                "/mcp" | "/mcp/server/{id}" => json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}),
                _ => operation["requestBody"]["content"]["application/json"]["example"].clone(),
            };
            let body = if body.is_null() { String::new() } else { body.to_string() };
            let kind = (!body.is_empty()).then_some("application/json");
            // A wallet of its own, for what it revokes is all it had.
            let own = Wallet::new().login(&gateway);
            let asking = if path == "/api/auth/revoke" { &own } else { &member };
            let answer = asking.send(&method.to_uppercase(), &address, kind, body.as_bytes());
            let place = format!("{method} {path}: {}", answer.status);
            assert!(![404, 405].contains(&answer.status), "{place}: there is no such route");
            let responses = &operation["responses"];
            let described = match responses.get(answer.status.to_string()) {
                Some(described) => described,
                None => &document["components"]["responses"]["Problem"],
            };
            let kind = answer.header("content-type").unwrap_or_default();
            let media = described["content"].get(kind).unwrap_or_else(|| panic!("{place}: {kind} is not described"));
            cases.push(case(media, &answer.json(), &place));
            if answer.status == 200 {
                answered.insert(format!("{method} {path}"));
            }
            // A method that the document does not show is none.
            let others =
                ["get", "post", "put", "delete", "patch"].into_iter().filter(|other| methods.get(other).is_none());
            for other in others {
                let refused = member.send(&other.to_uppercase(), &address, None, b"");
                assert_eq!(refused.status, 405, "{other} {path}");
            }
        }
    }
    let file = gateway.directory().join("bodies.json");
    let asked = json!({"components": document["components"], "cases": cases});
    std::fs::write(&file, asked.to_string()).unwrap();
    let judged = clients::validate_bodies(&file);
    assert_eq!((&judged["checked"], &judged["faults"]), (&json!(cases.len()), &json!([])), "{judged}");
    let all = document["paths"].as_object().unwrap().iter();
    let all = all.flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |m| format!("{m} {path}")));
    let refused: Vec<String> = all.filter(|operation| !answered.contains(operation)).collect();
    // What this test does not sign, and what is for operators.
    let expected = [
        "get /api/auth/token-message",
        "post /api/auth/create-token",
        "post /health/reload",
        "post /health/reload/{id}",
    ];
    assert_eq!(refused.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
}

#[test]
fn older_clients_find_what_they_read_about_attestation_and_packages() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let short = client.get("/api/v1/attestation").json();
    assert_eq!(short["attestation_available"], false, "software vouches for no hardware");
    assert_eq!((&short["platform"], &short["encryption_enabled"]), (&json!("simulated"), &json!(true)));
    let code = client.get("/api/attestation/build-info").json()["codeHash"].as_str().unwrap().to_owned();
    assert_eq!(short["image_digest"], format!("sha256:{code}"));
    let model = client.get("/api/attestation/encryption-model").json();
    assert_eq!((&model["vault"]["masterKey"], &model["vault"]["persistent"]), (&json!("tpm-sealed"), &json!(false)));
    assert_eq!(model["signToDerive"], false);
    let packages = client.get("/api/warmup/status").json();
    assert_eq!(packages["summary"]["total"], 1);
    assert_eq!(packages["packages"][0]["package"], format!("{PACKAGE}@2026.8.31"));
}
