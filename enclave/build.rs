//! Tells the gateway what it was built from and how: commit, SHA-256 of `git archive` of that commit, commit time, lock,
//! compiler; and which release keys may vouch for it. Outside its own repository, without git, or of a working tree that
//! differs from the commit, it names no source: the gateway then reports `null`, never a guess.

use std::{path::Path, process::Command};

use sha2::{Digest as _, Sha256};

/// What the executable is made from. If one of these changes, all of this is asked again: `dirty` must not grow old.
const SOURCES: [&str; 7] = [
    ".",
    "../attestation-verifier",
    "../measured-boot",
    "../scripts/verify-bundle",
    "../Cargo.toml",
    "../Cargo.lock",
    "../rust-toolchain.toml",
];

/// The archive that `sourceHash` is the hash of (docs/AUDITING.md): what a configuration of git could change in it is
/// named.
const ARCHIVE: [&str; 10] = [
    "-c",
    "tar.umask=0002",
    "-c",
    "core.autocrlf=false",
    "-c",
    "core.eol=lf",
    "-c",
    "core.attributesFile=/dev/null",
    "archive",
    "--format=tar",
];

/// SubjectPublicKeyInfo of an Ed25519 key but for the key itself (RFC 8410, section 4).
const SPKI_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

fn main() {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    built_how();
    release_keys();
    built_from();
}

fn built_from() {
    let reference = git(&["symbolic-ref", "-q", "HEAD"]);
    for part in ["HEAD", "index", "packed-refs"].into_iter().chain(reference.as_deref()) {
        // To watch a file that is not there would be to build anew each time. A reference that is packed later loses its
        // own file, which is watched.
        if let Some(path) = git(&["rev-parse", "--git-path", part]).filter(|path| Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // A copy of the source inside another repository is not of that repository's commits.
    let (Some(top), Ok(own)) = (git(&["rev-parse", "--show-toplevel"]), Path::new("..").canonicalize()) else { return };
    if Path::new(&top).canonicalize().ok() != Some(own) {
        return;
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return };
    println!("cargo::rustc-env=SEALGATE_COMMIT={commit}");
    if let Some(time) = git(&["show", "-s", "--format=%ct", "HEAD"]) {
        println!("cargo::rustc-env=SEALGATE_COMMIT_TIME={time}");
    }
    let dirty = git(&["--no-optional-locks", "status", "--porcelain", "--untracked-files=no"])
        .is_none_or(|changes| !changes.is_empty());
    println!("cargo::rustc-env=SEALGATE_DIRTY={dirty}");
    if dirty {
        // The commit's archive is not what this is built from: no hash rather than a wrong one.
        return;
    }
    let archive = Command::new("git").args(["-C", &top]).args(ARCHIVE).arg(&commit).output();
    if let Ok(archive) = archive
        && archive.status.success()
    {
        println!("cargo::rustc-env=SEALGATE_SOURCE_HASH={}", hex::encode(Sha256::digest(&archive.stdout)));
    }
}

fn built_how() {
    println!("cargo::rerun-if-env-changed=SEALGATE_REPOSITORY");
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    for (given, told) in
        [("PROFILE", "SEALGATE_PROFILE"), ("TARGET", "SEALGATE_TARGET"), ("SEALGATE_REPOSITORY", "SEALGATE_SOURCE")]
    {
        match said(given) {
            // A line that ends within a value would begin another order to cargo.
            Some(value) if value.contains(char::is_control) => {
                println!("cargo::error={given}: a control character; give it in one line");
            }
            Some(value) => println!("cargo::rustc-env={told}={value}"),
            None => {}
        }
    }
    if let Ok(lock) = std::fs::read("../Cargo.lock") {
        println!("cargo::rustc-env=SEALGATE_LOCK_HASH={}", hex::encode(Sha256::digest(lock)));
    }
    let compiler = said("RUSTC").and_then(|rustc| Command::new(rustc).arg("-vV").output().ok());
    let compiler = compiler.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let line = |name: &str| compiler.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if let (Some(release), Some(commit)) = (line("release:"), line("commit-hash:")) {
        println!("cargo::rustc-env=SEALGATE_RUST_RELEASE={release}");
        println!("cargo::rustc-env=SEALGATE_RUST_COMMIT={commit}");
    }
}

/// `SEALGATE_RELEASE_PUBLIC_KEYS`: Ed25519 public keys, separated by commas, each 64 hexadecimal digits or the name of a
/// PEM file. A key that cannot be read ends the build: a release that nobody can vouch for helps nobody.
fn release_keys() {
    println!("cargo::rerun-if-env-changed=SEALGATE_RELEASE_PUBLIC_KEYS");
    let listed = std::env::var("SEALGATE_RELEASE_PUBLIC_KEYS").unwrap_or_default();
    let mut keys = Vec::new();
    if listed.contains(char::is_control) {
        return println!("cargo::error=SEALGATE_RELEASE_PUBLIC_KEYS: a control character; separate keys by commas");
    }
    for word in listed.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match release_key(word) {
            // Two of one would look like two people.
            Ok(key) if keys.contains(&hex::encode(key)) => {
                println!("cargo::error=SEALGATE_RELEASE_PUBLIC_KEYS: {word:?}: this key stands there twice");
            }
            Ok(key) => keys.push(hex::encode(key)),
            Err(why) => println!("cargo::error=SEALGATE_RELEASE_PUBLIC_KEYS: {word:?}: {why}"),
        }
    }
    // Whoever names the same keys in another order builds the same program.
    keys.sort();
    println!("cargo::rustc-env=SEALGATE_RELEASE_KEYS={}", keys.join(","));
}

fn release_key(word: &str) -> Result<[u8; 32], String> {
    if word.len() == 64
        && let Ok(key) = hex::decode(word)
    {
        return key.try_into().map_err(|_| "want 32 bytes".to_owned());
    }
    println!("cargo::rerun-if-changed={word}");
    let wanted = "want 64 hexadecimal digits or a PEM file with an Ed25519 public key, named from the root of the disk";
    if !Path::new(word).is_absolute() {
        return Err(wanted.to_owned());
    }
    let text = std::fs::read_to_string(word).map_err(|error| error.to_string())?;
    let mut lines = text.lines().skip_while(|line| line.trim() != "-----BEGIN PUBLIC KEY-----").skip(1);
    let body: String = lines.by_ref().take_while(|line| !line.starts_with("-----")).map(str::trim).collect();
    use base64::Engine as _;
    let der = base64::engine::general_purpose::STANDARD.decode(body).map_err(|_| wanted.to_owned())?;
    let key = der.strip_prefix(&SPKI_HEAD).and_then(|key| key.try_into().ok());
    key.ok_or_else(|| wanted.to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
