//! What every test of this crate needs: a sandbox of its own deployment, and servers made of a few lines.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "not every test uses all of it")]

use std::{collections::BTreeMap, sync::atomic::AtomicU32};

use gate::Warrant;
use sandbox::{Config, InstalledServer, Limits, LocalPackage, NpmPackage, PackageSpec, Runtime, Sandbox, Streams};

static DEPLOYMENTS: AtomicU32 = AtomicU32::new(0);

/// A sandbox whose containers nobody else touches, and the directory of its records.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) state: tempfile::TempDir,
}

impl Bench {
    /// Another sandbox of the same deployment with the same records, as after a restart.
    pub(crate) async fn restarted(&self) -> Sandbox {
        connect(self.sandbox.deployment().to_owned(), self.state.path().into(), Limits::default()).await
    }
}

pub(crate) async fn bench() -> Bench {
    bench_with(Limits::default()).await
}

pub(crate) async fn bench_named(deployment: &str) -> Bench {
    make(deployment.to_owned(), Limits::default()).await
}

pub(crate) async fn bench_with(limits: Limits) -> Bench {
    let number = DEPLOYMENTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let deployment = format!("test-{}-{number}", std::process::id());
    make(deployment, limits).await
}

/// `SEALGATE_TEST_RUNTIME=runsc` runs every test of this crate under gVisor.
pub(crate) fn runtime() -> Runtime {
    match std::env::var("SEALGATE_TEST_RUNTIME").as_deref() {
        Err(_) | Ok("runc") => Runtime::Runc,
        Ok("runsc") => Runtime::Runsc,
        Ok(other) => panic!("SEALGATE_TEST_RUNTIME={other}: want runc or runsc"),
    }
}

/// `SEALGATE_TEST_STREAMS=engine` runs every test of this crate over the engine's streams.
fn streams() -> Streams {
    match std::env::var("SEALGATE_TEST_STREAMS").as_deref() {
        Err(_) | Ok("direct") => Streams::Direct,
        Ok("engine") => Streams::Engine,
        Ok(other) => panic!("SEALGATE_TEST_STREAMS={other}: want direct or engine"),
    }
}

async fn make(deployment: String, limits: Limits) -> Bench {
    let state = tempfile::tempdir().unwrap();
    Bench { sandbox: connect(deployment, state.path().into(), limits).await, state }
}

async fn connect(deployment: String, state_directory: std::path::PathBuf, limits: Limits) -> Sandbox {
    connect_over(deployment, state_directory, limits, streams()).await
}

pub(crate) async fn connect_over(
    deployment: String,
    state_directory: std::path::PathBuf,
    limits: Limits,
    streams: Streams,
) -> Sandbox {
    match Sandbox::connect(Config { deployment, state_directory, runtime: runtime(), limits, streams }).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}

pub(crate) fn warrant() -> Warrant {
    Warrant::for_inspection("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap())
}

pub(crate) fn npm(name: &str, version: &str) -> PackageSpec {
    PackageSpec::Npm(NpmPackage::new(name, version, None).unwrap())
}

/// Installs one Node program.
pub(crate) async fn program(sandbox: &Sandbox, name: &str, text: &str) -> InstalledServer {
    let files = BTreeMap::from([("index.mjs".to_owned(), text.as_bytes().to_vec())]);
    let (name, version) = (name.to_owned(), "1.0.0".to_owned());
    let local = LocalPackage { name, version, files, entry: "index.mjs".into() };
    match sandbox.install_files(&warrant(), &local).await {
        Ok(server) => server,
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}

/// A server in a few lines: answers `initialize`, `ping`, and whatever `methods` (JavaScript object members) add, which get
/// the parameters and the id. `lines` holds all that it was told, `ask` asks its client and gives the line of the answer.
pub(crate) fn server_text(methods: &str) -> String {
    format!(
        r#"import {{ createInterface }} from 'node:readline';
import fs from 'node:fs';
import os from 'node:os';
import {{ spawn, spawnSync }} from 'node:child_process';
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');
const tell = (method, params) => say({{ jsonrpc: '2.0', method: 'notifications/' + method, params }});
const lines = [], asked = new Map();
const ask = (method, params, id) => new Promise((done) => {{ asked.set(JSON.stringify(id), done); say({{ jsonrpc: '2.0', id, method, params }}); }});
const methods = {{
  initialize: () => ({{ protocolVersion: '2025-11-25', capabilities: {{}}, serverInfo: {{ name: 'fixture', version: '1' }} }}),
  ping: () => ({{}}),
  echo: (params) => params,
  lines: () => lines,
  {methods}
}};
createInterface({{ input: process.stdin }}).on('line', async (line) => {{
  lines.push(line);
  const {{ id, method, params }} = JSON.parse(line);
  if (id === undefined || method === undefined) {{ globalThis.heard?.push(line); return asked.get(JSON.stringify(id))?.(line); }}
  if (!methods[method]) return say({{ jsonrpc: '2.0', id, error: {{ code: -32601, message: 'no such method' }} }});
  try {{
    const result = await methods[method](params, id);
    if (result !== undefined) say({{ jsonrpc: '2.0', id, result }});
  }} catch (error) {{ say({{ jsonrpc: '2.0', id, error: {{ code: -32000, message: String(error) }} }}); }}
}});
"#
    )
}

/// Names of the containers that run for this sandbox, by asking the engine apart from the code under test.
pub(crate) fn containers(sandbox: &Sandbox) -> Vec<String> {
    let filter = format!("label=io.sealgate.deployment={}", sandbox.deployment());
    docker(&["ps", "--all", "--no-trunc", "--filter", &filter, "--format", "{{.ID}}"])
        .lines()
        .map(str::to_owned)
        .collect()
}

pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(arguments).output().expect("the docker client");
    assert!(output.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until no container of this sandbox is left.
pub(crate) async fn none_left(sandbox: &Sandbox) {
    for _ in 0..100 {
        if containers(sandbox).is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("containers are left: {:?}", containers(sandbox));
}
