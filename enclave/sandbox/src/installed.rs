//! What an installation leaves behind: an image, and a record of what is in it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use evidence::ServerId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Inspection, LaunchSpec, Sandbox, SandboxError, error::is_missing};

/// Label of a server's image: digest over everything it was made of.
pub(crate) const LABEL_KEY: &str = "io.sealgate.key";

/// An image with a server in it. The same package at the same version is one image, whoever installs it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerImage {
    /// Name of the package.
    pub package: String,
    /// Its exact version.
    pub version: String,
    /// Digest of the package's own file as its registry publishes it, hexadecimal: SHA-512 of an npm tarball, SHA-256 of a
    /// PyPI wheel; none for local files.
    pub registry_digest: Option<String>,
    /// SHA-256 of the canonical lock, hexadecimal; none for local files.
    pub lock_digest: Option<String>,
    /// `sha256:` and 64 hexadecimal digits: the image's id.
    pub image_digest: String,
    /// Program and first arguments.
    pub command: Vec<String>,
    /// Digest over runner image, package, lock and layer; a label of the image.
    pub key: String,
    /// The lock, RFC 8785.
    pub lock: Option<String>,
}

/// A server of the catalogue and the image it runs from.
#[derive(Clone, Debug)]
pub struct InstalledServer {
    server: ServerId,
    image: Arc<ServerImage>,
}

impl InstalledServer {
    pub(crate) fn new(server: ServerId, image: ServerImage) -> Self {
        Self { server, image: Arc::new(image) }
    }

    /// Its id in the catalogue.
    pub fn server(&self) -> &ServerId {
        &self.server
    }

    /// The whole record.
    pub fn image(&self) -> &ServerImage {
        &self.image
    }

    /// Name of the package.
    pub fn package(&self) -> &str {
        &self.image.package
    }

    /// Exact version of the package.
    pub fn version(&self) -> &str {
        &self.image.version
    }

    /// SHA-512 of the published tarball (128 digits) or SHA-256 of the published wheel (64 digits), hexadecimal.
    pub fn registry_digest(&self) -> Option<&str> {
        self.image.registry_digest.as_deref()
    }

    /// SHA-256 of the canonical lock, hexadecimal.
    pub fn lock_digest(&self) -> Option<&str> {
        self.image.lock_digest.as_deref()
    }

    /// Id of the image, `sha256:` and 64 hexadecimal digits.
    pub fn image_digest(&self) -> &str {
        &self.image.image_digest
    }

    pub(crate) fn command(&self) -> &[String] {
        &self.image.command
    }

    /// A name for what is started: one program may offer other things, and speak other revisions, with other arguments.
    pub(crate) fn launched_with(&self, spec: &LaunchSpec) -> String {
        let mut hash = Sha256::new();
        for part in std::iter::once(self.image_digest()).chain(spec.arguments.iter().map(String::as_str)) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }
}

impl Sandbox {
    /// What was kept of what a server offers, for its image and the arguments it is started with.
    ///
    /// # Errors
    /// The file is there but cannot be read.
    pub async fn kept_inspection(
        &self,
        server: &InstalledServer,
        spec: &LaunchSpec,
    ) -> Result<Option<Inspection>, SandboxError> {
        let path = self.inspection_file(server, spec);
        let Some(text) = read(&path).await? else { return Ok(None) };
        // A damaged file, or one of another form, is asked for anew, like a missing one.
        Ok(serde_json::from_str(&text).ok())
    }

    pub(crate) async fn keep_inspection(
        &self,
        server: &InstalledServer,
        spec: &LaunchSpec,
        inspection: &Inspection,
    ) -> Result<(), SandboxError> {
        let text = serde_json::to_string(inspection).unwrap_or_default();
        write(&self.inspection_file(server, spec), &text).await
    }

    /// A record whose image is still there and is still the one of the record.
    pub(crate) async fn kept_image(&self, question: &str) -> Result<Option<ServerImage>, SandboxError> {
        let Some(text) = read(&self.record_file(question)).await? else { return Ok(None) };
        let Ok(record) = serde_json::from_str::<ServerImage>(&text) else { return Ok(None) };
        let honest = record.lock.as_deref().map(|lock| hex::encode(Sha256::digest(lock))) == record.lock_digest;
        let labels = match self.docker.inspect_image(&record.image_digest).await {
            Ok(image) => image.config.and_then(|config| config.labels).unwrap_or_default(),
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(crate::error::engine("inspect image")(error)),
        };
        Ok(Some(record).filter(|record| honest && labels.get(LABEL_KEY) == Some(&record.key)))
    }

    pub(crate) async fn keep_image(&self, question: &str, image: &ServerImage) -> Result<(), SandboxError> {
        let text = serde_json::to_string_pretty(image).unwrap_or_default();
        write(&self.record_file(question), &text).await
    }

    fn inspection_file(&self, server: &InstalledServer, spec: &LaunchSpec) -> PathBuf {
        let name = server.launched_with(spec);
        self.config.state_directory.join("inspections").join(format!("{name}.json"))
    }

    fn record_file(&self, question: &str) -> PathBuf {
        self.config.state_directory.join("images").join(format!("{question}.json"))
    }
}

async fn read(path: &Path) -> Result<Option<String>, SandboxError> {
    match tokio::fs::read_to_string(path).await {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SandboxError::State { path: path.to_owned(), source }),
    }
}

/// Under another name first: a reader sees the old file or the new one, never half of it.
async fn write(path: &Path, text: &str) -> Result<(), SandboxError> {
    let failed = |source| SandboxError::State { path: path.to_owned(), source };
    let directory = path.parent().unwrap_or(path);
    tokio::fs::create_dir_all(directory).await.map_err(failed)?;
    let mut random = [0; 8];
    let _ = getrandom::fill(&mut random);
    let unfinished = path.with_extension(hex::encode(random));
    tokio::fs::write(&unfinished, text).await.map_err(failed)?;
    tokio::fs::rename(&unfinished, path).await.map_err(failed)
}
