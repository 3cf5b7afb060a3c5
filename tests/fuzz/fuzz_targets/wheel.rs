//! Wheels of PyPI: no panic, nothing lies outside of the server's place or where the runner's own files are, and the metadata
//! that is read alone is that of the whole. The first line is the file's name, the rest the archive.
#![no_main]

#[path = "../src/sandbox.rs"]
mod sandbox;

pub use sandbox::*;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sandbox::pypi::a_wheel(bytes));
