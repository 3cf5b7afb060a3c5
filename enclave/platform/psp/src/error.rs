//! What can go wrong with a processor that is only a file.

use std::{fmt, io, path::PathBuf};

/// Making, keeping or using the software processor failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum PspError {
    /// An RSA key could not be made or used.
    Rsa(rsa::Error),
    /// A key or certificate does not encode.
    Encoding(String),
    /// The state file could not be read or written.
    File {
        /// What was attempted.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The state file is not one of ours, or was damaged.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which entry.
        entry: &'static str,
    },
    /// A time lies outside what a certificate can say.
    Time(u64),
}

impl PspError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Rsa(_) | Self::Encoding(_) => "try again; if it persists, this build of the `rsa` crate is broken",
            Self::File { .. } => "check that the state directory exists and belongs to this user",
            Self::Damaged { .. } => "delete the file: a new test root is made at the next start",
            Self::Time(_) => "set the system clock",
        }
    }
}

impl fmt::Display for PspError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(_) => f.write_str("software psp: RSA key"),
            Self::Encoding(what) => write!(f, "software psp: encoding of {what}"),
            Self::File { doing, path, .. } => write!(f, "software psp: {doing} {}", path.display()),
            Self::Damaged { path, entry } => write!(f, "software psp: {}: entry {entry} is damaged", path.display()),
            Self::Time(at) => write!(f, "software psp: time {at} is outside of what a certificate can say"),
        }
    }
}

impl std::error::Error for PspError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rsa(source) => Some(source),
            Self::File { source, .. } => Some(source),
            Self::Encoding(_) | Self::Damaged { .. } | Self::Time(_) => None,
        }
    }
}

impl From<rsa::Error> for PspError {
    fn from(source: rsa::Error) -> Self {
        Self::Rsa(source)
    }
}
