//! What strangers send that nobody can mean: a clear answer, never a 5xx, and the next call works.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::Duration,
};

use sealgate_tests::{Answer, Client, Gateway};
use serde_json::{Value, json};

const JSON: Option<&str> = Some("application/json");

/// Longest body of an MCP request, of a REST call, and of a verification, in bytes: as the answers state them.
const LIMITS: [(&str, usize); 7] = [
    ("/mcp", 256 << 10),
    ("/mcp/server/everything", 256 << 10),
    ("/api/servers/everything/tools/echo", 200_000),
    ("/api/verify", 16 << 20),
    ("/api/auth/verify", 16 << 10),
    ("/api/auth/create-token", 16 << 10),
    ("/api/auth/revoke", 16 << 10),
];

#[test]
fn every_body_that_cannot_be_meant_gets_a_clear_answer_at_every_endpoint() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    for (path, limit) in LIMITS {
        let rest = path.starts_with("/api");
        for (what, body) in bodies(path) {
            let answer = client.send("POST", path, JSON, &body);
            explained(&answer, &format!("{path}: {what}"));
            let status = if body.len() > limit { 413 } else { 400 };
            assert_eq!(answer.status, status, "{path}: {what}: {}", answer.json());
            if !rest {
                assert_eq!(answer.json()["error"]["code"], -32700, "{path}: {what}");
                assert_eq!(answer.json()["id"], Value::Null);
            }
        }
        // One byte past the limit, which the answer states; one that fits is read.
        let over = [b"{".to_vec(), b" ".repeat(limit - 1), b"}".to_vec()].concat();
        let answer = client.send("POST", path, JSON, &over);
        assert_eq!(answer.status, 413, "{path}");
        explained(&answer, path);
        assert!(answer.json()["detail"].as_str().unwrap().contains(&limit.to_string()), "{}", answer.json());
        let fits = [b"{".to_vec(), b" ".repeat(limit - 2), b"}".to_vec()].concat();
        let answer = client.send("POST", path, JSON, &fits);
        assert!(answer.status < 500 && answer.status != 413, "{path}: {}", answer.json());

        for kind in [None, Some("text/plain"), Some("application/jsonx"), Some("application/x-www-form-urlencoded")] {
            let Some(kind) = kind else {
                let answer = client.send("POST", path, None, b"{}");
                assert_eq!((answer.status, &answer.json()["error"]), (415, &json!("NOT_JSON")), "{path}");
                continue;
            };
            let answer = client.send("POST", path, Some(kind), b"{}");
            assert_eq!((answer.status, &answer.json()["error"]), (415, &json!("NOT_JSON")), "{path} {kind}");
            explained(&answer, path);
        }
        let spelled = client.send("POST", path, Some("Application/JSON; charset=utf-8"), b"{}");
        assert_ne!(spelled.status, 415, "{path}");
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
            let answer = client.send(method, path, None, b"");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")), "{method} {path}");
            explained(&answer, path);
        }
    }
    for path in READ {
        for method in ["POST", "PUT", "DELETE"] {
            let answer = client.send(method, path, JSON, b"{}");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method} {path}");
            explained(&answer, path);
        }
    }
    still_works(&gateway);
}

