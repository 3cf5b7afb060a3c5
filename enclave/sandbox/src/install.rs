//! From a package's name and exact version to an image.
//!
//! npm resolves inside a container without any network: what it asks of the registry goes over the container's stdout to
//! this process, which answers with package documents only. Its one product is a lock. This process then fetches every
//! tarball of the lock itself, hashes it, compares it with the lock and with what the registry published for that exact
//! version, and unpacks it. No script of a package runs.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::Warrant;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256, Sha512};
use tokio::task::JoinSet;

use crate::{
    InstalledServer, LaunchSpec, Limits, LocalPackage, Lock, LockError, NpmPackage, PackageError, PackageSpec,
    PypiError, Registry, RegistryError, Sandbox, SandboxError, ServerImage,
    engine::{BaseImage, Config},
    installed::LABEL_KEY,
    instance::{Instance, InstanceError},
    layer::{Files, HOME, Layer, LayerError},
    lock::{LockEntry, integrity_text, sha512_of},
    manifest::Manifest,
    package::is_name,
    registry::{Fetched, SHORT_DOCUMENT, document_path, tarball_path},
};

/// What resolves a package, in the installer image.
const INSTALLER: [&str; 2] = ["/usr/bin/node", "/usr/lib/sealgate/installer.mjs"];
/// What runs a server.
const NODE: &str = "/usr/bin/node";
/// A resolution that takes longer is given up.
pub(crate) const RESOLVE_TIMEOUT: Duration = Duration::from_secs(300);
/// npm keeps all documents it reads in memory.
pub(crate) const RESOLVE_LIMITS: Limits =
    Limits { memory: 2 << 30, milli_cpus: 2000, processes: 64, temporary: 512 << 20, files: 4096 };
/// Documents one resolution may ask for.
pub(crate) const QUESTIONS_LIMIT: usize = 10_000;
/// Files fetched at a time.
pub(crate) const PARALLEL: usize = 8;

/// Why a package was not installed. [`InstallError::fix`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Engine or container.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Name, version or paths.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The registry gave no answer.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The lock is not accepted.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The files do not make a layer.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A package of PyPI.
    #[error(transparent)]
    Pypi(#[from] PypiError),
    /// npm found no set of packages.
    #[error("npm could not resolve {package}: {told}")]
    Resolve {
        /// Name and version.
        package: String,
        /// The end of what npm said.
        told: String,
    },
    /// The registry has no such thing.
    #[error("the registry answers {status} for {path}")]
    Status {
        /// HTTP status.
        status: u16,
        /// What we asked for.
        path: String,
    },
    /// The registry's document does not have what it must have.
    #[error("the registry's document of {package}: {what}")]
    Document {
        /// Name and version.
        package: String,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// Two sources tell different digests for one package.
    #[error("{package}: the lock says {lock}, the registry published {published}")]
    LockDigest {
        /// Name and version.
        package: String,
        /// Integrity in the lock.
        lock: String,
        /// `dist.integrity` of that exact version.
        published: String,
    },
    /// A tarball is not the published one.
    #[error("{package}: the registry published {published}, the tarball it sent is {found}")]
    TarballDigest {
        /// Name and version.
        package: String,
        /// `dist.integrity` of that exact version.
        published: String,
        /// What we hashed.
        found: String,
    },
    /// Which program of the package is the server?
    #[error("{package}: no program {wanted:?}; it has {available:?}")]
    Program {
        /// Name and version.
        package: String,
        /// What was asked for.
        wanted: Option<String>,
        /// What there is.
        available: Vec<String>,
    },
}

impl InstallError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Sandbox(error) => error.fix(),
            Self::Package(error) => error.fix().into(),
            Self::Registry(error) => error.fix(),
            Self::Pypi(error) => error.fix(),
            Self::Lock(_) | Self::Layer(_) => "this package cannot be installed here; choose another version of it".into(),
            Self::Resolve { .. } => "see that this version exists: npm view NAME versions".into(),
            Self::Status { .. } => "see that this version exists and that the registry is there".into(),
            Self::Document { .. } => "see that this version exists and that the registry offers sha512 digests".into(),
            Self::LockDigest { .. } | Self::TarballDigest { .. } => {
                "do not use this package: what arrived is not what was published. Try once more; if it stays, tell the registry".into()
            }
            Self::Program { .. } => "name one of the available programs as `bin`".into(),
        }
    }
}

