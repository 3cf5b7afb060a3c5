//! Real packages of the npm registry, installed, checked and run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod common;

use std::time::Duration;

use common::{bench, none_left, npm, warrant};
use sandbox::{
    Answer, Fetched, InstallError, LaunchSpec, NpmPackage, NpmRegistry, PackageError, Registry, RegistryError,
    ServerEra, Session,
};
use serde_json::{Value, json, value::RawValue};

const LIMIT: Duration = Duration::from_secs(60);
const EVERYTHING: (&str, &str) = ("@modelcontextprotocol/server-everything", "2026.8.31");
const FILESYSTEM: (&str, &str) = ("@modelcontextprotocol/server-filesystem", "2026.8.31");

async fn registry() -> NpmRegistry {
    NpmRegistry::from_npm_config().await.expect("npm must be there and name a registry")
}

async fn call(session: &Session, tool: &str, arguments: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments}).to_string();
    let params = RawValue::from_string(params).unwrap();
    match session.request("tools/call", Some(&params), LIMIT).await.unwrap() {
        Answer::Result(result) => serde_json::from_str(result.get()).unwrap(),
        Answer::Error(error) => panic!("{error}"),
    }
}

/// Says that there is no network.
#[derive(Clone)]
struct NoNetworkDouble;

impl Registry for NoNetworkDouble {
    async fn fetch(&self, path: &str, _: &str) -> Result<Fetched, RegistryError> {
        Err(RegistryError::NpmConfig(format!("no network, yet {path} was asked for")))
    }
}

/// Passes the real registry on, with what `change` makes of each answer.
#[derive(Clone)]
struct TamperingDouble(NpmRegistry, Change);

type Change = fn(&str, Vec<u8>) -> Vec<u8>;

impl Registry for TamperingDouble {
    async fn fetch(&self, path: &str, accept: &str) -> Result<Fetched, RegistryError> {
        let real = self.0.fetch(path, accept).await?;
        Ok(Fetched { status: real.status, body: (self.1)(path, real.body.to_vec()).into() })
    }
}

async fn install_tampered(change: Change) -> InstallError {
    let bench = bench().await;
    let registry = TamperingDouble(registry().await, change);
    bench.sandbox.install(&warrant(), &npm("ms", "2.1.3"), &registry).await.unwrap_err()
}

