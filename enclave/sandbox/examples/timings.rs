//! How long things take here: `cargo run --release -p sandbox --example timings [runc|runsc] [direct|engine]`. One JSON object a line.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a bench")]

use std::time::{Duration, Instant};

use gate::Warrant;
use sandbox::{Config, LaunchSpec, Limits, NpmPackage, NpmRegistry, PackageSpec, Runtime, Sandbox, Session, Streams};
use serde_json::{json, value::RawValue};

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let runtime = if std::env::args().nth(1).as_deref() == Some("runsc") { Runtime::Runsc } else { Runtime::Runc };
    let streams = if std::env::args().nth(2).as_deref() == Some("engine") { Streams::Engine } else { Streams::Direct };
    let state = tempfile::tempdir().unwrap();
    let config = Config {
        deployment: format!("timings-{}", std::process::id()),
        state_directory: state.path().into(),
        runtime,
        limits: Limits::default(),
        streams,
    };
    let sandbox = Sandbox::connect(config).await.unwrap_or_else(|error| panic!("{error}\n  fix: {}", error.fix()));
    let warrant = Warrant::for_inspection("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap());
    let package = NpmPackage::new("@modelcontextprotocol/server-everything", "2026.8.31", None).unwrap();
    let package = PackageSpec::Npm(package);
    let registry = NpmRegistry::from_npm_config().await.unwrap();
    let say = |name: &str, value: f64, unit: &str| {
        println!(
            "{}",
            json!({"name": format!("sandbox.{}.{}.{name}", runtime.name(), streams.name()), "value": (value * 1000.0).round() / 1000.0, "unit": unit})
        );
    };

    let start = Instant::now();
    let server = sandbox.install(&warrant, &package, &registry).await.unwrap();
    say("install", start.elapsed().as_secs_f64(), "s");
    let start = Instant::now();
    sandbox.install(&warrant, &package, &registry).await.unwrap();
    say("install_again", start.elapsed().as_secs_f64() * 1e3, "ms");

    let (mut starts, mut colds) = (Vec::new(), Vec::new());
    let mut session = None;
    for _ in 0..10 {
        let start = Instant::now();
        let instance = sandbox.start(&warrant, &server, &LaunchSpec::default()).await.unwrap();
        starts.push(start.elapsed());
        let opened = Session::open(instance).await.unwrap();
        colds.push(start.elapsed());
        if let Some(old) = session.replace(opened) {
            let old: Session = old;
            old.stop().await;
        }
    }
    say("container_start_p50", quantile(&mut starts, 50), "ms");
    say("cold_start_to_initialized_p50", quantile(&mut colds, 50), "ms");
    say("cold_start_to_initialized_max", quantile(&mut colds, 100), "ms");

    let session = session.unwrap();
    let params = RawValue::from_string(r#"{"name":"echo","arguments":{"message":"x"}}"#.into()).unwrap();
    let mut calls = Vec::new();
    for _ in 0..2000 {
        let start = Instant::now();
        session.request("tools/call", Some(&params), Duration::from_secs(10)).await.unwrap();
        calls.push(start.elapsed());
    }
    say("warm_call_p50", quantile(&mut calls, 50), "ms");
    say("warm_call_p99", quantile(&mut calls, 99), "ms");
    session.stop().await;
}

fn quantile(samples: &mut [Duration], percent: usize) -> f64 {
    samples.sort();
    samples[(samples.len() * percent / 100).min(samples.len() - 1)].as_secs_f64() * 1e3
}
