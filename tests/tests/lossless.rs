//! What a server says arrives as it said it: the same package over bare stdio and through the gateway, compared member by
//! member in the order and with the number tokens that were sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, process::Command};

use evidence::json::{self, Limits, Value};
use sealgate_tests::{Client, EVERYTHING, FILESYSTEM, Gateway, Stdio, fixture, fixture_over_stdio};
use serde_json::json;

/// Keeps a graph in a file that its caller names.
const MEMORY: &str = r#"
[[server]]
name = "memory"
package = "@modelcontextprotocol/server-memory"
version = "2026.8.31"
scratch_dirs = ["/data"]
secrets = [{ name = "MEMORY_FILE_PATH", required = false }]
"#;

const THINKING: &str = r#"
[[server]]
name = "thinking"
package = "@modelcontextprotocol/server-sequential-thinking"
version = "2026.8.31"
"#;

/// The three from PyPI speak both eras, and are spoken to in the newer one.
const TIME: &str = r#"
[[server]]
name = "time"
registry = "pypi"
package = "mcp-server-time"
version = "2026.10.19"
"#;

const GIT: &str = r#"
[[server]]
name = "git"
registry = "pypi"
package = "mcp-server-git"
version = "2026.10.19"
scratch_dirs = ["/data"]
"#;

const FETCH: &str = r#"
[[server]]
name = "fetch"
registry = "pypi"
package = "mcp-server-fetch"
version = "2026.10.24"
"#;

/// A method and its parameters, as they are sent on both ways.
type Request = (&'static str, &'static str);

const LISTS: [Request; 4] =
    [("tools/list", "{}"), ("resources/list", "{}"), ("resources/templates/list", "{}"), ("prompts/list", "{}")];

