//! The sandbox as a caller and the engine see it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{
    io::Write as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use sealgate_tests::{Client, EVERYTHING, FILESYSTEM, Gateway, Settings, docker};
use serde_json::{Value, json};

/// Sees the whole file system of its container.
const WIDE: &str = r#"
[[server]]
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e01"
name = "wide"
package = "@modelcontextprotocol/server-filesystem"
version = "2026.8.31"
args = ["/"]
scratch_dirs = ["/data"]
"#;

/// Ends at once: there is no such transport.
const DEAD: &str = r#"
[[server]]
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e02"
name = "dead"
package = "@modelcontextprotocol/server-everything"
version = "2026.8.31"
args = ["no-such-transport"]
"#;

#[test]
fn a_slow_a_dead_and_a_killed_server_cost_one_clear_error_and_the_next_call_works() {
    let more = format!("[limits]\ncall_timeout_s = 2\n{EVERYTHING}{DEAD}");
    let gateway = Gateway::serving(&more);
    let client = gateway.caller();
    let endpoint = gateway.endpoint("everything");
    echoes(&client, &endpoint);
    let first = gateway.containers();

    // Longer than it may take.
    let long = json!({"duration": 60, "steps": 2});
    let begun = Instant::now();
    let slow = client.call(&endpoint, "trigger-long-running-operation", long.clone());
    assert!((Duration::from_secs(2)..Duration::from_secs(10)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    failed(&slow, "SERVER_TIMEOUT");
    echoes(&client, &endpoint);
    let over_rest = client.post("/api/servers/everything/tools/trigger-long-running-operation", &long);
    assert_eq!((over_rest.status, &over_rest.json()["error"]), (504, &json!("SERVER_TIMEOUT")));
    echoes(&client, &endpoint);

    // Killed while nobody asked, and while somebody waits.
    let running = gateway.containers();
    assert_eq!(running.len(), 1, "what timed out is gone: {first:?} {running:?}");
    docker(&["kill", &running[0]]);
    // A call that reaches it while it dies may have run, so it is told and not repeated; the next one works.
    let dying = client.call(&endpoint, "echo", json!({"message": "here"}));
    if dying["isError"] == true {
        failed(&dying, "CONNECTION_FAILED");
    }
    echoes(&client, &endpoint);
    let running = gateway.containers();
    let waiting = {
        let (client, endpoint, long) = (client.clone(), endpoint.clone(), long.clone());
        thread::spawn(move || client.call(&endpoint, "trigger-long-running-operation", long))
    };
    thread::sleep(Duration::from_millis(500));
    docker(&["kill", running.last().unwrap()]);
    failed(&waiting.join().unwrap(), "CONNECTION_FAILED");
    echoes(&client, &endpoint);

    // Somebody who hangs up in the middle of it: the server goes on for the others.
    let running = gateway.containers();
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "trigger-long-running-operation", "arguments": long}});
    let body = body.to_string();
    let host = gateway.base().trim_start_matches("http://");
    let mut caller = TcpStream::connect(host).unwrap();
    let length = body.len();
    let head = format!(
        "POST {endpoint} HTTP/1.1\r\nHost: {host}\r\nX-MCP-Session: the-session-of-one-caller\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    caller.write_all(format!("{head}{body}").as_bytes()).unwrap();
    thread::sleep(Duration::from_millis(300));
    drop(caller);
    echoes(&client, &endpoint);
    thread::sleep(Duration::from_millis(2500));
    echoes(&client, &endpoint);
    assert_eq!(gateway.containers(), running, "it was not ended for it");

    // Dead on arrival: its neighbours do not notice.
    let dead = gateway.endpoint("dead");
    for _ in 0..2 {
        failed(&client.call(&dead, "echo", json!({"message": "a"})), "CONNECTION_FAILED");
    }
    let over_rest = client.post("/api/servers/dead/tools/echo", &json!({"message": "a"}));
    assert_eq!((over_rest.status, &over_rest.json()["error"]), (503, &json!("CONNECTION_FAILED")));
    echoes(&client, &endpoint);
}