#[tokio::test]
async fn echo_of_the_everything_server_and_its_second_install_without_network() {
    let bench = bench().await;
    let package = npm(EVERYTHING.0, EVERYTHING.1);
    let server = bench.sandbox.install(&warrant(), &package, &registry().await).await.unwrap();
    assert_eq!((server.package(), server.version()), EVERYTHING);
    // What npm itself is told is published.
    let published = std::process::Command::new("npm")
        .args(["view", &format!("{}@{}", EVERYTHING.0, EVERYTHING.1), "dist.integrity"])
        .output()
        .unwrap();
    let published = String::from_utf8(published.stdout).unwrap();
    let digest = hex_of_integrity(published.trim());
    assert_eq!(server.registry_digest(), Some(digest.as_str()));
    assert_eq!(server.lock_digest().unwrap().len(), 64);
    assert!(server.image().lock.as_deref().unwrap().contains("node_modules/@modelcontextprotocol/sdk"));
    assert!(!server.image().lock.as_deref().unwrap().contains("://registry"), "the lock depends on a host");

    let again = bench.sandbox.install(&warrant(), &package, &NoNetworkDouble).await.unwrap();
    assert_eq!(again.image(), server.image());

    let offer = bench.sandbox.inspect(&warrant(), &again, &LaunchSpec::default()).await.unwrap();
    assert_eq!(offer.era, ServerEra::Legacy { version: "2025-11-25" });
    let list = |list: &Option<Box<RawValue>>| serde_json::from_str::<Value>(list.as_ref().unwrap().get()).unwrap();
    let listed = list(&offer.tools);
    let names: Vec<&str> = listed["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    // It has tools of its own for clients that can be asked something.
    assert_eq!(names.len(), 17);
    assert!(names.contains(&"trigger-elicitation-request") && names.contains(&"get-roots-list"), "{names:?}");
    assert!(listed["tools"][0].get("execution").is_some(), "a member was lost");
    assert!(!list(&offer.prompts)["prompts"].as_array().unwrap().is_empty());
    assert!(!list(&offer.resources)["resources"].as_array().unwrap().is_empty());
    assert!(!list(&offer.resource_templates)["resourceTemplates"].as_array().unwrap().is_empty());
    assert!(offer.greeting.get().contains("serverInfo"));
    let kept = bench.sandbox.kept_inspection(&again, &LaunchSpec::default()).await.unwrap().unwrap();
    assert_eq!(serde_json::to_string(&kept).unwrap(), serde_json::to_string(&offer).unwrap());

    let instance = bench.sandbox.start(&warrant(), &again, &LaunchSpec::default()).await.unwrap();
    let session = Session::open(instance).await.unwrap();
    let echo = call(&session, "echo", json!({"message": "first light"})).await;
    assert_eq!(echo["content"][0]["text"], "Echo: first light");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn the_filesystem_server_works_on_a_writable_directory_and_nowhere_else() {
    let bench = bench().await;
    let server = bench.sandbox.install(&warrant(), &npm(FILESYSTEM.0, FILESYSTEM.1), &registry().await).await.unwrap();
    let spec = LaunchSpec { arguments: vec!["/data".into()], writable: vec!["/data".into()], ..LaunchSpec::default() };
    let session = Session::open(bench.sandbox.start(&warrant(), &server, &spec).await.unwrap()).await.unwrap();
    call(&session, "write_file", json!({"path": "/data/note.txt", "content": "kept in memory"})).await;
    let read = call(&session, "read_text_file", json!({"path": "/data/note.txt"})).await;
    assert_eq!(read["content"][0]["text"], "kept in memory");
    let outside = call(&session, "read_text_file", json!({"path": "/etc/passwd"})).await;
    assert_eq!(outside["isError"], true, "{outside}");
    session.stop().await;
    none_left(&bench.sandbox).await;
}

#[tokio::test]
async fn two_installs_from_scratch_make_the_same_image() {
    let (one, two) = (bench().await, bench().await);
    let registry = registry().await;
    let package = npm("ms", "2.1.3");
    // `ms` has no program: use a package that has one and needs nothing else.
    let error = one.sandbox.install(&warrant(), &package, &registry).await.unwrap_err();
    assert!(matches!(error, InstallError::Program { .. }), "{error}");
    let package = npm("semver", "7.7.2");
    let first = one.sandbox.install(&warrant(), &package, &registry).await.unwrap();
    let second = two.sandbox.install(&warrant(), &package, &registry).await.unwrap();
    assert_eq!(first.image(), second.image());
}

#[tokio::test]
async fn a_tarball_with_one_bit_flipped_is_refused() {
    let error = install_tampered(|path, mut body| {
        if path.ends_with(".tgz") {
            let middle = body.len() / 2;
            body[middle] ^= 1;
        }
        body
    })
    .await;
    assert!(
        matches!(&error, InstallError::TarballDigest { package, published, found } if package == "ms@2.1.3" && published != found),
        "{error}"
    );
    assert!(error.to_string().contains("sha512-6FlzubTLZG3J2a"), "{error}");
}

#[tokio::test]
async fn a_document_that_npm_was_shown_but_the_version_does_not_have_is_refused() {
    // The short document, which npm resolves from, is forged; the exact version's own document is not.
    let error = install_tampered(|path, body| {
        let forged = String::from_utf8_lossy(&body).replace("6FlzubTLZG3J2a", "7FlzubTLZG3J2a");
        if path == "/ms" { forged.into_bytes() } else { body }
    })
    .await;
    assert!(
        matches!(&error, InstallError::LockDigest { package, lock, published } if package == "ms@2.1.3" && lock != published),
        "{error}"
    );
}

#[tokio::test]
async fn ranges_tags_and_versions_that_do_not_exist_are_refused() {
    for range in ["^2026.8.31", "latest", "2026.x", ""] {
        let error = NpmPackage::new(EVERYTHING.0, range, None).unwrap_err();
        assert!(matches!(error, PackageError::Version(_)), "{error}");
    }
    let bench = bench().await;
    let error = bench.sandbox.install(&warrant(), &npm("ms", "2.999.0"), &registry().await).await.unwrap_err();
    assert!(
        matches!(&error, InstallError::Resolve { package, told } if package == "ms@2.999.0" && told.contains("ETARGET")),
        "{error}"
    );
    none_left(&bench.sandbox).await;
}

fn hex_of_integrity(text: &str) -> String {
    let base64 = text.strip_prefix("sha512-").unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "printf %s \"$0\" | base64 -d | od -An -v -tx1 | tr -d ' \\n'", base64])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}
