//! Why a package of PyPI was not installed.

use super::wheel::WheelError;

/// Why a package of PyPI was not installed. [`PypiError::fix`] says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PypiError {
    /// The index's page of a package is not one.
    #[error("the index's page of {package}: {what}")]
    Page {
        /// Name of the package.
        package: String,
        /// What is wrong.
        what: String,
    },
    /// No package of this name.
    #[error("the index has no package {package}")]
    NoPackage {
        /// Its name.
        package: String,
    },
    /// No file of this version.
    #[error("the index has no version {version} of {package}; it has {newest:?}")]
    NoVersion {
        /// Name of the package.
        package: String,
        /// What was asked for.
        version: String,
        /// The newest there are.
        newest: Vec<String>,
    },
    /// Only source distributions, which would have to run to be installed.
    #[error("{package} has no wheel, only {files:?}")]
    NoWheel {
        /// Name, and version if one was asked for.
        package: String,
        /// What there is.
        files: Vec<String>,
    },
    /// Wheels for other Pythons or other systems.
    #[error("no wheel of {package} fits Python 3.11 on Linux x86-64: {wheels:?}")]
    Unfit {
        /// Name and version.
        package: String,
        /// Files of that version, with the Python they ask for.
        wheels: Vec<String>,
    },
    /// pip found no set of packages.
    #[error("pip could not resolve {package}: {told}")]
    Resolve {
        /// Name and version.
        package: String,
        /// The end of what pip said.
        told: String,
    },
    /// The lock is not accepted.
    #[error("lock: {what}")]
    Lock {
        /// What is wrong.
        what: String,
    },
    /// What pip was shown is not what the lock says.
    #[error("{file}: the lock says {lock}, the index published {published}")]
    LockDigest {
        /// Name of the wheel.
        file: String,
        /// Its digest in the lock, `sha256:` and 64 hexadecimal digits.
        lock: String,
        /// Its digest in the index, or that it is not there.
        published: String,
    },
    /// Its publisher has withdrawn it.
    #[error("{file} was yanked{}", Why(.reason))]
    Yanked {
        /// Name of the wheel.
        file: String,
        /// The publisher's reason, perhaps empty.
        reason: String,
    },
    /// A wheel, or its metadata, is not the published one.
    #[error("{file}: the index published sha256:{published}, what it sent is sha256:{found}")]
    Digest {
        /// Name of the file.
        file: String,
        /// 64 hexadecimal digits.
        published: String,
        /// What we hashed.
        found: String,
    },
    /// pip resolved by other metadata than the wheel has.
    #[error("{file}: the metadata that the index offers beside it is not that of the wheel")]
    OtherMetadata {
        /// Name of the wheel.
        file: String,
    },
    /// A wheel that is none.
    #[error("{file}: {source}")]
    Wheel {
        /// Name of the wheel.
        file: String,
        /// What is wrong with it.
        source: WheelError,
    },
    /// The container that compiles did not answer as it must.
    #[error("modules could not be compiled: {0}")]
    Compile(String),
}

struct Why<'a>(&'a str);

impl std::fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

impl PypiError {
    /// What the operator can do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Page { .. } => "see that pip's index (`pip config list`, PIP_INDEX_URL) serves the simple interface: PEP 503 or PEP 691".into(),
            Self::NoPackage { .. } => "correct the name, or name another index (`pip config list`, PIP_INDEX_URL)".into(),
            Self::NoVersion { .. } => "name one of the versions that there are".into(),
            Self::NoWheel { .. } => "choose a version with wheels: nothing of a package runs while it is installed, so source distributions cannot be".into(),
            Self::Unfit { .. } => "choose a version with a wheel for any platform, or for CPython 3.11 (or abi3) and manylinux_2_36 x86_64 or older".into(),
            Self::Resolve { .. } => "see pip's message; another version of the package may ask for other packages".into(),
            Self::Lock { .. } => "this package cannot be installed here; choose another version of it".into(),
            Self::Yanked { .. } => "choose another version of the package: its publisher has withdrawn this file".into(),
            Self::LockDigest { .. } | Self::Digest { .. } | Self::OtherMetadata { .. } => {
                "do not use this package: what arrived is not what was published. Try once more; if it stays, tell the index".into()
            }
            Self::Wheel { .. } => "choose another version of this package, and tell its publisher".into(),
            Self::Compile(_) => "try again; if it stays, run scripts/runner-image".into(),
        }
    }
}