impl Sandbox {
    /// Installs a package for a server, or finds it installed. The second time needs no network.
    ///
    /// # Errors
    /// Any [`InstallError`].
    pub async fn install<R: Registry + Clone>(
        &self,
        warrant: &Warrant,
        package: &PackageSpec,
        registry: &R,
    ) -> Result<InstalledServer, InstallError> {
        let image = match package {
            PackageSpec::Npm(npm) => self.install_npm(&self.runner().await?, npm, warrant, registry).await?,
            PackageSpec::Pypi(pypi) => self.install_pypi(pypi, warrant, registry).await?,
            PackageSpec::Local(local) => self.install_local(&self.runner().await?, local).await?,
        };
        Ok(InstalledServer::new(warrant.server().clone(), image))
    }

    /// Installs files of the operator's own: no registry is asked.
    ///
    /// # Errors
    /// A path leaves its directory, the entry is missing, or the engine failed.
    pub async fn install_files(
        &self,
        warrant: &Warrant,
        files: &LocalPackage,
    ) -> Result<InstalledServer, InstallError> {
        let image = self.install_local(&self.runner().await?, files).await?;
        Ok(InstalledServer::new(warrant.server().clone(), image))
    }

    async fn install_local(&self, runner: &BaseImage, local: &LocalPackage) -> Result<ServerImage, InstallError> {
        local.check()?;
        let mut files = Files::default();
        for (path, contents) in &local.files {
            files.insert(path, contents.clone());
        }
        let command = vec![NODE.to_owned(), format!("/{HOME}/{}", local.entry)];
        let record = Record { package: &local.name, version: &local.version, registry_digest: None, lock: None };
        self.finish(runner, record, &files, command).await
    }

    async fn install_npm<R: Registry + Clone>(
        &self,
        runner: &BaseImage,
        npm: &NpmPackage,
        warrant: &Warrant,
        registry: &R,
    ) -> Result<ServerImage, InstallError> {
        let question = digest_of(&[&runner.id, "npm", npm.name(), npm.version(), npm.bin().unwrap_or_default()]);
        if let Some(kept) = self.kept_image(&question).await? {
            return Ok(kept);
        }
        let start = std::time::Instant::now();
        let (lock, documents) = self.resolve(npm, warrant, registry).await?;
        let resolved = start.elapsed();
        let published = published_digest(npm, registry).await?;
        let files = fetch_all(&lock, &documents, npm, &published, registry).await?;
        let fetched = start.elapsed();
        let command = command_of(npm, &files)?;
        let record = Record {
            package: npm.name(),
            version: npm.version(),
            registry_digest: Some(hex::encode(published)),
            lock: Some(lock.canonical()),
        };
        let image = self.finish(runner, record, &files, command).await?;
        self.keep_image(&question, &image).await?;
        let (name, packages, built) = (name_of(npm), lock.entries().len(), start.elapsed());
        tracing::info!(package = %name, packages, ?resolved, ?fetched, ?built, "installed");
        Ok(image)
    }

    /// Makes the image of what was unpacked.
    pub(crate) async fn finish(
        &self,
        runner: &BaseImage,
        record: Record<'_>,
        files: &Files,
        command: Vec<String>,
    ) -> Result<ServerImage, InstallError> {
        let Record { package, version, registry_digest, lock } = record;
        let layer: Layer =
            files.layer().map_err(|source| LayerError::Tarball { package: package.to_owned(), source })?;
        let lock_digest = lock.map(|lock| hex::encode(Sha256::digest(lock)));
        let key = digest_of(&[&runner.id, package, version, lock_digest.as_deref().unwrap_or("-"), &layer.digest]);
        let labels = BTreeMap::from([
            (LABEL_KEY, key.clone()),
            ("io.sealgate.package", package.to_owned()),
            ("io.sealgate.version", version.to_owned()),
            ("io.sealgate.registry-digest", registry_digest.clone().unwrap_or_default()),
            ("io.sealgate.lock-digest", lock_digest.clone().unwrap_or_default()),
            ("io.sealgate.runner", runner.id.clone()),
        ]);
        let tag = format!("sealgate/server:{}", key.get(..32).unwrap_or(&key));
        let image_digest = self.build(runner, &layer, &tag, &labels).await?;
        let lock = lock.map(str::to_owned);
        let (package, version) = (package.to_owned(), version.to_owned());
        Ok(ServerImage { package, version, registry_digest, lock_digest, image_digest, command, key, lock })
    }

    /// Lets npm resolve the package. Returns its lock, and the documents that this process gave it.
    async fn resolve<R: Registry + Clone>(
        &self,
        npm: &NpmPackage,
        warrant: &Warrant,
        registry: &R,
    ) -> Result<(Lock, Documents), InstallError> {
        let installer = self.installer().await?;
        let config = Config { limits: RESOLVE_LIMITS, ..self.config.clone() };
        let argv = INSTALLER.map(str::to_owned).to_vec();
        let server = warrant.server().as_str();
        let mut instance = self.run_with(&config, &installer.id, server, argv, &LaunchSpec::default()).await?;
        let order = json!({"package": {npm.name(): npm.version()}, "lock": true}).to_string();
        instance.send(order.as_bytes()).await.map_err(SandboxError::from)?;
        let work = relay(&mut instance, npm, registry);
        let outcome = tokio::time::timeout(RESOLVE_TIMEOUT, work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(out_of_time(&instance)));
        instance.stop().await;
        outcome
    }
}

