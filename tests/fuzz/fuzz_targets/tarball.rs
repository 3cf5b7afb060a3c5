//! Tarballs of npm: no panic, nothing lies outside of the package's own place, and the same files are the same image layer.
#![no_main]

#[path = "../src/sandbox.rs"]
mod sandbox;

pub use sandbox::*;

use libfuzzer_sys::fuzz_target;
use sandbox::{layer::Files, package::is_inner_path};

const PLACE: &str = "node_modules/a";

fuzz_target!(|bytes: &[u8]| {
    let unpacked = || {
        let mut files = Files::default();
        files.unpack("a", PLACE, bytes).ok().map(|()| files)
    };
    let Some(files) = unpacked() else { return };
    for path in files.paths() {
        let inner = path.strip_prefix(PLACE).and_then(|rest| rest.strip_prefix('/'));
        assert!(inner.is_some_and(is_inner_path), "outside: {path:?}");
    }
    let digest = |files: Files| files.layer().ok().map(|layer| layer.digest);
    assert_eq!(digest(files), unpacked().and_then(digest));
});