#[test]
fn many_first_calls_start_one_container_and_stopping_leaves_none() {
    let mut gateway = Gateway::start();
    let endpoint = gateway.endpoint("everything");
    let client = gateway.caller();
    thread::scope(|scope| {
        for caller in 0..20 {
            let (client, endpoint) = (&client, &endpoint);
            scope.spawn(move || {
                let message = format!("caller {caller}");
                let result = client.call(endpoint, "echo", json!({"message": message}));
                assert_eq!(
                    result["content"][0]["text"],
                    format!("Echo: {message}"),
                    "nobody gets another one's answer"
                );
            });
        }
    });
    assert_eq!(gateway.containers().len(), 1);
    assert_eq!(client.get("/health").json()["instances"], 1);
    // Each session has its own.
    for session in ["one-random-string", "two-random-string"] {
        echoes(&gateway.anonymous().with("x-mcp-session", session), &endpoint);
    }
    echoes(&gateway.member(), &endpoint);
    assert_eq!(gateway.containers().len(), 4);
    gateway.stop();
    assert!(gateway.containers().is_empty());
}

#[test]
fn more_calls_at_once_than_are_allowed_are_told_to_come_back() {
    let gateway = Gateway::with(&Settings::everything_with("[limits]\ncalls_at_once = 1\n"));
    let endpoint = gateway.endpoint("everything");
    let client = gateway.caller();
    echoes(&client, &endpoint);
    let long = json!({"duration": 2, "steps": 2});
    thread::scope(|scope| {
        let first = scope.spawn(|| client.call(&endpoint, "trigger-long-running-operation", long));
        thread::sleep(Duration::from_millis(700));
        failed(&client.call(&endpoint, "echo", json!({"message": "a"})), "BUSY");
        let over_rest = client.post("/api/servers/everything/tools/echo", &json!({"message": "a"}));
        assert_eq!((over_rest.status, &over_rest.json()["error"]), (429, &json!("BUSY")));
        assert!(over_rest.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
        assert_eq!(first.join().unwrap()["isError"], false, "who was first is served");
    });
    echoes(&client, &endpoint);
}

#[test]
fn no_more_containers_run_than_are_allowed() {
    let gateway = Gateway::with(&Settings::everything_with("[sandbox]\nmax_instances = 2\nidle_stop_s = 1\n"));
    let endpoint = gateway.endpoint("everything");
    for session in 0..5 {
        echoes(&gateway.anonymous().with("x-mcp-session", &format!("random-string-{session}")), &endpoint);
        assert!(gateway.containers().len() <= 2, "the one idle for longest makes room");
    }
    let begun = Instant::now();
    while !gateway.containers().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "idle containers end");
        thread::sleep(Duration::from_millis(200));
    }
    echoes(&gateway.caller(), &endpoint);
}

