//! What can be installed: a package at one exact version.

use crate::LocalPackage;

use crate::PypiPackage;

/// A package that is to become a server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum PackageSpec {
    /// From the npm registry.
    Npm(NpmPackage),
    /// From a PyPI index.
    Pypi(PypiPackage),
    /// Files of the operator's own.
    Local(LocalPackage),
}

/// A package of the npm registry.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NpmPackage {
    name: String,
    version: String,
    bin: Option<String>,
}

/// A name or version that is not what it must be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// Not a package name.
    #[error("package name {0:?}: want lower case, as in name or @scope/name, at most 214 characters")]
    Name(String),
    /// Not one exact version.
    #[error(
        "package version {0:?}: want one exact version as in 1.2.3; ranges and tags such as ^1.2.3 or latest are refused"
    )]
    Version(String),
    /// Not a package name of PyPI.
    #[error("package name {0:?}: want letters and digits with . _ - between them, and no extras in brackets")]
    PypiName(String),
    /// Not one exact version of PyPI.
    #[error(
        "package version {0:?}: want one exact version in normal form (PEP 440), as in 2026.10.19; ranges are refused"
    )]
    PypiVersion(String),
    /// A path that leaves its directory.
    #[error("file path {0:?}: want a relative path without '..'")]
    Path(String),
    /// The program to start is not among the files.
    #[error("entry {0:?} is not among the files")]
    Entry(String),
}

impl PackageError {
    /// What the operator can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::Version(_) | Self::PypiName(_) | Self::PypiVersion(_) => {
                "name one package at one exact version"
            }
            Self::Path(_) => "give every file a path inside of the package",
            Self::Entry(_) => "let `bin` name a file of the package",
        }
    }
}

impl NpmPackage {
    /// `bin` chooses among several programs of one package.
    ///
    /// # Errors
    /// [`PackageError::Name`], [`PackageError::Version`].
    pub fn new(name: &str, version: &str, bin: Option<&str>) -> Result<Self, PackageError> {
        if !is_name(name) {
            return Err(PackageError::Name(name.to_owned()));
        }
        if !is_exact(version) {
            return Err(PackageError::Version(version.to_owned()));
        }
        Ok(Self { name: name.to_owned(), version: version.to_owned(), bin: bin.map(str::to_owned) })
    }

    /// For instance `@scope/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// For instance `1.2.3`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which program of the package.
    pub fn bin(&self) -> Option<&str> {
        self.bin.as_deref()
    }
}

/// npm's own rule for new names (validate-npm-package-name).
pub(crate) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'~' | b'_'))
            && bytes.all(|b| matches!(b, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~'))
    };
    // Old packages with capitals exist and are depended upon (JSONStream).
    let plain = |text: &str| part(&text.to_ascii_lowercase());
    name.len() <= 214
        && name != "node_modules"
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && plain(name)),
            None => plain(name),
        }
}

/// One version of Semantic Versioning 2.0.0, section 2, 9 and 10.
pub(crate) fn is_exact(version: &str) -> bool {
    let number = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'))
    };
    let words = |text: &str| {
        text.split('.').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let mut parts = core.split('.');
    parts.clone().count() == 3
        && parts.all(number)
        && before.is_none_or(words)
        && build.is_none_or(words)
        && version.len() <= 128
}

/// A relative path that stays inside, in plain form.
pub(crate) fn is_inner_path(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= 4096
        && !path.contains(['\0', '\\'])
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_tags_and_odd_versions_are_refused() {
        for version in [
            "^1.2.3",
            "~1.2.3",
            "latest",
            "1.2",
            "1.x",
            "*",
            "",
            ">=1.0.0",
            "1.2.3 || 2.0.0",
            "01.2.3",
            "1.2.3-",
            "v1.2.3",
            "file:x",
            "1.2.3.4",
        ] {
            let error = NpmPackage::new("a", version, None).unwrap_err();
            assert_eq!(error, PackageError::Version(version.into()));
        }
        for version in ["2026.8.31", "0.2.0-alpha.12", "1.0.0+build.5"] {
            NpmPackage::new("@modelcontextprotocol/server-everything", version, None).unwrap();
        }
    }

    #[test]
    fn names_that_are_paths_or_addresses_are_refused() {
        for name in ["", "../x", "a/b", "@a", "@a/b/c", "@/b", "git+ssh://x", "a b", ".hidden", "node_modules", "a%2fb"]
        {
            assert_eq!(NpmPackage::new(name, "1.0.0", None).unwrap_err(), PackageError::Name(name.into()));
        }
    }
}
