//! What every test of this crate needs: a sandbox of its own deployment, and servers made of a few lines.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "not every test uses all of it")]

use std::{collections::BTreeMap, sync::atomic::AtomicU32};

use gate::Warrant;
use sandbox::{Config, InstalledServer, Limits, LocalPackage, NpmPackage, PackageSpec, Runtime, Sandbox};

static DEPLOYMENTS: AtomicU32 = AtomicU32::new(0);

/// A sandbox whose containers nobody else touches, and the directory of its records.
pub struct Bench {
    pub sandbox: Sandbox,
    pub state: tempfile::TempDir,
}

pub async fn bench() -> Bench {
    bench_with(Limits::default()).await
}

pub async fn bench_with(limits: Limits) -> Bench {
    let state = tempfile::tempdir().unwrap();
    let number = DEPLOYMENTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let deployment = format!("test-{}-{number}", std::process::id());
    let config = Config { deployment, state_directory: state.path().into(), runtime: Runtime::Runc, limits };
    match Sandbox::connect(config).await {
        Ok(sandbox) => Bench { sandbox, state },
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}

pub fn warrant() -> Warrant {
    Warrant::for_inspection("0193e3a2-6b5c-5f7d-9c1e-2a4b6c8d0e1f".parse().unwrap())
}

pub fn npm(name: &str, version: &str) -> PackageSpec {
    PackageSpec::Npm(NpmPackage::new(name, version, None).unwrap())
}

/// Installs one Node program.
pub async fn program(sandbox: &Sandbox, name: &str, text: &str) -> InstalledServer {
    let files = BTreeMap::from([("index.mjs".to_owned(), text.as_bytes().to_vec())]);
    let (name, version) = (name.to_owned(), "1.0.0".to_owned());
    let local = LocalPackage { name, version, files, entry: "index.mjs".into() };
    match sandbox.install_files(&warrant(), &local).await {
        Ok(server) => server,
        Err(error) => panic!("{error}\n  fix: {}", error.fix()),
    }
}