#[test]
fn the_reference_server_says_the_same_through_the_gateway() {
    compare(
        EVERYTHING,
        "everything",
        &[],
        &[
            ("tools/call", r#"{"name":"echo","arguments":{"message":"zażółć 😀 \u00e9 \"\\/ "}}"#),
            ("tools/call", r#"{"name":"get-sum","arguments":{"a":1.0,"b":2e0}}"#),
            ("tools/call", r#"{"name":"get-tiny-image","arguments":{}}"#),
            ("tools/call", r#"{"name":"get-structured-content","arguments":{"location":"New York"}}"#),
            (
                "tools/call",
                r#"{"name":"get-annotated-message","arguments":{"messageType":"error","includeImage":true}}"#,
            ),
            ("tools/call", r#"{"name":"get-resource-links","arguments":{"count":3}}"#),
            ("tools/call", r#"{"name":"echo","arguments":{}}"#),
            ("prompts/get", r#"{"name":"simple-prompt"}"#),
            ("prompts/get", r#"{"name":"args-prompt","arguments":{"city":"Łódź"}}"#),
            ("prompts/get", r#"{"name":"no-such-prompt"}"#),
            ("resources/read", r#"{"uri":"demo://resource/static/document/features.md"}"#),
            ("resources/read", r#"{"uri":"demo://no/such/resource"}"#),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/prompt","name":"completable-prompt"},"argument":{"name":"department","value":"E"}}"#,
            ),
        ],
    );
}

#[test]
fn the_filesystem_server_says_the_same_through_the_gateway() {
    compare(
        FILESYSTEM,
        "filesystem",
        &["/data"],
        &[
            ("tools/call", r#"{"name":"list_allowed_directories","arguments":{}}"#),
            ("tools/call", r#"{"name":"write_file","arguments":{"path":"/data/a.txt","content":"one\ntwo é 😀\n"}}"#),
            ("tools/call", r#"{"name":"read_text_file","arguments":{"path":"/data/a.txt","head":1}}"#),
            ("tools/call", r#"{"name":"read_text_file","arguments":{"path":"/data/a.txt"}}"#),
            ("tools/call", r#"{"name":"create_directory","arguments":{"path":"/data/d"}}"#),
            ("tools/call", r#"{"name":"directory_tree","arguments":{"path":"/data"}}"#),
            ("tools/call", r#"{"name":"list_directory","arguments":{"path":"/data"}}"#),
            ("tools/call", r#"{"name":"search_files","arguments":{"path":"/data","pattern":"*.txt"}}"#),
            ("tools/call", r#"{"name":"read_text_file","arguments":{"path":"/etc/passwd"}}"#),
            ("tools/call", r#"{"name":"read_text_file","arguments":{"path":7}}"#),
        ],
    );
}

#[test]
fn the_memory_server_says_the_same_through_the_gateway() {
    compare(
        MEMORY,
        "memory",
        &[],
        &[
            (
                "tools/call",
                r#"{"name":"create_entities","arguments":{"entities":[{"name":"Ada","entityType":"person","observations":["wrote","1.0"]}]}}"#,
            ),
            (
                "tools/call",
                r#"{"name":"add_observations","arguments":{"observations":[{"entityName":"Ada","contents":["é 😀"]}]}}"#,
            ),
            ("tools/call", r#"{"name":"read_graph","arguments":{}}"#),
            ("tools/call", r#"{"name":"search_nodes","arguments":{"query":"ada"}}"#),
            ("tools/call", r#"{"name":"open_nodes","arguments":{"names":["Ada","Nobody"]}}"#),
            (
                "tools/call",
                r#"{"name":"create_relations","arguments":{"relations":[{"from":"Ada","to":"Ada","relationType":"is"}]}}"#,
            ),
            ("tools/call", r#"{"name":"delete_entities","arguments":{"entityNames":["Ada"]}}"#),
            ("tools/call", r#"{"name":"create_entities","arguments":{"entities":7}}"#),
        ],
    );
}

#[test]
fn the_thinking_server_says_the_same_through_the_gateway() {
    compare(
        THINKING,
        "thinking",
        &[],
        &[
            (
                "tools/call",
                r#"{"name":"sequentialthinking","arguments":{"thought":"one","nextThoughtNeeded":true,"thoughtNumber":1,"totalThoughts":2}}"#,
            ),
            (
                "tools/call",
                r#"{"name":"sequentialthinking","arguments":{"thought":"two","nextThoughtNeeded":false,"thoughtNumber":2,"totalThoughts":2,"branchId":"b"}}"#,
            ),
            ("tools/call", r#"{"name":"sequentialthinking","arguments":{"thought":1}}"#),
        ],
    );
}

#[test]
fn the_time_server_says_the_same_through_the_gateway() {
    compare(
        TIME,
        "time",
        &[],
        &[
            (
                "tools/call",
                r#"{"name":"convert_time","arguments":{"source_timezone":"Asia/Tokyo","time":"12:00","target_timezone":"UTC"}}"#,
            ),
            (
                "tools/call",
                r#"{"name":"convert_time","arguments":{"source_timezone":"Asia/Kathmandu","time":"00:00","target_timezone":"America/St_Johns"}}"#,
            ),
            (
                "tools/call",
                r#"{"name":"convert_time","arguments":{"source_timezone":"Łódź/é😀","time":"12:00","target_timezone":"UTC"}}"#,
            ),
            (
                "tools/call",
                r#"{"name":"convert_time","arguments":{"source_timezone":"UTC","time":"25:61","target_timezone":"UTC"}}"#,
            ),
            ("tools/call", r#"{"name":"get_current_time","arguments":{"timezone":7}}"#),
            ("tools/call", r#"{"name":"get_current_time","arguments":{}}"#),
        ],
    );
}

#[test]
fn the_git_server_says_the_same_through_the_gateway() {
    compare(
        GIT,
        "git",
        &[],
        &[
            ("tools/call", r#"{"name":"git_status","arguments":{"repo_path":"/data"}}"#),
            ("tools/call", r#"{"name":"git_log","arguments":{"repo_path":"/data","max_count":1.0}}"#),
            ("tools/call", r#"{"name":"git_diff","arguments":{"repo_path":"/é 😀","target":"HEAD"}}"#),
            ("tools/call", r#"{"name":"git_add","arguments":{"repo_path":"/data","files":"not a list"}}"#),
            ("tools/call", r#"{"name":"git_show","arguments":{}}"#),
        ],
    );
}

#[test]
fn the_fetch_server_says_the_same_through_the_gateway_and_without_a_network_that_it_has_none() {
    compare(
        FETCH,
        "fetch",
        &[],
        &[
            ("tools/call", r#"{"name":"fetch","arguments":{"url":"http://192.0.2.1/é"}}"#),
            ("tools/call", r#"{"name":"fetch","arguments":{"url":"http://192.0.2.1/","max_length":0}}"#),
            ("tools/call", r#"{"name":"fetch","arguments":{"url":"no address"}}"#),
            ("tools/call", r#"{"name":"fetch","arguments":{}}"#),
            ("prompts/get", r#"{"name":"fetch","arguments":{"url":"http://192.0.2.1/"}}"#),
            ("prompts/get", r#"{"name":"fetch"}"#),
        ],
    );
}

#[test]
fn the_most_delicate_server_of_each_era_says_the_same_through_the_gateway() {
    for mode in ["legacy", "dual"] {
        delicate(&[mode, "--faults"]);
    }
}

fn delicate(words: &[&str]) {
    let gateway = Gateway::serving(&fixture("fixture", words));
    in_both_eras(
        &gateway.anonymous(),
        &gateway.endpoint("fixture"),
        || fixture_over_stdio(words),
        &[
            (
                "tools/call",
                r#"{"name":"echo","arguments":{"z":1,"a":1.0,"e":1E+2,"big":18446744073709551615,"s":"é😀","":[{"b":-0,"a":{}}]}}"#,
            ),
            ("tools/call", r#"{"name":"fault_delicate_json","arguments":{}}"#),
            ("tools/call", r#"{"name":"fault_unknown_fields","arguments":{}}"#),
            ("tools/call", r#"{"name":"fault_unknown_content","arguments":{}}"#),
            ("tools/call", r#"{"name":"fault_split_letters","arguments":{}}"#),
            ("tools/call", r#"{"name":"fault_other_line_ends","arguments":{}}"#),
            ("tools/call", r#"{"name":"fault_large_line","arguments":{}}"#),
            ("tools/call", r#"{"name":"test_multiple_content_types","arguments":{}}"#),
            ("tools/call", r#"{"name":"test_error_handling","arguments":{}}"#),
            ("prompts/get", r#"{"name":"test_prompt_with_arguments","arguments":{"arg1":"a","arg2":"é"}}"#),
            ("prompts/get", r#"{"name":"test_prompt_with_arguments"}"#),
            ("resources/read", r#"{"uri":"test://static-binary"}"#),
            ("resources/read", r#"{"uri":"test://template/1%2F2/data"}"#),
            ("resources/read", r#"{"uri":"test://nothing"}"#),
            (
                "completion/complete",
                r#"{"ref":{"type":"ref/prompt","name":"test_prompt_with_arguments"},"argument":{"name":"arg1","value":"pa"}}"#,
            ),
        ],
    );
}

/// The server of a catalogue's section, through the gateway and alone in a container of the same image.
fn compare(section: &str, name: &str, arguments: &[&str], requests: &[Request]) {
    let gateway = Gateway::serving(section);
    let caller = gateway.member();
    if section == MEMORY {
        let secrets = json!({"secrets": {"MEMORY_FILE_PATH": "/data/memory.jsonl"}});
        assert_eq!(caller.post(&format!("/api/secrets/{name}"), &secrets).status, 200);
    }
    let package = caller.get(&format!("/api/servers/{name}")).json()["package"].as_str().unwrap().to_owned();
    in_both_eras(&caller, &gateway.endpoint(name), || alone(&gateway, &package, arguments), requests);
}

/// How a client speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Era {
    Legacy,
    Modern,
}

/// Who speaks how: the client to the gateway, and the gateway to the server.
#[derive(Clone, Copy, Debug)]
struct Eras {
    client: Era,
    server: Era,
}

/// Compares with a client of each era; each has a server of its own on both ways.
fn in_both_eras(client: &Client, endpoint: &str, start: impl Fn() -> Stdio, requests: &[Request]) {
    for era in [Era::Legacy, Era::Modern] {
        let (mut server, spoken) = greeted(&start);
        same(
            &client.with("x-mcp-session", &format!("the-session-of-a-{era:?}-client")),
            endpoint,
            &mut server,
            requests,
            Eras { client: era, server: spoken },
        );
    }
}

/// A server that was spoken to, in the newest era that it knows: as the gateway does it.
fn greeted(start: &impl Fn() -> Stdio) -> (Stdio, Era) {
    let mut server = start();
    let discovered = server.ask("server/discover", &of_era("{}", Era::Modern));
    if outcome(discovered.as_bytes()).member("supportedVersions").is_some() {
        return (server, Era::Modern);
    }
    // A new one: who was asked the wrong thing first may not want to begin.
    let mut server = start();
    server.initialize();
    (server, Era::Legacy)
}

/// A container of the image that the gateway runs this package from, without the gateway.
fn alone(gateway: &Gateway, package: &str, arguments: &[&str]) -> Stdio {
    let records = fs::read_dir(gateway.state().join("servers/images")).unwrap();
    let records = records.map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let mut records = records.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
    let record =
        records.find(|record| record["package"] == package).unwrap_or_else(|| panic!("no record of {package}"));
    let command: Vec<&str> = record["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let mut docker = Command::new("docker");
    docker.args([
        "run",
        "--rm",
        "--interactive",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/data",
        "--tmpfs",
        "/tmp",
    ]);
    docker.args(["--env", "MEMORY_FILE_PATH=/data/memory.jsonl", "--entrypoint", command[0]]);
    docker.arg(record["imageDigest"].as_str().unwrap()).args(&command[1..]).args(arguments);
    Stdio::start(&mut docker)
}

/// Sends every list and every request both ways, in this order, and compares the answers.
fn same(client: &Client, endpoint: &str, server: &mut Stdio, requests: &[Request], eras: Eras) {
    let mut compared = 0;
    for (method, params) in LISTS.iter().chain(requests) {
        let direct = outcome(server.ask(method, &of_era(params, eras.server)).as_bytes());
        let through = outcome(&ask(client, endpoint, method, params, eras.client));
        if direct.member("code").and_then(number) == Some("-32601") {
            // The server does not know the method: what the gateway says of it is its own.
            continue;
        }
        let stamped = through.member("resultType").is_some();
        let is_result = through.member("code").is_none();
        assert_eq!(
            stamped,
            is_result && eras.client == Era::Modern,
            "{eras:?} {method} {params}: {}",
            through.to_text()
        );
        if stamped && eras.server == Era::Modern {
            assert_eq!(through.member("resultType"), direct.member("resultType"), "{eras:?} {method} {params}");
        }
        let added = added(method, eras);
        let direct = without(&added, as_of(eras.client, direct));
        let through = without(&added, through);
        alike(&through.to_text(), &direct.to_text(), &format!("{eras:?} {method} {params}"));
        compared += 1;
    }
    assert!(compared > requests.len(), "only {compared} answers were compared");
}

/// Two texts that are one. Where they part is shown, not five megabytes of both.
fn alike(through: &str, direct: &str, what: &str) {
    if through != direct {
        let parts = through.bytes().zip(direct.bytes()).take_while(|(one, other)| one == other).count();
        let shown = |text: &str| {
            let around = text.as_bytes().get(parts.saturating_sub(100)..(parts + 200).min(text.len()));
            String::from_utf8_lossy(around.unwrap_or_default()).into_owned()
        };
        panic!("{what}: they part after {parts} bytes\nthrough: {}\ndirect: {}", shown(through), shown(direct));
    }
}

fn ask(client: &Client, endpoint: &str, method: &str, params: &str, era: Era) -> Vec<u8> {
    let mut client = client.with("accept", "application/json, text/event-stream");
    if era == Era::Modern {
        let said: serde_json::Value = serde_json::from_str(params).unwrap();
        client = client.with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
        if let Some(name) = said["name"].as_str().or(said["uri"].as_str()) {
            client = client.with("mcp-name", name);
        }
    }
    let params = of_era(params, era);
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{params}}}");
    client.send("POST", endpoint, Some("application/json"), body.as_bytes()).body
}

/// Parameters as this era sends them.
fn of_era(params: &str, era: Era) -> String {
    if era == Era::Legacy {
        return params.to_owned();
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "scenario", "version": "1"},
    });
    let rest = params.strip_prefix('{').unwrap();
    let comma = if rest == "}" { "" } else { "," };
    format!("{{\"_meta\":{meta}{comma}{rest}")
}

/// `result` or `error` of an answer.
fn outcome(answer: &[u8]) -> Value {
    let text = String::from_utf8_lossy(answer);
    // An answer that came as an event stream is its last event.
    let body = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap_or(&text);
    let answer = json::parse(body.trim().as_bytes(), &Limits::THEIRS).unwrap_or_else(|error| panic!("{error}: {text}"));
    let outcome = answer.member("result").or_else(|| answer.member("error"));
    outcome.unwrap_or_else(|| panic!("neither a result nor an error: {text}")).clone()
}

/// What the server said, with the number that an error has in this era (docs/MCP.md).
fn as_of(client: Era, value: Value) -> Value {
    let Value::Object(mut members) = value else { return value };
    for (name, member) in &mut members {
        if name == "code" && client == Era::Modern && number(member) == Some("-32002") {
            *member = Value::Number("-32602".to_owned());
        }
    }
    Value::Object(members)
}

/// The stamps of the newer era that are the gateway's to give, to take and to place (docs/MCP.md): all of them where client
/// and server are not both of it, and those of a list in any case, for it is the gateway's list.
fn added(method: &str, eras: Eras) -> Vec<&'static str> {
    match eras {
        // It is no part of what is proven (docs/WIRE.md, P2), and so stands behind it.
        Eras { client: Era::Modern, server: Era::Modern } if method == "tools/call" => vec!["resultType"],
        Eras { client: Era::Modern, server: Era::Modern } if !method.ends_with("/list") => Vec::new(),
        // A legacy server of a legacy client says nothing of the kind, and a client must not find it there either.
        Eras { client: Era::Legacy, server: Era::Legacy } => Vec::new(),
        _ => vec!["resultType", "ttlMs", "cacheScope"],
    }
}

/// What was said without these members, and without what the gateway puts there: the proof (docs/WIRE.md), the name of who
/// answers, and that a result is no error.
fn without(added: &[&str], value: Value) -> Value {
    let Value::Object(members) = value else { return value };
    let members =
        members.into_iter().filter(|(name, _)| name != "io.sealgate/proof" && !added.contains(&name.as_str()));
    let members = members.filter_map(|(name, member)| match member {
        // Made explicit where the server left it out (docs/WIRE.md, P2).
        Value::Bool(false) if name == "isError" => None,
        // The proof of an error is in its `data`, or beside it.
        Value::Object(meta) if name == "_meta" || name == "data" => {
            let added = ["io.sealgate/proof", "io.modelcontextprotocol/serverInfo"];
            let kept: Vec<_> = meta.into_iter().filter(|(name, _)| !added.contains(&name.as_str())).collect();
            (!kept.is_empty()).then_some((name, Value::Object(kept)))
        }
        member => Some((name, member)),
    });
    Value::Object(members.collect())
}

fn number(value: &Value) -> Option<&str> {
    match value {
        Value::Number(token) => Some(token),
        _ => None,
    }
}
