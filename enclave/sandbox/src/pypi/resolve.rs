//! pip resolves inside a container without any network: what it asks of the index goes over the container's stdout to this
//! process, which answers with pages and metadata only.

use std::collections::{BTreeSet, HashMap};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use gate::Warrant;
use pep440_rs::Version;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use sha2::{Digest, Sha256};
use tokio::{sync::oneshot, task::JoinSet};

use super::{
    PypiError, PypiPackage,
    lock::{Lock, LockEntry},
    package::{WheelName, is_name, normalized, source_version},
    page::{File, Metadata, Page},
    wheel::Wheel,
};
use crate::{
    Fetched, InstallError, Instance, LaunchSpec, Registry, RegistryError, Sandbox, SandboxError,
    engine::Config,
    install::{QUESTIONS_LIMIT, RESOLVE_LIMITS, RESOLVE_TIMEOUT, out_of_time},
};

/// What works for us in the installer image. Nothing of its caller's environment reaches it.
const INSTALLER: [&str; 5] = ["/usr/bin/python3.11", "-B", "-s", "-P", "/usr/lib/sealgate/installer.py"];
/// JSON where there is a choice, else HTML (PEP 691, "Version + format selection").
const SIMPLE: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";
/// Bytes of wheels kept between resolving and unpacking, so that none of them is fetched twice.
const KEPT_LIMIT: usize = 256 << 20;
/// Pages fetched before pip asks for them.
const AHEAD_LIMIT: usize = 16;
/// Names listed in a message.
const LISTED: usize = 5;

/// A line of the installer, with one of: a question (`ask`, `path`), the lock, the exit code of a pip that failed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    ask: Option<u64>,
    path: Option<String>,
    lock: Option<Box<RawValue>>,
    failed: Option<i64>,
}

/// What this process received from the index, and what it gave to pip.
pub(super) struct Received<R> {
    index: R,
    /// Of packages that pip asked for.
    pages: HashMap<String, Page>,
    /// Pages on their way, of packages that pip will probably ask for: it asks one by one, and waits for each.
    ahead: HashMap<String, oneshot::Receiver<Result<Fetched, RegistryError>>>,
    /// What fetches them; ends with us.
    fetching: JoinSet<()>,
    /// SHA-256 of the metadata given for a wheel, by the name of its file.
    metadata: HashMap<String, [u8; 32]>,
    wheels: HashMap<String, Bytes>,
    kept: usize,
}

impl Sandbox {
    /// Starts the installer's program.
    pub(super) async fn python_installer(&self, warrant: &Warrant) -> Result<Instance, InstallError> {
        let installer = self.python_installer_image().await?;
        let config = Config { limits: RESOLVE_LIMITS, ..self.config.clone() };
        let argv = INSTALLER.map(str::to_owned).to_vec();
        // What is compiled holds sets in the order of their hashes: the same sources give the same bytes.
        let environment = vec![crate::Variable {
            name: "PYTHONHASHSEED".into(),
            value: crate::Zeroizing::new("0".to_owned()),
            secret: false,
        }];
        let spec = LaunchSpec { environment, ..LaunchSpec::default() };
        Ok(self.run_with(&config, &installer.id, warrant.server().as_str(), argv, &spec).await?)
    }

    /// Lets pip resolve the package. Returns its lock, compared with what the index published.
    pub(super) async fn resolve_pypi<R: Registry + Clone>(
        &self,
        package: &PypiPackage,
        warrant: &Warrant,
        index: R,
    ) -> Result<(Lock, Received<R>), InstallError> {
        let mut instance = self.python_installer(warrant).await?;
        let order = json!({"resolve": package.requirement()}).to_string();
        instance.send(order.as_bytes()).await.map_err(SandboxError::from)?;
        let mut received = Received::of(index);
        let work = received.relay(&mut instance, package);
        let outcome = tokio::time::timeout(RESOLVE_TIMEOUT, work).await;
        let outcome = outcome.unwrap_or_else(|_| Err(out_of_time(&instance)));
        instance.stop().await;
        let lock = outcome?;
        received.check(&lock, package)?;
        Ok((lock, received))
    }
}

impl<R: Registry + Clone> Received<R> {
    fn of(index: R) -> Self {
        let (pages, ahead, fetching) = (HashMap::new(), HashMap::new(), JoinSet::new());
        Self { index, pages, ahead, fetching, metadata: HashMap::new(), wheels: HashMap::new(), kept: 0 }
    }

    /// Answers pip until it has a lock, one question after the other, as it asks them.
    async fn relay(&mut self, instance: &mut Instance, package: &PypiPackage) -> Result<Lock, InstallError> {
        let mut questions = 0_usize;
        loop {
            let line = instance.receive().await.map_err(SandboxError::from)?;
            let wrong = |error: serde_json::Error| PypiError::Lock { what: error.to_string() };
            match serde_json::from_slice::<Told>(&line).map_err(wrong)? {
                Told { lock: Some(lock), .. } => return Ok(Lock::parse(lock.get())?),
                Told { ask: Some(ask), path: Some(path), .. } => {
                    questions = questions.saturating_add(1);
                    let answer = if questions <= QUESTIONS_LIMIT { self.answer(&path).await? } else { None };
                    let (status, body) = answer.map_or((404, Vec::new()), |body| (200, body));
                    let line = json!({"ask": ask, "status": status, "body": BASE64_STANDARD.encode(body)}).to_string();
                    instance.send(line.as_bytes()).await.map_err(SandboxError::from)?;
                }
                Told { failed, .. } => {
                    // The last lines of pip may still be on their way.
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    let told = format!("exit code {}; {}", failed.unwrap_or(-1), instance.stderr().trim());
                    return Err(self.reason(package, told).into());
                }
            }
        }
    }

