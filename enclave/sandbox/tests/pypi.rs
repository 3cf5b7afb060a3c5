//! Packages of PyPI, installed, checked and run: real ones, and ones that somebody made to do harm.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::{
    collections::BTreeMap,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{bench, none_left, warrant};
use sandbox::{
    Answer, Fetched, InstallError, InstalledServer, LaunchSpec, LayerError, PackageSpec, PypiError, PypiIndex,
    PypiPackage, Registry, RegistryError, Session, WheelError,
};
use serde_json::{Value, json, value::RawValue};
use sha2::{Digest, Sha256};

const LIMIT: Duration = Duration::from_secs(60);
const TIME: (&str, &str) = ("mcp-server-time", "2026.10.19");
const GIT: (&str, &str) = ("mcp-server-git", "2026.10.19");
const FETCH: (&str, &str) = ("mcp-server-fetch", "2026.10.24");

async fn index() -> PypiIndex {
    PypiIndex::from_pip_config().await.expect("pip must be there and name an index")
}

fn pypi(name: &str, version: &str) -> PackageSpec {
    PackageSpec::Pypi(PypiPackage::new(name, version, None).unwrap())
}

async fn installed(bench: &common::Bench, package: (&str, &str)) -> InstalledServer {
    match bench.sandbox.install(&warrant(), &pypi(package.0, package.1), &index().await).await {
        Ok(server) => server,
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}

async fn call(session: &Session, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments}).to_string();
    let params = RawValue::from_string(params).unwrap();
    match session.request("tools/call", Some(&params), LIMIT).await.unwrap() {
        Answer::Result(result) => serde_json::from_str(result.get()).unwrap(),
        Answer::Error(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_time_server_tells_the_time_and_its_second_install_needs_no_network() {
    let bench = bench().await;
    let server = installed(&bench, TIME).await;
    assert_eq!((server.package(), server.version()), TIME);
    let image = server.image();
    let lock: Value = serde_json::from_str(image.lock.as_deref().unwrap()).unwrap();
    let own = lock["packages"].as_array().unwrap().iter().find(|package| package["name"] == TIME.0).unwrap();
    assert_eq!(own["wheels"][0]["name"], "mcp_server_time-2026.10.19-py3-none-any.whl");
    assert_eq!(own["wheels"][0]["hashes"]["sha256"], server.registry_digest().unwrap());
    assert!(!image.lock.as_deref().unwrap().contains("://"), "the lock depends on a host");

    let again = bench.sandbox.install(&warrant(), &pypi(TIME.0, TIME.1), &IndexDouble::default()).await.unwrap();
    assert_eq!(again.image(), image);

    let tools = bench.sandbox.inspect(&warrant(), &again, &LaunchSpec::default()).await.unwrap();
    let listed: Value = serde_json::from_str(tools.get()).unwrap();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 2);
    let session = Session::open(bench.sandbox.start(&warrant(), &again, &LaunchSpec::default()).await.unwrap()).await.unwrap();
    let answer = call(&session, "convert_time", json!({"source_timezone": "Asia/Tokyo", "time": "12:00", "target_timezone": "UTC"})).await;
    let text: Value = serde_json::from_str(answer["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["time_difference"], "-9.0h", "{answer}");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

/// Answers as an index does, from memory; what is not in it is not there.
#[derive(Clone, Default)]
struct IndexDouble {
    answers: BTreeMap<String, Vec<u8>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Registry for IndexDouble {
    async fn fetch(&self, path: &str, _: &str) -> Result<Fetched, RegistryError> {
        self.asked.lock().unwrap().push(path.to_owned());
        let body = self.answers.get(path).cloned();
        Ok(Fetched { status: if body.is_some() { 200 } else { 404 }, body: body.unwrap_or_default().into() })
    }
}
