//! Why there is no TLS.

use std::{fmt, path::PathBuf};

/// Why a key, a name or a certificate is not taken.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub(crate) enum TlsError {
    /// The bytes are no P-256 key in PKCS#8.
    Key,
    /// No name is configured.
    NoNames,
    /// More names than a certificate should have.
    TooManyNames {
        /// How many.
        found: usize,
    },
    /// Neither a DNS name nor an IP address.
    Name {
        /// As it was typed.
        found: String,
    },
    /// The certificate file cannot be read.
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file holds no chain of certificates.
    NotAChain {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The certificate is for another key. Both are SHA-256 of a SubjectPublicKeyInfo.
    OtherKey {
        /// Which file.
        file: PathBuf,
        /// The certificate's.
        found: String,
        /// Ours.
        ours: String,
    },
    /// The certificate does not hold now.
    Expired {
        /// Which file.
        file: PathBuf,
        /// From, to, as the certificate says.
        validity: String,
    },
    /// A configured name is not in the certificate.
    NotForName {
        /// Which file.
        file: PathBuf,
        /// Which name.
        name: String,
    },
    /// A library refused.
    Library {
        /// What it said.
        why: String,
    },
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("the TLS key is no P-256 key in PKCS#8"),
            Self::NoNames => f.write_str("tls.names is empty"),
            Self::TooManyNames { found } => {
                write!(f, "tls.names has {found} names, at most {} fit", super::names::MAX_NAMES)
            }
            Self::Name { found } => write!(f, "tls.names: {found:?} is neither a DNS name nor an IP address"),
            Self::Unreadable { file, why } => write!(f, "{}: cannot be read: {why}", file.display()),
            Self::NotAChain { file, why } => write!(f, "{}: no certificate chain: {why}", file.display()),
            Self::OtherKey { file, found, ours } => write!(
                f,
                "{}: the certificate is for another key: SHA-256 of its SPKI is {found}, the gateway's is {ours}",
                file.display()
            ),
            Self::Expired { file, validity } => {
                write!(f, "{}: the certificate does not hold now: {validity}", file.display())
            }
            Self::NotForName { file, name } => write!(f, "{}: the certificate is not for {name}", file.display()),
            Self::Library { why } => write!(f, "TLS: {why}"),
        }
    }
}

impl std::error::Error for TlsError {}

impl TlsError {
    /// How to fix it.
    pub(crate) fn fix(&self) -> &'static str {
        match self {
            Self::Key => "the sealed key is damaged: restore state_dir, or make new keys with `enclave keys init`",
            Self::NoNames | Self::TooManyNames { .. } | Self::Name { .. } => {
                "list the names clients use, for instance names = [\"gateway.example\", \"192.0.2.7\"]"
            }
            Self::Unreadable { .. } => "name a readable file in tls.certificate, or leave it out for a self-signed one",
            Self::NotAChain { .. } => {
                "write the chain as PEM, the gateway's certificate first, then its issuers in order"
            }
            Self::OtherKey { .. } | Self::NotForName { .. } => {
                "ask the authority again with the output of `enclave keys csr`: the key never leaves the gateway"
            }
            Self::Expired { .. } => "renew the certificate with the output of `enclave keys csr`, or set the clock",
            Self::Library { .. } => "this is a fault of the gateway: please report it",
        }
    }
}