/// What is recorded of an installation.
pub(crate) struct Record<'a> {
    pub(crate) package: &'a str,
    pub(crate) version: &'a str,
    /// Of the package's own file, hexadecimal, as the registry publishes it.
    pub(crate) registry_digest: Option<String>,
    /// Canonical.
    pub(crate) lock: Option<&'a str>,
}

/// Package documents by name, as this process received them from the registry.
type Documents = HashMap<String, Bytes>;

#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Ask { ask: u64, path: String },
    Lock { lock: String },
    Failed { failed: i64 },
}

/// What is said of an installer that resolves for too long.
pub(crate) fn out_of_time(instance: &Instance) -> InstallError {
    SandboxError::from(InstanceError::Hung { waited: RESOLVE_TIMEOUT, stderr: instance.stderr() }).into()
}

async fn relay<R: Registry + Clone>(
    instance: &mut crate::Instance,
    npm: &NpmPackage,
    registry: &R,
) -> Result<(Lock, Documents), InstallError> {
    let mut documents = Documents::new();
    let mut fetching: JoinSet<(u64, String, Result<Fetched, RegistryError>)> = JoinSet::new();
    let mut questions = 0_usize;
    loop {
        tokio::select! {
            line = instance.receive() => {
                let line = line.map_err(SandboxError::from)?;
                let told: Told = serde_json::from_slice(&line).map_err(LockError::from)?;
                match told {
                    Told::Lock { lock } => return Ok((Lock::parse(&lock)?, documents)),
                    Told::Failed { failed } => {
                        // The last lines of npm may still be on their way.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        let told = format!("exit code {failed}; {}", instance.stderr().trim());
                        return Err(InstallError::Resolve { package: name_of(npm), told });
                    }
                    Told::Ask { ask, path } => {
                        questions = questions.saturating_add(1);
                        let name = path.strip_prefix('/').map(|name| name.replacen("%2f", "/", 1).replacen("%2F", "/", 1));
                        match name.filter(|name| is_name(name) && questions <= QUESTIONS_LIMIT) {
                            Some(name) => {
                                let registry = registry.clone();
                                fetching.spawn(async move {
                                    let fetched = registry.fetch(&document_path(&name), SHORT_DOCUMENT).await;
                                    (ask, name, fetched)
                                });
                            }
                            // Documents of packages and nothing else: no tarball, no search, no audit.
                            None => answer(instance, ask, 404, b"").await?,
                        }
                    }
                }
            }
            Some(fetched) = fetching.join_next() => {
                let Ok((ask, name, fetched)) = fetched else { continue };
                let fetched = fetched?;
                answer(instance, ask, fetched.status, &fetched.body).await?;
                if fetched.status == 200 {
                    documents.insert(name, fetched.body);
                }
            }
        }
    }
}

async fn answer(instance: &mut crate::Instance, ask: u64, status: u16, body: &[u8]) -> Result<(), InstallError> {
    let line = json!({"ask": ask, "status": status, "body": BASE64_STANDARD.encode(body)}).to_string();
    Ok(instance.send(line.as_bytes()).await.map_err(SandboxError::from)?)
}

#[derive(Deserialize)]
struct Dist {
    integrity: Option<String>,
    tarball: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    dist: Dist,
}

#[derive(Deserialize)]
struct Document {
    versions: HashMap<String, Version>,
}

/// What the registry itself publishes for the exact version, read apart from npm.
async fn published_digest<R: Registry>(npm: &NpmPackage, registry: &R) -> Result<[u8; 64], InstallError> {
    let wrong = |what| InstallError::Document { package: name_of(npm), what };
    let path = format!("{}/{}", document_path(npm.name()), npm.version());
    let fetched = registry.fetch(&path, "application/json").await?;
    if fetched.status != 200 {
        return Err(InstallError::Status { status: fetched.status, path });
    }
    let version: Version = serde_json::from_slice(&fetched.body).map_err(|_| wrong("not the document of a version"))?;
    version.dist.integrity.as_deref().and_then(sha512_of).ok_or(wrong("dist.integrity has no sha512"))
}

