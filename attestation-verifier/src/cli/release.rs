//! Release manifests, as they are named on the command line.

use std::path::PathBuf;

use attestation_verifier::Releases;
use clap::Args;
use evidence::Ed25519Public;

use super::{Usage, files, release_key};

/// What the code is looked up in.
#[derive(Args)]
pub(crate) struct ReleaseArgs {
    /// Signed release manifest to look the code up in; may be repeated. Without it, with --release-key: the one that the
    /// bundle carries.
    #[arg(long, value_name = "FILE")]
    release: Vec<PathBuf>,
    /// Release key that must have signed it (Ed25519): 64 hexadecimal digits, or a file with the public key in PEM. Name
    /// every one, each with an option of its own: all of them must have signed.
    #[arg(long, value_name = "HEX|FILE")]
    release_key: Vec<String>,
}

/// The same, read.
pub(crate) struct ReadReleases {
    keys: Vec<Ed25519Public>,
    manifests: Vec<(String, Vec<u8>)>,
}

impl ReleaseArgs {
    pub(crate) fn read(&self) -> Result<ReadReleases, Usage> {
        if let ([first, ..], []) = (self.release.as_slice(), self.release_key.as_slice()) {
            let what = format!("--release {}: no --release-key says whose signature counts", first.display());
            return Err(Usage::new(what, release_key::HOW));
        }
        let keys = release_key::read_all(&self.release_key)?;
        let read = |path: &PathBuf| Ok((path.display().to_string(), files::read("--release", path)?));
        Ok(ReadReleases { keys, manifests: self.release.iter().map(read).collect::<Result<_, _>>()? })
    }
}

impl ReadReleases {
    pub(crate) fn look_up(&self) -> Releases<'_> {
        Releases { keys: &self.keys, manifests: &self.manifests, known: &[] }
    }
}
