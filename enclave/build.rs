//! Tells the gateway which source it was built from: commit, SHA-256 of `git archive` of that commit, commit time.
//! Outside a repository, or without git, it says nothing: the gateway then reports `null`, never a guess.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SEALGATE_GIT_COMMIT");
    for part in ["HEAD", "index", "packed-refs"] {
        if let Some(path) = git(&["rev-parse", "--git-path", part]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let reference = git(&["symbolic-ref", "-q", "HEAD"]).and_then(|name| git(&["rev-parse", "--git-path", &name]));
    if let Some(path) = reference {
        println!("cargo::rerun-if-changed={path}");
    }
    let Some(commit) = git(&["rev-parse", "HEAD"]) else { return };
    println!("cargo::rustc-env=SEALGATE_COMMIT={commit}");
    if let Some(time) = git(&["show", "-s", "--format=%ct", "HEAD"]) {
        println!("cargo::rustc-env=SEALGATE_COMMIT_TIME={time}");
    }
    let top = git(&["rev-parse", "--show-toplevel"]).unwrap_or_else(|| ".".to_owned());
    let archive = Command::new("git").args(["-C", &top, "archive", "--format=tar", "HEAD"]).output();
    if let Ok(archive) = archive
        && archive.status.success()
    {
        use sha2::Digest as _;
        println!("cargo::rustc-env=SEALGATE_SOURCE_HASH={}", hex::encode(sha2::Sha256::digest(&archive.stdout)));
    }
    let dirty = git(&["status", "--porcelain", "--untracked-files=no"]).is_none_or(|changes| !changes.is_empty());
    println!("cargo::rustc-env=SEALGATE_DIRTY={dirty}");
}

fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
