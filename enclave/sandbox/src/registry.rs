//! Registries of packages, read only, and the npm registry.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

/// Largest answer of the registry that is read, bytes.
const BODY_LIMIT: usize = 128 << 20;
/// A registry that needs longer for one answer is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Accept header for the short form of a package's document, which installs need.
pub(crate) const SHORT_DOCUMENT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";

/// An answer of the registry.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Bytes,
}

/// Why the registry gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// `npm config get registry` failed.
    #[error("npm config get registry: {0}")]
    NpmConfig(String),
    /// pip could not be asked which index it uses.
    #[error("the index of pip's configuration: {0}")]
    PipConfig(String),
    /// A page names a file that is not fetched: neither http nor https, or http where the index itself is https.
    #[error("{path:?} is not fetched: the index is https, and this is not")]
    Elsewhere {
        /// As the page names it.
        path: String,
    },
    /// The configured address is no http(s) address.
    #[error("registry address {0:?} is no http or https address")]
    Address(String),
    /// No TLS client could be made.
    #[error("TLS client: {0}")]
    Client(reqwest::Error),
    /// The request failed.
    #[error("GET {path}: {source}")]
    Request {
        /// Path below the registry's address.
        path: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The answer is too large.
    #[error("GET {path}: more than {BODY_LIMIT} bytes")]
    TooLarge {
        /// Path below the registry's address.
        path: String,
    },
}

impl RegistryError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::PipConfig(_) => "install pip (apt-get install python3-pip), or set PIP_INDEX_URL".into(),
            Self::Elsewhere { .. } => "name another index (`pip config list`, PIP_INDEX_URL)".into(),
            _ => "see `npm config get registry` (for PyPI `pip config list`) and, behind a proxy with its own certificate, SSL_CERT_FILE".into(),
        }
    }
}

/// Something that answers GET requests as an npm registry or a PyPI index does.
pub trait Registry: Send + Sync + 'static {
    /// Asks for a path such as `/express` or `/express/-/express-5.0.0.tgz`; of a PyPI index for a reference (RFC 3986)
    /// relative to its address, such as `mcp-server-time/` or where that page says that a wheel is.
    fn fetch(&self, path: &str, accept: &str) -> impl Future<Output = Result<Fetched, RegistryError>> + Send;
}

/// The registry of the user's npm configuration.
#[derive(Clone, Debug)]
pub struct NpmRegistry {
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
}

impl NpmRegistry {
    /// The registry that `npm config get registry` names.
    ///
    /// # Errors
    /// npm is not there or names no address.
    pub async fn from_npm_config() -> Result<Self, RegistryError> {
        let output = tokio::process::Command::new("npm")
            .args(["config", "get", "registry"])
            .output()
            .await
            .map_err(|error| RegistryError::NpmConfig(error.to_string()))?;
        if !output.status.success() {
            return Err(RegistryError::NpmConfig(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Self::at(String::from_utf8_lossy(&output.stdout).trim())
    }

    /// A registry at an address. TLS trusts the system's certificates, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// Not an http or https address.
    pub fn at(address: &str) -> Result<Self, RegistryError> {
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err(RegistryError::Address(address.to_owned()));
        }
        Ok(Self { client: client()?, base: address.trim_end_matches('/').to_owned() })
    }
}

impl Registry for NpmRegistry {
    async fn fetch(&self, path: &str, accept: &str) -> Result<Fetched, RegistryError> {
        fetch(&self.client, format!("{}{path}", self.base), path, accept).await
    }
}

pub(crate) fn client() -> Result<reqwest::Client, RegistryError> {
    // A process has one default; whoever set it first had a reason.
    let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
    reqwest::Client::builder()
        .timeout(TIMEOUT)
        .user_agent(concat!("sealgate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(RegistryError::Client)
}

/// Asks at an address, which may hold a password; messages name the path.
pub(crate) async fn fetch(
    client: &reqwest::Client,
    address: impl reqwest::IntoUrl,
    path: &str,
    accept: &str,
) -> Result<Fetched, RegistryError> {
    let failed =
        |source: reqwest::Error| RegistryError::Request { path: path.to_owned(), source: source.without_url() };
    let mut response = client.get(address).header("accept", accept).send().await.map_err(failed)?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > BODY_LIMIT {
            return Err(RegistryError::TooLarge { path: path.to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Fetched { status, body: body.into() })
}

impl<R: Registry> Registry for Arc<R> {
    fn fetch(&self, path: &str, accept: &str) -> impl Future<Output = Result<Fetched, RegistryError>> + Send {
        R::fetch(self, path, accept)
    }
}

/// The path of a package's document.
pub(crate) fn document_path(name: &str) -> String {
    format!("/{}", name.replacen('/', "%2f", 1))
}

/// Where below the configured registry a package's tarball lies, given its address in the document. Only the file's name is
/// taken: mirrors often leave the origin's host in their documents, and the digest decides anyway.
pub(crate) fn tarball_path(name: &str, address: &str) -> Option<String> {
    let (_, file) = address.rsplit_once("/-/")?;
    let plain = !file.is_empty() && file.bytes().all(|b| b.is_ascii_alphanumeric() || b"@/-._~+%".contains(&b));
    (plain && !file.contains("..")).then(|| format!("/{name}/-/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_is_looked_for_at_the_configured_registry_only() {
        let path = tarball_path("@a/b", "https://elsewhere.example/npm/@a/b/-/b-1.0.0.tgz");
        assert_eq!(path.as_deref(), Some("/@a/b/-/b-1.0.0.tgz"));
        for bad in ["https://x/b.tgz", "https://x/-/../../y", "https://x/-/", "https://x/-/a?b"] {
            assert_eq!(tarball_path("b", bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        assert!(matches!(NpmRegistry::at("undefined"), Err(RegistryError::Address(_))));
    }
}