#[test]
fn strangers_share_nothing_and_leave_nothing() {
    let gateway = Gateway::serving(FILESYSTEM);
    let files = gateway.endpoint("filesystem");
    let (one, two) = (gateway.anonymous(), gateway.anonymous());
    succeeded(&one.call(&files, "write_file", json!({"path": "/data/note.txt", "content": "mine"})));
    let read = two.call(&files, "read_text_file", json!({"path": "/data/note.txt"}));
    assert_eq!(read["isError"], true, "another stranger reads it: {read}");
    let begun = Instant::now();
    while !gateway.containers().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "a stranger's container ends with its call");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_sees_nothing_but_itself() {
    let gateway = Gateway::serving(&format!("{EVERYTHING}{FILESYSTEM}{WIDE}"));
    let one = gateway.anonymous().with("x-mcp-session", "one-random-string");
    let two = gateway.anonymous().with("x-mcp-session", "two-random-string");
    let files = gateway.endpoint("filesystem");
    let note = json!({"path": "/data/note.txt", "content": "of session one"});
    succeeded(&one.call(&files, "write_file", note));
    let read = one.call(&files, "read_text_file", json!({"path": "/data/note.txt"}));
    assert_eq!(read["content"][0]["text"], "of session one");
    refused(&two.call(&files, "read_text_file", json!({"path": "/data/note.txt"})), "ENOENT");
    refused(&one.call(&files, "read_text_file", json!({"path": "/etc/passwd"})), "outside allowed directories");

    // A server that may try everything.
    let wide = gateway.endpoint("wide");
    succeeded(&one.call(&wide, "read_text_file", json!({"path": "/proc/self/status"})));
    let status = one.call(&wide, "read_text_file", json!({"path": "/proc/self/status"}));
    let status = status["content"][0]["text"].as_str().unwrap();
    for line in
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Uid:\t10001\t"]
    {
        assert!(status.contains(line), "{line:?} in {status}");
    }
    for path in ["/etc/shadow", "/proc/1/environ", "/proc/kcore", "/dev/mem", "/var/run/docker.sock"] {
        let read = one.call(&wide, "read_text_file", json!({"path": path}));
        assert_eq!(read["isError"], true, "{path}: {read}");
    }
    for path in ["/written", "/etc/written", "/usr/bin/node", "/proc/sys/kernel/hostname", "/sys/written"] {
        let written = one.call(&wide, "write_file", json!({"path": path, "content": "x"}));
        assert_eq!(written["isError"], true, "{path}: {written}");
    }
    for path in ["/tmp/written", "/data/written"] {
        succeeded(&one.call(&wide, "write_file", json!({"path": path, "content": "x"})));
    }
    let network = one.call(&wide, "read_text_file", json!({"path": "/proc/net/dev"}));
    let network = network["content"][0]["text"].as_str().unwrap();
    assert_eq!(network.lines().filter(|line| line.contains(':')).count(), 1, "loopback only: {network}");

    let environment = one.call(&gateway.endpoint("everything"), "get-env", json!({}));
    let environment: Value = serde_json::from_str(environment["content"][0]["text"].as_str().unwrap()).unwrap();
    let mut names: Vec<&String> = environment.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["HOME", "NODE_ENV", "PATH"], "nothing of the gateway's own environment");

    for container in gateway.containers() {
        let seen: Value = serde_json::from_str(&docker(&["inspect", &container])).unwrap();
        let (host, config) = (&seen[0]["HostConfig"], &seen[0]["Config"]);
        assert_eq!(host["ReadonlyRootfs"], true);
        assert_eq!(host["CapDrop"], json!(["ALL"]));
        assert_eq!((&host["NetworkMode"], &host["LogConfig"]["Type"]), (&json!("none"), &json!("none")));
        assert_eq!((&host["Privileged"], &host["Binds"]), (&json!(false), &Value::Null));
        assert_eq!(host["Memory"], host["MemorySwap"]);
        assert!(
            host["Memory"].as_u64().unwrap() > 0
                && host["PidsLimit"].as_u64().unwrap() > 0
                && host["NanoCpus"].as_u64().unwrap() > 0
        );
        assert!(host["SecurityOpt"].to_string().contains("no-new-privileges"));
        assert_eq!(config["User"], "10001:10001");
        assert!(!config.to_string().contains("NODE_ENV"), "environments do not stand in a container's configuration");
        // What the gateway says of them is what they are.
        let said = gateway.anonymous().get("/api/attestation/security").json()["sandbox"].clone();
        assert_eq!(said["limits"]["memoryBytes"], host["Memory"]);
        assert_eq!(said["limits"]["processes"], host["PidsLimit"]);
        assert_eq!(said["limits"]["milliCpus"].as_u64().unwrap() * 1_000_000, host["NanoCpus"].as_u64().unwrap());
        assert_eq!(
            (&said["user"], &said["network"], &said["runtime"]),
            (&config["User"], &host["NetworkMode"], &host["Runtime"])
        );
    }
}

fn echoes(client: &Client, endpoint: &str) {
    let result = client.call(endpoint, "echo", json!({"message": "here"}));
    assert_eq!(result["content"][0]["text"], "Echo: here", "{result}");
}

fn succeeded(result: &Value) {
    assert_eq!(result["isError"], false, "{result}");
}

/// The tool said no, and that is proven like any answer.
fn refused(result: &Value, why: &str) {
    assert_eq!(result["isError"], true, "{result}");
    assert!(result["content"][0]["text"].as_str().unwrap().contains(why), "{result}");
    assert!(result["_meta"]["io.sealgate/proof"].is_object());
}

/// The gateway could not get an answer: it says so and how to go on, and there is nothing to prove.
fn failed(result: &Value, code: &str) {
    assert_eq!((&result["isError"], &result["structuredContent"]["error"]), (&json!(true), &json!(code)), "{result}");
    assert!(result["structuredContent"]["remediation"]["text"].as_str().unwrap().len() > 10, "{result}");
    assert!(result.get("_meta").is_none(), "{result}");
}
