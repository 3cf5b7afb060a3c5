//! `measured-boot release sign`: one signature more.

use std::path::PathBuf;

use clap::Args;
use ed25519_dalek::Signer as _;
use evidence::{
    Ed25519Public,
    release::{ReleaseSignature, release_message},
};
use sha2::{Digest as _, Sha256};

use super::{hex_of, holds, key, read, replace, text_of};
use crate::cli::Stop;

/// Arguments of `sign`.
#[derive(Args)]
pub(in crate::cli) struct Sign {
    /// The release file; the signature is added to it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The release key: Ed25519, PKCS#8 in PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// SHA-256 of the manifest that you looked at, as `show` prints it: another one is not signed.
    #[arg(long, value_name = "HEX")]
    manifest: Option<String>,
}

impl Sign {
    pub(super) fn run(&self) -> Result<String, Stop> {
        let (mut file, manifest) = read(&self.file)?;
        let refuse = |code, what: String, fix: &str| Stop {
            code,
            what: format!("{}: {what}", self.file.display()),
            fix: fix.to_owned(),
        };
        let digest = hex::encode(Sha256::digest(&file.bytes));
        if self.manifest.as_ref().is_some_and(|wanted| *wanted != digest) {
            let fix = "look at it again with `measured-boot release show`, and ask who changed it";
            return Err(refuse(6, format!("the manifest has SHA-256 {digest}, not the one you named"), fix));
        }
        let secret = key::private(&self.key)?;
        let unusable = || Stop::usage(self.key.display(), "no key that verifiers take", "make another key");
        let public = Ed25519Public::new(secret.verifying_key().to_bytes()).ok_or_else(unusable)?;
        if !manifest.release_keys.contains(&public) {
            let what = format!("release.releaseKeys does not list {}", hex_of(&public));
            return Err(refuse(
                3,
                what,
                "sign with a key that it lists, or create it anew with this one among release_keys",
            ));
        }
        // Signatures of another content would stay behind, and nobody would know what the others signed.
        if let Some(wrong) = file.signatures.iter().find(|signature| !holds(&file.bytes, signature)) {
            let what = format!("the signature by {} is not over this content", hex_of(&wrong.key));
            return Err(refuse(3, what, "create the file anew and have everybody sign it"));
        }
        if file.signatures.iter().any(|signature| signature.key == public) {
            let what = format!("{} has signed it already", hex_of(&public));
            return Err(refuse(3, what, "hand it to the next one; `measured-boot release show` says who is missing"));
        }
        let value = secret.sign(&release_message(&file.bytes)).to_bytes();
        file.signatures.push(ReleaseSignature { key: public, value });
        replace(&self.file, &text_of(&self.file, &file)?)?;
        let missing = manifest.release_keys.len().saturating_sub(file.signatures.len());
        let left = if missing == 0 { "everybody has signed".to_owned() } else { format!("{missing} to come") };
        Ok(format!("release {}, manifest {digest}: signed by {}; {left}\n", manifest.name, hex_of(&public)))
    }
}
