//! One call through everything, its proof, and a stranger with nothing but files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a scenario that panics has failed")]

use sealgate_tests::Gateway;
use serde_json::json;

#[test]
fn smoke() {
    let mut gateway = Gateway::start();
    let id = gateway.anonymous().get("/api/servers").json()["servers"][0]["id"].as_str().unwrap().to_owned();
    let answer = gateway.anonymous().rpc(&format!("/mcp/server/{id}"), "tools/call", json!({"name":"echo","arguments":{"message":"hi"}}));
    println!("{}", answer.json());
    println!("{:?}", gateway.containers());
    gateway.stop();
    println!("{}", gateway.log());
}
