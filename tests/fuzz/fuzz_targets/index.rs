//! A package's page in an index, JSON or HTML: no panic, every file once, and pip is shown wheels of that package with a digest
//! and nothing else, on a page that reads back. The first line is the package.
#![no_main]

#[path = "../src/sandbox.rs"]
mod sandbox;

pub use sandbox::*;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| sandbox::pypi::a_page(bytes));
