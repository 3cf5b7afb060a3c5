//! The npm registry, read only.

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

/// Something that answers GET requests as an npm registry does.
pub trait Registry: Send + Sync + 'static {
    /// Asks for a path such as `/express` or `/express/-/express-5.0.0.tgz`.
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
        // A process has one default; whoever set it first had a reason.
        let _ = rustls::crypto::CryptoProvider::install_default(rustls::crypto::ring::default_provider());
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("sealgate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(RegistryError::Client)?;
        Ok(Self { client, base: address.trim_end_matches('/').to_owned() })
    }
}

impl Registry for NpmRegistry {
    async fn fetch(&self, path: &str, accept: &str) -> Result<Fetched, RegistryError> {
        let failed = |source| RegistryError::Request { path: path.to_owned(), source };
        let request = self.client.get(format!("{}{path}", self.base)).header("accept", accept);
        let mut response = request.send().await.map_err(failed)?;
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