#[test]
fn a_body_that_nobody_reads_costs_no_client_its_connection() {
    let gateway = Gateway::start();
    let host = gateway.base().trim_start_matches("http://").to_owned();
    let head = |length: usize| {
        format!(
            "POST /health HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    // The body comes after the answer could have been made, as on a slow line; the next request comes behind it.
    let mut stream = TcpStream::connect(&host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(head(2).as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(200));
    stream.write_all(b"{}").unwrap();
    let first = until(&mut stream, "\"title\"");
    assert!(first.starts_with("HTTP/1.1 405 ") && !first.to_lowercase().contains("connection: close"), "{first}");
    write!(stream, "GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let second = until(&mut stream, "\"status\"");
    assert!(second.contains("HTTP/1.1 200 "), "{second}");
    // One that does not come, and one that is too long to wait for: the answer says that the connection ends.
    for length in [2, 1 << 20] {
        let answer = raw(&gateway, &head(length));
        assert!(answer.starts_with("HTTP/1.1 405 "), "{length}: {answer}");
        assert!(answer.to_lowercase().contains("connection: close"), "{length}: {answer}");
    }
    still_works(&gateway);
}

/// What is read with GET.
const READ: [&str; 14] = [
    "/health",
    "/api/servers",
    "/api/servers/everything",
    "/api/servers/everything/tools",
    "/api/attestation",
    "/api/attestation/report",
    "/api/attestation/bundle",
    "/api/attestation/security",
    "/api/attestation/build-info",
    "/api/attestation/provenance",
    "/api/auth/challenge",
    "/api/payments/config",
    "/.well-known/jwks.json",
    "/api/proofs/0000000000000000000000000000000000000000000000000000000000000000",
];

#[test]
fn requests_of_a_wrong_shape_are_told_what_is_wrong_and_how_to_mend_it() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    for path in ["/mcp", "/mcp/server/everything"] {
        for (body, id) in [
            ("[]", Value::Null),
            ("\"text\"", Value::Null),
            ("null", Value::Null),
            ("{}", Value::Null),
            (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, json!(1)),
            (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, json!(1)),
            (r#"{"jsonrpc":"2.0","method":7,"id":"x"}"#, json!("x")),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, json!(1)),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, json!(1)),
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, json!(1)),
        ] {
            let answer = client.send("POST", path, JSON, body.as_bytes());
            let said = answer.json();
            assert_eq!(
                (answer.status, &said["error"]["code"], &said["id"]),
                (400, &json!(-32600), &id),
                "{body}: {said}"
            );
            explained(&answer, body);
        }
        let long = json!({"jsonrpc": "2.0", "id": "x".repeat(257), "method": "ping"});
        assert_eq!(client.post(path, &long).json()["error"]["code"], -32600);
        let digits = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(200));
        let answer = client.send("POST", path, JSON, digits.as_bytes());
        assert!(
            answer.status < 500 && String::from_utf8_lossy(&answer.body).contains(&"9".repeat(200)),
            "{}",
            answer.status
        );

        let unknown = client.rpc(path, &"m".repeat(5000), json!({}));
        assert_eq!(unknown.json()["error"]["code"], -32601);
        assert!(unknown.body.len() < 1000, "long names are not echoed whole");
        let prefix = if path == "/mcp" { "everything__" } else { "" };
        for (params, code) in [
            (json!({}), -32602),
            (json!({"name": 7}), -32602),
            (json!({"name": ""}), -32602),
            (json!({"name": format!("{prefix}ecko"), "arguments": {}}), -32602),
            (json!({"name": "x".repeat(5000), "arguments": {}}), -32602),
            (json!({"name": format!("{prefix}echo"), "arguments": []}), -32602),
            (json!({"name": format!("{prefix}echo"), "arguments": "x"}), -32602),
            (json!({"name": format!("{prefix}echo"), "arguments": 7}), -32602),
            (json!({"name": format!("{prefix}echo"), "arguments": {}, "_meta": {"io.sealgate/challenge": 7}}), -32602),
            (
                json!({"name": format!("{prefix}echo"), "arguments": {}, "_meta": {"io.sealgate/challenge": "xyz"}}),
                -32602,
            ),
            (
                json!({"name": format!("{prefix}echo"), "arguments": {}, "_meta": {"io.sealgate/challenge": "00".repeat(65)}}),
                -32602,
            ),
        ] {
            let client = client.with("x-mcp-session", "one-random-string");
            client.rpc(
                "/mcp",
                "tools/call",
                json!({"name": "gateway__enable_server", "arguments": {"server_name": "everything"}}),
            );
            let answer = client.rpc(path, "tools/call", params.clone());
            let said = answer.json();
            assert_eq!((answer.status, &said["error"]["code"]), (200, &json!(code)), "{path} {params}: {said}");
            explained(&answer, &params.to_string());
            assert!(answer.body.len() < 2000, "{said}");
        }
        let page = client.rpc(path, "tools/list", json!({"cursor": "next"})).json();
        assert_eq!(page["error"]["code"], -32602, "{page}");
    }
    let slip = client.rpc("/mcp/server/everything", "tools/call", json!({"name": "ecko", "arguments": {}})).json();
    assert!(slip["error"]["message"].as_str().unwrap().contains("did you mean \"echo\""), "{slip}");
    still_works(&gateway);
}

#[test]
fn rest_answers_with_problem_details() {
    let gateway = Gateway::start();
    let client = gateway.anonymous();
    let long = "x".repeat(6000);
    for (method, path, body, status, code) in [
        ("GET", "/", "", 404, "NOT_FOUND"),
        ("GET", "/api/call", "", 404, "NOT_FOUND"),
        ("GET", "/api/servers/nobody", "", 404, "UNKNOWN_SERVER"),
        ("GET", "/api/servers/nobody/tools", "", 404, "UNKNOWN_SERVER"),
        ("GET", &format!("/api/servers/{long}"), "", 404, "UNKNOWN_SERVER"),
        ("GET", "/api/servers/..%2f..%2fetc%2fpasswd", "", 404, "UNKNOWN_SERVER"),
        ("GET", "/api/servers/%00", "", 404, "UNKNOWN_SERVER"),
        ("GET", "/api/servers/%ff", "", 400, "BAD_PATH"),
        ("GET", "/api/servers/%ff/tools", "", 400, "BAD_PATH"),
        ("GET", "/api/proofs/%ff", "", 400, "BAD_PATH"),
        ("POST", "/api/servers/%ff/tools/echo", "{}", 400, "BAD_PATH"),
        ("POST", "/mcp/server/%ff", "{}", 400, "BAD_PATH"),
        ("POST", "/mcp/server/nobody", "{}", 404, "UNKNOWN_SERVER"),
        ("POST", "/api/servers/nobody/tools/echo", "{}", 404, "UNKNOWN_SERVER"),
        ("POST", "/api/servers/everything/tools/ecko", "{}", 404, "UNKNOWN_TOOL"),
        ("POST", &format!("/api/servers/everything/tools/{long}"), "{}", 404, "UNKNOWN_TOOL"),
        ("POST", "/api/servers/everything/tools/echo", "[]", 400, "ARGUMENTS_NOT_AN_OBJECT"),
        ("POST", "/api/servers/everything/tools/echo", "null", 400, "ARGUMENTS_NOT_AN_OBJECT"),
        ("POST", "/api/servers/everything/tools/echo", "\"x\"", 400, "ARGUMENTS_NOT_AN_OBJECT"),
        ("POST", "/api/servers/everything/tools/echo", "", 400, "BAD_JSON"),
        ("GET", "/api/servers?nothing=1", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?limit=-1", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?limit=0", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?limit=5001", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?limit=", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?offset=99999999999999999999999", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?gatewayCompatible=yes", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?limit=1&limit=2", "", 400, "BAD_QUERY"),
        ("GET", "/api/servers?q=%ff", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation/report?once=00", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation/bundle?nonce=00&x=1", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation?nonce=00", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation/security?x=1", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation/build-info?x=1", "", 400, "BAD_QUERY"),
        ("GET", "/api/attestation/provenance?x=1", "", 400, "BAD_QUERY"),
        ("POST", "/api/verify", "{}", 400, "BAD_PROOF"),
        ("POST", "/api/verify", "[]", 400, "BAD_PROOF"),
        ("POST", "/api/verify", r#"{"envelope":{}}"#, 400, "BAD_PROOF"),
        ("POST", "/api/verify", r#"{"envelope":{"proof":{}},"nonce":7}"#, 400, "BAD_PROOF"),
        ("POST", "/api/verify", r#"{"envelope":{"proof":{}},"nonce":"00"}"#, 400, "BAD_PROOF"),
        ("POST", "/api/verify", r#"{"envelope":{"proof":{}},"request":{},"reply":{}}"#, 400, "BAD_PROOF"),
    ] {
        let shown: String = path.chars().take(80).collect();
        let answer = client.send(method, path, (method == "POST").then_some("application/json"), body.as_bytes());
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json"),
            "{shown}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        let said = answer.json();
        assert_eq!((answer.status, &said["error"]), (status, &json!(code)), "{method} {shown} {body}: {said}");
        assert_eq!((&said["type"], &said["status"]), (&json!("about:blank"), &json!(status)));
        explained(&answer, &shown);
        assert!(answer.body.len() < 4000, "{shown}: long names are not echoed whole");
    }
    // A proof that is none is a verdict, not an error.
    let verdict = client.post("/api/verify", &json!({"proof": {}}));
    assert_eq!((verdict.status, &verdict.json()["verdict"]), (200, &json!("rejected")), "{}", verdict.json());
    for challenge in ["", "0", "zz", &"00".repeat(65)] {
        let client = client.with("sealgate-challenge", challenge);
        let answer = client.post("/api/servers/everything/tools/echo", &json!({"message": "a"}));
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("BAD_CHALLENGE")), "{challenge:?}");
        explained(&answer, challenge);
    }
    let long = client.post("/api/servers/everything/tools/echo", &json!({"message": "x".repeat(100_000)}));
    assert_eq!((long.status, &long.json()["error"]), (413, &json!("ARGUMENTS_TOO_LONG")));
    still_works(&gateway);
}

#[test]
fn callers_who_are_not_who_they_say_and_pages_of_strangers_are_kept_out() {
    let gateway = Gateway::start();
    let echo = json!({"message": "a"});
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    for shown in
        ["Bearer wrong", "Bearer ", "Bearer scenario2", "bearer Scenario", "Basic c2NlbmFyaW8=", "scenario", ""]
    {
        let client = gateway.anonymous().with("authorization", shown);
        for answer in [
            client.post("/mcp", &ping),
            client.post("/mcp/server/everything", &ping),
            client.rpc("/mcp", "tools/list", json!({})),
            client.post("/api/servers/everything/tools/echo", &echo),
        ] {
            assert_eq!(answer.status, 401, "{shown:?}");
            assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
            explained(&answer, shown);
            assert!(!String::from_utf8_lossy(&answer.body).contains("scenario2"), "what was shown is not repeated");
        }
    }
    for session in ["", &"s".repeat(129)] {
        let client = gateway.anonymous().with("x-mcp-session", session);
        for answer in [client.post("/mcp", &ping), client.post("/api/servers/everything/tools/echo", &echo)] {
            assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("BAD_SESSION")), "{session:?}");
        }
    }
    for path in ["/health", "/mcp", "/api/attestation/bundle", "/nowhere"] {
        for (header, value) in [
            ("host", "evil.example"),
            ("host", "127.0.0.1.evil.example:80"),
            ("host", ""),
            ("origin", "http://evil.example"),
            ("origin", "https://localhost.evil.example"),
            ("origin", "null"),
            ("origin", "file://"),
        ] {
            let answer = raw(
                &gateway,
                &format!("GET {path} HTTP/1.1\r\n{}\r\nConnection: close\r\n\r\n", lines(&gateway, header, value)),
            );
            assert!(answer.starts_with("HTTP/1.1 403 "), "{path} {header}: {value}\n{answer}");
            assert!(answer.contains("FORBIDDEN_ORIGIN") && answer.contains("allowed_"), "{answer}");
        }
    }
    let own = gateway.anonymous().with("origin", "http://localhost:3000").get("/api/servers");
    assert_eq!(own.status, 200, "a page of this machine may ask");
    still_works(&gateway);
}

#[test]
fn bytes_that_are_no_http_and_bodies_that_never_end_hold_nobody_up() {
    let mut gateway = Gateway::start();
    for bytes in
        ["", "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\u{0}\u{1}\u{2}", "GET /health HTTP/1.1\r\n\r\n"]
    {
        let answer = raw(&gateway, bytes);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.") && !answer.contains(" 500 "), "{bytes:?}: {answer}");
    }
    let host = gateway.base().trim_start_matches("http://").to_owned();
    let huge =
        format!("GET /health HTTP/1.1\r\nHost: {host}\r\nX: {}\r\nConnection: close\r\n\r\n", "x".repeat(1 << 20));
    let answer = raw(&gateway, &huge);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    // Bodies that are announced and never come: a hundred of them stop nobody.
    let waiting: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(&host).unwrap();
            let head = format!(
                "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    still_works(&gateway);
    let lie = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\nConnection: close\r\n\r\n{{"
    );
    let answer = raw(&gateway, &lie);
    assert!(answer.starts_with("HTTP/1.1 413 "), "a body that is announced too long is refused at once: {answer}");
    // Half a chunk, and chunks past the limit.
    let chunked = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    let long = format!("{chunked}50000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x50000));
    let answer = raw(&gateway, &long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let answer = raw(&gateway, &format!("{chunked}zz\r\n"));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    still_works(&gateway);

    // Nor do they keep a gateway from ending when its operator asks.
    let mut half = TcpStream::connect(&host).unwrap();
    half.write_all(b"GET /hea").unwrap();
    let begun = std::time::Instant::now();
    gateway.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop((waiting, half));
}

/// JSON on which parsers differ, or none at all.
fn bodies(path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mcp = path.starts_with("/mcp");
    // What is wrong stands deep inside an otherwise good request.
    let inside = |text: &str| -> Vec<u8> {
        if mcp {
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{text}}}}}"#)
        } else {
            text.to_owned()
        }
        .into_bytes()
    };
    let outer = if mcp { 2 } else { 0 };
    let nested = |levels: usize| {
        let inner = levels - outer - 1;
        inside(&format!("{{\"m\":{}1{}}}", "[".repeat(inner), "]".repeat(inner)))
    };
    vec![
        ("nothing", Vec::new()),
        ("blanks", b"  \n".to_vec()),
        ("half a text", b"{\"jsonrpc\":".to_vec()),
        ("two texts", b"{}{}".to_vec()),
        ("a comment", inside("{/*m*/}")),
        ("single quotes", inside("{'m':1}")),
        ("a trailing comma", inside("{\"m\":1,}")),
        ("bare words", inside("{\"m\":NaN}")),
        ("infinity", inside("{\"m\":Infinity}")),
        ("a leading zero", inside("{\"m\":01}")),
        ("a plus", inside("{\"m\":+1}")),
        ("a byte order mark", [b"\xef\xbb\xbf".to_vec(), inside("{}")].concat()),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec()),
        (
            "bytes that are no UTF-8",
            inside("{\"m\":\"?\"}").into_iter().map(|b| if b == b'?' { 0xff } else { b }).collect(),
        ),
        ("a control character in a string", inside("{\"m\":\"\u{1}\"}")),
        ("an escape that is none", inside(r#"{"m":"\x41"}"#)),
        ("a lone high surrogate", inside(r#"{"m":"\ud800"}"#)),
        ("a lone low surrogate", inside(r#"{"m":"\udc00"}"#)),
        ("surrogates the wrong way round", inside(r#"{"m":"\udc00\ud800"}"#)),
        ("a duplicate name", inside(r#"{"m":1,"m":1}"#)),
        ("a duplicate name, spelled otherwise", inside(r#"{"m":1,"\u006d":2}"#)),
        ("a number of 257 digits", inside(&format!("{{\"m\":{}}}", "9".repeat(257)))),
        ("an exponent of 10000", inside("{\"m\":1e10000}")),
        ("65 levels", nested(65)),
        ("10,000 levels", nested(10_000)),
        ("100,000 levels", "[".repeat(100_000).into_bytes()),
    ]
}

/// An answer to what cannot be meant: what, and how to fix it; not the gateway's failure.
fn explained(answer: &Answer, what: &str) {
    assert!((200..500).contains(&answer.status), "{what}: {}", answer.status);
    let said = answer.json();
    let (text, fix) = match &said["error"] {
        Value::String(code) => {
            assert!(code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{what}: {said}");
            assert!(said["remediation"]["action"].is_string(), "{what}: {said}");
            assert!(said["detail"].is_string() && said["title"].is_string(), "{what}: {said}");
            (said["message"].as_str().unwrap(), said["remediation"]["text"].as_str().unwrap())
        }
        error => {
            assert_eq!(said["jsonrpc"], "2.0", "{what}: {said}");
            let text = error["message"].as_str().unwrap_or_else(|| panic!("{what}: {said}"));
            (text, text)
        }
    };
    assert!(text.len() > 20 && fix.len() > 5, "{what}: {said}");
    assert!(!text.contains("panicked"), "{what}: {said}");
}

fn still_works(gateway: &Gateway) {
    let client: Client = gateway.anonymous();
    let answer = client.call("/mcp/server/everything", "echo", json!({"message": "still here"}));
    assert_eq!(answer["content"][0]["text"], "Echo: still here");
    assert_eq!(client.get("/health").json()["status"], "healthy");
}

fn lines(gateway: &Gateway, header: &str, value: &str) -> String {
    let host = if header == "host" { value } else { gateway.base().trim_start_matches("http://") };
    let origin = if header == "origin" { format!("\r\nOrigin: {value}") } else { String::new() };
    format!("Host: {host}{origin}")
}

/// What comes until these words have come.
fn until(stream: &mut TcpStream, words: &str) -> String {
    let (mut seen, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&seen)));
        seen.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        assert!(read > 0, "the connection ended: {text}");
        if text.contains(words) {
            return text;
        }
    }
}

/// What the gateway answers to these bytes until it closes or says nothing for a while.
fn raw(gateway: &Gateway, bytes: &str) -> String {
    let mut stream = TcpStream::connect(gateway.base().trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    // The gateway may have closed before all of it is sent.
    let _closed = stream.write_all(bytes.as_bytes());
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut part) {
        answer.extend_from_slice(&part[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
