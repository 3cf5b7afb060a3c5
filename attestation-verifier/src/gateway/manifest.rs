//! Release manifests: which of them count, by the verifier's own keys (docs/WIRE.md, "Release manifest").

use std::fmt;

use evidence::{
    Ed25519Public, UnixSeconds,
    core::{Core, DocumentError},
    release::{ReleaseManifest, SignedRelease, release_message},
};

use crate::{Class, Crypto, Release, Unverified, Verified, appraisal::Checks, clock};

/// What a bundle's code is looked up in. All of it is the verifier's choice, nothing the gateway's.
#[derive(Clone, Copy, Debug, Default)]
pub struct Releases<'a> {
    /// Release keys that the verifier trusts, each of which must have signed a manifest. Empty: no manifest counts.
    pub keys: &'a [Ed25519Public],
    /// Signed manifests: what to call each in messages, and the file's bytes. Empty: the one that the bundle carries.
    pub manifests: &'a [(String, Vec<u8>)],
    /// Releases that the verifier knows from elsewhere, believed as they are.
    pub known: &'a [Release],
}

/// Why a release manifest does not count.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReleaseError {
    /// No key is named, so nobody's signature counts.
    NoKey,
    /// The file, or the manifest in it, cannot be read.
    Malformed(DocumentError),
    /// A key that the verifier names is none that the manifest lists.
    NotListed(Ed25519Public),
    /// The manifest lists a key that the verifier does not name.
    NotNamed(Ed25519Public),
    /// This key has not signed.
    Unsigned(Ed25519Public),
    /// A key that the manifest does not list has signed it.
    Stranger(Ed25519Public),
    /// The signature by this key does not verify.
    Forged(Ed25519Public),
}

impl fmt::Display for ReleaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = |key: &Ed25519Public| hex::encode(key.as_bytes());
        match self {
            Self::NoKey => f.write_str("no release key is named, so nobody's signature counts"),
            Self::Malformed(error) => error.fmt(f),
            Self::NotListed(key) => write!(f, "release.releaseKeys does not list {}, which you named", hex(key)),
            Self::NotNamed(key) => write!(f, "release.releaseKeys lists {}, which you did not name", hex(key)),
            Self::Unsigned(key) => write!(f, "not signed by {}: every release key has to", hex(key)),
            Self::Stranger(key) => write!(f, "signed by {}, which release.releaseKeys does not list", hex(key)),
            Self::Forged(key) => write!(f, "the signature by {} does not verify: the manifest was altered", hex(key)),
        }
    }
}

impl std::error::Error for ReleaseError {}

impl ReleaseError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoKey => "name every release key, which its publisher gave you by another way than the gateway",
            Self::Malformed(_) => "fetch the release file again, unchanged, from whoever publishes the release",
            Self::NotListed(_) | Self::NotNamed(_) => {
                "name exactly the keys that the publisher announced; if they changed, hear it from the publisher"
            }
            Self::Unsigned(_) => "wait until everybody has signed; a file with fewer signatures is a draft",
            Self::Stranger(_) | Self::Forged(_) => "do not use this file; fetch it again from the publisher",
        }
    }

    /// What kind of rejection it gives.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NoKey => Class::Policy,
            Self::Malformed(_) => Class::Malformed,
            _ => Class::Chain,
        }
    }
}

impl Unverified<SignedRelease> {
    /// Reads the manifest and checks that exactly these keys are its release keys and that each of them signed it, and
    /// nobody else.
    ///
    /// # Errors
    /// [`ReleaseError`].
    pub fn verify(
        self,
        keys: &[Ed25519Public],
        crypto: &impl Crypto,
    ) -> Result<Verified<ReleaseManifest>, ReleaseError> {
        let file = self.0;
        if keys.is_empty() {
            return Err(ReleaseError::NoKey);
        }
        let manifest = ReleaseManifest::from_bytes(&file.bytes).map_err(ReleaseError::Malformed)?;
        if let Some(key) = keys.iter().find(|key| !manifest.release_keys.contains(key)) {
            return Err(ReleaseError::NotListed(*key));
        }
        if let Some(key) = manifest.release_keys.iter().find(|key| !keys.contains(key)) {
            return Err(ReleaseError::NotNamed(*key));
        }
        if let Some(signature) = file.signatures.iter().find(|signature| !keys.contains(&signature.key)) {
            return Err(ReleaseError::Stranger(signature.key));
        }
        let message = release_message(&file.bytes);
        for key in &manifest.release_keys {
            let signature = file.signatures.iter().find(|signature| signature.key == *key);
            let signature = signature.ok_or(ReleaseError::Unsigned(*key))?;
            let verified = crypto.ed25519(key.as_bytes(), &message, &signature.value);
            verified.map_err(|_| ReleaseError::Forged(*key))?;
        }
        Ok(Verified::by_check(manifest))
    }
}

