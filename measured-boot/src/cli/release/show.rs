//! `measured-boot release show`: all of a manifest, and who has signed it.

use std::{fmt::Write as _, io::Write as _, path::PathBuf};

use clap::Args;
use evidence::{
    Ed25519Public,
    json::{Value, object},
    profile::{parse_carried, to_hex},
    release::{GRUB, LaunchDigest, PREDICTED, ReleaseManifest, SignedRelease},
};
use sha2::{Digest as _, Sha256};

use super::{hex_of, holds, key, read};
use crate::cli::Stop;

/// Arguments of `show`.
#[derive(Args)]
pub(in crate::cli) struct Show {
    /// The release file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A release key that you know: 64 hexadecimal digits, or a public key in PEM; may be repeated. The manifest must
    /// list exactly these.
    #[arg(long, value_name = "HEX|FILE")]
    release_key: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one key's signature.
#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    Signed,
    Missing,
    Forged,
    /// Signed, and the manifest does not list the key.
    Stranger,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Missing => "missing",
            Self::Forged => "does not verify",
            Self::Stranger => "not a release key",
        }
    }
}

impl Show {
    pub(super) fn run(&self) -> Result<String, Stop> {
        let (file, manifest) = read(&self.file)?;
        let here = std::path::Path::new("");
        let known = self.release_key.iter().map(|text| key::public(text, here)).collect::<Result<Vec<_>, _>>()?;
        let states = states(&file, &manifest);
        let digest = hex::encode(Sha256::digest(&file.bytes));
        let text = if self.json { json(&file, &digest, &states) } else { words(&manifest, &digest, &states) };
        let Some((what, fix)) = fault(&manifest, &states, &known) else { return Ok(text) };
        // What it is may be read all the same.
        let shown = std::io::stdout().write_all(text.as_bytes());
        shown.map_err(|error| Stop::usage("stdout", error, "write to a file or a pipe"))?;
        Err(Stop { code: 3, what: format!("{}: {what}", self.file.display()), fix: fix.to_owned() })
    }
}

fn states(file: &SignedRelease, manifest: &ReleaseManifest) -> Vec<(Ed25519Public, State)> {
    let of = |key: &Ed25519Public| match file.signatures.iter().find(|signature| signature.key == *key) {
        None => State::Missing,
        Some(signature) if holds(&file.bytes, signature) => State::Signed,
        Some(_) => State::Forged,
    };
    let listed = manifest.release_keys.iter().map(|key| (*key, of(key)));
    let strangers = file.signatures.iter().map(|signature| signature.key);
    let strangers = strangers.filter(|key| !manifest.release_keys.contains(key)).map(|key| (key, State::Stranger));
    listed.chain(strangers).collect()
}

/// Why it does not count, and what to do.
fn fault(
    manifest: &ReleaseManifest,
    states: &[(Ed25519Public, State)],
    known: &[Ed25519Public],
) -> Option<(String, &'static str)> {
    if !known.is_empty() {
        const FIX: &str = "name exactly the keys that the publisher announced; if they changed, hear it from them";
        if let Some(key) = known.iter().find(|key| !manifest.release_keys.contains(key)) {
            return Some((format!("release.releaseKeys does not list {}, which you named", hex_of(key)), FIX));
        }
        if let Some(key) = manifest.release_keys.iter().find(|key| !known.contains(key)) {
            return Some((format!("release.releaseKeys lists {}, which you did not name", hex_of(key)), FIX));
        }
    }
    let first = |state| states.iter().find(|(_, of)| *of == state).map(|(key, _)| hex_of(key));
    if let Some(key) = first(State::Forged) {
        return Some((
            format!("the signature by {key} does not verify"),
            "do not use it; it was altered after it was signed",
        ));
    }
    if let Some(key) = first(State::Stranger) {
        return Some((format!("signed by {key}, which release.releaseKeys does not list"), "do not use it"));
    }
    let key = first(State::Missing)?;
    Some((format!("not signed by {key}"), "have every release key sign it: measured-boot release sign"))
}

fn json(file: &SignedRelease, digest: &str, states: &[(Ed25519Public, State)]) -> String {
    let signatures = states
        .iter()
        .map(|(key, state)| object([("key", to_hex(key.as_bytes())), ("state", state.name().into())]))
        .collect();
    // It was read, so it reads.
    let release = parse_carried(&file.bytes).unwrap_or(Value::Null);
    let complete = states.iter().all(|(_, state)| *state == State::Signed);
    let shown = object([
        ("manifestSha256", digest.into()),
        ("complete", Value::Bool(complete)),
        ("signatures", Value::Array(signatures)),
        ("release", release),
    ]);
    shown.to_text() + "\n"
}

fn words(of: &ReleaseManifest, digest: &str, states: &[(Ed25519Public, State)]) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<12} {value}");
    };
    line("release", &of.name);
    line("manifest", digest);
    line("commit", &hex::encode(of.git_commit));
    line("source", &hex::encode(of.source_hash));
    line("created", &format!("{} seconds since 1970-01-01T00:00:00Z", of.created.0));
    for binary in &of.binaries {
        line("binary", &format!("{} {}", hex::encode(binary.sha256), binary.program));
    }
    for (name, digests) in [("launch", &of.launch_digests), ("svsm", &of.svsm_digests)] {
        for digest in digests {
            line(name, &launch(digest));
        }
    }
    for row in &of.paravisors {
        let (key, family, image) =
            (hex::encode(row.id_key_digest), hex::encode(row.family_id), hex::encode(row.image_id));
        line("paravisor", &format!("key {key} family {family} image {image} GUEST_SVN {} or more", row.min_guest_svn));
    }
    for set in &of.registers {
        line("registers", &format!("{} (boot {})", set.name, set.boot));
        let grub = set.grub.iter().flat_map(|values| GRUB.into_iter().zip(values));
        for (pcr, value) in PREDICTED.into_iter().zip(&set.values).chain(grub) {
            line("", &format!("PCR {pcr:<2} {}", hex::encode(value)));
        }
    }
    line("policy", &of.policy.map_or("none".to_owned(), hex::encode));
    line("script", &hex::encode(of.script));
    for digest in &of.provenance {
        line("provenance", &hex::encode(digest));
    }
    for (key, state) in states {
        line("key", &format!("{} {}", hex_of(key), state.name()));
    }
    out
}

fn launch(of: &LaunchDigest) -> String {
    let kind = of.vcpu_type.as_ref().map(|kind| format!(" {kind}")).unwrap_or_default();
    let features = of.guest_features.map(|bits| format!(" features {bits:#x}")).unwrap_or_default();
    format!("{} {} {} vCPU{kind}{features}", hex::encode(of.measurement), of.platform, of.vcpus)
}