    /// Pages of packages and metadata of their wheels, and nothing else: no wheel, no search.
    async fn answer(&mut self, path: &str) -> Result<Option<Vec<u8>>, InstallError> {
        if let Some(name) = path.strip_prefix("/simple/").and_then(|rest| rest.strip_suffix('/')) {
            return Ok(match is_name(name) && normalized(name) == name {
                true => self.page(name).await?.map(|page| page.for_pip(name)),
                false => None,
            });
        }
        let wheel = path.strip_prefix("/wheel/").and_then(|rest| rest.strip_suffix(".metadata"));
        let asked = wheel.and_then(|wheel| wheel.split_once('/'));
        let Some((package, file)) =
            asked.and_then(|(package, name)| Some((package.to_owned(), self.pages.get(package)?.file(name)?.clone())))
        else {
            return Ok(None);
        };
        let metadata = self.metadata_of(&package, &file).await?;
        self.metadata.insert(file.name, Sha256::digest(&metadata).into());
        self.look_ahead(&metadata);
        Ok(Some(metadata))
    }

    async fn page(&mut self, name: &str) -> Result<Option<&Page>, InstallError> {
        if !self.pages.contains_key(name) {
            let path = format!("{name}/");
            let fetched = match self.ahead.remove(name) {
                Some(ahead) => match ahead.await {
                    Ok(fetched) => fetched?,
                    // Its task ended without an answer.
                    Err(_) => self.index.fetch(&path, SIMPLE).await?,
                },
                None => self.index.fetch(&path, SIMPLE).await?,
            };
            match fetched.status {
                200 => {}
                404 | 410 => return Ok(None),
                status => return Err(InstallError::Status { status, path }),
            }
            self.pages.insert(name.to_owned(), Page::parse(name, &fetched.body)?);
        }
        Ok(self.pages.get(name))
    }

    /// Fetches the pages of what a package needs, whatever its markers say. Only the bytes: pip's question decides.
    fn look_ahead(&mut self, metadata: &[u8]) {
        for name in requirements(metadata) {
            if self.pages.contains_key(&name) || self.ahead.contains_key(&name) || self.ahead.len() >= AHEAD_LIMIT {
                continue;
            }
            let (index, path) = (self.index.clone(), format!("{name}/"));
            let (done, page) = oneshot::channel();
            self.ahead.insert(name, page);
            self.fetching.spawn(async move {
                let _nobody_waits = done.send(index.fetch(&path, SIMPLE).await);
            });
        }
    }

    /// A wheel's METADATA: the index's own file of it where there is one, else out of the wheel.
    async fn metadata_of(&mut self, package: &str, file: &File) -> Result<Vec<u8>, InstallError> {
        if let Metadata::Yes(published) = file.metadata {
            let fetched = self.index.fetch(&format!("{}.metadata", file.reference), "*/*").await?;
            if fetched.status == 200 {
                let found: [u8; 32] = Sha256::digest(&fetched.body).into();
                if published.is_some_and(|published| published != found) {
                    let (published, found) = (hex::encode(published.unwrap_or_default()), hex::encode(found));
                    return Err(PypiError::Digest { file: format!("{}.metadata", file.name), published, found }.into());
                }
                return Ok(fetched.body.to_vec());
            }
        }
        let wheel = fetch_wheel(&self.index, file).await?;
        let name = WheelName::parse(&file.name).filter(|name| name.name == package);
        let broken = |source| PypiError::Wheel { file: file.name.clone(), source };
        let name = name.ok_or_else(|| PypiError::Lock { what: format!("{:?} is no wheel of {package}", file.name) })?;
        let metadata = Wheel::metadata_of(&name, &wheel).map_err(broken)?;
        if self.kept.saturating_add(wheel.len()) <= KEPT_LIMIT {
            self.kept = self.kept.saturating_add(wheel.len());
            self.wheels.insert(file.name.clone(), wheel);
        }
        Ok(metadata)
    }