/// Adds the row `release` if there is anything to say, and gives the releases to look the code up in.
pub(crate) fn check_releases(
    carried: Option<&SignedRelease>,
    releases: &Releases<'_>,
    core: &Core,
    crypto: &impl Crypto,
    checks: &mut Checks,
) -> Vec<Release> {
    let known = releases.known.to_vec();
    let manifests = match (releases.manifests, carried) {
        ([], None) if releases.keys.is_empty() => return known,
        ([], None) => {
            let detail = "you named release keys, and the bundle carries no manifest: name one with --release";
            checks.open("release", Class::Policy, detail);
            return known;
        }
        ([], Some(carried)) if releases.keys.is_empty() => {
            let says = ReleaseManifest::from_bytes(&carried.bytes);
            let says =
                says.map_or("one that cannot be read".to_owned(), |manifest| format!("that of {}", manifest.name));
            let detail = format!("the bundle carries {says}; it is worth nothing until you name the release keys");
            checks.note("release", Class::Policy, &detail);
            return known;
        }
        ([], Some(carried)) => {
            verified("bundle.release", Ok(carried.clone()), releases.keys, crypto).map(|one| vec![one])
        }
        (files, _) => files
            .iter()
            .map(|(name, bytes)| verified(name, SignedRelease::from_bytes(bytes), releases.keys, crypto))
            .collect(),
    };
    let manifests = match manifests {
        Ok(manifests) => manifests,
        Err((detail, error)) => {
            checks.fail("release", error.class(), detail, error.fix());
            return known;
        }
    };
    if let Some((name, other)) = twins(&manifests) {
        let detail = format!("{name} and {other} are of one name and differ");
        checks.fail(
            "release",
            Class::Chain,
            detail,
            "the publisher signed two things under one name: ask which counts",
        );
        return known;
    }
    if let Some(key) = difference(&core.release_keys, releases.keys) {
        let detail = format!("core.releaseKeys are not the keys that you named: {}", hex::encode(key.as_bytes()));
        let fix = "others than the publisher could let other code have this gateway's keys: do not rely on it";
        checks.fail("release", Class::Binding, detail, fix);
        return known;
    }
    let named = manifests.iter().map(|(_, manifest)| {
        let commit = hex::encode(manifest.git_commit);
        format!("{} ({}, commit {})", manifest.name, day(manifest.created), commit.get(..12).unwrap_or_default())
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let keys = releases.keys.len();
    let signed = if keys == 1 { "the one key".to_owned() } else { format!("all {keys} keys") };
    let aside = match (releases.manifests, carried) {
        ([], _) => {
            "; carried by the bundle, and any older one of these keys would count too: --release names those that may run"
        }
        (_, Some(_)) => "; the one that the bundle carries is not looked at",
        _ => "",
    };
    checks.pass("release", Class::Chain, format!("{named}, signed by {signed} that you named{aside}"));
    known.into_iter().chain(manifests.iter().map(|(_, manifest)| Release::of(manifest))).collect()
}

/// `2026-02-02`: a release is as old as its commit.
fn day(time: UnixSeconds) -> String {
    let text = clock::text(time);
    text.split_once('T').map_or(text.clone(), |(day, _)| day.to_owned())
}

type Named = (String, Verified<ReleaseManifest>);

/// The manifest under its name, or what is wrong with it.
fn verified(
    name: &str,
    file: Result<SignedRelease, DocumentError>,
    keys: &[Ed25519Public],
    crypto: &impl Crypto,
) -> Result<Named, (String, ReleaseError)> {
    let file = file.map_err(ReleaseError::Malformed);
    let manifest = file.and_then(|file| Unverified(file).verify(keys, crypto));
    manifest.map(|manifest| (name.to_owned(), manifest)).map_err(|error| (format!("{name}: {error}"), error))
}

/// Two manifests of one name that say different things.
fn twins(manifests: &[Named]) -> Option<(&str, &str)> {
    manifests.iter().enumerate().find_map(|(at, (name, one))| {
        let before = manifests.get(..at).unwrap_or_default();
        let twin = before.iter().find(|(_, other)| other.name == one.name && **other != **one);
        twin.map(|(other, _)| (other.as_str(), name.as_str()))
    })
}

/// A key that only one of the two lists has. A core that lists none is sealed under no release key.
fn difference<'k>(core: &'k [Ed25519Public], named: &'k [Ed25519Public]) -> Option<&'k Ed25519Public> {
    if core.is_empty() {
        return None;
    }
    core.iter().find(|key| !named.contains(key)).or_else(|| named.iter().find(|key| !core.contains(key)))
}
