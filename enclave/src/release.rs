//! The manifest of the release that this gateway says it is. Carried in bundles for whoever knows the release keys; the
//! gateway itself believes nothing of it, but does not serve what is evidently not its own.

use std::{fmt, io::Read as _, path::Path};

use attestation_verifier::{ReleaseError, Ring, Unverified};
use evidence::{
    Digest,
    core::DocumentError,
    release::{GATEWAY, MAX_FILE_BYTES, ReleaseManifest, SignedRelease},
};

use crate::{boot::Failure, build::Build, served_script};

/// A manifest that names this program.
pub(crate) struct OwnRelease {
    /// As bundles carry it.
    pub(crate) file: SignedRelease,
    /// What the core claims.
    pub(crate) name: String,
}

/// Why it is not served.
#[derive(Debug)]
enum Refusal {
    Unreadable(std::io::Error),
    Malformed(DocumentError),
    /// Not every key that it lists has signed it.
    Unsigned(ReleaseError),
    OtherCode {
        listed: Digest,
        own: Digest,
    },
    OtherCommit {
        listed: [u8; 20],
        own: [u8; 20],
    },
    /// Whoever compares the served script with the release would find another one.
    OtherScript {
        listed: Digest,
        own: Digest,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => error.fmt(f),
            Self::Malformed(error) => error.fmt(f),
            Self::Unsigned(error) => error.fmt(f),
            Self::OtherCode { listed, own } => {
                let (listed, own) = (hex::encode(listed), hex::encode(own));
                write!(f, "release.binaries: {GATEWAY} has SHA-256 {listed}, this program {own}")
            }
            Self::OtherCommit { listed, own } => {
                let (listed, own) = (hex::encode(listed), hex::encode(own));
                write!(f, "release.gitCommit is {listed}, this program is of {own}")
            }
            Self::OtherScript { listed, own } => {
                let (listed, own) = (hex::encode(listed), hex::encode(own));
                write!(f, "release.script is {listed}, this program serves {own}")
            }
        }
    }
}

impl Refusal {
    fn fix(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "name a readable file with release.manifest, or leave the section out",
            Self::Malformed(_) => "take the file as `measured-boot release` wrote it",
            Self::Unsigned(_) => "have every release key sign it: measured-boot release sign",
            Self::OtherCode { .. } | Self::OtherCommit { .. } | Self::OtherScript { .. } => {
                "run the program of that release, or name the manifest of this one: every verifier would refuse it"
            }
        }
    }
}

impl OwnRelease {
    /// Reads the file that the configuration names.
    pub(crate) fn read(path: &Path, build: &Build) -> Result<Self, Failure> {
        let what = || format!("release.manifest = {:?} is not served", path.display().to_string());
        read(path).and_then(|bytes| Self::of(&bytes, build)).map_err(|error| Failure::new(what(), &error, error.fix()))
    }

    fn of(bytes: &[u8], build: &Build) -> Result<Self, Refusal> {
        let file = SignedRelease::from_bytes(bytes).map_err(Refusal::Malformed)?;
        let manifest = ReleaseManifest::from_bytes(&file.bytes).map_err(Refusal::Malformed)?;
        // By its own word on who signs: whether these are the right keys, every verifier asks for itself.
        let signed = Unverified(file.clone()).verify(&manifest.release_keys, &Ring);
        signed.map_err(Refusal::Unsigned)?;
        if let (Some(listed), Some(own)) = (manifest.code_hash(), build.code_hash)
            && *listed != own
        {
            return Err(Refusal::OtherCode { listed: *listed, own });
        }
        if let Some(own) = build.git_commit
            && manifest.git_commit != own
        {
            return Err(Refusal::OtherCommit { listed: manifest.git_commit, own });
        }
        let own = served_script::program_digest();
        if manifest.script != own {
            return Err(Refusal::OtherScript { listed: manifest.script, own });
        }
        Ok(Self { file, name: manifest.name })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let longest = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let file = std::fs::File::open(path).map_err(Refusal::Unreadable)?;
    file.take(longest).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer as _, SigningKey};
    use evidence::{
        Ed25519Public, UnixSeconds,
        release::{Binary, ReleaseSignature, release_message},
    };

    use super::*;

    fn build(code_hash: Digest, git_commit: [u8; 20]) -> Build {
        Build { code_hash: Some(code_hash), git_commit: Some(git_commit), ..Build::of_this_process() }
    }

    fn file(signatures: usize) -> Vec<u8> {
        file_with(served_script::program_digest(), signatures)
    }

    fn file_with(script: Digest, signatures: usize) -> Vec<u8> {
        let pairs = [2, 3].map(|byte| SigningKey::from_bytes(&[byte; 32]));
        let public = |pair: &SigningKey| Ed25519Public::new(pair.verifying_key().to_bytes()).unwrap();
        let manifest = ReleaseManifest {
            name: "1.0.0".to_owned(),
            git_commit: [0x91; 20],
            source_hash: [0x50; 32],
            created: UnixSeconds(1_795_219_200),
            binaries: vec![Binary { program: GATEWAY.to_owned(), sha256: [0xc0; 32] }],
            launch_digests: vec![],
            svsm_digests: vec![],
            paravisors: vec![],
            registers: vec![],
            policy: None,
            script,
            provenance: vec![],
            release_keys: pairs.iter().map(public).collect(),
        };
        let bytes = manifest.to_bytes().unwrap();
        let sign = |pair: &SigningKey| ReleaseSignature {
            key: public(pair),
            value: pair.sign(&release_message(&bytes)).to_bytes(),
        };
        let file = SignedRelease { signatures: pairs.iter().take(signatures).map(sign).collect(), bytes };
        file.to_bytes().unwrap()
    }

    fn refused(bytes: &[u8], build: &Build) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("release.json");
        std::fs::write(&path, bytes).unwrap();
        OwnRelease::read(&path, build).err().map(|failure| failure.to_string()).unwrap_or_default()
    }

    #[test]
    fn only_a_whole_manifest_of_this_very_program_is_served() {
        let own = build([0xc0; 32], [0x91; 20]);
        assert_eq!(OwnRelease::of(&file(2), &own).unwrap().name, "1.0.0");
        for (bytes, build, said) in [
            (file(1), &own, "not signed by "),
            (file(2), &build([0xc1; 32], [0x91; 20]), "release.binaries: enclave has SHA-256 c0c0"),
            (file(2), &build([0xc0; 32], [0x92; 20]), "release.gitCommit is 9191"),
            (file_with([0x5c; 32], 2), &own, "release.script is 5c5c"),
            (b"{}".to_vec(), &own, "file.release: this member is missing"),
            (vec![b' '; MAX_FILE_BYTES + 1], &own, "release.json"),
        ] {
            let text = refused(&bytes, build);
            assert!(text.contains(said) && text.contains("\nfix: "), "{text}");
        }
        let gone = OwnRelease::read(Path::new("/nowhere/release.json"), &own).err().unwrap().to_string();
        assert!(gone.contains("/nowhere/release.json") && gone.contains("\nfix: "), "{gone}");
    }
}