/// Fetches, checks and unpacks every package of a lock.
async fn fetch_all<R: Registry + Clone>(
    lock: &Lock,
    documents: &Documents,
    npm: &NpmPackage,
    published: &[u8; 64],
    registry: &R,
) -> Result<Files, InstallError> {
    let top = format!("node_modules/{}", npm.name());
    let wrong = |what| InstallError::Document { package: name_of(npm), what };
    let entry = lock.entries().iter().find(|entry| entry.path == top).ok_or(wrong("not in the lock"))?;
    if entry.version != npm.version() {
        return Err(wrong("the lock has another version"));
    }
    check_lock(entry, published)?;

    let mut parsed: HashMap<&str, Document> = HashMap::new();
    for entry in lock.entries() {
        let what = |what| InstallError::Document { package: full_name(entry), what };
        if !parsed.contains_key(entry.name.as_str()) {
            let document = documents.get(&entry.name).ok_or(what("npm never asked for it, yet the lock has it"))?;
            let document = serde_json::from_slice(document).map_err(|_| what("not a package document"))?;
            parsed.insert(&entry.name, document);
        }
    }
    let jobs = lock.entries().iter().map(|entry| {
        let version = parsed.get(entry.name.as_str()).and_then(|document| document.versions.get(&entry.version));
        fetch_one(entry, version, registry.clone())
    });
    let jobs: Vec<_> = jobs.collect();
    // In the lock's order, so that a package is unpacked before those nested in it.
    let mut tarballs = stream::iter(jobs).buffered(PARALLEL);
    let mut files = Files::default();
    for entry in lock.entries() {
        if let Some(tarball) = tarballs.next().await {
            files.unpack(&full_name(entry), &entry.path, &tarball?)?;
        }
    }
    drop(tarballs);
    files.insert("package-lock.json", lock.canonical().as_bytes().to_vec());
    Ok(files)
}

async fn fetch_one<R: Registry>(
    entry: &LockEntry,
    version: Option<&Version>,
    registry: R,
) -> Result<Bytes, InstallError> {
    let wrong = |what| InstallError::Document { package: full_name(entry), what };
    let dist = &version.ok_or(wrong("no such version"))?.dist;
    let published = dist.integrity.as_deref().and_then(sha512_of).ok_or(wrong("dist.integrity has no sha512"))?;
    check_lock(entry, &published)?;
    let address = dist.tarball.as_deref().ok_or(wrong("no dist.tarball"))?;
    let path = tarball_path(&entry.name, address).ok_or(wrong("dist.tarball is no tarball of this package"))?;
    let fetched = registry.fetch(&path, "*/*").await?;
    if fetched.status != 200 {
        return Err(InstallError::Status { status: fetched.status, path });
    }
    let found: [u8; 64] = Sha512::digest(&fetched.body).into();
    if found != published {
        let (published, found) = (integrity_text(&published), integrity_text(&found));
        return Err(InstallError::TarballDigest { package: full_name(entry), published, found });
    }
    Ok(fetched.body)
}

fn check_lock(entry: &LockEntry, published: &[u8; 64]) -> Result<(), InstallError> {
    if entry.integrity == *published {
        return Ok(());
    }
    let (lock, published) = (integrity_text(&entry.integrity), integrity_text(published));
    Err(InstallError::LockDigest { package: full_name(entry), lock, published })
}

/// The program as `npx` would choose it: the one asked for, the only one, or the one of the package's own name.
fn command_of(npm: &NpmPackage, files: &Files) -> Result<Vec<String>, InstallError> {
    let home = format!("node_modules/{}", npm.name());
    let wrong = |what| InstallError::Document { package: name_of(npm), what };
    let text = files.contents(&format!("{home}/package.json")).ok_or(wrong("the tarball has no package.json"))?;
    let manifest: Manifest = serde_json::from_slice(text).map_err(|_| wrong("its package.json is not readable"))?;
    let none =
        |available| InstallError::Program { package: name_of(npm), wanted: npm.bin().map(str::to_owned), available };
    let path = format!("{home}/{}", manifest.program(npm.name(), npm.bin()).map_err(none)?);
    let program = files.contents(&path).ok_or(wrong("the program of package.json is not in the tarball"))?;
    let first = program.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if first.starts_with(b"#!") && !String::from_utf8_lossy(first).contains("node") {
        return Err(wrong("its program is not for Node"));
    }
    Ok(vec![NODE.to_owned(), format!("/{HOME}/{path}")])
}

fn name_of(npm: &NpmPackage) -> String {
    format!("{}@{}", npm.name(), npm.version())
}

fn full_name(entry: &LockEntry) -> String {
    format!("{}@{}", entry.name, entry.version)
}

/// A name for what was made of these parts. Local to this machine; what a proof names are the digests themselves.
pub(crate) fn digest_of(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}
