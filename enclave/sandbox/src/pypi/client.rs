//! The index of the user's pip configuration.

use reqwest::Url;

use crate::registry::{Fetched, Registry, RegistryError, client, fetch};

/// Says where pip would look: its options, variables (`PIP_INDEX_URL`), files and default, in its own order.
const QUESTION: &str = "from pip._internal.commands import create_command as c; print(c('download').parser.get_default_values().index_url)";

/// The index of the user's pip configuration.
#[derive(Clone, Debug)]
pub struct PypiIndex {
    client: reqwest::Client,
    /// With a slash at its end. May hold a password, so it is in no message.
    base: Url,
}

impl PypiIndex {
    /// The index that pip would ask.
    ///
    /// # Errors
    /// Python or pip is not there, or names no address.
    pub async fn from_pip_config() -> Result<Self, RegistryError> {
        if let Ok(address) = std::env::var("PIP_INDEX_URL") {
            return Self::at(&address);
        }
        let output = tokio::process::Command::new("python3")
            .args(["-I", "-c", QUESTION])
            .output()
            .await
            .map_err(|error| RegistryError::PipConfig(error.to_string()))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(RegistryError::PipConfig(told.trim().lines().last().unwrap_or_default().to_owned()));
        }
        Self::at(String::from_utf8_lossy(&output.stdout).trim())
    }

    /// An index at an address. TLS trusts the system's certificates, or those of `SSL_CERT_FILE`.
    ///
    /// # Errors
    /// Not an http or https address.
    pub fn at(address: &str) -> Result<Self, RegistryError> {
        let wrong = || RegistryError::Address(address.rsplit('@').next().unwrap_or_default().to_owned());
        let base = Url::parse(&format!("{}/", address.trim_end_matches('/'))).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(wrong());
        }
        Ok(Self { client: client()?, base })
    }
}

impl Registry for PypiIndex {
    /// `path` is relative to the index's address, as RFC 3986 has it: pages name files of other hosts.
    async fn fetch(&self, path: &str, accept: &str) -> Result<Fetched, RegistryError> {
        let address = self.base.join(path).ok().filter(|address| {
            address.scheme() == "https" || (address.scheme() == "http" && self.base.scheme() == "http")
        });
        let address = address.ok_or_else(|| RegistryError::Elsewhere { path: path.to_owned() })?;
        fetch(&self.client, address, path, accept).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_index_over_https_sends_nobody_to_where_anybody_listens() {
        let index = PypiIndex::at("https://index.example/simple").unwrap();
        for path in ["http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://x/y"] {
            let error = index.fetch(path, "*/*").await.unwrap_err();
            assert!(matches!(error, RegistryError::Elsewhere { .. }), "{error}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_its_password() {
        for bad in ["None", "", "ftp://user:secret@host/simple", "file:///x"] {
            let error = PypiIndex::at(bad).unwrap_err();
            assert!(matches!(error, RegistryError::Address(_)) && !error.to_string().contains("secret"), "{error}");
        }
    }
}
