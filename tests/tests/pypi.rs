//! Servers from PyPI behind the gateway: called, proven and judged like those from npm.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a scenario that panics has failed"
)]

use sealgate_tests::{Gateway, Saved, Settings};
use serde_json::{Value, json};

/// Servers of both registries, and one that is not there.
const SERVERS: &str = r#"
[[server]]
name = "time"
registry = "pypi"
package = "mcp-server-time"
version = "2026.10.19"

[[server]]
name = "git"
registry = "pypi"
package = "mcp-server-git"
version = "2026.10.19"
scratch_dirs = ["/data"]

[[server]]
name = "fetch"
registry = "pypi"
package = "mcp-server-fetch"
version = "2026.10.24"

[[server]]
name = "never"
registry = "pypi"
package = "mcp-server-time"
id = "7b8e0d62-93a1-4d55-8f0e-2d4c6a1b9e77"
version = "1999.1.1"
"#;

#[test]
fn servers_from_pypi_are_called_and_proven_and_one_that_is_not_there_says_why() {
    let gateway = Gateway::with(&Settings { more: SERVERS.to_owned(), installed: false, ..Settings::default() });
    let client = gateway.anonymous();

    // One URL for all of them; the answer is judged by the verifier, apart from the gateway.
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "convert_time",
        "arguments": {"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"}}});
    let (answer, proof) = client.proven(&gateway.endpoint("time"), &request);
    let text: Value = serde_json::from_str(answer.json()["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["time_difference"], "-9.0h", "{text}");
    let server = &proof["proof"]["server"];
    let digest = server["packageAttestation"]["integrity"]["registryDigest"].as_str().unwrap();
    assert_eq!((server["package"].as_str().unwrap(), digest.len()), ("mcp-server-time@2026.10.19", 64));
    let bundle = client.get("/api/attestation/bundle").body;
    let saved = Saved::new(&gateway.directory().join("time"), &request, &answer.body, &proof, &bundle);
    let judged = saved.judge(Some(&gateway.test_root()), &[]);
    assert_eq!(judged.code, 0, "{}", judged.said);
    let mut forged = proof.clone();
    forged["proof"]["server"]["packageAttestation"]["integrity"]["registryDigest"] =
        digest.replace(['0', '1'], "2").into();
    let forged = saved.put("forged.json", forged.to_string().as_bytes());
    let judged = saved.judge(Some(&gateway.test_root()), &[("proof.json", &forged)]);
    assert_eq!(judged.code, 7, "{}", judged.said);

    // What the gateway says of the package is what the proof says, and what the index publishes.
    let provenance = client.get("/api/attestation/provenance").json();
    let packages = provenance["packages"].as_array().unwrap();
    let package = packages.iter().find(|package| package["name"] == server["package"]).unwrap();
    assert_eq!(package["digest"]["registrySha256"], digest);
    assert_eq!(package["digest"]["lockSha256"], server["packageAttestation"]["integrity"]["lockDigest"]);
    assert_eq!(digest, "5c099a001c6ca78260bda419f2e9b2aabee1adc4fe6ca56d8959871ad8da58a1");

    for (name, tool, arguments) in
        [("git", "git_status", json!({"repo_path": "/data"})), ("fetch", "fetch", json!({"url": "http://192.0.2.1/"}))]
    {
        let result = client.call(&gateway.endpoint(name), tool, arguments);
        assert_eq!(result["isError"], true, "{name}: {result}");
    }
    let listed = client.get("/api/servers?registry=pypi").json();
    assert_eq!(listed["total"], 4, "{listed}");
    let of = |name: &str| listed["servers"].as_array().unwrap().iter().find(|server| server["name"] == name).unwrap();
    assert_eq!((&of("git")["toolsCount"], &of("fetch")["toolsCount"]), (&json!(12), &json!(1)));
    let why = of("never")["gatewayNotes"].as_str().unwrap();
    assert!(why.contains("the index has no version 1999.1.1") && why.contains("name one of the versions"), "{why}");
    assert_eq!(client.get("/api/servers?registry=npm").json()["total"], 0);
}
