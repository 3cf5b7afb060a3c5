//! From a package of PyPI to an image: pip resolves in a container without network, this process fetches each wheel of the
//! lock, compares its SHA-256 with what the index published, and unpacks it by its own RECORD. Nothing of a package runs.

mod client;
mod compile;
mod error;
mod html;
mod lock;
mod package;
mod page;
mod resolve;
mod wheel;
mod zip;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::Warrant;
use sha2::{Digest, Sha256};

pub use self::{client::PypiIndex, error::PypiError, package::PypiPackage, wheel::WheelError};
use self::{
    lock::{Lock, LockEntry},
    package::WheelName,
    resolve::{Received, fetch_wheel},
    wheel::{PlaceError, Programs, Wheel},
};
use crate::{
    InstallError, Registry, Sandbox, ServerImage,
    install::{PARALLEL, Record, digest_of},
    layer::Files,
};

impl Sandbox {
    pub(crate) async fn install_pypi<R: Registry + Clone>(
        &self,
        package: &PypiPackage,
        warrant: &Warrant,
        index: &R,
    ) -> Result<ServerImage, InstallError> {
        let runner = self.python_runner().await?;
        let (name, version) = (package.name(), package.version());
        let question = digest_of(&[&runner.id, "pypi", name, version, package.bin().unwrap_or_default()]);
        if let Some(kept) = self.kept_image(&question).await? {
            return Ok(kept);
        }
        let start = std::time::Instant::now();
        let (lock, received) = self.resolve_pypi(package, warrant, index.clone()).await?;
        let resolved = start.elapsed();
        let (mut files, programs) = unpack_all(&lock, package, received).await?;
        let fetched = start.elapsed();
        let command = command_of(package, &programs)?;
        self.compile(&mut files, warrant).await?;
        let compiled = start.elapsed();
        files.insert("pylock.json", lock.canonical().as_bytes().to_vec());
        let own = lock.entries.iter().find(|entry| entry.name == name);
        let record = Record {
            package: name,
            version,
            registry_digest: own.map(|entry| hex::encode(entry.sha256)),
            lock: Some(lock.canonical()),
        };
        let image = self.finish(&runner, record, &files, command).await?;
        self.keep_image(&question, &image).await?;
        let (packages, built) = (lock.entries.len(), start.elapsed());
        tracing::info!(package = %package.requirement(), packages, ?resolved, ?fetched, ?compiled, ?built, "installed");
        Ok(image)
    }
}

/// Fetches, checks and unpacks every wheel of a lock. Returns the programs of the package that was asked for.
async fn unpack_all<R: Registry + Clone>(
    lock: &Lock,
    package: &PypiPackage,
    mut received: Received<R>,
) -> Result<(Files, Programs), InstallError> {
    let kept: Vec<_> = lock.entries.iter().map(|entry| received.kept(&entry.file)).collect();
    let received = &received;
    let jobs = lock.entries.iter().zip(kept).map(|(entry, kept)| archive_of(entry, kept, received));
    let jobs: Vec<_> = jobs.collect();
    let mut wheels = stream::iter(jobs).buffered(PARALLEL);
    let (mut files, mut programs) = (Files::default(), Programs::new());
    while let Some(job) = wheels.next().await {
        let (entry, archive) = job?;
        let brought = place(entry, &archive, received.given_metadata(&entry.file), &mut files)?;
        if entry.name == package.name() {
            programs = brought;
        }
    }
    drop(wheels);
    Ok((files, programs))
}

/// A wheel that came while pip resolved, or that is fetched now.
async fn archive_of<'a, R: Registry + Clone>(
    entry: &'a LockEntry,
    kept: Option<Bytes>,
    received: &Received<R>,
) -> Result<(&'a LockEntry, Bytes), InstallError> {
    let unpublished = || PypiError::Lock { what: format!("{} is not in the index", entry.file) };
    let archive = match kept {
        Some(archive) => archive,
        None => fetch_wheel(received.index(), received.file(entry).ok_or_else(unpublished)?).await?,
    };
    Ok((entry, archive))
}

fn place(
    entry: &LockEntry,
    archive: &[u8],
    given: Option<[u8; 32]>,
    files: &mut Files,
) -> Result<Programs, InstallError> {
    let broken = |source| PypiError::Wheel { file: entry.file.clone(), source };
    let name = WheelName { name: entry.name.clone(), version: entry.version.clone() };
    let wheel = Wheel::open(&name, archive).map_err(broken)?;
    if given != Some(Sha256::digest(wheel.metadata()).into()) {
        return Err(PypiError::OtherMetadata { file: entry.file.clone() }.into());
    }
    wheel.place(&entry.file, files).map_err(|error| match error {
        PlaceError::Wheel(source) => broken(source).into(),
        PlaceError::Layer(error) => InstallError::Layer(error),
    })
}

/// The program that was asked for, the only one, or the one of the package's own name.
fn command_of(package: &PypiPackage, programs: &Programs) -> Result<Vec<String>, InstallError> {
    let chosen = match package.bin() {
        Some(wanted) => programs.get(wanted),
        None if programs.len() == 1 => programs.values().next(),
        None => {
            programs.iter().find(|(name, _)| package::normalized(name) == package.name()).map(|(_, command)| command)
        }
    };
    chosen.cloned().ok_or_else(|| InstallError::Program {
        package: package.requirement(),
        wanted: package.bin().map(str::to_owned),
        available: programs.keys().cloned().collect(),
    })
}
