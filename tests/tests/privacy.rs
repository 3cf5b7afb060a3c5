//! What a caller says is between the caller and the server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::{fs, path::Path};

use sealgate_tests::{EVERYTHING, FILESYSTEM, Gateway, Settings, Wallet, docker};
use serde_json::json;

const MARKER: &str = "marker-5f1d2c";

#[test]
fn no_log_and_no_disk_holds_what_was_said_or_shown() {
    let mut gateway = Gateway::with(&Settings {
        more: format!("{EVERYTHING}{FILESYSTEM}"),
        log: "debug".to_owned(),
        ..Settings::default()
    });
    let token = Wallet::new().session(&gateway);
    let client = gateway.anonymous().with("authorization", &format!("Bearer {token}"));
    let (echo, files) = (gateway.endpoint("everything"), gateway.endpoint("filesystem"));
    let said = client.call(&echo, "echo", json!({"message": MARKER}));
    let seed = said["_meta"]["io.sealgate/proof"]["opening"]["seed"].as_str().unwrap().to_owned();
    assert_eq!(said["content"][0]["text"], format!("Echo: {MARKER}"));
    let written = client.call(&files, "write_file", json!({"path": "/data/note", "content": MARKER}));
    assert_eq!(written["isError"], false);
    // Errors are where arguments slip out.
    client.call(&echo, "get-sum", json!({"a": MARKER, "b": MARKER}));
    client.call(&files, "read_text_file", json!({"path": format!("/data/{MARKER}")}));
    client.rpc(&echo, "tools/call", json!({"name": "echo", "arguments": MARKER}));
    client.send("POST", &echo, Some("application/json"), format!("{{\"{MARKER}\":1,\"{MARKER}\":2}}").as_bytes());
    client.post("/api/servers/everything/tools/echo", &json!({"message": MARKER}));
    client.post("/api/verify", &json!({"envelope": {"proof": {}}, "request": {"a": MARKER}}));
    let stranger = gateway.anonymous().with("authorization", &format!("Bearer {MARKER}"));
    assert_eq!(stranger.post("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).status, 401);
    gateway.anonymous().with("x-mcp-session", &format!("session-{MARKER}")).call(
        &echo,
        "echo",
        json!({"message": "a"}),
    );

    let engine = Path::new(docker(&["info", "--format", "{{.DockerRootDir}}"]).trim()).join("containers");
    let running = gateway.containers();
    assert_eq!(running.len(), 3);
    for container in &running {
        assert!(holds(&engine, container.as_bytes()).is_some(), "they still run, so the engine's files are looked at");
    }
    for secret in [MARKER, &token, &seed] {
        for place in [engine.as_path(), Path::new("/var/log"), Path::new("/run/docker")] {
            assert_eq!(holds(place, secret.as_bytes()), None, "{}", place.display());
        }
        assert_eq!(holds(&gateway.state(), secret.as_bytes()), None, "the gateway's own state");
    }
    gateway.stop();
    let log = gateway.log();
    assert!(log.contains("DEBUG"), "the log was as talkative as it can be asked to be");
    for secret in [MARKER, &token, &seed] {
        assert!(!log.contains(secret), "{}", log.lines().find(|line| line.contains(secret)).unwrap());
    }
}

/// The first file below a folder that holds these bytes.
fn holds(place: &Path, bytes: &[u8]) -> Option<String> {
    let Ok(entries) = fs::read_dir(place) else { return None };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if let Some(found) = holds(&entry.path(), bytes) {
                return Some(found);
            }
        } else if kind.is_file() {
            let text = fs::read(entry.path()).unwrap_or_default();
            if text.windows(bytes.len()).any(|window| window == bytes) {
                return Some(entry.path().display().to_string());
            }
        }
    }
    None
}
