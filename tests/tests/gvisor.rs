//! The same under gVisor, by one line of configuration.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use std::fs;

use sealgate_tests::{EVERYTHING, Gateway, docker};
use serde_json::{Value, json};

const WIDE: &str = r#"
[[server]]
name = "wide"
package = "@modelcontextprotocol/server-filesystem"
version = "2026.8.31"
args = ["/"]
scratch_dirs = ["/data"]
"#;

#[test]
fn with_runtime_runsc_servers_run_under_gvisor_and_the_proof_says_so() {
    let runtimes: Value = serde_json::from_str(&docker(&["info", "--format", "{{json .Runtimes}}"])).unwrap();
    assert!(
        runtimes.get("runsc").is_some(),
        "the container engine does not know gVisor; fix: `scripts/setup` registers runsc with it (then restart the engine)"
    );
    let more = format!("[sandbox]\nruntime = \"runsc\"\n{EVERYTHING}{WIDE}");
    let mut gateway = Gateway::serving(&more);
    let client = gateway.caller();
    let echo = client.call(&gateway.endpoint("everything"), "echo", json!({"message": "inside"}));
    assert_eq!(echo["content"][0]["text"], "Echo: inside");
    assert_eq!(echo["_meta"]["io.sealgate/proof"]["proof"]["server"]["runtime"], "runsc");
    assert_eq!(client.get("/api/attestation/security").json()["sandbox"]["runtime"], "runsc");

    let wide = gateway.endpoint("wide");
    let version = client.call(&wide, "read_text_file", json!({"path": "/proc/version"}));
    let inside = version["content"][0]["text"].as_str().unwrap();
    let outside = fs::read_to_string("/proc/version").unwrap();
    assert_ne!(inside.trim(), outside.trim(), "the kernel that the server sees is not ours");
    let written = client.call(&wide, "write_file", json!({"path": "/written", "content": "x"}));
    assert_eq!(written["isError"], true, "read-only here too: {written}");
    let data = client.call(&wide, "write_file", json!({"path": "/data/note", "content": "x"}));
    assert_eq!(data["isError"], false, "{data}");
    for container in gateway.containers() {
        let seen = docker(&["inspect", "--format", "{{.HostConfig.Runtime}} {{.HostConfig.PidsLimit}}", &container]);
        let said = client.get("/api/attestation/security").json()["sandbox"]["limits"]["processes"].clone();
        assert_eq!(seen.trim(), format!("runsc {said}"));
    }
    gateway.stop();
    assert!(gateway.containers().is_empty());
}