    /// Whether the lock names what the index published, and the package that was asked for.
    fn check(&self, lock: &Lock, package: &PypiPackage) -> Result<(), PypiError> {
        for entry in &lock.entries {
            let lock = format!("sha256:{}", hex::encode(entry.sha256));
            let other =
                |published: String| PypiError::LockDigest { file: entry.file.clone(), lock: lock.clone(), published };
            let file = self.file(entry).ok_or_else(|| other("no such file".to_owned()))?;
            match file.sha256 {
                Some(published) if published == entry.sha256 => {}
                Some(published) => return Err(other(format!("sha256:{}", hex::encode(published)))),
                None => return Err(other("it without a SHA-256".to_owned())),
            }
            if let Some(reason) = file.yanked.clone() {
                return Err(PypiError::Yanked { file: entry.file.clone(), reason });
            }
        }
        let wanted: Option<Version> = package.version().parse().ok();
        match lock.entries.iter().find(|entry| entry.name == package.name()) {
            Some(entry) if Some(&entry.version) == wanted.as_ref() => Ok(()),
            _ => Err(PypiError::Lock { what: format!("{} is not in it", package.requirement()) }),
        }
    }

    /// What the index published of a wheel of the lock.
    pub(super) fn file(&self, entry: &LockEntry) -> Option<&File> {
        self.pages.get(&entry.name)?.file(&entry.file)
    }

    /// A wheel that was fetched for its metadata.
    pub(super) fn kept(&mut self, file: &str) -> Option<Bytes> {
        self.wheels.remove(file)
    }

    /// SHA-256 of the metadata that pip was given for a wheel.
    pub(super) fn given_metadata(&self, file: &str) -> Option<[u8; 32]> {
        self.metadata.get(file).copied()
    }

    pub(super) fn index(&self) -> &R {
        &self.index
    }

    /// Why pip found nothing: what the index does not have is said before what pip makes of it.
    fn reason(&self, package: &PypiPackage, told: String) -> PypiError {
        let (name, version) = (package.name().to_owned(), package.version().parse::<Version>().ok());
        let Some(page) = self.pages.get(&name) else { return PypiError::NoPackage { package: name } };
        let wheels: Vec<_> = page.files.iter().filter(|file| wheel_version(&file.name) == version).collect();
        let is_source = |file: &&File| source_version(&file.name, &name) == version;
        let sources: Vec<_> = page.files.iter().filter(is_source).map(|file| file.name.clone()).collect();
        if wheels.is_empty() && !sources.is_empty() {
            return PypiError::NoWheel { package: package.requirement(), files: sources };
        }
        if wheels.is_empty() {
            let versions = page.files.iter().filter_map(|file| wheel_version(&file.name));
            let versions: BTreeSet<Version> = versions.collect();
            let newest = versions.iter().rev().take(LISTED).map(Version::to_string).collect();
            return PypiError::NoVersion { package: name, version: package.version().to_owned(), newest };
        }
        // pip asks for the metadata of a wheel that fits; it never asked for one of these.
        if !wheels.iter().any(|file| self.metadata.contains_key(&file.name)) {
            let wheels = wheels.iter().take(LISTED).map(|file| match &file.requires_python {
                Some(python) => format!("{} (Python {python})", file.name),
                None => file.name.clone(),
            });
            return PypiError::Unfit { package: package.requirement(), wheels: wheels.collect() };
        }
        let without = self.pages.iter().find(|(_, page)| {
            !page.files.is_empty() && page.files.iter().all(|file| WheelName::parse(&file.name).is_none())
        });
        match without {
            Some((dependency, page)) => {
                let files = page.files.iter().rev().take(LISTED).map(|file| file.name.clone()).collect();
                PypiError::NoWheel { package: dependency.clone(), files }
            }
            None => PypiError::Resolve { package: package.requirement(), told },
        }
    }
}

/// Fetches a wheel and compares it with what the index published.
pub(super) async fn fetch_wheel<R: Registry>(index: &R, file: &File) -> Result<Bytes, InstallError> {
    let fetched = index.fetch(&file.reference, "*/*").await?;
    if fetched.status != 200 {
        return Err(InstallError::Status { status: fetched.status, path: file.reference.clone() });
    }
    let found: [u8; 32] = Sha256::digest(&fetched.body).into();
    match file.sha256 {
        Some(published) if published == found => Ok(fetched.body),
        published => {
            let published = published.map_or_else(|| "none".to_owned(), hex::encode);
            Err(PypiError::Digest { file: file.name.clone(), published, found: hex::encode(found) }.into())
        }
    }
}

/// Names in `Requires-Dist`, without what is needed for extras only.
fn requirements(metadata: &[u8]) -> impl Iterator<Item = String> {
    let head = metadata.split(|&byte| byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    head.filter_map(|line| {
        let needed = std::str::from_utf8(line).ok()?.strip_prefix("Requires-Dist:")?.trim_start();
        let name = needed.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')).next()?;
        (is_name(name) && !needed.contains("extra ")).then(|| normalized(name))
    })
}

fn wheel_version(file: &str) -> Option<Version> {
    WheelName::parse(file).map(|name| name.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_only_for_extras_is_not_looked_for_ahead() {
        let metadata =
            b"Name: a\nRequires-Dist: Typing_Extensions>=4; python_version<'3.12'\r\nRequires-Dist: b[c] (>1)\n\
            Requires-Dist: d; extra == 'dev'\nRequires-Dist: -r x\nRequires-Dist:\n\nRequires-Dist: in-the-text\n";
        assert_eq!(requirements(metadata).collect::<Vec<_>>(), ["typing-extensions", "b"]);
    }
}
