//! Real packages of the npm registry, installed, checked and run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::{Duration, Instant};

use common::{bench, npm, warrant};
use sandbox::{LaunchSpec, NpmRegistry};

#[tokio::test]
async fn a_server_of_npm_answers_from_a_hardened_container() {
    let bench = bench().await;
    let registry = NpmRegistry::from_npm_config().await.unwrap();
    let start = Instant::now();
    let server = bench
        .sandbox
        .install(&warrant(), &npm("@modelcontextprotocol/server-everything", "2026.8.31"), &registry)
        .await
        .unwrap();
    eprintln!("install: {:?}", start.elapsed());
    let start = Instant::now();
    let mut instance = bench.sandbox.start(&warrant(), &server, &LaunchSpec::default()).await.unwrap();
    eprintln!("start: {:?}", start.elapsed());
    instance.send(br#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#).await.unwrap();
    let answer = instance.receive_within(Duration::from_secs(30)).await.unwrap();
    eprintln!("initialize: {:?} {}", start.elapsed(), String::from_utf8_lossy(&answer));
    instance.send(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await.unwrap();
    instance.send(br#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"message":"first light"}}}"#).await.unwrap();
    loop {
        let answer = instance.receive_within(Duration::from_secs(30)).await.unwrap();
        let text = String::from_utf8_lossy(&answer);
        if text.contains("\"id\":2") {
            assert!(text.contains("Echo: first light"), "{text}");
            break;
        }
    }
    instance.stop().await;
}
