//! `measured-boot release`: the manifest of a release, from its files to the last signature (docs/WIRE.md, "Release
//! manifest").

mod create;
mod description;
mod key;
mod show;
mod sign;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use evidence::{
    Ed25519Public,
    release::{MAX_FILE_BYTES, ReleaseManifest, ReleaseSignature, SignedRelease, release_message},
};

use super::{Stop, files};

/// What to do with a manifest.
#[derive(Subcommand)]
pub(super) enum Release {
    /// Write the manifest that a description and its files make. Nobody has signed it yet.
    Create(create::Create),
    /// Add one signature by a release key.
    Sign(sign::Sign),
    /// Print a manifest, and who has signed it. Exit code 3 unless every release key has.
    Show(show::Show),
}

impl Release {
    pub(super) fn run(&self) -> Result<String, Stop> {
        match self {
            Self::Create(create) => create.run(),
            Self::Sign(sign) => sign.run(),
            Self::Show(show) => show.run(),
        }
    }
}

/// A release file and the manifest in it.
fn read(path: &Path) -> Result<(SignedRelease, ReleaseManifest), Stop> {
    const FIX: &str = "give the file that `measured-boot release create` wrote, unchanged";
    let bytes = files::read(path, MAX_FILE_BYTES)?;
    let malformed = |error: evidence::core::DocumentError| Stop::malformed(path, error, FIX);
    let file = SignedRelease::from_bytes(&bytes).map_err(malformed)?;
    let manifest = ReleaseManifest::from_bytes(&file.bytes).map_err(malformed)?;
    Ok((file, manifest))
}

/// Does this signature hold over these bytes? As every verifier here: RFC 8032 without cofactor, R compared as bytes.
fn holds(bytes: &[u8], signature: &ReleaseSignature) -> bool {
    use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
    let key = VerifyingKey::from_bytes(signature.key.as_bytes());
    key.is_ok_and(|key| key.verify(&release_message(bytes), &Signature::from_bytes(&signature.value)).is_ok())
}

fn hex_of(key: &Ed25519Public) -> String {
    hex::encode(key.as_bytes())
}

/// The file's text, a line's end behind it.
fn text_of(path: &Path, file: &SignedRelease) -> Result<Vec<u8>, Stop> {
    let fix = "take entries out: a release file has at most 96 KiB";
    let mut bytes = file.to_bytes().map_err(|error| Stop::malformed(path, error, fix))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let fix = "name a file that does not exist yet, in a folder that does: signatures are not thrown away";
    std::fs::File::create_new(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|error| Stop::usage(path.display(), error, fix))
}

/// Puts a file in the place of another, whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Stop> {
    let mut draft = PathBuf::from(path).into_os_string();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    write_new(&draft, bytes)?;
    std::fs::rename(&draft, path).map_err(|error| {
        let fix = "make the folder writable";
        Stop::usage(path.display(), error, fix)
    })
}
